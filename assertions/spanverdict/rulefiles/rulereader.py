"""Reading one rule: its measure, its population, its expectation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, cast, get_args

from spanverdict.checks.catalogue import CHECKS
from spanverdict.checks.check import Check
from spanverdict.checks.reading import ReadContext
from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import Position, Problems
from spanverdict.diagnostics.yamldoc import Mapping, Node, Reader, Scalar, did_you_mean, text_of
from spanverdict.rulefiles.confidence import read_confidence
from spanverdict.rulefiles.expectations import read_expectations
from spanverdict.rulefiles.goldens import Goldens, taken_together, with_golden
from spanverdict.rulefiles.models import OnNoData, Rule, Severity
from spanverdict.rulefiles.names import read_name
from spanverdict.rulefiles.overruns import report_requests

ON_NO_DATA: Final = get_args(OnNoData)
ANNOTATIONS: Final = ("description", "runbook_url", "summary")
"""The annotations that reports and alerts give a place of their own; others are passed on."""

_MEASURES: Final = {check.key: check for check in CHECKS}
_KEYS: Final = frozenset(_MEASURES) | {
    "annotations",
    "confidence",
    "expect",
    "golden",
    "id",
    "labels",
    "on_no_data",
    "owner",
    "per",
    "report_only",
    "severity",
    "skip",
    "tags",
    "title",
    "where",
}


@dataclass(frozen=True, slots=True)
class Defaults:
    """What rules that say nothing else get."""

    severity: Severity = Severity.WARNING
    on_no_data: OnNoData = "fail"
    owner: str = ""


def read_defaults(node: Node | None, context: ReadContext) -> Defaults:
    """Read `defaults`; absent is the language's own."""
    own = Defaults()
    reader = (
        None if node is None else Reader.of(node, context.problems, ("on_no_data", "owner", "severity"), "defaults")
    )
    return own if reader is None else _common(reader, own)


def _common(reader: Reader, defaults: Defaults) -> Defaults:
    severity = reader.choice("severity", tuple(Severity), defaults.severity)
    on_no_data = reader.choice("on_no_data", ON_NO_DATA, defaults.on_no_data)
    owner = reader.text("owner", defaults.owner)
    return Defaults(Severity(severity or defaults.severity), cast("OnNoData", on_no_data), owner or "")


def read_rule(node: Node, context: ReadContext, defaults: Defaults, goldens: Goldens) -> Rule | None:
    """Return a rule; None when a mistake left it without a name, a measure or an expectation."""
    reader = Reader.of(node, context.problems, _KEYS, "a rule")
    if reader is None:
        return None
    name = reader.require("id")
    identifier = read_name(name, context.problems, "id") if name else None
    expect_node = reader.require("expect")
    check = taken_together(with_golden(_read_measure(reader, context), reader, goldens), reader)
    report_requests(check, reader)
    expect = read_expectations(expect_node, check, context.problems) if expect_node else ()
    common = _common(reader, defaults)
    where, per = reader.node("where"), reader.node("per")
    rule = Rule(
        id=identifier or "",
        check=cast("Check", check),
        expect=expect,
        position=reader.mapping.position,
        where=context.selector(where) if where else None,
        per=context.value(per) if per else None,
        severity=common.severity,
        on_no_data=common.on_no_data,
        owner=common.owner,
        report_only=bool(reader.boolean("report_only")),
        skip=_read_skip(reader),
        title=reader.text("title") or "",
        tags=_read_tags(reader),
        labels=reader.text_mapping("labels"),
        annotations=_read_annotations(reader),
        confidence=read_confidence(reader, expect),
    )
    return rule if identifier and check and expect else None


def _read_measure(reader: Reader, context: ReadContext) -> Check | None:
    written = [(name, value) for name, value in reader.mapping.entries if name.text in _MEASURES]
    if not written:
        if reader.unknown:  # reported already, and the measure may be among them
            return None
        hint = f"add one of {', '.join(sorted(_MEASURES))}"
        context.problems.error(reader.mapping.position, codes.MEASURE, "the rule measures nothing", hint)
        return None
    for name, _ in written[1:]:
        message = f"the rule has a second measure, {name.text}; the first is {written[0][0].text}"
        context.problems.error(name.position, codes.MEASURE, message, "write one rule a measure", name.width)
    name, value = written[0]
    return _MEASURES[name.text].read(value, context)


def _read_tags(reader: Reader) -> tuple[str, ...]:
    names = (read_name(node, reader.problems, "a tag") for node in reader.text_nodes("tags"))
    return tuple(dict.fromkeys(name for name in names if name is not None))


def _read_annotations(reader: Reader) -> dict[str, str]:
    found = reader.text_mapping("annotations")
    inner = reader.node("annotations")
    for key, _ in inner.entries if isinstance(inner, Mapping) else ():
        hint = "" if key.text in ANNOTATIONS else did_you_mean(key.text, ANNOTATIONS)
        if hint:
            message = f"the annotation `{key.text}` is none that reports and alerts know"
            reader.problems.warn(key.position, codes.UNKNOWN_KEY, message, hint, key.width)
    return found


def _read_skip(reader: Reader) -> str | None:
    node = reader.node("skip")
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        hint = 'write skip: "why"' if node.value else "remove the key to judge the rule"
        reader.problems.error(node.position, codes.WRONG_TYPE, "skip has to say why", hint, node.width)
        return None
    return None if node is None else text_of(node, reader.problems, "skip")


def report_taken_ids(nodes: Iterable[Node], problems: Problems) -> None:
    """Report every rule whose id stands on an earlier one."""
    places: dict[str, Position] = {}
    for node in nodes:
        name = node.get("id") if isinstance(node, Mapping) else None
        if not isinstance(name, Scalar):
            continue
        first = places.setdefault(name.text, name.position)
        if first != name.position:
            where = f"line {first.line}" if first.file == name.position.file else str(first)
            message = f"there is a rule `{name.text}` already"
            problems.error(name.position, codes.NAME_TAKEN, message, f"it stands in {where}", name.width)
