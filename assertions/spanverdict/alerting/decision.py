"""What a verdict leads to: one message for every receiver and group that has news, and states to remember."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from spanverdict.alerting.alerts import Alert, AlertState, assess
from spanverdict.alerting.config import ReceiverSettings
from spanverdict.alerting.outbox import KnownState
from spanverdict.alerting.payload import group_key, group_labels, webhook_body
from spanverdict.evaluation.outcomes import RuleResult, RunInfo


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message for the outbox."""

    id: str
    receiver: str
    group_key: str
    run_id: str
    body: bytes
    created_unix_nano: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What to put into the store, in one transaction with the mark that this verdict was decided."""

    deliveries: tuple[Delivery, ...]
    state_changes: tuple[AlertState, ...]


def decide(
    run: RunInfo,
    results: Iterable[RuleResult],
    known: Iterable[KnownState],
    receivers: Sequence[ReceiverSettings],
    at_unix_nano: int,
    *,
    external_url: str = "",
    changes: Sequence[str] = (),
) -> Decision:
    """Work out the messages of a verdict. Pure: the same arguments give the same bytes.

    Verdicts of one environment and branch must be decided one after the other, each with the states
    that the one before left. A message holds all alerts of its group; a group without news (nothing
    began, ended or failed in another run) is not sent. `changes` are told with a revision.
    """
    assessment = assess(run, results, known, at_unix_nano, external_url, changes=changes)
    deliveries = tuple(
        _delivery(run, settings, labels, group, (at_unix_nano, external_url))
        for settings in receivers
        for labels, group in _groups(assessment.alerts, settings)
    )
    return Decision(deliveries, assessment.changes)


def _groups(alerts: Iterable[Alert], settings: ReceiverSettings) -> list[tuple[dict[str, str], list[Alert]]]:
    """Sort alerts into the receiver's groups, in order of their labels; groups without news are left out."""
    groups: dict[tuple[tuple[str, str], ...], list[Alert]] = {}
    for alert in alerts:
        if alert.firing or settings.send_resolved:
            labels = group_labels(alert, settings.group_by)
            groups.setdefault(tuple(labels.items()), []).append(alert)
    return [(dict(labels), group) for labels, group in sorted(groups.items()) if any(a.news for a in group)]


def _delivery(
    run: RunInfo,
    settings: ReceiverSettings,
    labels: dict[str, str],
    alerts: list[Alert],
    stamp: tuple[int, str],
) -> Delivery:
    at_unix_nano, external_url = stamp
    key = group_key(settings.name, labels)
    # A run id may be used again after its run was deleted, so the time is part of the message's name.
    name = repr((run.id, run.revision, settings.name, key, at_unix_nano)).encode("utf-8", "backslashreplace")
    return Delivery(
        id=f"msg_{hashlib.sha256(name).hexdigest()[:32]}",
        receiver=settings.name,
        group_key=key,
        run_id=run.id,
        body=webhook_body(settings.name, labels, alerts, external_url),
        created_unix_nano=at_unix_nano,
    )
