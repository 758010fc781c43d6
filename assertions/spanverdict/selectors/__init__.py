"""TraceQL selectors: read, checked and printed here, evaluated over a table of spans by vector operations.

Reading one needs no numpy: what evaluates is imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanverdict.selectors.errors import (
    MappingError,
    SelectorError,
    SelectorSyntaxError,
    SelectorTypeError,
    SelectorUnsupported,
)
from spanverdict.selectors.mapping import from_mapping
from spanverdict.selectors.selector import Field, Selector, parse, parse_field

if TYPE_CHECKING:
    from spanverdict.selectors.columns import Spans

__all__ = [
    "Field",
    "MappingError",
    "Selector",
    "SelectorError",
    "SelectorSyntaxError",
    "SelectorTypeError",
    "SelectorUnsupported",
    "Spans",
    "from_mapping",
    "parse",
    "parse_field",
]


def __getattr__(name: str) -> type[Spans]:
    if name == "Spans":
        from spanverdict.selectors.columns import Spans  # noqa: PLC0415 - brings numpy

        return Spans
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
