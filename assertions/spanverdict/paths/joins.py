"""Why a span is in a request."""

from __future__ import annotations

from enum import IntEnum


class Join(IntEnum):
    """What joined a span to its request, the strongest first."""

    START = 0
    ANCESTOR = 1
    PARENT = 2
    LINK = 3
    MESSAGE = 4
    KEY = 5
    TRACE = 6
    """An orphan, whose parent never came, in a trace of this request alone."""
