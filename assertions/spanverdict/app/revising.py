"""What becomes of a judgement: a verdict to keep, as a new revision only when it says something new."""

from __future__ import annotations

import json
from collections.abc import Sequence

from spanverdict.app.baselines import records_of
from spanverdict.app.judgement import Judgement
from spanverdict.evaluation.outcomes import Event, RunFinished
from spanverdict.reporting.jsonreport import document, render
from spanverdict.reporting.revision import changes
from spanverdict.storage.records import Verdict
from spanverdict.storage.runs import RunStore


def as_new_revision(judgement: Judgement, runs: RunStore) -> Judgement:
    """Return a judgement that only repeats the last verdict as that one, else with what changed since then.

    Spans that no run claims are not the run's: that there are more of them is nothing new of it.
    """
    last = runs.verdict(judgement.run.id) if judgement.run.revision > 1 else None
    if last is None:
        return judgement
    before = json.loads(last.document)
    repeated = judgement.as_revision(last.revision).with_changes(before.get("changes", ()))
    if association := before.get("association"):
        repeated = repeated.with_untagged(association["untagged_spans"])
    if render(document(repeated.events)) == last.document:
        return repeated
    return judgement.with_changes(changes(before, document(judgement.events)))


def verdict_of(judgement: Judgement, at_unix_nano: int) -> Verdict:
    """Return what is kept of a judgement."""
    run, finished = judgement.run, finish_of(judgement.events)
    return Verdict(
        run.id,
        run.revision,
        str(finished.outcome),
        finished.complete,
        render(document(judgement.events)),
        judgement.judged_through,
        at_unix_nano,
        tuple(flow.name for flow in judgement.flows),
        records_of(judgement.events, judgement.past, judgement.flows),
        judgement.said,
    )


def finish_of(events: Sequence[Event]) -> RunFinished:
    """Return the end of a judged run."""
    return next(event for event in events if isinstance(event, RunFinished))
