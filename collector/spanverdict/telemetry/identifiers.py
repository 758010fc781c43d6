"""Identifiers that cross rooms: how a run is named and how trace ids are written."""

from __future__ import annotations

import re
from typing import Final

RUN_ID_ATTRIBUTES: Final = ("test.suite.run.id", "test.run.id", "cicd.pipeline.run.id")
"""Attributes that tag a span with its run, strongest first."""

_RUN_ID: Final = re.compile(r"[A-Za-z0-9._:/-]{1,128}", re.ASCII)


def is_run_id(text: object) -> bool:
    """Tell whether `text` may name a run.

    >>> is_run_id("gh-123/1"), is_run_id("no spaces"), is_run_id("x" * 129), is_run_id(7)
    (True, False, False, False)
    """
    return isinstance(text, str) and _RUN_ID.fullmatch(text) is not None


def span_id_hex(span_id: int) -> str:
    """Write a span id as OTLP/JSON does.

    >>> span_id_hex(255)
    '00000000000000ff'
    """
    return f"{span_id:016x}"
