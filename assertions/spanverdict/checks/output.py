"""`output`: what the system answered, one value a request, or whether it is the golden one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.golden import SINGLE, Golden
from spanverdict.diagnostics import codes
from spanverdict.diagnostics.yamldoc import Mapping, wrong_type

if TYPE_CHECKING:
    from spanverdict.checks.reading import ReadContext
    from spanverdict.checks.runview import RunView
    from spanverdict.checks.valueof import ValueOf
    from spanverdict.diagnostics.yamldoc import Node

_KEYS: Final = ("stage", "value")
_ALL_KEYS: Final = ("stage", "value", "values")


@dataclass(frozen=True, slots=True)
class Output:
    """Values at a stage, of any type, one a request; with a golden file a truth: is it the right one?"""

    stage: str
    values: tuple[tuple[str, ValueOf], ...]
    """By name, in the order of the file; several only go with a golden file. A single one may be called `SINGLE`."""
    golden: Golden | None = None
    together: bool = False
    """Its values are what the answers should be distributed like, and not what each should be."""

    key: ClassVar[str] = "output"
    statistics: ClassVar[None] = None

    @property
    def unit(self) -> Unit:
        """Whatever the attribute holds; true or false where it is compared."""
        return Unit.ANY if self.golden is None or self.together else Unit.TRUTH

    @property
    def named(self) -> bool:
        """Tell whether the rule names its values, as it does with `values`."""
        return self.values[0][0] != SINGLE or len(self.values) > 1

    @classmethod
    def read(cls, node: Node, context: ReadContext) -> Self | None:
        """Read `{stage, value}` or `{stage, values: {NAME: value, …}}`."""
        if isinstance(node, Mapping) and node.get("values") is not None:
            return cls._read_named(node, context)
        found = read_stage_value(node, context, "an output", _ALL_KEYS)
        return None if found is None else cls(found[0], ((SINGLE, found[1]),))

    @classmethod
    def _read_named(cls, node: Node, context: ReadContext) -> Self | None:
        reader = context.reader(node, _ALL_KEYS, "an output")
        if reader is None:
            return None
        stage_node, several, single = reader.require("stage"), reader.require("values"), reader.mapping.key("value")
        if single is not None:
            message = "'value' and 'values' exclude each other"
            context.problems.error(single.position, codes.CONFLICTING_KEYS, message, "", single.width)
        stage = None if stage_node is None else context.stage(stage_node)
        values = None if several is None else _named_values(several, context)
        return None if stage is None or values is None or single is not None else cls(stage, values)

    def measure(self, view: RunView) -> Measurement:
        """Give the value of the last attempt of the stage that carries one and did not fail, or its comparison."""
        from spanverdict.checks import goldens, values  # noqa: PLC0415 - numpy is not needed to read rules

        if self.golden is not None and not self.together:
            return goldens.measure(self, self.golden, view)
        return values.one_a_request(self.stage, self.values[0][1], view)


def _named_values(node: Node, context: ReadContext) -> tuple[tuple[str, ValueOf], ...] | None:
    if not isinstance(node, Mapping) or not node.entries:
        hint = "write it like {score: span.score, label: span.label}"
        wrong_type(context.problems, node, "values has to be a mapping of names to values", hint)
        return None
    found = [(name.text, context.value(value)) for name, value in node.entries]
    known = tuple((name, value) for name, value in found if value is not None)
    return known if len(known) == len(found) else None


def read_stage_value(
    node: Node, context: ReadContext, what: str, keys: Collection[str] = _KEYS
) -> tuple[str, ValueOf] | None:
    """Read `{stage, value}`; None when something was reported."""
    reader = context.reader(node, keys, what)
    if reader is None:
        return None
    stage_node, value_node = reader.require("stage"), reader.require("value")
    stage = None if stage_node is None else context.stage(stage_node)
    value = None if value_node is None else context.value(value_node)
    return None if stage is None or value is None else (stage, value)
