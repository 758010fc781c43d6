"""The mapping form of a selector: `{service: scorer, name: predict}`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from spanverdict.selectors import tree
from spanverdict.selectors.errors import MappingError, SelectorError
from spanverdict.selectors.literals import SURROGATES, fits
from spanverdict.selectors.parser import limited
from spanverdict.selectors.selector import Selector, parse_field
from spanverdict.selectors.tree import Attribute, Expression, Intrinsic, Scope, Static, Type
from spanverdict.selectors.typecheck import check
from spanverdict.selectors.words import KINDS, STATUSES, did_you_mean

Key = tuple[str | int, ...]

_TEXTS: Final = MappingProxyType[str, Attribute | Intrinsic](
    {"service": Attribute(Scope.RESOURCE, "service.name"), "name": Intrinsic("span:name")}
)
_ENUMS: Final = MappingProxyType(
    {
        "kind": (Intrinsic("span:kind"), Type.KIND, KINDS),
        "status": (Intrinsic("span:status"), Type.STATUS, STATUSES),
    }
)
KEYS: Final = (*_TEXTS, *_ENUMS, "attributes")
"""The keys of a mapping."""


def from_mapping(mapping: Mapping[str, object]) -> Selector:
    """Build the selector that a mapping stands for. All entries hold together; a list holds alternatives.

    A text between slashes is a regular expression, null stands for absent.

    >>> str(from_mapping({"service": "scorer", "kind": ["server", "consumer"]}))
    '{ resource.service.name = "scorer" && (span:kind = server || span:kind = consumer) }'

    Raises:
        MappingError: with the path of the entry at fault.
    """
    if not mapping:
        raise MappingError("this selects nothing in particular", key=(), hint=f"it has {', '.join(KEYS)}")
    conditions = [part for key, value in mapping.items() for part in _entry(key, value)]
    root = tree.Filter(_joined("&&", conditions))
    try:
        limited(root)
    except SelectorError as error:
        raise MappingError(error.message, key=(), hint=error.hint) from None
    return Selector(root)


def _entry(key: object, value: object) -> list[Expression]:
    if key in _TEXTS:
        field = _TEXTS[str(key)]
        return [_alternatives((str(key),), value, lambda at, one: _equal(field, at, _text(at, one)))]
    if key in _ENUMS:
        return [_alternatives((str(key),), value, _enum)]
    if key == "attributes":
        return _attributes(value)
    raise MappingError(f"there is no key `{key}` here", key=(str(key),), hint=did_you_mean(str(key), KEYS))


def _attributes(value: object) -> list[Expression]:
    if not isinstance(value, Mapping) or not value:
        raise MappingError("attributes map fields to values", key=("attributes",), hint="such as `span.x: 1`")
    found = []
    for name, wanted in value.items():
        at: Key = ("attributes", str(name))
        try:
            field = parse_field(str(name)).node
        except SelectorError as error:
            raise MappingError(error.message, key=at, hint=error.hint) from None
        found.append(_alternatives(at, wanted, partial(_equal, field)))
    return found


def _alternatives(at: Key, value: object, condition: Callable[[Key, object], Expression]) -> Expression:
    if not isinstance(value, list | tuple):
        return condition(at, value)
    if not value:
        raise MappingError("a list of alternatives holds at least one", key=at)
    return _joined("||", [condition((*at, number), one) for number, one in enumerate(value)])


def _joined(op: str, conditions: list[Expression]) -> Expression:
    return conditions[0] if len(conditions) == 1 else tree.Junction(op, tuple(conditions))


def _enum(at: Key, value: object) -> Expression:
    field, kind, words = _ENUMS[str(at[0])]
    if not isinstance(value, str) or value not in words:
        hint = did_you_mean(str(value), words) or f"one of {', '.join(words)}"
        raise MappingError(f"`{value}` is not a {kind}", key=at, hint=hint)
    return tree.Binary("=", field, Static(kind, words[value]))


def _text(at: Key, value: object) -> object:
    if not isinstance(value, str):
        raise MappingError("a text is expected", key=at, hint=f'put it in quotes: "{value}"')
    return value


def _equal(field: Attribute | Intrinsic, at: Key, value: object) -> Expression:
    condition = tree.Binary("=", field, _static(at, value))
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == "/":
        condition = tree.Binary("=~", field, Static(Type.STRING, value[1:-1]))
    try:
        check(tree.Filter(condition))
    except SelectorError as error:
        raise MappingError(error.message, key=at, hint=error.hint) from None
    return condition


def _static(at: Key, value: object) -> Static:
    match value:
        case None:
            return Static(Type.NIL, None)
        case bool():
            return Static(Type.BOOL, value)
        case int() if fits(value):
            return Static(Type.INT, value)
        case float() if math.isfinite(value):
            return Static(Type.FLOAT, value)
        case str() if not any(ord(char) in SURROGATES for char in value):
            return Static(Type.STRING, value)
        case _:
            raise MappingError(
                f"`{value}` cannot be compared with", key=at, hint="a text, a number, true, false or null"
            )
