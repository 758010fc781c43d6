"""Reading what a rule test expects."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.yamldoc import Mapping, Node, Reader, Scalar, did_you_mean, wrong_type
from spanverdict.evaluation.outcomes import Outcome
from spanverdict.evaluation.wording import NOTHING
from spanverdict.rulefiles.conditions import parse_condition
from spanverdict.rulefiles.mistake import Mistake
from spanverdict.rulefiles.models import Flow, Rule
from spanverdict.rulefiles.statistic import QUANTIFIERS, Kind, Quantity
from spanverdict.ruletest.models import ExpectedResult, ExpectedValue, ExpectedVerdict

OUTCOMES: Final = tuple(outcome.value for outcome in Outcome)
VERDICT_KEYS: Final = ("defects", "missing", "outcome", "requests")

_GROUP: Final = re.compile(r"(?P<rule>[^\[\]]+)\[(?P<group>.*)\]", re.DOTALL)
_COMPARES: Final = re.compile(r"[<>=!]|in\s*\[|matches\b|.*\.\.")


@dataclass(frozen=True, slots=True)
class Expected:
    """All that a test expects."""

    results: tuple[ExpectedResult, ...]
    others: Outcome | None
    verdict: ExpectedVerdict | None


def read_expected(reader: Reader, flow: Flow) -> Expected:
    """Read `expect`, `others` and `verdict` of a test; a test that has none of them is reported."""
    if all(reader.node(key) is None for key in ("expect", "others", "verdict")):
        hint = "add expect: {RULE: failed}, others: passed, or verdict: failed"
        reader.problems.error(reader.mapping.position, codes.TEST_EMPTY, "the test expects nothing", hint)
    others = reader.choice("others", OUTCOMES)
    results = _read_results(reader, flow)
    return Expected(results, Outcome(others) if others else None, _read_verdict(reader, flow))


def _read_results(reader: Reader, flow: Flow) -> tuple[ExpectedResult, ...]:
    node = reader.node("expect")
    if node is None:
        return ()
    if not isinstance(node, Mapping):
        wrong_type(reader.problems, node, "expect has to be a mapping", "write it like {end-to-end: failed}")
        return ()
    if not node.entries:
        reader.problems.error(node.position, codes.TEST_EMPTY, "expect is empty")
    found = (_read_result(name, value, flow, reader) for name, value in node.entries)
    return tuple(each for each in found if each is not None)


def _read_result(name: Scalar, value: Node, flow: Flow, reader: Reader) -> ExpectedResult | None:
    rules = {rule.id: rule for rule in flow.rules}
    match = _GROUP.fullmatch(name.text)
    wanted, group = (match["rule"], match["group"]) if match else (name.text, None)
    rule = rules.get(wanted)
    if rule is None:
        hint = did_you_mean(wanted, rules) or f"its rules are {', '.join(list(rules)[:8])}"
        message = f"flow {flow.name} has no rule `{wanted}`"
        reader.problems.error(name.position, codes.TEST_RULE, message, hint, name.width)
        return None
    if group is not None and rule.per is None:
        message = f"rule {wanted} has no `per`, and so no groups"
        reader.problems.error(name.position, codes.TEST_GROUP, message, f"write {wanted}", name.width)
    outcome, values = _read_outcome(value, rule, reader, by_group=group is None and rule.per is not None)
    return ExpectedResult(wanted, group, outcome, values, name.position)


def _read_outcome(
    node: Node, rule: Rule, reader: Reader, *, by_group: bool
) -> tuple[Outcome | None, tuple[ExpectedValue, ...]]:
    if not isinstance(node, Mapping):
        return _outcome(node, reader, f"rule {rule.id}"), ()
    if not node.entries:
        reader.problems.error(node.position, codes.TEST_EMPTY, f"nothing is expected of rule {rule.id}")
    said = node.get("outcome")
    values = [(name, value) for name, value in node.entries if name.text != "outcome"]
    if values and by_group:
        place = values[0][0]
        hint = f"write {rule.id}[GROUP]: {{…}}"
        message = f"rule {rule.id} has a value for each of its groups"
        reader.problems.error(place.position, codes.TEST_GROUP, message, hint, place.width)
        return None, ()
    read = tuple(_read_value(name, value, rule, reader) for name, value in values)
    outcome = None if said is None else _outcome(said, reader, f"rule {rule.id}")
    return outcome, tuple(value for value in read if value is not None)


def _outcome(node: Node, reader: Reader, what: str) -> Outcome | None:
    text = node.text if isinstance(node, Scalar) else ""
    if text in OUTCOMES:
        return Outcome(text)
    shown = f"`{text}`" if text else "this"
    hint = did_you_mean(text, OUTCOMES) or f"write {', '.join(OUTCOMES[:-1])} or {OUTCOMES[-1]}"
    reader.problems.error(node.position, codes.NOT_A_CHOICE, f"{what} cannot come out as {shown}", hint, node.width)
    return None


def _read_value(name: Scalar, node: Node, rule: Rule, reader: Reader) -> ExpectedValue | None:
    """Read a value: a condition, or what a report shows."""
    known = {str(line.statistic): line.statistic for line in rule.expect}
    if name.text not in known and name.text != Kind.SAMPLES:
        has = [*known, Kind.SAMPLES.value, "outcome"]
        hint = did_you_mean(name.text, has) or f"it has {', '.join(has)}"
        message = f"rule {rule.id} gives no `{name.text}`"
        reader.problems.error(name.position, codes.TEST_VALUE, message, hint, name.width)
        return None
    if not isinstance(node, Scalar) or node.value is None:
        wrong_type(reader.problems, node, f"{name.text} has to be a value", 'write it like 231.4ms or "> 200ms"')
        return None
    statistic = known.get(name.text)
    text = node.text.strip()
    if text == NOTHING or (statistic is not None and statistic.kind in QUANTIFIERS):
        return ExpectedValue(name.text, text, None, name.position)
    quantity = Quantity.COUNT if statistic is None else statistic.quantity(rule.check.unit)
    compared = text if _COMPARES.match(text) else f"== {text}"
    try:
        return ExpectedValue(name.text, text, parse_condition(compared, quantity), name.position)
    except Mistake as mistake:
        reader.problems.error(node.position, mistake.code, mistake.message, mistake.hint, node.width)
        return None


def _read_verdict(reader: Reader, flow: Flow) -> ExpectedVerdict | None:
    node = reader.node("verdict")
    if node is None:
        return None
    if not isinstance(node, Mapping):
        return ExpectedVerdict(_outcome(node, reader, "the flow"), None, None, None, node.position)
    inner = Reader.of(node, reader.problems, VERDICT_KEYS, "verdict")
    if inner is None:
        return None
    if not node.entries:
        reader.problems.error(node.position, codes.TEST_EMPTY, "verdict is empty")
    said = inner.node("outcome")
    missing = _read_counts(inner, "missing")
    for name, _ in missing or ():
        _check_stage(name, flow, inner)
    return ExpectedVerdict(
        None if said is None else _outcome(said, inner, "the flow"),
        inner.integer("requests", minimum=0),
        missing,
        _read_counts(inner, "defects"),
        node.position,
    )


def _read_counts(inner: Reader, key: str) -> tuple[tuple[str, int], ...] | None:
    """Read names and how often; None when the key is absent."""
    node = inner.node(key)
    if node is None:
        return None
    if not isinstance(node, Mapping):
        wrong_type(inner.problems, node, f"{key} has to be a mapping", "write it like {notify: 3}")
        return None
    counts = Reader(node, inner.problems, [name.text for name, _ in node.entries], key)
    return tuple((name.text, counts.integer(name.text, 0, minimum=0) or 0) for name, _ in node.entries)


def _check_stage(name: str, flow: Flow, inner: Reader) -> None:
    stages = [stage.name for stage in flow.stages]
    node = inner.node("missing")
    place = node.key(name) if isinstance(node, Mapping) else None
    if name not in stages and place is not None:
        hint = did_you_mean(name, stages) or f"its stages are {', '.join(stages)}"
        message = f"flow {flow.name} has no stage `{name}`"
        inner.problems.error(place.position, codes.UNKNOWN_STAGE, message, hint, place.width)
