"""What requests are where no rules say: traces, and what hangs together with them."""

from __future__ import annotations

from typing import Final

from spanverdict.diagnostics.diagnostic import Position
from spanverdict.rulefiles.models import CompleteSpec, Count, Flow, RequestSpec, Stage
from spanverdict.selectors import parse

ROOTS: Final = "{ span:parentID = nil && link:spanID = nil }"
"""Spans that begin something: without a parent, and linked to nothing."""
_ANYTHING: Final = "work"
"""The stage of every span."""


def plain_flow(begins: str = ROOTS) -> Flow:
    """Return a flow without rules, whose requests are what traces and the links between them make."""
    here = Position("", 1, 1)
    stages = (Stage("begin", parse(begins), Count(), here), Stage(_ANYTHING, parse("{ }"), Count(), here))
    return Flow("", stages, RequestSpec("begin", _ANYTHING), CompleteSpec(), (), "", "", here)
