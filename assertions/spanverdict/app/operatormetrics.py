"""What an operator needs to know, as Prometheus reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from spanverdict.app.decodingprocess import WAYS
from spanverdict.app.processmetrics import process_metrics
from spanverdict.storage.errors import StoreError
from spanverdict.storage.outbox import Outbox
from spanverdict.storage.runs import RunStore

if TYPE_CHECKING:
    from spanverdict.app.service import Service


def render_metrics(service: Service) -> str:
    """Return all metrics in Prometheus' text format, version 0.0.4."""
    lines: list[str] = []
    for name, kind, text, samples in _metrics(service):
        lines += [f"# HELP spanverdict_{name} {text}", f"# TYPE spanverdict_{name} {kind}"]
        lines += [f"spanverdict_{name}{_labels(labels)} {value}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


_Samples: TypeAlias = Sequence[tuple[dict[str, str], int | float]]
_Metric: TypeAlias = tuple[str, str, str, _Samples]
"""Name, kind, what it is, and samples."""


def _metrics(service: Service) -> Iterator[_Metric]:
    yield from process_metrics()
    yield from _of_receiver(service)
    yield from _of_store(service)
    yield from _of_judge(service)
    reloads = service.reloads
    yield "config_last_reload_successful", "gauge", "Whether the configuration was right", _one(int(reloads.ok))
    text = "When the configuration was last taken over"
    yield "config_last_reload_success_timestamp_seconds", "gauge", text, _one(reloads.at)
    yield "webhook_deliveries", "gauge", "Webhook messages in the store, by state", _deliveries(service.store.outbox)


def _of_receiver(service: Service) -> Iterator[_Metric]:
    counts = service.receiver.counters.snapshot()
    for name, key, text in (
        ("requests_total", "requests", "Export requests received"),
        ("received_bytes_total", "wire_bytes", "Bytes of request bodies as they were sent"),
        ("spans_accepted_total", "spans_accepted", "Spans journaled and acknowledged"),
        ("spans_rejected_total", "spans_rejected", "Spans refused inside accepted requests"),
    ):
        yield name, "counter", text, [({"protocol": p}, n) for p, n in counts[key].items() if isinstance(n, int)]
    discarded = [({"signal": s}, n) for s, n in counts["discarded"].items() if isinstance(n, int)]
    yield "discarded_total", "counter", "Metrics, log records and profiles accepted and discarded", discarded
    refused = [
        ({"protocol": protocol, "reason": reason}, number)
        for protocol, reasons in counts["refused"].items()
        if isinstance(reasons, dict)
        for reason, number in reasons.items()
    ]
    yield "requests_refused_total", "counter", "Requests refused, by reason", refused
    masked = _one(service.masker.masked_payloads)
    yield "masked_requests_total", "counter", "Requests in which something was masked", masked
    cuts = [({"how": "value"}, service.intake.cuts.values), ({"how": "left_out"}, service.intake.cuts.left_out)]
    yield "attributes_cut_total", "counter", "Attributes cut as too long, or left out as too many", cuts
    ways = [({"way": way}, int(way == service.intake.apart)) for way in WAYS]
    yield "decoding_process", "gauge", "How a process of its own decodes: there is none, interpreted, or compiled", ways
    yield "in_flight_bytes", "gauge", "Bytes received and not yet acknowledged", _one(service.receiver.budget.in_use)


def _of_store(service: Service) -> Iterator[_Metric]:
    journal = service.store.journal
    yield "journal_bytes", "gauge", "Bytes of payload in the journal", _asked(journal.bytes_stored)
    yield "journal_backlog_bytes", "gauge", "Bytes that wait to be committed", _one(journal.backlog)
    yield "journal_damaged_batches", "gauge", "Journaled batches that could not be read", _one(len(journal.damaged))
    lost = "Commits lost with a damaged write-ahead log when the store was opened"
    yield "journal_lost_commits", "gauge", lost, _one(service.store.lost_commits)
    retention = service.store.retention
    used = "Bytes of the store, its file and segments, that hold something"
    yield "store_used_bytes", "gauge", used, _asked(retention.used_bytes)
    limit = service.keeper.keeping.used_bytes
    yield "store_limit_bytes", "gauge", "How many there may be", _one(limit) if limit is not None else ()
    deleted = [({"kind": kind}, service.keeper.deleted[kind]) for kind in ("batches", "runs", "deliveries")]
    yield "retention_deleted_total", "counter", "What was deleted because it was too old or too much", deleted
    text = "Batches that are too old or too much, and that runs without a verdict need"
    yield "retention_held_back_batches", "gauge", text, _one(service.keeper.held_back)
    yield "store_writable", "gauge", "Whether the last commit succeeded", _one(int(service.store.problem is None))


def _of_judge(service: Service) -> Iterator[_Metric]:
    yield "judge_backlog_bytes", "gauge", "Bytes of columns that the judge has to take in", _one(service.judge.backlog)
    docket = service.judge.docket
    states = Counter("fresh" if run.fresh else "judged" for run in list(docket.runs.values()))
    yield (
        "runs",
        "gauge",
        "Runs at hand, by whether a verdict has taken in all of them",
        [({"state": state}, states[state]) for state in ("fresh", "judged")],
    )
    text = "Runs in the store: heard of, ended, or judged with all that came"
    yield "stored_runs", "gauge", text, _stored_runs(service.store.runs)
    yield "untagged_spans", "gauge", "Spans at hand that no run claims", _one(docket.untagged)
    away = _one(docket.turned_away)
    yield "runs_turned_away_total", "counter", "Times that spans came for a run beyond those that are followed", away
    if service.admission is not None:
        text = "Times that spans came under a run id that cannot name a run"
        yield "invalid_run_ids_total", "counter", text, _one(service.admission.misnamed.times)
    text = "Runs of which the spans were let go before their time, to be read again from the journal"
    yield "runs_let_go_total", "counter", text, _one(docket.let_go)
    yield "window_bytes", "gauge", "Memory of the spans at hand, about", _one(docket.nbytes)
    forgotten = _one(docket.forgotten_untagged)
    yield "untagged_spans_forgotten_total", "counter", "Spans let go before any run claimed them", forgotten
    verdicts = [({"outcome": outcome}, number) for outcome, number in sorted(service.verdicts.items())]
    yield "verdicts_total", "counter", "Verdicts given, by outcome", verdicts
    judged = [({"reason": reason}, number) for reason, number in sorted(service.spans_by_reason.items())]
    yield "judged_spans_total", "counter", "Spans in verdicts given, by why they belong to their run", judged
    defects = [({"defect": name}, number) for name, number in sorted(service.defects.items())]
    yield "judged_defects_total", "counter", "Broken data in verdicts given, by kind", defects
    conflicts = _one(service.conflicting_traces)
    yield "conflicting_traces_total", "counter", "Traces in verdicts given that several runs claim", conflicts
    yield "unjudged_runs_total", "counter", "Runs that no flow matched", _one(service.unjudged)


def _stored_runs(runs: RunStore) -> _Samples:
    try:
        return [({"state": state}, number) for state, number in runs.by_state().items()]
    except StoreError:
        return ()


def _deliveries(outbox: Outbox) -> _Samples:
    try:
        numbers = outbox.statistics()
    except StoreError:
        return ()
    by_state = {"pending": numbers.pending, "delivered": numbers.delivered, "given_up": numbers.given_up}
    return [({"state": state}, number) for state, number in by_state.items()]


def _asked(question: Callable[[], float]) -> _Samples:
    """Return what the store says; nothing when it cannot be read now."""
    try:
        return _one(question())
    except StoreError:
        return ()


def _one(value: float) -> _Samples:
    return [({}, value)]
