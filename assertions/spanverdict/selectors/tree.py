"""The parts of a selector: immutable nodes that know where they stood in the text.

Positions take no part in equality, so a selector equals what is read back from its printed form.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

Place: TypeAlias = tuple[int, int]
"""Offset and length in the text, in characters."""

NOWHERE: Place = (0, 1)


class Type(StrEnum):
    """What an expression gives, as far as the text alone can tell."""

    ANY = "attribute"
    NIL = "nil"
    BOOL = "boolean"
    INT = "integer"
    FLOAT = "float"
    DURATION = "duration"
    NUMBER = "number"
    STRING = "string"
    ID = "id"
    STATUS = "status"
    KIND = "kind"


NUMERIC = frozenset({Type.INT, Type.FLOAT, Type.DURATION, Type.NUMBER})


class Scope(StrEnum):
    """Where an attribute is looked for."""

    ANY = ""
    SPAN = "span"
    RESOURCE = "resource"
    EVENT = "event"
    LINK = "link"
    INSTRUMENTATION = "instrumentation"


@dataclass(frozen=True, slots=True)
class Static:
    """A value written in the selector. Status and kind are held as OTLP numbers, durations as ns."""

    type: Type
    value: str | bool | int | float | None
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Attribute:
    """A key-value pair that whoever instrumented the code has chosen."""

    scope: Scope
    name: str
    of_parent: bool = False
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Intrinsic:
    """A property that every span, event, link or trace has; `name` is the scoped spelling."""

    name: str
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Unary:
    """`-x` or `!x`."""

    op: str
    operand: Expression
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """A comparison or an arithmetic operation on two operands."""

    op: str
    left: Expression
    right: Expression
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Junction:
    """Two or more conditions joined by `&&` or `||`; never holds one with the same operator."""

    op: str
    operands: tuple[Expression, ...]
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One number a spanset: `count()`, or `avg min max sum` of an expression."""

    function: str
    argument: Expression | None
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Filter:
    """`{ condition }`; without a condition it takes every span."""

    condition: Expression | None
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Structural:
    """Two spansets related by their place in the trace: `>`, `!>>`, `&~` and so on."""

    op: str
    left: Spanset
    right: Spanset
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Combination:
    """Two or more spansets joined by `&&` or `||`; never holds one with the same operator."""

    op: str
    operands: tuple[Spanset, ...]
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ScalarFilter:
    """Keeps the spansets whose aggregates satisfy a comparison."""

    op: str
    left: Expression
    right: Expression
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class By:
    """Splits each spanset by the value of an expression."""

    key: Expression
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Coalesce:
    """Joins what `by()` has split: one spanset a trace again."""

    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Select:
    """Names fields to show; which spans match does not change."""

    fields: tuple[Expression, ...]
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stages, each of which works on the spansets that the one before it left."""

    stages: tuple[Stage, ...]
    place: Place = field(default=NOWHERE, compare=False, repr=False)


Expression: TypeAlias = "Static | Attribute | Intrinsic | Unary | Binary | Junction | Aggregate"
Spanset: TypeAlias = "Filter | Structural | Combination | ScalarFilter | Pipeline"
Stage: TypeAlias = "Spanset | By | Coalesce | Select"
Node: TypeAlias = "Expression | Stage"

EXPRESSIONS = (Static, Attribute, Intrinsic, Unary, Binary, Junction, Aggregate)
SPANSETS = (Filter, Structural, Combination, ScalarFilter, Pipeline)


def children(node: Node) -> tuple[Node, ...]:
    """Return the direct parts of a node, left to right."""
    match node:
        case Binary() | ScalarFilter() | Structural():
            return (node.left, node.right)
        case Junction() | Combination():
            return node.operands
        case Unary():
            return (node.operand,)
        case Filter():
            return () if node.condition is None else (node.condition,)
        case Aggregate():
            return () if node.argument is None else (node.argument,)
        case Pipeline():
            return node.stages
        case Select():
            return node.fields
        case By():
            return (node.key,)
        case _:
            return ()
