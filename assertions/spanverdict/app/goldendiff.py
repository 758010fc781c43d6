"""How the answers of a run differ from golden files: what `golden diff` prints and `golden accept` takes over."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from spanverdict.app.errors import CommandError
from spanverdict.app.sources import RunSpans
from spanverdict.checks.alike import as_json, value_text
from spanverdict.checks.answers import Answers
from spanverdict.checks.comparison import Comparison, compare
from spanverdict.checks.golden import Golden
from spanverdict.checks.goldens import NEVER_CAME
from spanverdict.checks.output import Output
from spanverdict.checks.runview import RunView
from spanverdict.diagnostics.yamldoc import did_you_mean
from spanverdict.evaluation.population import requests_with
from spanverdict.evaluation.preparing import prepare, view_of
from spanverdict.rulefiles.models import Flow, Rule
from spanverdict.telemetry.pool import Value
from spanverdict.telemetry.spantable import Bools


@dataclass(frozen=True, slots=True)
class GoldenRule:
    """A rule with a golden file."""

    flow: Flow
    rule: Rule
    output: Output
    golden: Golden

    @property
    def name(self) -> str:
        """Return `FLOW/RULE`."""
        return f"{self.flow.name}/{self.rule.id}"

    def chosen(self, view: RunView) -> Bools:
        """Tell which requests the rule is about."""
        where = self.rule.where
        return np.ones(view.n_requests, np.bool_) if where is None else requests_with(where, view)


def golden_rules(flows: Sequence[Flow], names: Collection[str] = ()) -> tuple[GoldenRule, ...]:
    """Return the rules with golden files, those named `RULE` or `FLOW/RULE` when any are; raises `CommandError`."""
    found = [
        GoldenRule(flow, rule, rule.check, rule.check.golden)
        for flow in flows
        for rule in flow.rules
        if isinstance(rule.check, Output) and rule.check.golden is not None
    ]
    if not found:
        raise CommandError("no rule has a golden file; write golden: {file: golden/answers.jsonl} beside its output")
    known = {name for one in found for name in (one.rule.id, one.name)}
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or f"they are {', '.join(one.rule.id for one in found)}"
            raise CommandError(f"no rule with a golden file is called {name}; {hint}")
    return tuple(one for one in found if not names or {one.rule.id, one.name} & set(names))


def views(rules: Sequence[GoldenRule], spans: RunSpans) -> dict[str, RunView]:
    """Return the requests of each flow of some rules, by its name."""
    prepared = prepare(spans.table)
    expected = spans.run.expected_requests
    flows = {one.flow.name: one.flow for one in rules}
    return {
        name: view_of(flow, prepared, expected if expected is not None else flow.complete.requests)[0]
        for name, flow in flows.items()
    }


class Kind(StrEnum):
    """How a key is another on both sides."""

    DIFFERS = "differs"
    MISSING = "missing"
    """The run has no request of this key."""
    SILENT = "no value"
    """The request has no answer that can be read."""
    EXTRA = "extra"
    """The file has no record of this key; it does not matter to the rule."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One key that is another on both sides."""

    kind: Kind
    key: str
    trace_id: str
    """Empty where there is no request."""
    expected: Mapping[str, Value] = field(default_factory=dict)
    """By the name of the value; of values that differ only these."""
    got: Mapping[str, Value] = field(default_factory=dict)
    said: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        sides = {"expected": self.expected, "got": self.got}
        written = {side: {name: as_json(value) for name, value in values.items()} for side, values in sides.items()}
        return {
            "kind": self.kind.value,
            "key": self.key,
            "trace_id": self.trace_id or None,
            **written,
            "text": self.said,
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between a run and the golden file of one rule."""

    rule: GoldenRule
    entries: tuple[Entry, ...]
    """In the order of the kinds, then of requests or records."""
    same: int
    """Answers that are the golden ones."""
    repeated: frozenset[str] = frozenset()
    """Keys that several requests have."""

    def of(self, kind: Kind) -> tuple[Entry, ...]:
        """Return those of one kind."""
        return tuple(entry for entry in self.entries if entry.kind is kind)

    @property
    def matters(self) -> bool:
        """Tell whether any record of the file was not answered as it says."""
        return any(entry.kind is not Kind.EXTRA for entry in self.entries)


def difference_of(rule: GoldenRule, view: RunView, keys: Collection[str] = ()) -> Difference:
    """Compare a run with the golden file of a rule, of some keys only when any are given."""
    found = compare(rule.output, rule.golden, view)
    chosen = rule.chosen(view)
    entries = [entry for part in (_differing, _missing, _silent, _extra) for entry in part(found, chosen)]
    wanted = tuple(entry for entry in entries if not keys or entry.key in keys)
    request = found.answers.request[found.known]
    same = [int(number) for number in request[found.same & chosen[request]]]
    if keys:
        same = [number for number in same if view.request_name(number) in keys]
    repeated = frozenset(found.keys[record] for record in found.repeated.tolist())
    return Difference(rule, wanted, len(same), repeated)


def _differing(found: Comparison, chosen: Bools) -> Iterator[Entry]:
    rows = found.known[~found.same]
    for row in rows[chosen[found.answers.request[rows]]].tolist():
        pairs = list(found.pairs(row))
        expected = {name: value for name, value, _ in pairs}
        got = {name: value for name, _, value in pairs}
        key = found.keys[found.record_of_request[found.answers.request[row]]]
        trace = found.view.trace_of(int(found.answers.member[row]))
        yield Entry(Kind.DIFFERS, key, trace, expected, got, found.said(row))


def _missing(found: Comparison, chosen: Bools) -> Iterator[Entry]:
    del chosen
    for record in found.absent.tolist():
        key = found.keys[record]
        said = f"expected {found.expected(record)}, got nothing: {NEVER_CAME}"
        yield Entry(Kind.MISSING, key, "", found.golden.file.records[key], {}, said)


def _silent(found: Comparison, chosen: Bools) -> Iterator[Entry]:
    missing, seen = found.missing, set[int]()
    columns = (part.tolist() for part in (missing.request, missing.row, missing.reason))
    for request, row, reason in zip(*columns, strict=True):
        if request in seen or not chosen[request]:
            continue
        seen.add(request)
        record = int(found.record_of_request[request])
        why = missing.reasons[reason].text.removeprefix("have ")
        said = f"expected {found.expected(record)}, got {why}"
        member = row if row >= 0 else int(found.view.first_member[request])
        key = found.keys[record]
        yield Entry(Kind.SILENT, key, found.view.trace_of(member), found.golden.file.records[key], {}, said)


def _extra(found: Comparison, chosen: Bools) -> Iterator[Entry]:
    row_of_request = {int(request): row for row, request in enumerate(found.answers.request)}
    for request in found.extra[chosen[found.extra]].tolist():
        row = row_of_request.get(request)
        got = {} if row is None else answer(found.output, found.answers, row)
        trace = found.view.trace_of(int(found.view.first_member[request]))
        named = found.output.named
        texts = (f"{name}: {value_text(value)}" if named else value_text(value) for name, value in got.items())
        said = f"got {', '.join(texts) or 'nothing'}; the file does not know it"
        yield Entry(Kind.EXTRA, found.view.request_name(request), trace, {}, got, said)


def answer(output: Output, answers: Answers, row: int) -> dict[str, Value]:
    """Return the values of one answer by name, those that are there."""
    columns = zip(output.values, answers.taken, strict=True)
    return {name: taken.column[row] for (name, _), taken in columns if taken.reason[row] < 0}
