"""Deliveries, end to end: a real store, a real server, retries, restarts, and alerts that are taken back."""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from alerting.alertexamples import result, run
from alerting.hookserver import HookServer, answer, drip
from spanverdict.alerting.config import ReceiverSettings
from spanverdict.alerting.decision import decide
from spanverdict.alerting.delivery import CLAIM_SECONDS, Courier, DrainReport, Undelivered
from spanverdict.alerting.signing import parse_secret
from spanverdict.storage.records import Verdict
from spanverdict.storage.store import Store

SECRETS = ["whsec_" + base64.b64encode(bytes([i]) * 32).decode() for i in (1, 2)]


class Clock:
    """Wall time that the test moves."""

    def __init__(self) -> None:
        self.now = float(int(time.time()))

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path / "store.db", synchronous="OFF") as opened:
        yield opened


@pytest.fixture
def server():
    with HookServer() as running:
        yield running


def settings(server: HookServer, **more) -> ReceiverSettings:
    values = {"name": "ops", "url": server.url, "allow_private": True, "secrets": tuple(map(parse_secret, SECRETS))}
    return ReceiverSettings(**{**values, **more})


def judge_run(store: Store, run_id: str, outcomes, receivers, at: float) -> None:
    """What the application does with a verdict."""
    info, nanos = run(run_id), round(at * 1e9)
    results = [result(outcome, rule) for rule, outcome in outcomes.items()]
    store.runs.touch(run_id, 1, 1, nanos)
    decision = decide(info, results, store.outbox.alert_states("ci", "main"), receivers, nanos)
    verdict = Verdict(run_id, 1, "failed", True, "{}", 1, nanos)
    assert store.conclude(verdict, decision.deliveries, decision.state_changes)


@contextmanager
def courier(store: Store, *receivers: ReceiverSettings, **more) -> Iterator[Courier]:
    running = Courier(store.outbox, receivers, jitter=lambda: 0.0, **more)
    try:
        yield running
    finally:
        running.close()


def alerts(hook) -> list[tuple[str, str]]:
    return [(a["labels"]["alertname"], a["status"]) for a in json.loads(hook.body)["alerts"]]


def test_a_failed_rule_reaches_the_receiver_signed(store: Store, server: HookServer) -> None:
    ops = settings(server)
    judge_run(store, "run-1", {"slow": "failed", "fine": "passed"}, [ops], time.time())
    with courier(store, ops) as running:
        assert running.deliver_due() == 1
        assert running.deliver_due() == 0
    (hook,) = server.hooks
    for secret in SECRETS:
        Webhook(secret).verify(hook.body, hook.headers)
    assert (hook.headers["content-type"], hook.path) == ("application/json", "/hook?token=canary-in-url")
    assert alerts(hook) == [("slow", "firing")]
    assert store.outbox.statistics().delivered == 1


def test_retries_follow_the_schedule_with_the_same_id_and_a_fresh_signature(store: Store, server: HookServer) -> None:
    ops, clock = settings(server), Clock()
    began = clock.now
    server.script = [answer(503), answer(500), answer(302, Location="/elsewhere")]
    judge_run(store, "run-1", {"slow": "failed"}, [ops], began)
    with courier(store, ops, clock=clock) as running:
        for wait in (0, 5, 30, 120):
            clock.now += wait - 1
            assert running.deliver_due() == 0
            clock.now += 1
            assert running.deliver_due() == 1
    assert [int(h.headers["webhook-timestamp"]) - began for h in server.hooks] == [0, 5, 35, 155]
    assert len({h.headers["webhook-id"] for h in server.hooks}) == 1
    assert len({h.headers["webhook-signature"] for h in server.hooks}) == 4
    assert len({h.body for h in server.hooks}) == 1
    for hook in server.hooks:
        Webhook(SECRETS[0]).verify(hook.body, hook.headers)
    assert store.outbox.statistics().delivered == 1


def test_retry_after_lengthens_a_wait_and_never_shortens_it(store: Store, server: HookServer) -> None:
    ops, clock = settings(server), Clock()
    server.script = [answer(429, Retry_After="90"), answer(503, Retry_After="1")]
    judge_run(store, "run-1", {"slow": "failed"}, [ops], clock.now)
    with courier(store, ops, clock=clock) as running:
        running.deliver_due()
        assert store.outbox.next_due() == round((clock.now + 90) * 1e9)
        clock.now += 90
        running.deliver_due()
        assert store.outbox.next_due() == round((clock.now + 30) * 1e9)


def test_waits_are_spread_by_jitter(store: Store, server: HookServer) -> None:
    ops, clock = settings(server), Clock()
    server.script = [answer(500)]
    judge_run(store, "run-1", {"slow": "failed"}, [ops], clock.now)
    running = Courier(store.outbox, [ops], clock=clock, jitter=lambda: 0.5)
    running.deliver_due()
    assert store.outbox.next_due() == round((clock.now + 5.5) * 1e9)
    running.close()


def test_after_the_last_attempt_a_message_is_given_up_visibly(store: Store, server: HookServer, caplog) -> None:
    ops, clock = settings(server, retry_after_seconds=(1.0, 1.0)), Clock()
    server.script = [answer(500)] * 9
    judge_run(store, "run-1", {"slow": "failed"}, [ops], clock.now)
    with caplog.at_level(logging.WARNING), courier(store, ops, clock=clock) as running:
        for _ in range(5):
            running.deliver_due()
            clock.now += 1
        (lost,) = running.given_up
    assert (lost.receiver, lost.run_id, lost.attempts, lost.error) == ("ops", "run-1", 3, "answered 500")
    assert (len(server.hooks), store.outbox.statistics().given_up) == (3, 1)
    assert "gave up webhook" in caplog.text
    assert "canary" not in caplog.text, "the address may be a secret"


def test_a_receiver_that_is_gone_is_believed(store: Store, server: HookServer) -> None:
    ops = settings(server)
    server.script = [answer(410)]
    judge_run(store, "run-1", {"slow": "failed"}, [ops], time.time())
    with courier(store, ops) as running:
        running.deliver_due()
        assert [g.error for g in running.given_up] == ["answered 410"]
    assert store.outbox.pending() == ()


def test_after_a_410_nothing_more_is_sent_until_there_is_a_new_courier(store: Store, server: HookServer) -> None:
    ops, dev = settings(server, retry_after_seconds=(0.0,)), settings(server, name="dev", group_by=("alertname",))
    server.script = [answer(410), answer(410)]
    with courier(store, ops, dev) as running:
        for number in (1, 2):
            judge_run(store, f"run-{number}", {"slow": "failed", "lost": "failed"}, [ops, dev], time.time())
            running.deliver_due()
        tried = Counter((lost.receiver, lost.attempts) for lost in running.given_up)
        assert tried == {("ops", 1): 1, ("ops", 0): 1, ("dev", 1): 1, ("dev", 0): 3}
        assert (len(server.hooks), store.outbox.pending()) == (2, ())
    judge_run(store, "run-3", {"slow": "passed", "lost": "passed"}, [ops, dev], time.time())
    with courier(store, ops, dev) as again:
        assert again.deliver_due() == 3, "somebody may have mended the receiver"


def test_two_couriers_on_one_store_send_each_message_once(tmp_path: Path, server: HookServer) -> None:
    """As two servers do on one file, or the old and the new courier while a configuration is read again."""
    ops = settings(server, group_by=("alertname",))
    server.script = [drip(0.01, 20, b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n") for _ in range(12)]
    with Store.open(tmp_path / "store.db") as one, Store.open(tmp_path / "store.db") as other:
        judge_run(one, "run-1", {f"rule-{n}": "failed" for n in range(12)}, [ops], time.time())
        with courier(one, ops) as first, courier(other, ops) as second:
            first.start()
            second.start()
            server.wait_for(12)
            assert first.drain(10).undelivered == second.drain(10).undelivered == ()
        assert one.outbox.statistics().delivered == 12
    assert sorted(Counter(hook.headers["webhook-id"] for hook in server.hooks).values()) == [1] * 12


def test_a_message_that_a_courier_died_over_is_sent_when_its_claim_ends(store: Store, server: HookServer) -> None:
    ops, clock = settings(server), Clock()
    judge_run(store, "run-1", {"slow": "failed"}, [ops], clock.now)
    (message,) = store.outbox.due(round(clock.now * 1e9))
    seconds = ops.timeout_seconds + CLAIM_SECONDS
    assert store.outbox.claim(message.id, round(clock.now * 1e9), round((clock.now + seconds) * 1e9))
    with courier(store, ops, clock=clock) as running:
        assert running.deliver_due() == 0
        clock.now += seconds
        assert running.deliver_due() == 1
    assert store.outbox.statistics().delivered == 1


def test_a_new_courier_delivers_what_an_old_one_left(tmp_path: Path, server: HookServer) -> None:
    ops, clock = settings(server), Clock()
    server.script = [answer(503)]
    with Store.open(tmp_path / "store.db") as store:
        judge_run(store, "run-1", {"slow": "failed"}, [ops], clock.now)
        with courier(store, ops, clock=clock) as running:
            running.deliver_due()
    clock.now += 5
    with Store.open(tmp_path / "store.db") as store, courier(store, ops, clock=clock) as running:
        assert running.deliver_due() == 1
        assert store.outbox.pending() == ()
    assert len({h.headers["webhook-id"] for h in server.hooks}) == 1


def test_a_later_run_of_the_branch_that_passes_takes_the_alert_back(store: Store, server: HookServer) -> None:
    ops, now = settings(server), time.time()
    judge_run(store, "run-1", {"slow": "failed", "lost": "failed"}, [ops], now)
    judge_run(store, "run-2", {"slow": "passed", "lost": "failed"}, [ops], now + 1)
    judge_run(store, "run-3", {"slow": "passed", "lost": "inconclusive"}, [ops], now + 2)
    judge_run(store, "run-4", {"slow": "passed", "lost": "passed"}, [ops], now + 3)
    judge_run(store, "run-5", {"slow": "passed", "lost": "passed"}, [ops], now + 4)
    with courier(store, ops, clock=lambda: now + 9) as running:
        assert running.deliver_due() == 3
    assert [sorted(alerts(h)) for h in server.hooks] == [
        [("lost", "firing"), ("slow", "firing")],
        [("lost", "firing"), ("slow", "resolved")],
        [("lost", "resolved")],
    ]
    first, _, last = (json.loads(h.body) for h in server.hooks)
    assert first["groupKey"] == last["groupKey"]
    fingerprints = {a["labels"]["alertname"]: a["fingerprint"] for a in first["alerts"]}
    assert last["alerts"][0]["fingerprint"] == fingerprints["lost"]
    assert last["alerts"][0]["startsAt"] == first["alerts"][0]["startsAt"]
    assert store.outbox.firing() == ()


def test_resolved_never_overtakes_firing_however_often_that_fails(store: Store, server: HookServer) -> None:
    ops, clock = settings(server), Clock()
    server.script = [answer(503), answer(503)]
    judge_run(store, "run-1", {"slow": "failed"}, [ops], clock.now)
    judge_run(store, "run-2", {"slow": "passed"}, [ops], clock.now)
    with courier(store, ops, clock=clock) as running:
        for _ in range(50):
            running.deliver_due()
            clock.now += 1
    assert [alerts(h) for h in server.hooks] == [[("slow", "firing")]] * 3 + [[("slow", "resolved")]]


def test_messages_for_a_receiver_that_is_configured_no_longer_are_given_up_visibly(
    store: Store, server: HookServer
) -> None:
    judge_run(store, "run-1", {"slow": "failed"}, [settings(server, name="old")], time.time())
    with courier(store, settings(server)) as running:
        running.start()
        (lost,) = running.given_up
    assert (lost.receiver, lost.error) == ("old", "no receiver of that name is configured")
    assert (server.hooks, store.outbox.statistics().given_up) == ([], 1)


def test_in_the_background_a_new_message_goes_out_when_woken(store: Store, server: HookServer) -> None:
    ops = settings(server)
    with courier(store, ops) as running:
        running.start()
        running.start()
        for number in (1, 2):
            judge_run(store, f"run-{number}", {"slow": "failed"}, [ops], time.time())
            running.wake()
            server.wait_for(number)
    assert not [t for t in threading.enumerate() if t.name.startswith("spanverdict-webhook")]


def test_in_the_background_a_failed_message_goes_out_when_it_is_due_again(store: Store, server: HookServer) -> None:
    ops = settings(server, retry_after_seconds=(0.05, 0.1))
    server.script = [answer(503), answer(502)]
    judge_run(store, "run-1", {"slow": "failed"}, [ops], time.time())
    with courier(store, ops) as running:
        running.start()
        hooks = server.wait_for(3)
    assert len({h.headers["webhook-id"] for h in hooks}) == 1


def test_a_slow_receiver_delays_nobody_else(store: Store, server: HookServer) -> None:
    release = threading.Event()

    def hang(handler) -> None:
        release.wait(10)

    with HookServer(hang) as stuck:
        slow, fast = settings(stuck, name="a-slow"), settings(server, name="fast")
        with courier(store, slow, fast) as running:
            judge_run(store, "run-1", {"slow": "failed"}, [slow, fast], time.time())
            running.start()
            stuck.wait_for(1)
            judge_run(store, "run-2", {"slow": "failed"}, [slow, fast], time.time())
            running.wake()
            server.wait_for(2)
            release.set()


def test_trouble_with_the_store_does_not_stop_the_courier(store: Store, server: HookServer, monkeypatch) -> None:
    ops = settings(server)
    monkeypatch.setattr("spanverdict.alerting.delivery._STORE_TROUBLE_SECONDS", 0.01)
    due, failures = store.outbox.due, iter([True, True])

    def flaky(*args, **more):
        if next(failures, False):
            raise OSError("disk on fire")
        return due(*args, **more)

    monkeypatch.setattr(store.outbox, "due", flaky)
    judge_run(store, "run-1", {"slow": "failed"}, [ops], time.time())
    with courier(store, ops) as running:
        running.start()
        server.wait_for(1)


def test_draining_delivers_everything_and_says_so(store: Store, server: HookServer) -> None:
    ops, dev = settings(server, retry_after_seconds=(0.01,)), settings(server, name="dev")
    server.script = [answer(503, Retry_After="0")]
    server.script.append(answer(200))
    quick = [settings(server, name=n, retry_after_seconds=(0.01,)) for n in ("ops", "dev")]
    judge_run(store, "run-1", {"slow": "failed"}, [ops, dev], time.time())
    report = Courier(store.outbox, quick, jitter=lambda: 0.0).drain(10)
    assert report == DrainReport(2, ())
    assert store.outbox.statistics().delivered == 2


def test_draining_ends_with_the_time_and_names_what_did_not_arrive(store: Store, server: HookServer) -> None:
    release = threading.Event()

    def hang(handler) -> None:
        release.wait(10)

    with HookServer(hang, hang) as stuck, HookServer(answer(410)) as gone, HookServer(answer(503)) as busy:
        names = {"stuck": stuck, "gone": gone, "busy": busy, "ops": server}
        receivers = [settings(s, name=n) for n, s in names.items()]
        judge_run(store, "run-1", {"slow": "failed"}, receivers, time.time())
        began = time.monotonic()
        report = Courier(store.outbox, receivers, jitter=lambda: 0.0).drain(0.5)
        assert time.monotonic() - began < 3
        release.set()
    assert report.delivered == 1
    assert {(u.receiver, u.attempts, u.error) for u in report.undelivered} == {
        ("stuck", 1, "no answer within 0.5 s"),
        ("gone", 1, "answered 410"),
        ("busy", 1, "answered 503"),
    }
    assert all(isinstance(u, Undelivered) and u.run_id == "run-1" for u in report.undelivered)


def test_draining_an_empty_outbox_is_over_at_once(store: Store, server: HookServer) -> None:
    began = time.monotonic()
    assert Courier(store.outbox, [settings(server)]).drain(30) == DrainReport(0, ())
    assert time.monotonic() - began < 5
