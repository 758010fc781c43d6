"""`check --server`: waits for the verdict of a run that a server received."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

import httpx

from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.serveraccess import ServerAccess
from spanverdict.checks.output import Output
from spanverdict.evaluation.judging import worst_outcome
from spanverdict.evaluation.outcomes import (
    Event,
    FlowFinished,
    FlowStarted,
    Outcome,
    RuleEvaluated,
    RuleResult,
    RunFinished,
)
from spanverdict.reporting.jsonreport import UnreadableReportError, events_of
from spanverdict.reporting.progress import Progress, ProgressState
from spanverdict.rulefiles.models import Flow

_STEP_S: Final = 25.0
"""How long one request may wait at the server."""
_GLANCE_S: Final = 1.0
"""The same while somebody watches the progress."""
_NO_VERDICT: Final = ExitCode.NO_VERDICT
_PAUSE_S: Final = 0.5
"""Between attempts while the server cannot be reached."""


def check_server(flows: Sequence[Flow], access: ServerAccess, run_id: str, wait_s: float) -> Iterator[Event]:
    """Wait for the verdict of a run and give its events, those of `flows` only.

    Raises:
        CommandError: the server cannot be reached, does not know the run or the flows, or has no
            verdict in time.
    """
    server = access.url
    document = _wait(access, run_id, wait_s, Progress.on(sys.stderr, os.environ))
    try:
        events = events_of(document)
    except UnreadableReportError as error:
        raise CommandError(f"{server} sent a verdict that cannot be read: {error}", ExitCode.INTERNAL) from None
    yield from _only(events, flows, server)


def _wait(access: ServerAccess, run_id: str, wait_s: float, screen: Progress) -> dict[str, Any]:
    deadline = time.monotonic() + wait_s
    url = f"{access.url}/api/v1/runs/{quote(run_id, safe='')}"
    step = _GLANCE_S if screen.active else _STEP_S
    with access.client(httpx.Timeout(10.0, read=_STEP_S + 10.0)) as client:
        while True:
            left = max(0.0, deadline - time.monotonic())
            found, problem = _ask(client, url, min(left, step))
            if found is not None and found["state"] in ("judged", "unjudged"):
                screen.clear()
                return dict(found.get("verdict") or {})
            if time.monotonic() >= deadline:
                break
            if found is not None and found.get("progress") is not None:
                screen.show(_state(found["progress"], deadline - time.monotonic()))
            if problem:
                time.sleep(min(_PAUSE_S, max(0.0, deadline - time.monotonic())))
    screen.clear()
    waited = f"within {wait_s:g}s" if wait_s else "yet"
    raise CommandError(problem or f"run {run_id} has no verdict {waited}", _NO_VERDICT)


def _state(progress: dict[str, Any], seconds_left: float) -> ProgressState:
    missing = tuple((str(stage), int(count)) for stage, count in progress.pop("missing"))
    return ProgressState(**progress | {"missing": missing, "seconds_left": max(0.0, seconds_left)})


def _ask(client: httpx.Client, url: str, wait_s: float) -> tuple[dict[str, Any] | None, str]:
    """Return the run's document, or why there is none."""
    try:
        response = client.get(url, params={"wait": f"{int(wait_s * 1000)}ms"})
    except (httpx.TransportError, httpx.InvalidURL) as error:
        return None, f"{url} cannot be reached: {error}"
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise CommandError(f"{url} asks for an API token: name its file with --token-file")
    if response.status_code == httpx.codes.NOT_FOUND:
        return None, f"the server knows no such run: {url}"
    if response.status_code != httpx.codes.OK:
        return None, f"{url} answered {response.status_code}"
    try:
        document = response.json()
    except json.JSONDecodeError:
        return None, f"{url} is not a Spanverdict API"
    if not isinstance(document, dict) or "state" not in document:
        return None, f"{url} is not a Spanverdict API"
    return document, ""


def _only(events: Sequence[Event], flows: Sequence[Flow], server: str) -> Iterator[Event]:
    """Keep the events of the named flows and rules and make their own verdict of them."""
    _check_judged(events, flows, server)
    wanted = {(flow.name, rule.id) for flow in flows for rule in flow.rules}
    kept = [e for e in events if not isinstance(e, RuleEvaluated) or (e.result.flow, e.result.id) in wanted]
    ends: list[FlowFinished] = []
    results: list[RuleResult] = []
    for event in kept:
        match event:
            case FlowStarted(flow=name) | FlowFinished(flow=name) if name not in {flow.name for flow in flows}:
                continue
            case FlowFinished():
                ends.append(replace(event, outcome=_outcome(event, results)))
                yield ends[-1]
            case RuleEvaluated(result=result):
                results.append(result)
                yield event
            case RunFinished():
                outcome, complete = worst_outcome([e.outcome for e in ends]), all(e.completeness.complete for e in ends)
                counts = Counter(result.outcome for result in results)
                yield RunFinished(outcome, complete, event.defects, dict(counts))
            case _:
                yield event


def _outcome(end: FlowFinished, results: Sequence[RuleResult]) -> Outcome:
    """Return what a flow comes to by the rules that are asked for; what is not whole has not passed."""
    own = [result.outcome for result in results if result.flow == end.flow and not result.report_only]
    outcome = worst_outcome(own)
    undecided = outcome is Outcome.SKIPPED or (outcome is Outcome.PASSED and not end.completeness.complete)
    return Outcome.INCONCLUSIVE if undecided else outcome


def _check_judged(events: Sequence[Event], flows: Sequence[Flow], server: str) -> None:
    """Make sure that the server has judged by these flows and rules, and say when it had others of that name."""
    started = {event.flow: event for event in events if isinstance(event, FlowStarted)}
    judged = {(event.result.flow, event.result.id) for event in events if isinstance(event, RuleEvaluated)}
    for flow in flows:
        if flow.name not in started:
            by = ", ".join(started) or "none"
            raise CommandError(f"flow {flow.name} did not judge this run at {server}; judged by: {by}", _NO_VERDICT)
        missing = [rule.id for rule in flow.rules if (flow.name, rule.id) not in judged]
        if missing:
            raise CommandError(
                f"{server} judged with another version of {flow.file}, without: {', '.join(missing)}", _NO_VERDICT
            )
        _check_goldens(events, flow, server)
        if started[flow.name].sha256 != flow.sha256:
            print(f"spanverdict: {server} judged with another version of {flow.file}", file=sys.stderr)  # noqa: T201 - a warning


def _check_goldens(events: Sequence[Event], flow: Flow, server: str) -> None:
    """Say where the server has judged with another golden file than the one that stands here."""
    used = {e.result.id: e.result.golden for e in events if isinstance(e, RuleEvaluated) and e.result.flow == flow.name}
    for rule in flow.rules:
        golden, judged = rule.check.golden if isinstance(rule.check, Output) else None, used.get(rule.id)
        if golden is not None and judged is not None and judged.sha256 != golden.file.sha256:
            print(f"spanverdict: {server} judged with another version of {golden.file.path}", file=sys.stderr)  # noqa: T201 - as above
