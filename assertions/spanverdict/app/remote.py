"""`check --server`: waits for the verdict of a run that a server received."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import quote

import httpx

from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.evaluation.judging import worst_outcome
from spanverdict.evaluation.outcomes import (
    Event,
    FlowFinished,
    FlowStarted,
    RuleEvaluated,
    RunFinished,
)
from spanverdict.reporting.jsonreport import UnreadableReportError, events_of
from spanverdict.rulefiles.models import Flow

_STEP_S: Final = 25.0
"""How long one request may wait at the server."""
_PAUSE_S: Final = 0.5
"""Between attempts while the server cannot be reached."""


def check_server(flows: Sequence[Flow], server: str, run_id: str, wait_s: float) -> Iterator[Event]:
    """Wait for the verdict of a run and give its events, those of `flows` only.

    Raises:
        CommandError: the server cannot be reached, does not know the run or the flows, or has no
            verdict in time.
    """
    document = _wait(server.rstrip("/"), run_id, wait_s)
    try:
        events = events_of(document)
    except UnreadableReportError as error:
        raise CommandError(f"{server} sent a verdict that cannot be read: {error}", ExitCode.INTERNAL) from None
    yield from _only(events, flows, server)


def _wait(server: str, run_id: str, wait_s: float) -> dict[str, Any]:
    deadline = time.monotonic() + wait_s
    url = f"{server}/api/v1/runs/{quote(run_id, safe='')}"
    problem = ""
    with httpx.Client(timeout=httpx.Timeout(10.0, read=_STEP_S + 10.0)) as client:
        while True:
            left = max(0.0, deadline - time.monotonic())
            found, problem = _ask(client, url, min(left, _STEP_S))
            if found is not None and found["state"] in ("judged", "unjudged"):
                verdict: dict[str, Any] = found["verdict"]
                return verdict
            if time.monotonic() >= deadline:
                break
            if problem:
                time.sleep(min(_PAUSE_S, max(0.0, deadline - time.monotonic())))
    waited = f"within {wait_s:g}s" if wait_s else "yet"
    raise CommandError(problem or f"run {run_id} has no verdict {waited}", ExitCode.NO_VERDICT)


def _ask(client: httpx.Client, url: str, wait_s: float) -> tuple[dict[str, Any] | None, str]:
    """Return the run's document, or why there is none."""
    try:
        response = client.get(url, params={"wait": f"{int(wait_s * 1000)}ms"})
    except (httpx.TransportError, httpx.InvalidURL) as error:
        return None, f"{url} cannot be reached: {error}"
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
    """Keep the events of the named flows and make their own verdict of them."""
    named = {flow.name: flow for flow in flows}
    started = {event.flow: event for event in events if isinstance(event, FlowStarted)}
    for name, flow in named.items():
        if name not in started:
            judged_by = ", ".join(started) or "none"
            raise CommandError(
                f"flow {name} did not judge this run at {server}; judged by: {judged_by}", ExitCode.NO_VERDICT
            )
        if started[name].sha256 != flow.sha256:
            print(f"spanverdict: {server} judged with another version of {flow.file}", file=sys.stderr)  # noqa: T201 - a warning
    wanted = {(flow.name, rule.id) for flow in flows for rule in flow.rules}
    ends: list[FlowFinished] = []
    for event in events:
        match event:
            case FlowStarted(flow=name) if name not in named:
                continue
            case RuleEvaluated(result=result) if (result.flow, result.id) not in wanted:
                continue
            case FlowFinished(flow=name):
                if name not in named:
                    continue
                ends.append(event)
                yield event
            case RunFinished():
                outcome = worst_outcome([end.outcome for end in ends]) if ends else event.outcome
                yield RunFinished(outcome, event.complete, event.defects, event.counts)
            case _:
                yield event
