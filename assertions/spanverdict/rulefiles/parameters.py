"""Parameters of a rule file: declared with a type, given a value, and put in the place of `${name}`.

Values take the place of scalars, or of a part of a scalar's text. They never become YAML: a value
cannot add a key, end a list or open a quote.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.diagnostics.durations import DurationError, parse_duration
from spanverdict.diagnostics.yamldoc import Mapping as MappingNode
from spanverdict.diagnostics.yamldoc import Node, Reader, Scalar, Sequence, did_you_mean, wrong_type
from spanverdict.rulefiles.literals import read_literal
from spanverdict.rulefiles.mistake import Mistake
from spanverdict.rulefiles.statistic import Quantity
from spanverdict.selectors import SelectorError, parse_field

PARAMETER_KEYS: Final = ("about", "default", "type")

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_PLACE: Final = re.compile(r"\$(?P<escaped>\$\{)|\$\{(?P<name>[^{}]*)\}")
_UNSAFE: Final = re.compile(r"[\"'`\\\r\n]")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter as it is declared."""

    name: str
    type: str
    default: Scalar | None
    declared: Scalar
    """Its name, for the place."""


Values: TypeAlias = Mapping[str, Scalar]
"""What each parameter is, by name."""


def read_parameters(node: Node | None, problems: Problems) -> dict[str, Parameter]:
    """Return what a file declares; defaults are not looked at here."""
    if node is None:
        return {}
    if not isinstance(node, MappingNode):
        wrong_type(problems, node, "parameters has to be a mapping", "write it like p95: {type: duration}")
        return {}
    found = (_read_parameter(name, value, problems) for name, value in node.entries)
    return {parameter.name: parameter for parameter in found if parameter is not None}


def _read_parameter(name: Scalar, node: Node, problems: Problems) -> Parameter | None:
    if not _NAME.fullmatch(name.text):
        message = f"a parameter cannot be called `{name.text[:60]}`"
        problems.error(name.position, codes.PARAMETER, message, "use a-z, 0-9 and _, a letter first", name.width)
        return None
    reader = Reader.of(node, problems, PARAMETER_KEYS, "a parameter")
    if reader is None or reader.require("type") is None:
        return None
    kind = reader.choice("type", tuple(TYPES))
    default = reader.node("default")
    reader.text("about")
    if default is not None and not isinstance(default, Scalar):
        wrong_type(problems, default, "default has to be a single value", "")
        return None
    return None if kind is None else Parameter(name.text, kind, default, name)


def check_value(parameter: Parameter, node: Node, stages: Collection[str], problems: Problems) -> Scalar | None:
    """Return the value that stands at `node`; None (reported) when it is not of the parameter's type.

    `stages` are those that a parameter of type `stage` may name.
    """
    declared = parameter.declared.position
    if not isinstance(node, Scalar) or node.value is None:
        wrong_type(problems, node, f"{parameter.name} has to be a single value", f"it is declared in {declared}")
        return None
    try:
        TYPES[parameter.type](node, stages)
    except Mistake as mistake:
        message = f"{parameter.name}: {mistake.message}"
        hint = f"{mistake.hint}; " if mistake.hint else ""
        hint += f"it is declared as {parameter.type} in {declared}"
        problems.error(node.position, codes.PARAMETER_VALUE, message, hint, node.width)
        return None
    return node


def _text(node: Scalar, _stages: Collection[str]) -> None:
    if not node.text.strip():
        raise Mistake(codes.PARAMETER_VALUE, "the text is empty")


def _duration(node: Scalar, _stages: Collection[str]) -> None:
    try:
        parse_duration(node.text)
    except DurationError as error:
        raise Mistake(codes.PARAMETER_VALUE, error.message, error.hint) from None


def _literal(quantity: Quantity) -> Callable[[Scalar, Collection[str]], None]:
    def check(node: Scalar, _stages: Collection[str]) -> None:
        read_literal(node.text, quantity)

    return check


def _stage(node: Scalar, stages: Collection[str]) -> None:
    if node.text not in stages:
        hint = did_you_mean(node.text, stages) or f"the stages are {', '.join(stages)}"
        raise Mistake(codes.PARAMETER_VALUE, f"the flow has no stage `{node.text}`", hint)


def _field(node: Scalar, _stages: Collection[str]) -> None:
    try:
        parse_field(node.text)
    except SelectorError as error:
        raise Mistake(codes.PARAMETER_VALUE, error.message, error.hint) from None


TYPES: Final[Mapping[str, Callable[[Scalar, Collection[str]], None]]] = {
    "text": _text,
    "duration": _duration,
    "share": _literal(Quantity.SHARE),
    "number": _literal(Quantity.NUMBER),
    "count": _literal(Quantity.COUNT),
    "stage": _stage,
    "field": _field,
}
"""What a parameter may be; each looks at a value and raises `Mistake`."""


def used_in(node: Node) -> frozenset[str]:
    """Return the names that stand in `${…}` anywhere below a node."""
    return frozenset(match["name"] for scalar in _scalars(node) for match in _places(scalar.text))


def _scalars(node: Node) -> Iterator[Scalar]:
    if isinstance(node, Scalar):
        yield node
    for child in _children(node):
        yield from _scalars(child)


def _children(node: Node) -> tuple[Node, ...]:
    if isinstance(node, MappingNode):
        return tuple(value for _, value in node.entries)
    return node.items if isinstance(node, Sequence) else ()


def _places(text: str) -> Iterator[re.Match[str]]:
    return (match for match in _PLACE.finditer(text) if match["name"] is not None)


def filled(node: Node, values: Values, declared: Collection[str], problems: Problems) -> Node:
    """Return the node with every `${name}` replaced; `$${` stands for `${` itself.

    Names that are not declared are reported. Those that are declared and have no value were
    reported where the value is missing, and stay as they are.
    """
    if isinstance(node, MappingNode):
        entries = tuple((name, filled(value, values, declared, problems)) for name, value in node.entries)
        return replace(node, entries=entries)
    if isinstance(node, Sequence):
        return replace(node, items=tuple(filled(item, values, declared, problems) for item in node.items))
    if isinstance(node, Scalar) and "$" in node.text:
        return _filled_scalar(node, values, declared, problems)
    return node


def _filled_scalar(node: Scalar, values: Values, declared: Collection[str], problems: Problems) -> Scalar:
    whole = _PLACE.fullmatch(node.text)
    if whole is not None and whole["name"] in values:
        value = values[whole["name"]]
        return replace(node, value=value.value, text=value.text, quoted=value.quoted)
    for match in _places(node.text):
        if match["name"] not in declared:
            hint = did_you_mean(match["name"], declared) or f"declared are {', '.join(declared)}; ${{ itself is $${{"
            place, message = node.at(match.start()), f"no parameter is called `{match['name']}`"
            problems.error(place, codes.PARAMETER_USE, message, hint, len(match[0]))
    text = _PLACE.sub(lambda match: _part(match, node, values, problems), node.text)
    return replace(node, text=text, value=text if isinstance(node.value, str) else node.value)


def _part(match: re.Match[str], node: Scalar, values: Values, problems: Problems) -> str:
    if match["escaped"]:
        return match["escaped"]
    value = values.get(match["name"])
    if value is None:
        return match[0]
    if _UNSAFE.search(value.text):
        message = f"{match['name']} is put into a longer text, where quotes, backslashes and line breaks cannot stand"
        hint = f"it is used in {node.position}"
        problems.error(value.position, codes.PARAMETER_VALUE, message, hint, value.width)
    return _UNSAFE.sub("", value.text)
