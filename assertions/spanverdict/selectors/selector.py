"""Selectors and fields: what the text of a rule becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spanverdict.selectors import tree
from spanverdict.selectors.errors import SelectorSyntaxError
from spanverdict.selectors.lexer import MAX_LENGTH
from spanverdict.selectors.parser import read_field, read_selector
from spanverdict.selectors.printer import write
from spanverdict.selectors.typecheck import check

if TYPE_CHECKING:
    from spanverdict.selectors.columns import Spans
    from spanverdict.selectors.nearmiss import NearMiss
    from spanverdict.selectors.numeric import Numbers
    from spanverdict.telemetry.spantable import AttributeColumn, Bools

_MAY_GROW: Final = MAX_LENGTH // 5
"""The canonical form of a shorter text is never too long itself."""


@dataclass(frozen=True, slots=True)
class Selector:
    """A TraceQL spanset expression or pipeline. Its text is canonical and reads back as an equal selector."""

    root: tree.Spanset

    def __str__(self) -> str:
        return write(self.root)

    def mask(self, spans: Spans) -> Bools:
        """Return the spans that the selector yields, (n,) bool. The spans are not changed."""
        from spanverdict.selectors.spansets import select  # noqa: PLC0415 - reading a selector needs no numpy

        return select(self.root, spans)

    def near_misses(self, spans: Spans) -> list[NearMiss]:
        """Say for each condition how many spans meet it, and how many meet all the others but not it."""
        from spanverdict.selectors.nearmiss import near_misses  # noqa: PLC0415 - as above

        return near_misses(self.root, spans)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a span, such as `span.order.id` or `span:duration`. Its text is canonical."""

    node: tree.Attribute | tree.Intrinsic

    def __str__(self) -> str:
        return write(self.node)

    def column(self, spans: Spans) -> AttributeColumn:
        """Return the field of each span; of several events or links the first that has it counts.

        Ids are lower-case hexadecimal, status and kind their words, durations int nanoseconds.
        """
        from spanverdict.selectors.fieldvalues import attribute_column  # noqa: PLC0415 - as above

        return attribute_column(self.node, spans)

    def carried(self, spans: Spans) -> Bools:
        """Tell which spans carry the field under its very own name, (n,) bool; other names of it do not count."""
        from spanverdict.selectors.fieldvalues import carried  # noqa: PLC0415 - as above

        return carried(self.node, spans)

    def numbers(self, spans: Spans) -> Numbers:
        """Return the field of each span as numbers, with what is absent or no number marked."""
        from spanverdict.selectors.fieldvalues import number_column  # noqa: PLC0415 - as above

        return number_column(self.node, spans)


def parse(text: str) -> Selector:
    """Read a spanset expression or pipeline.

    >>> str(parse('{name="predict"&&duration>100ms}'))
    '{ span:name = "predict" && span:duration > 100ms }'

    Raises:
        SelectorSyntaxError: the text is not TraceQL, is longer than 10,000 characters, nests deeper than 32
            or has more than 500 parts.
        SelectorTypeError: it could never match.
        SelectorUnsupported: it is TraceQL that is not evaluated here.
    """
    selector = Selector(read_selector(text))
    check(selector.root)
    if len(text) > _MAY_GROW and len(str(selector)) > MAX_LENGTH:
        raise SelectorSyntaxError(f"a selector has at most {MAX_LENGTH} characters in canonical form")
    return selector


def parse_field(text: str) -> Field:
    """Read a single field.

    >>> str(parse_field("duration")), str(parse_field('span."a b"'))
    ('span:duration', 'span."a b"')

    Raises:
        SelectorSyntaxError: the text is not one field.
        SelectorUnsupported: it is a field that is not evaluated here.
    """
    return Field(read_field(text))
