"""Runs and their verdicts as JSON documents, for the API and for commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from spanverdict.app.flakiness import flaky_rules
from spanverdict.reporting.quantities import rfc3339
from spanverdict.storage.history import History, Wanted
from spanverdict.storage.records import RunRecord, VerdictRecord
from spanverdict.storage.runfilter import RunFilter
from spanverdict.storage.runs import RunStore
from spanverdict.web.backend import Asked, Document


def run_document(record: RunRecord, verdict: VerdictRecord | None) -> Document:
    """Say what is known of a run, and what its latest verdict came to."""
    return {
        "id": record.id,
        "state": _state(record, verdict),
        "declared": record.declared,
        "expected_requests": record.expected_requests,
        "labels": dict(record.labels),
        "flows": list(record.flows),
        "created": rfc3339(record.created_unix_nano),
        "updated": rfc3339(record.updated_unix_nano),
        "ended": rfc3339(record.ended_unix_nano or 0),
        "revision": verdict.revision if verdict is not None else 0,
        "outcome": verdict.outcome if verdict is not None else None,
        "complete": verdict.complete if verdict is not None else None,
        "judged_by": list(verdict.flows) if verdict is not None else [],
    }


def page_of(runs: RunStore, limit: int, before: str | None, asked: Asked) -> dict[str, Any]:
    """Return a page of runs, newest first; raises `InvalidCursor`."""
    page = runs.list(limit, before, RunFilter(asked.flow, asked.labels, asked.outcome, asked.since_unix_nano))
    return {"runs": [run_document(run, runs.verdict(run.id)) for run in page.runs], "next": page.next}


def flaky_document(history: History, asked: Asked, by: Sequence[str]) -> Document:
    """Return the flaky rules among the verdicts that are asked for."""
    since = asked.since_unix_nano
    wanted = Wanted(asked.flow, asked.labels, asked.outcome, complete=True, heard_since_unix_nano=since)
    rules = flaky_rules(reversed(history.flows(wanted)), by)
    return {"rules": [asdict(rule) | {"rate": rule.rate} for rule in rules]}


def _state(record: RunRecord, verdict: VerdictRecord | None) -> str:
    """A run that no flow matches was looked at and not judged."""
    return "unjudged" if verdict is not None and not verdict.flows else str(record.state)
