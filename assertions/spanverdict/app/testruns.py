"""The runs of a rule test: the one that is judged, the one it is compared with, and those that went before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from spanverdict.app.baselinefiles import samples_of
from spanverdict.app.errors import CommandError
from spanverdict.app.offline import choose_run, judge_table, read_spans
from spanverdict.checks.history import PastRun
from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.evaluation.baselines import Baseline
from spanverdict.evaluation.engine import flow_outcome
from spanverdict.evaluation.outcomes import BaselineOrigin, RuleEvaluated, RunInfo, RunStarted
from spanverdict.evaluation.overruns import looks_back, own_run
from spanverdict.evaluation.past import Past
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.otlp.json import json_to_protobuf
from spanverdict.rulefiles.models import Flow
from spanverdict.ruletest.comparing import Trial, compare
from spanverdict.ruletest.given import Given
from spanverdict.ruletest.models import RuleTest
from spanverdict.ruletest.payload import otlp_json
from spanverdict.telemetry.spantable import SpanTable

_ASKED: Final = "of the test"
"""Names a test's baseline: `the baseline of the test`."""


def read_tables(tests: Iterable[RuleTest], problems: Problems) -> dict[Given, SpanTable]:
    """Return the spans of all runs of tests; files that cannot be read are reported and left out.

    Files that several tests name are read once.
    """
    found: dict[Given, SpanTable] = {}
    files: dict[tuple[Path, ...], SpanTable] = {}
    for given in (given for test in tests for given in _runs_of(test)):
        if given.blocks:
            found[given] = decode(json_to_protobuf(otlp_json(given.blocks).encode()).payload, new_pool()).table
            continue
        paths = tuple(file.path for file in given.traces)
        if paths not in files and (table := _read(given, problems)) is not None:
            files[paths] = table
        if paths in files:
            found[given] = files[paths]
    return found


def judged(test: RuleTest, tables: Mapping[Given, SpanTable]) -> Trial:
    """Judge the traces of a test and compare what comes of it with what the test expects.

    Raises:
        CommandError: which run of the traces is meant is not clear, or it is not there.
    """
    given, flows = test.given, [test.flow]
    try:
        past = Past(_baselines(test, tables), {test.flow.name: tuple(_earlier(test, tables))})
        events = judge_table(flows, tables[given], given.run, given.requests, complete=test.complete, past=past)
        return compare(test, events)
    except CommandError as error:
        raise CommandError(f"{test.position}: {error}", error.code) from None


def _runs_of(test: RuleTest) -> Iterator[Given]:
    yield test.given
    if test.baseline is not None:
        yield test.baseline
    yield from (earlier.given for earlier in test.earlier)


def _read(given: Given, problems: Problems) -> SpanTable | None:
    try:
        return read_spans([str(file.path) for file in given.traces])
    except CommandError as error:
        place = given.traces[0]
        problems.error(place.position, codes.TEST_TRACES, str(error), "", place.width)
        return None


def _baselines(test: RuleTest, tables: Mapping[Given, SpanTable]) -> dict[str, Baseline]:
    """Return what the flow measured in the run that the test compares with."""
    given, flow = test.baseline, test.flow
    if given is None:
        return {}
    events = list(judge_table([flow], tables[given], given.run, given.requests, keep_samples=True))
    started = next(event for event in events if isinstance(event, RunStarted))
    missing = "" if started.spans else f"the baseline {_ASKED} has no spans"
    origin = BaselineOrigin(_ASKED, missing=missing)
    return {flow.name: Baseline(origin, samples_of(events, flow))}


def _earlier(test: RuleTest, tables: Mapping[Given, SpanTable]) -> Iterator[PastRun]:
    """Yield what went before, the newest first, each as long before the next as the test says."""
    ended = _ended(test.given, test.flow, tables) if test.earlier else 0
    for place, earlier in reversed(list(enumerate(test.earlier))):
        alike = _past_run(earlier.given, test.flow, tables)
        for number in range(earlier.runs):
            ended -= earlier.apart_ns
            yield replace(alike, run=f"earlier-{place + 1}-{number + 1}", ended_unix_nano=ended)


def _ended(given: Given, flow: Flow, tables: Mapping[Given, SpanTable]) -> int:
    _, spans, _ = choose_run(tables[given], [flow], given.run)
    return int(spans.end_time_unix_nano.max(initial=0))


def _past_run(given: Given, flow: Flow, tables: Mapping[Given, SpanTable]) -> PastRun:
    """Return what a run came to by the rules that look back at none themselves."""
    events = judge_table([flow], tables[given], given.run, given.requests)
    looking = {rule.id for rule in flow.rules if looks_back(rule)}
    told = [event.result for event in events if isinstance(event, RuleEvaluated) and event.result.id not in looking]
    return own_run(RunInfo(""), 0, told, flow_outcome(told, complete=True))
