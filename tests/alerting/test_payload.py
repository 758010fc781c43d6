"""The message a receiver gets: Alertmanager's webhook, version 4, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.alertexamples import result, run
from spanverdict.alerting.alerts import Alert, assess
from spanverdict.alerting.config import ReceiverSettings
from spanverdict.alerting.decision import decide
from spanverdict.alerting.payload import common, group_key, rfc3339, webhook_body

OPS = ReceiverSettings("ops", "https://ops.example/hook")
START, LATER = 1_700_000_000_000_000_000, 1_700_000_060_500_000_000


def alert(
    name: str, *, firing: bool = True, severity: str = "warning", text: str = "x", appeared: bool = True
) -> Alert:
    labels = {"alertname": name, "flow": "fraud", "severity": severity}
    return Alert(firing, labels, {"description": text}, START, None if firing else LATER, "", True, appeared)


def document(*alerts: Alert, **more) -> dict:
    return json.loads(webhook_body("ops", {"flow": "fraud"}, alerts, **more))


def test_a_message_is_exactly_what_alertmanager_would_send() -> None:
    fired = assess(run(), [result(annotations={"summary": "Scoring is slow"})], [], START, "https://sv.example")
    over = [alert("lost", firing=False)]
    sent = document(*fired.alerts, *over, external_url="https://sv.example")
    assert sent == {
        "version": "4",
        "groupKey": '{}/{receiver="ops"}:{flow="fraud"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "ops",
        "groupLabels": {"flow": "fraud"},
        "commonLabels": {"flow": "fraud"},
        "commonAnnotations": {},
        "externalURL": "https://sv.example",
        "notification_reason": "first notification",
        "alerts": [
            {
                "status": "firing",
                "labels": {
                    "alertname": "slow",
                    "branch": "main",
                    "environment": "ci",
                    "flow": "fraud",
                    "severity": "critical",
                },
                "annotations": {
                    "summary": "Scoring is slow",
                    "description": "p95 = 231.4ms, expected < 200ms (n = 200 requests)",
                    "expected": "p95 < 200ms",
                    "observed": "p95 = 231.4ms",
                    "run_id": "run-1",
                },
                "startsAt": "2023-11-14T22:13:20Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "https://sv.example/runs/run-1",
                "fingerprint": fired.alerts[0].fingerprint,
            },
            {
                "status": "resolved",
                "labels": {"alertname": "lost", "flow": "fraud", "severity": "warning"},
                "annotations": {"description": "x"},
                "startsAt": "2023-11-14T22:13:20Z",
                "endsAt": "2023-11-14T22:14:20.5Z",
                "generatorURL": "",
                "fingerprint": over[0].fingerprint,
            },
        ],
    }


@pytest.mark.parametrize(
    ("alerts", "status", "reason"),
    [
        ([alert("a", firing=False)], "resolved", "all alerts resolved"),
        ([alert("a"), alert("b", appeared=False)], "firing", "new alerts in group"),
        ([alert("a", appeared=False), alert("b", firing=False)], "firing", "new resolved alerts in group"),
        ([alert("a", appeared=False)], "firing", "failed again in a later run"),
    ],
)
def test_status_and_reason_say_what_happened(alerts, status: str, reason: str) -> None:
    sent = document(*alerts)
    assert (sent["status"], sent["notification_reason"]) == (status, reason)


def test_a_long_message_keeps_the_urgent_alerts_and_counts_the_others() -> None:
    alerts = [
        *[alert(f"over-{i}", firing=False, severity="critical") for i in range(100)],
        *[alert(f"info-{i}", severity="info") for i in range(100)],
        *[alert(f"critical-{i}", severity="critical") for i in range(10)],
    ]
    body = webhook_body("ops", {"flow": "fraud"}, alerts)
    sent = json.loads(body)
    assert 19_000 < len(body) <= 20_000
    assert sent["truncatedAlerts"] == 210 - len(sent["alerts"])
    assert [a["labels"]["severity"] for a in sent["alerts"][:10]] == ["critical"] * 10
    assert {a["status"] for a in sent["alerts"]} == {"firing"}
    assert len(document(*alerts, max_bytes=1)["alerts"]) == 1


def test_long_texts_are_clipped() -> None:
    (sent,) = document(alert("a", text="é" * 5000))["alerts"]
    assert sent["annotations"]["description"] == "é" * 999 + "…"


@given(st.text(), st.text())
def test_any_text_arrives_as_valid_json(name: str, text: str) -> None:
    hostile = alert(name + '"\x00\u2028\ud800</script>', text=text[:900])
    (sent,) = document(hostile)["alerts"]
    assert sent["labels"]["alertname"] == hostile.labels["alertname"]
    assert sent["annotations"]["description"] == text[:900]


def test_times_keep_their_nanoseconds() -> None:
    assert rfc3339(1_700_000_000_000_000_001) == "2023-11-14T22:13:20.000000001Z"
    assert rfc3339(0) == "1970-01-01T00:00:00Z"


@given(
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
)
def test_different_groups_have_different_keys(one, other) -> None:
    assert (group_key("ops", one) == group_key("ops", other)) == (one == other)


def test_common_is_what_all_have_in_common() -> None:
    assert common([]) == {}
    assert common([{"a": "1"}, {"a": "1", "b": "2"}, {"b": "2", "a": "1"}]) == {"a": "1"}


RESULTS = [result(), result(rule="lost"), result(rule="stale", flow="ads"), result("passed", rule="fine")]


def test_there_is_one_message_for_each_receiver_and_group() -> None:
    by_rule = ReceiverSettings("dev", "https://dev.example", group_by=("alertname",))
    in_one = ReceiverSettings("all", "https://all.example", group_by=())
    decision = decide(run(), RESULTS, [], [OPS, by_rule, in_one], 5)
    sent = [(d.receiver, [a["labels"]["alertname"] for a in json.loads(d.body)["alerts"]]) for d in decision.deliveries]
    assert [(name, sorted(alerts)) for name, alerts in sent] == [
        ("ops", ["stale"]),
        ("ops", ["lost", "slow"]),
        ("dev", ["lost"]),
        ("dev", ["slow"]),
        ("dev", ["stale"]),
        ("all", ["lost", "slow", "stale"]),
    ]
    assert len({d.id for d in decision.deliveries}) == 6
    assert decision.deliveries[2].group_key == '{}/{receiver="dev"}:{alertname="lost"}'
    assert len(decision.state_changes) == 3
    assert decide(run(), RESULTS, [], [OPS, by_rule, in_one], 5) == decision, "the same again gives the same bytes"


def test_a_verdict_without_alerts_sends_nothing() -> None:
    assert decide(run(), [result("passed")], [], [OPS], 5).deliveries == ()


def test_the_same_run_judged_again_with_the_same_outcome_sends_nothing() -> None:
    first = decide(run(), [result()], [], [OPS], 5)
    assert decide(run(revision=2), [result()], first.state_changes, [OPS], 6).deliveries == ()
    changed = decide(run(revision=2), [result(), result(rule="lost")], first.state_changes, [OPS], 6)
    assert [len(json.loads(d.body)["alerts"]) for d in changed.deliveries] == [2], "news brings the whole group"


def test_a_receiver_that_wants_no_resolved_gets_none() -> None:
    quiet = ReceiverSettings("quiet", "https://q.example", send_resolved=False)
    first = decide(run(), [result(), result(rule="lost")], [], [OPS, quiet], 5)
    second = decide(run("run-2"), [result("passed"), result(rule="lost")], first.state_changes, [OPS, quiet], 6)
    assert {d.receiver: len(json.loads(d.body)["alerts"]) for d in second.deliveries} == {"ops": 2, "quiet": 1}
    over = decide(run("run-2"), [result("passed")], first.state_changes, [OPS, quiet], 6)
    assert [d.receiver for d in over.deliveries] == ["ops"]


def test_a_run_id_that_is_used_again_gets_messages_of_its_own() -> None:
    assert (
        decide(run(), [result()], [], [OPS], 5).deliveries[0].id
        != decide(run(), [result()], [], [OPS], 6).deliveries[0].id
    )
