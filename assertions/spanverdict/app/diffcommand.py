"""`diff`: two runs compared, stage by stage."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spanverdict.app.baselinechoice import looks_like_file
from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.flows import load_flow
from spanverdict.app.printing import print_text
from spanverdict.app.sources import RunSpans, spans_of_input, spans_of_store
from spanverdict.app.traceflow import plain_flow
from spanverdict.evaluation.preparing import prepare, view_of
from spanverdict.evaluation.rundiff import KINDS, DiffOptions, RunDiff, difference
from spanverdict.evaluation.runfacts import RunFacts, facts_of
from spanverdict.reporting.difftext import diff_json, diff_lines
from spanverdict.reporting.pathtext import written
from spanverdict.reporting.reporter import ReportOptions
from spanverdict.reporting.text import Looks, looks
from spanverdict.rulefiles.models import Flow
from spanverdict.telemetry.identifiers import is_run_id

ANY = "any"
NONE = "none"
FAIL_ON = (ANY, NONE, *KINDS)
"""What can make a comparison fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffCommand:
    """What `diff` is told."""

    before: str
    after: str
    store: Path
    rules: Sequence[str] = ()
    options: DiffOptions = field(default_factory=DiffOptions)
    fail_on: Sequence[str] = (ANY,)
    as_json: bool = False


def diff(command: DiffCommand) -> ExitCode:
    """Compare two runs and print what differs; return 1 where that is what it shall fail on.

    Raises:
        CommandError: a run, a file or the rules cannot be read, or a run has no requests.
    """
    flow = load_flow(command.rules) if command.rules else None
    sides = tuple(_facts(name, flow, command.store) for name in (command.before, command.after))
    found = difference(sides[0], sides[1], command.options)
    names, level = (command.before, command.after), command.options.level
    if command.as_json:
        print_text(diff_json(found, names, level))
    else:
        look = looks(sys.stdout, ReportOptions(), os.environ)
        print_text(written(diff_lines(found, names, level), Looks(look.colour, None)))
    return ExitCode.FAILED if _fails(found, command.fail_on) else ExitCode.PASSED


def _facts(name: str, flow: Flow | None, store: Path) -> RunFacts:
    found = _spans(name, (flow,) if flow else (), store)
    view, _ = view_of(flow or plain_flow(), prepare(found.table), None)
    if not view.n_requests:
        why = "has no spans" if not len(found.table) else "has no request"
        raise CommandError(f"{name} {why}, so there is nothing to compare", ExitCode.NO_VERDICT)
    return facts_of(view, flow)


def _spans(name: str, flows: Sequence[Flow], store: Path) -> RunSpans:
    if looks_like_file(name):
        return spans_of_input((name,), None, flows)
    if not is_run_id(name):
        raise CommandError(f"{name!r} is no run id and no file")
    return spans_of_store(store, name, flows)


def _fails(found: RunDiff, fail_on: Sequence[str]) -> bool:
    if NONE in fail_on:
        return False
    return any(number for kind, number in found.counts.items() if ANY in fail_on or kind in fail_on)
