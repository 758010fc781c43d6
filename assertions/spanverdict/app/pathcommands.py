"""The commands that follow requests: `show` one of them, or the `path` of all together."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.flows import load_flow
from spanverdict.app.printing import print_text
from spanverdict.app.sources import RunSpans, Source
from spanverdict.app.traceflow import ROOTS, plain_flow
from spanverdict.evaluation.flowpath import flow_path
from spanverdict.evaluation.requestpath import StitchedRun
from spanverdict.reporting.escaping import shown
from spanverdict.reporting.pathjson import flow_json, requests_json
from spanverdict.reporting.pathtext import flow_lines, request_lines, written
from spanverdict.reporting.reporter import ReportOptions
from spanverdict.reporting.text import Looks, looks
from spanverdict.rulefiles.models import Flow

MOST_SHOWN: Final = 5
"""Requests that one name may stand for."""


@dataclass(frozen=True, slots=True)
class ShowOptions:
    """How `show` prints."""

    as_json: bool = False
    limit: int = 0
    """Spans of a request to print; 0 for all."""


def show(name: str, rules: Sequence[str], source: Source, options: ShowOptions) -> ExitCode:
    """Print the request, or those that a trace is part of.

    Raises:
        CommandError: it is not there, or it stands for many, or a rule file or the spans cannot be read.
    """
    flow = load_flow(rules) if rules else None
    spans = source.of_run((flow,) if flow else ())
    stitched, numbers = _looked_up(name, flow, spans)
    paths = [stitched.path(number) for number in numbers]
    if options.as_json:
        print_text(requests_json(paths, spans.run.id))
        return ExitCode.PASSED
    look = _look()
    print_text("\n".join(written(request_lines(path, spans.run.id, options.limit), look) for path in paths))
    return ExitCode.PASSED


def path(rules: Sequence[str], source: Source, *, as_json: bool) -> ExitCode:
    """Print the path of all requests of a flow together.

    Raises:
        CommandError: a rule file or the spans cannot be read.
    """
    flow = load_flow(rules)
    spans = source.of_run((flow,))
    expected = spans.run.expected_requests
    stitched = StitchedRun.of(flow, spans.table, expected if expected is not None else flow.complete.requests)
    found = flow_path(flow.name, stitched.view)
    print_text(flow_json(found, spans.run.id) if as_json else written(flow_lines(found), _look()))
    return ExitCode.PASSED if found.requests else ExitCode.NO_VERDICT


def _look() -> Looks:
    look = looks(sys.stdout, ReportOptions(), os.environ)
    return Looks(look.colour, None)


def _looked_up(name: str, flow: Flow | None, spans: RunSpans) -> tuple[StitchedRun, list[int]]:
    """Return the run as the flow sees it and the requests that are meant."""
    if flow is None:
        return _of_traces(name, spans)
    stitched = StitchedRun.of(flow, spans.table, membership=spans.membership)
    found = stitched.named(name)
    if not found:
        raise _unknown(name, stitched, spans)
    names = list(dict.fromkeys(stitched.view.request_name(number) for number in found))
    if len(names) > 1:
        raise CommandError(f"{len(names)} requests have spans in trace {shown(name)}: {_some(names)}; name one of them")
    return stitched, found[:MOST_SHOWN]


def _of_traces(name: str, spans: RunSpans) -> tuple[StitchedRun, list[int]]:
    """Without rules every root span that links nowhere begins a request; else, of what is left, every tree."""
    for begins in (ROOTS, "{ }"):
        stitched = StitchedRun.of(plain_flow(begins), spans.table, membership=spans.membership)
        if found := stitched.named(name):
            return stitched, stitched.outermost(found)[:MOST_SHOWN]
    raise _unknown(name, stitched, spans)


def _unknown(name: str, stitched: StitchedRun, spans: RunSpans) -> CommandError:
    view = stitched.view
    if not len(view.row):
        return CommandError(f"run {shown(spans.run.id)} has no spans", ExitCode.NO_VERDICT)
    names = _some([view.request_name(number) for number in range(min(view.n_requests, MOST_SHOWN + 1))])
    held = f"it has {names}" if names else "no span begins one"
    message = f"run {shown(spans.run.id)} has no request or trace {shown(name)}; {held}"
    return CommandError(message, ExitCode.NO_VERDICT)


def _some(names: Sequence[str]) -> str:
    return ", ".join(shown(name, 80) for name in names[:MOST_SHOWN]) + (" …" if len(names) > MOST_SHOWN else "")
