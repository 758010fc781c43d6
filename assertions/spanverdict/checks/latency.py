"""`latency`: how long a request, a stage or the way between two stages took."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final, Self, TypeAlias

from spanverdict.checks.check import Measurement, Unit
from spanverdict.diagnostics import codes
from spanverdict.diagnostics.yamldoc import Mapping, Node, Reader, Scalar

if TYPE_CHECKING:
    from spanverdict.checks.reading import ReadContext
    from spanverdict.checks.runview import RunView
    from spanverdict.checks.valueof import ValueOf

EXTENTS: Final = ("extent", "each", "sum", "busy", "self")
QUEUE: Final = "queue"
"""What the waits on a critical path count for."""
OTHER: Final = "other"
"""What counts for no stage there."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The start or the end of a stage."""

    stage: str
    edge: str
    """`start` or `end`."""

    def __str__(self) -> str:
        return f"{self.stage}.{self.edge}"


@dataclass(frozen=True, slots=True)
class Between:
    """From one moment of a request to another."""

    begin: Moment
    finish: Moment


@dataclass(frozen=True, slots=True)
class EventMoment:
    """When a span event of a name happened."""

    event: str

    def __str__(self) -> str:
        return f"event {self.event}"


@dataclass(frozen=True, slots=True)
class BetweenEvents:
    """From one moment of a request to another, where one at least is an event in a stage or below it."""

    begin: Moment | EventMoment
    finish: Moment | EventMoment
    stage: str
    """Whose spans, and those below them, carry the events."""


@dataclass(frozen=True, slots=True)
class OfStage:
    """The time in one stage; `of` says which (`EXTENTS`)."""

    stage: str
    of: str


@dataclass(frozen=True, slots=True)
class OfAttribute:
    """A time that a span carries as an attribute."""

    field: ValueOf
    unit: str
    stage: str


@dataclass(frozen=True, slots=True)
class OfPath:
    """The share that a stage, `queue` or `other` has of the critical path of its request."""

    name: str


Form: TypeAlias = Between | BetweenEvents | OfStage | OfAttribute | OfPath
_KEYS: Final = ("stage", "of", "from", "to", "attribute", "unit", "in", "critical_path")


@dataclass(frozen=True, slots=True)
class Latency:
    """Durations, one a request (or, for `each` and attributes, one a span); of critical paths shares."""

    form: Form

    key: ClassVar[str] = "latency"
    statistics: ClassVar[None] = None

    @property
    def unit(self) -> Unit:
        """Durations; shares where the critical path is looked at."""
        return Unit.SHARE if isinstance(self.form, OfPath) else Unit.DURATION

    @classmethod
    def read(cls, node: Node, context: ReadContext) -> Self | None:
        """Read `request`, `{stage}`, `{from, to}`, `{from, to, in}`, `{attribute, unit, in}` or `{critical_path}`."""
        form = _read_form(node, context)
        return None if form is None else cls(form)

    def measure(self, view: RunView) -> Measurement:
        """Give one duration a request or span, or one share a request."""
        from spanverdict.checks import durations  # noqa: PLC0415 - numpy is not needed to read rules

        return durations.measure(self.form, view)


WHOLE_REQUEST: Final = "request"


def _read_form(node: Node, context: ReadContext) -> Form | None:
    if isinstance(node, Scalar) and node.text == WHOLE_REQUEST:
        return Between(Moment("", "start"), Moment("", "end"))
    if not isinstance(node, Mapping):
        hint = "write `request`, {stage: NAME} or {from: A.end, to: B.start}"
        context.problems.error(node.position, codes.WRONG_TYPE, "this is no form of latency", hint, node.width)
        return None
    reader = context.reader(node, _KEYS, "a latency")
    if reader is None:
        return None
    if reader.node("stage") is not None:
        return _read_stage(reader, context)
    if reader.node("attribute") is not None:
        return _read_attribute(reader, context)
    if reader.node("critical_path") is not None:
        return _read_path(reader, context)
    return _read_between(reader, context)


def _alone(reader: Reader, context: ReadContext, allowed: tuple[str, ...]) -> bool:
    """Report keys that belong to another form of latency."""
    extra = [name for name, _ in reader.mapping.entries if name.text in _KEYS and name.text not in allowed]
    for name in extra:
        message = f"{name.text!r} does not go with {allowed[0]!r}"
        context.problems.error(name.position, codes.CONFLICTING_KEYS, message, "", name.width)
    return not extra


def _read_stage(reader: Reader, context: ReadContext) -> OfStage | None:
    node = reader.require("stage")
    stage = None if node is None else context.stage(node)
    of = reader.choice("of", EXTENTS, "extent")
    if not _alone(reader, context, ("stage", "of")) or stage is None or of is None:
        return None
    return OfStage(stage, of)


def _read_attribute(reader: Reader, context: ReadContext) -> OfAttribute | None:
    field_node, unit_node, stage_node = (reader.require(key) for key in ("attribute", "unit", "in"))
    if field_node is None or unit_node is None or stage_node is None:
        return None
    field, stage = context.value(field_node), context.stage(stage_node)
    unit = reader.choice("unit", ("s", "ms", "us", "ns"))
    if not _alone(reader, context, ("attribute", "unit", "in")) or field is None or stage is None or unit is None:
        return None
    return OfAttribute(field, unit, stage)


def _read_path(reader: Reader, context: ReadContext) -> OfPath | None:
    node = reader.require("critical_path")
    path = replace(context, stages=(*context.stages, QUEUE, OTHER))
    name = None if node is None else path.stage(node)
    return None if not _alone(reader, context, ("critical_path",)) or name is None else OfPath(name)


def _read_between(reader: Reader, context: ReadContext) -> Between | BetweenEvents | None:
    begin_node, finish_node = reader.require("from"), reader.require("to")
    if begin_node is None or finish_node is None:
        return None
    if isinstance(begin_node, Mapping) or isinstance(finish_node, Mapping):
        return _read_events(begin_node, finish_node, reader, context)
    begin, finish = _moment(begin_node, context), _moment(finish_node, context)
    if not _alone(reader, context, ("from", "to")) or begin is None or finish is None:
        return None
    return None if _nothing_between(begin, finish, finish_node, context) else Between(begin, finish)


def _nothing_between(begin: object, finish: object, place: Node, context: ReadContext) -> bool:
    """Report that both are the same moment: no time passes between them, so every limit would be kept."""
    if begin == finish:
        hint = "write {from: A.end, to: B.start}"
        context.problems.error(
            place.position, codes.CONFLICTING_KEYS, "from and to are the same moment", hint, place.width
        )
    return begin == finish


def _read_events(begin: Node, finish: Node, reader: Reader, context: ReadContext) -> BetweenEvents | None:
    sides = [_event(node, context) if isinstance(node, Mapping) else _moment(node, context) for node in (begin, finish)]
    stage_node = reader.require("in")
    stage = None if stage_node is None else context.stage(stage_node)
    first, second = sides
    if not _alone(reader, context, ("from", "to", "in")) or first is None or second is None or stage is None:
        return None
    return None if _nothing_between(first, second, finish, context) else BetweenEvents(first, second, stage)


def _event(node: Mapping, context: ReadContext) -> EventMoment | None:
    reader = context.reader(node, ("event",), "a moment of an event")
    name = None if reader is None or reader.require("event") is None else reader.text("event")
    return None if name is None else EventMoment(name)


def _moment(node: Node, context: ReadContext) -> Moment | None:
    text = node.text if isinstance(node, Scalar) else ""
    stage, dot, edge = text.rpartition(".")
    if not dot or edge not in {"start", "end"} or not isinstance(node, Scalar):
        hint = "write the name of a stage and its start or end: score.end"
        context.problems.error(node.position, codes.WRONG_TYPE, "this is no moment of a request", hint, node.width)
        return None
    named = Scalar(node.position, stage, stage, node.quoted, node.raw)
    return None if context.stage(named) is None else Moment(stage, edge)
