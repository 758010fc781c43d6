"""Reading a flow: its stages, what a request is, when a run is complete, and the rules in it."""

from __future__ import annotations

from typing import Final, cast, get_args

from spanverdict.checks.reading import ReadContext
from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import Position, Problems
from spanverdict.diagnostics.durations import format_exact
from spanverdict.diagnostics.yamldoc import Mapping, Node, Reader, Scalar, Sequence, did_you_mean, wrong_type
from spanverdict.rulefiles.conditions import Operator, parse_condition
from spanverdict.rulefiles.goldens import Goldens, report_keyless
from spanverdict.rulefiles.mistake import Mistake
from spanverdict.rulefiles.models import ClockSpec, CompleteSpec, Count, Flow, RequestSpec, Rule, Sampled, Stage
from spanverdict.rulefiles.names import STAGE_NAME, read_name
from spanverdict.rulefiles.overruns import report_unknown_targets
from spanverdict.rulefiles.rulereader import read_defaults, read_rule, report_taken_ids
from spanverdict.rulefiles.statistic import Quantity
from spanverdict.rulefiles.version import check_version
from spanverdict.selectors import Selector

_KEYS: Final = (
    "baseline",
    "clock",
    "complete",
    "defaults",
    "flow",
    "include",
    "labels",
    "parameters",
    "request",
    "rules",
    "run_id",
    "sampling",
    "stages",
    "version",
)
_REQUEST_KEYS: Final = ("correlate", "ends_at", "key", "starts_at")
_COUNT_HINT: Final = 'write it like 1, "0..1" or ">= 1"'


def read_flow(node: Node, sha256: str, problems: Problems, goldens: Goldens) -> Flow | None:
    """Return the flow that a document describes; None when a needed part of it is missing.

    Whether it may be used is for the caller to see in `problems`.
    """
    reader = Reader.of(node, problems, _KEYS, "a flow")
    if reader is None or not check_version(reader):
        return None
    name_node = reader.require("flow")
    name = read_name(name_node, problems, "flow") if name_node else None
    names, stages = _read_stages(reader)
    context = ReadContext(problems, names)
    request = _read_request(reader, context, stages)
    complete = _read_complete(reader)
    rules = _read_rules(reader, context, goldens)
    if not _names_key(reader.node("request")):
        report_keyless(goldens, problems)
    labels = reader.text_mapping("labels")
    sampling = cast("Sampled", reader.choice("sampling", get_args(Sampled), "unexpected"))
    baseline, clock = _read_baseline(reader, context), _read_clock(reader)
    if name is None or name_node is None or request is None:
        return None
    return Flow(
        name,
        stages,
        request,
        complete,
        rules,
        goldens.rule_file,
        sha256,
        name_node.position,
        labels,
        sampling,
        baseline,
        clock,
        _read_run_id(reader),
    )


def _names_key(request: Node | None) -> bool:
    return isinstance(request, Mapping) and request.get("key") is not None


def _read_stages(reader: Reader) -> tuple[tuple[str, ...], tuple[Stage, ...]]:
    """Return the names of all stages, those with other mistakes too, and the stages without any."""
    items = _items(reader, "stages")
    context = ReadContext(reader.problems, ())
    named: dict[str, Stage | None] = {}
    for item in items:
        name, stage, place = _read_stage(item, context)
        if name is None:
            continue
        if name in named:
            message = f"there is a stage `{name}` already"
            reader.problems.error(place, codes.NAME_TAKEN, message, "give each stage its own name", len(name))
        named.setdefault(name, stage)
    return tuple(named), tuple(stage for stage in named.values() if stage is not None)


def _items(reader: Reader, key: str) -> tuple[Node, ...]:
    node = reader.require(key)
    if node is None:
        return ()
    if not isinstance(node, Sequence):
        wrong_type(reader.problems, node, f"{key} has to be a list", "begin each entry with a dash")
        return ()
    if not node.items:
        reader.problems.error(node.position, codes.EMPTY, f"{key} is an empty list")
    return node.items


def _read_stage(node: Node, context: ReadContext) -> tuple[str | None, Stage | None, Position]:
    reader = Reader.of(node, context.problems, ("count", "select", "stage"), "a stage")
    if reader is None:
        return None, None, node.position
    name_node, select = reader.require("stage"), reader.require("select")
    name = read_name(name_node, context.problems, "stage", STAGE_NAME) if name_node else None
    selector = context.selector(select) if select else None
    count = _read_count(reader)
    place = name_node.position if name_node else node.position
    if name is None or selector is None or count is None:
        return name, None, place
    return name, Stage(name, selector, count, node.position), place


def _read_count(reader: Reader) -> Count | None:
    node = reader.node("count")
    if node is None:
        return Count()
    if isinstance(node, Scalar) and node.text.isdecimal():
        return Count(int(node.text), int(node.text))
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        wrong_type(reader.problems, node, "count has to say how often the stage is in one request", _COUNT_HINT)
        return None
    try:
        return _count_of(node.value)
    except Mistake as mistake:
        mistake.report(node, reader.problems)
        return None


def _count_of(text: str) -> Count:
    condition = parse_condition(text, Quantity.COUNT)
    if condition.deltas:
        raise Mistake(codes.STAGE_COUNT, f"a stage cannot be counted by `{text}`", _COUNT_HINT)
    numbers = [int(operand) for operand in condition.operands]
    match condition.operator:
        case Operator.EQUAL:
            return Count(numbers[0], numbers[0])
        case Operator.WITHIN:
            return Count(numbers[0], numbers[1])
        case Operator.AT_LEAST | Operator.MORE:
            return Count(numbers[0] + (condition.operator is Operator.MORE))
        case Operator.AT_MOST:
            return Count(0, numbers[0])
        case Operator.LESS if numbers[0] > 0:
            return Count(0, numbers[0] - 1)
        case _:
            raise Mistake(codes.STAGE_COUNT, f"a stage cannot be counted by `{text}`", _COUNT_HINT)


def _read_request(reader: Reader, context: ReadContext, stages: tuple[Stage, ...]) -> RequestSpec | None:
    """Read `request`; None when there is no stage to begin and end at."""
    node = reader.node("request")
    inner = Reader.of(node, context.problems, _REQUEST_KEYS, "request") if node else None
    starts_at = _read_end(inner, "starts_at", context, stages)
    ends_at = _read_end(inner, "ends_at", context, stages)
    key_node = inner.node("key") if inner else None
    key = context.value(key_node) if key_node else None
    fields = [context.field(item) for item in inner.text_nodes("correlate")] if inner else []
    if not context.stages:
        return None
    names = list(context.stages)
    first, last = starts_at or names[0], ends_at or names[-1]
    if names.index(first) > names.index(last):
        ends_node = inner.node("ends_at") or inner.node("starts_at") if inner else None
        place = ends_node.position if ends_node else reader.mapping.position
        message = f"requests start at {first}, which comes after {last}, where they end"
        context.problems.error(place, codes.STAGE_ORDER, message, "stages are listed in path order")
    return RequestSpec(first, last, key, tuple(field for field in fields if field is not None))


def _read_end(inner: Reader | None, key: str, context: ReadContext, stages: tuple[Stage, ...]) -> str | None:
    node = inner.node(key) if inner else None
    name = context.stage(node) if node else None
    stage = next((stage for stage in stages if stage.name == name), None)
    if node and stage and stage.count.maximum == 0:
        message = f"no request has the stage {name}, by its count"
        context.problems.error(node.position, codes.STAGE_COUNT, message, "", node.width)
    return name


def _read_complete(reader: Reader) -> CompleteSpec:
    own = CompleteSpec()
    node = reader.node("complete")
    known = ("at_most", "flush", "idle", "requests", "structure")
    inner = Reader.of(node, reader.problems, known, "complete") if node else None
    if inner is None:
        return own
    requests = inner.integer("requests", minimum=1)
    idle, at_most, flush, structure = (_read_wait(inner, key) for key in ("idle", "at_most", "flush", "structure"))
    complete = CompleteSpec(
        requests,
        own.idle_ns if idle is None else idle,
        own.at_most_ns if at_most is None else at_most,
        own.flush_ns if flush is None else flush,
        structure,
    )
    unread = any(inner.node(key) and value is None for key, value in (("idle", idle), ("at_most", at_most)))
    if not unread and complete.at_most_ns < complete.idle_ns:
        _report_times(complete, inner)
    if not unread:
        _check_structure(complete, inner)
    return complete


def _read_clock(reader: Reader) -> ClockSpec:
    """Read `measured`, `trusted` or `{within: 5ms}`."""
    node = reader.node("clock")
    known = ("measured", "trusted")
    if node is None or (isinstance(node, Scalar) and node.text in known):
        return ClockSpec(trusted=isinstance(node, Scalar) and node.text == "trusted")
    if not isinstance(node, Mapping):
        text = node.text if isinstance(node, Scalar) else ""
        message = f"clock cannot be {f'`{text}`' if text else 'this'}"
        hint = did_you_mean(text, known) or "write measured, trusted or {within: 5ms}"
        reader.problems.error(node.position, codes.NOT_A_CHOICE, message, hint, node.width)
        return ClockSpec()
    inner = Reader.of(node, reader.problems, ("within",), "clock")
    inner_node = None if inner is None else inner.require("within")
    return ClockSpec(within_ns=inner.duration("within") if inner and inner_node else None)


def _read_run_id(reader: Reader) -> tuple[str, ...]:
    """Read the plain names of attributes, which may stand on a span, its resource or its scope."""
    found = []
    for scalar in reader.text_nodes("run_id"):
        place, _, name = scalar.text.partition(".")
        if place in ("", "span", "resource", "instrumentation"):
            message = f"run_id cannot be `{scalar.text}`"
            hint = f"write {name or 'acme.run.id'}, which is looked for on spans, resources and scopes"
            reader.problems.error(scalar.position, codes.NOT_A_CHOICE, message, hint, scalar.width)
        found.append(scalar.text)
    return tuple(found)


def _read_wait(inner: Reader, key: str) -> int | None:
    value = inner.duration(key)
    node = inner.node(key)
    if node and value is not None and value <= 0 and key != "flush":
        message = f"{key} has to be more than nothing"
        inner.problems.error(node.position, codes.OUT_OF_RANGE, message, "", node.width)
        return None
    return value


def _report_times(complete: CompleteSpec, inner: Reader) -> None:
    node = inner.node("idle") or inner.node("at_most") or inner.mapping
    idle, at_most = format_exact(complete.idle_ns), format_exact(complete.at_most_ns)
    message = f"idle ({idle}) is longer than at_most ({at_most}), so it could never come to pass"
    inner.problems.error(node.position, codes.WAITING_TIMES, message, "", node.width)


def _check_structure(complete: CompleteSpec, inner: Reader) -> None:
    """Report a wait for whole requests that another trigger always comes before."""
    node, wait = inner.node("structure"), complete.structure_ns
    if node is None or wait is None:
        return
    if complete.requests is not None:
        message = "requests says how many there are, so structure could never come to pass"
    elif wait >= complete.idle_ns:
        idle = format_exact(complete.idle_ns)
        message = f"structure ({format_exact(wait)}) is not shorter than idle ({idle}), so it could never come to pass"
    else:
        return
    inner.problems.error(node.position, codes.WAITING_TIMES, message, "", node.width)


def _read_baseline(reader: Reader, context: ReadContext) -> Selector | None:
    """Read which requests of a run the others are compared with."""
    node = reader.node("baseline")
    inner = Reader.of(node, context.problems, ("where",), "a baseline") if node else None
    where = inner.require("where") if inner else None
    return context.selector(where) if where else None


def _read_rules(reader: Reader, context: ReadContext, goldens: Goldens) -> tuple[Rule, ...]:
    defaults = read_defaults(reader.node("defaults"), context)
    items = _items(reader, "rules")
    report_taken_ids(items, context.problems)
    rules = (read_rule(item, context, defaults, goldens) for item in items)
    found = tuple(rule for rule in rules if rule is not None)
    report_unknown_targets(found, items, context.problems)
    return found
