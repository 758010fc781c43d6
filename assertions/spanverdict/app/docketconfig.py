"""How runs are followed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from spanverdict.rulefiles.models import Flow

KEEP_S: Final = 600.0
"""How long spans are kept at hand after the last of their traces came; late ones may still join them."""
KEEP_BYTES: Final = 1 << 30
"""How much memory they may take, about, before judged and unclaimed ones are let go earlier."""
MAX_OPEN_RUNS: Final = 20_000
"""Runs that may wait for a verdict, before spans of further ones are refused. One of a single span takes 2.5 kB."""
MAX_RUNS: Final = 40_000
"""Runs that are known at a time. Beyond three quarters of them those with a verdict go, the quiet ones first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocketConfig:
    """How runs are followed."""

    flows: tuple[Flow, ...] = ()
    only: str | None = None
    """The one run that is followed, which takes every span of no other and is judged just once."""
    patient: bool = False
    """Its spans may come long after its end, from services that export at their own pace."""
    keep_s: float = KEEP_S
    keep_bytes: int = KEEP_BYTES
    max_open_runs: int = MAX_OPEN_RUNS
    max_runs: int = MAX_RUNS
