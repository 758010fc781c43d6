"""The message to a receiver: one group of alerts as Alertmanager's webhook writes it, version 4."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import reduce
from typing import Any

from spanverdict.alerting.alerts import Alert

NEVER = "0001-01-01T00:00:00Z"
"""How the format writes a time that is not known, such as the end of a firing alert."""
MAX_BODY_BYTES = 20_000
"""What receivers of Standard Webhooks are told to expect at most."""
MAX_TEXT_CHARACTERS = 1_000

_NANOSECONDS = 1_000_000_000


def rfc3339(unix_nano: int) -> str:
    """Write a time in UTC, to the nanosecond where needed.

    >>> rfc3339(1_700_000_000_000_000_000), rfc3339(1_700_000_000_250_000_000)
    ('2023-11-14T22:13:20Z', '2023-11-14T22:13:20.25Z')
    """
    seconds, nanos = divmod(unix_nano, _NANOSECONDS)
    fraction = f".{nanos:09d}".rstrip("0") if nanos else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def group_labels(alert: Alert, group_by: Iterable[str]) -> dict[str, str]:
    """Return the labels that put an alert into its group; those it lacks are left out."""
    return {name: alert.labels[name] for name in sorted(group_by) if name in alert.labels}


def group_key(receiver: str, labels: Mapping[str, str]) -> str:
    r"""Name a group of a receiver, the same in every run.

    >>> group_key("ops", {"flow": "fraud", "branch": 'a"b'})
    '{}/{receiver="ops"}:{branch="a\\"b", flow="fraud"}'
    """
    pairs = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in sorted(labels.items()))
    return f"{{}}/{{receiver={json.dumps(receiver, ensure_ascii=False)}}}:{{{pairs}}}"


def common(mappings: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return what all of them say alike.

    >>> common([{"a": "1", "b": "2"}, {"a": "1", "b": "3"}])
    {'a': '1'}
    """
    if not mappings:
        return {}
    shared = reduce(lambda left, right: left & right, (set(m.items()) for m in mappings))
    return dict(sorted(shared))


def reason(alerts: Sequence[Alert]) -> str:
    """Say why this message is sent."""
    firing = [alert for alert in alerts if alert.firing]
    if not firing:
        return "all alerts resolved"
    if all(alert.appeared for alert in firing):
        return "first notification"
    if any(alert.appeared for alert in firing):
        return "new alerts in group"
    return "new resolved alerts in group" if len(firing) < len(alerts) else "failed again in a later run"


def webhook_body(
    receiver: str,
    labels: Mapping[str, str],
    alerts: Sequence[Alert],
    external_url: str = "",
    max_bytes: int = MAX_BODY_BYTES,
) -> bytes:
    """Write one group as JSON, not longer than `max_bytes` where that is possible at all.

    When it would be longer, alerts are left out from the end (resolved and less severe ones first)
    and counted in `truncatedAlerts`; one always stays.
    """
    ordered = sorted(alerts, key=_urgency)

    def body(kept: int) -> bytes:
        return _encode(_document(receiver, labels, ordered, kept, external_url))

    too_many = bisect_right(range(1, len(ordered) + 1), max_bytes, key=lambda kept: len(body(kept)))
    return body(max(too_many, 1))


def _document(
    receiver: str, labels: Mapping[str, str], alerts: Sequence[Alert], kept: int, external_url: str
) -> dict[str, Any]:
    shown = [_alert(alert) for alert in alerts[:kept]]
    return {
        "version": "4",
        "groupKey": group_key(receiver, labels),
        "truncatedAlerts": len(alerts) - kept,
        "status": _status(any(alert.firing for alert in alerts)),
        "receiver": receiver,
        "groupLabels": dict(labels),
        "commonLabels": common([alert.labels for alert in alerts]),
        "commonAnnotations": common([alert["annotations"] for alert in shown]),
        "externalURL": external_url,
        "notification_reason": reason(alerts),
        "alerts": shown,
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "status": _status(alert.firing),
        "labels": dict(sorted(alert.labels.items())),
        "annotations": {name: _clip(text) for name, text in sorted(alert.annotations.items())},
        "startsAt": rfc3339(alert.starts_unix_nano),
        "endsAt": NEVER if alert.ends_unix_nano is None else rfc3339(alert.ends_unix_nano),
        "generatorURL": alert.generator_url,
        "fingerprint": alert.fingerprint,
    }


def _urgency(alert: Alert) -> tuple[bool, int, str]:
    order = {"critical": 0, "warning": 1}
    return not alert.firing, order.get(alert.labels.get("severity", ""), 2), alert.fingerprint


def _status(firing: bool) -> str:
    return "firing" if firing else "resolved"


def _clip(text: str) -> str:
    return text if len(text) <= MAX_TEXT_CHARACTERS else text[: MAX_TEXT_CHARACTERS - 1] + "…"


def _encode(document: Mapping[str, Any]) -> bytes:
    # Escaping everything beyond ASCII keeps any text, even half a surrogate pair, valid on the wire.
    return json.dumps(document, separators=(",", ":")).encode("ascii")
