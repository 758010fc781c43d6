"""The outbox: decided once, handed out in order, tried until delivered or given up."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from spanverdict.storage.errors import UnknownRecord
from spanverdict.storage.outbox import Outbox
from spanverdict.storage.records import OutboxStatistics, StoredAlertState, Verdict
from spanverdict.storage.store import Store


@dataclass(frozen=True)
class Message:
    id: str
    receiver: str = "ops"
    group_key: str = "g"
    run_id: str = "r"
    body: bytes = b"{}"
    created_unix_nano: int = 10


STATE = StoredAlertState("ci", "main", "fraud", "slow", "", True, "00ff", 5, 6, "r", {"alertname": "slow"}, {"a": "b"})


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path / "store.db", synchronous="OFF") as opened:
        opened.runs.touch("r", 1, 1, 1)
        yield opened


@pytest.fixture
def outbox(store: Store) -> Outbox:
    return store.outbox


def save(store: Store, revision: int = 1) -> Verdict:
    verdict = Verdict("r", revision, "failed", True, "{}", 1, 1)
    store.runs.save_verdict(verdict)
    return verdict


def ids(deliveries) -> list[str]:
    return [d.id for d in deliveries]


def test_of_several_that_claim_a_message_one_gets_it_until_its_time_is_over(tmp_path: Path, store: Store) -> None:
    store.outbox.enqueue(Message("m1"))
    with Store.open(tmp_path / "store.db", synchronous="OFF") as other:
        outboxes = (store.outbox, other.outbox)
        assert [outbox.claim("m1", 10, 20) for outbox in outboxes] == [True, False]
        assert [ids(outbox.due(19)) for outbox in outboxes] == [[], []]
        assert (ids(store.outbox.pending()), other.outbox.next_due()) == (["m1"], 20)
        assert [outbox.claim("m1", 20, 30) for outbox in reversed(outboxes)] == [True, False]
        other.outbox.failed("m1", 21, 25, "answered 503")
        assert store.outbox.claim("m1", 25, 35)
        store.outbox.succeeded("m1", 26)
        assert not other.outbox.claim("m1", 99, 100)
    assert not store.outbox.claim("unheard-of", 1, 2)


def test_a_message_that_nobody_claims_in_time_keeps_its_place(store: Store, outbox: Outbox) -> None:
    outbox.enqueue(Message("m1"))
    outbox.enqueue(Message("m2", created_unix_nano=11))
    assert outbox.claim("m1", 10, 20)
    assert ids(outbox.due(15)) == [], "the second of a group does not overtake the first while that is sent"
    assert ids(outbox.due(20)) == ["m1"]


def test_a_decision_is_taken_once(store: Store, outbox: Outbox) -> None:
    save(store)
    assert store.runs.undecided() == (("r", 1),)
    assert outbox.decide("r", 1, [Message("m1")], [STATE])
    assert not outbox.decide("r", 1, [Message("m2")], [replace(STATE, firing=False)])
    assert ids(outbox.pending()) == ["m1"]
    assert outbox.alert_states("ci", "main") == (STATE,) == outbox.firing()
    assert store.runs.undecided() == ()
    save(store)
    assert store.runs.undecided() == (), "saving the same revision again does not reopen its decision"


def test_a_decision_without_its_verdict_is_refused_and_leaves_nothing(outbox: Outbox) -> None:
    with pytest.raises(UnknownRecord, match="run 'r' has no verdict 4"):
        outbox.decide("r", 4, [Message("m")], [STATE])
    assert (outbox.pending(), outbox.firing()) == ((), ())


def test_a_decision_that_fails_halfway_leaves_nothing(store: Store, outbox: Outbox) -> None:
    save(store)
    broken = replace(STATE, labels={"x": object()})  # type: ignore[dict-item]
    with pytest.raises(TypeError):
        outbox.decide("r", 1, [Message("m")], [broken])
    assert (outbox.pending(), outbox.firing()) == ((), ())
    assert outbox.decide("r", 1, [Message("m")], [STATE])


def test_a_verdict_and_its_alerts_can_be_written_in_one_go(store: Store, outbox: Outbox) -> None:
    verdict = Verdict("r", 1, "failed", True, "{}", 1, 1)
    assert store.conclude(verdict, [Message("m")], [STATE])
    assert not store.conclude(verdict, [Message("n")], [])
    assert (ids(outbox.pending()), outbox.firing(), store.runs.undecided()) == (["m"], (STATE,), ())
    with pytest.raises(UnknownRecord):
        store.conclude(replace(verdict, run_id="ghost"), [Message("o")], [])
    assert ids(outbox.pending()) == ["m"]


DECIDE_AND_DIE = """
import os, sys
from spanverdict.storage.store import Store
sys.path.insert(0, sys.argv[2])
from test_outbox import Message, STATE, Verdict
store = Store.open(sys.argv[1])
store.runs.touch("r", 1, 1, 1)
for revision in range(1, 10**9):
    store.conclude(Verdict("r", revision, "failed", True, "{}", 1, 1), [Message(f"m{revision}")], [STATE])
    print(revision, flush=True)
"""


def test_after_kill_9_there_are_both_a_verdict_and_its_alerts_or_neither(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    command = [sys.executable, "-c", DECIDE_AND_DIE, str(path), str(Path(__file__).parent)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    told = [int(child.stdout.readline()) for _ in range(40)][-1]
    child.kill()
    child.communicate()
    with Store.open(path) as store:
        latest = store.runs.verdict("r")
        assert latest is not None
        assert latest.revision >= told
        assert latest.alerts_decided
        assert ids(store.outbox.pending()) == [f"m{i}" for i in range(1, latest.revision + 1)]


def test_a_message_is_due_at_once_and_after_a_failure_when_it_says(outbox: Outbox) -> None:
    outbox.enqueue(Message("m"))
    outbox.enqueue(Message("m"))
    assert ids(outbox.due(9)) == []
    assert ids(outbox.due(10)) == ["m"]
    outbox.failed("m", 11, 500, "503")
    assert (ids(outbox.due(499)), outbox.next_due()) == ([], 500)
    (again,) = outbox.due(500)
    assert (again.attempts, again.error, again.body, again.created_unix_nano) == (1, "503", b"{}", 10)
    outbox.succeeded("m", 600)
    assert (outbox.pending(), outbox.next_due(), outbox.due(10**18)) == ((), None, ())


def test_a_given_up_message_is_counted_and_not_tried_again(outbox: Outbox) -> None:
    for name in ("a", "b", "c"):
        outbox.enqueue(Message(name, group_key=name))
    outbox.failed("a", 20, None, "x" * 2000)
    outbox.succeeded("b", 21)
    outbox.failed("a", 30, 40, "too late")
    assert outbox.statistics() == OutboxStatistics(1, 1, 1, 10)
    assert ids(outbox.due(10**18)) == ["c"]
    assert (outbox.forget_finished(21), outbox.forget_finished(10**18)) == (1, 1)
    assert outbox.statistics() == OutboxStatistics(1, 0, 0, 10)


def test_messages_of_one_receiver_and_group_never_overtake_each_other(outbox: Outbox) -> None:
    outbox.enqueue(Message("firing"))
    outbox.enqueue(Message("resolved"))
    outbox.enqueue(Message("other group", group_key="h"))
    outbox.enqueue(Message("other receiver", receiver="dev"))
    assert ids(outbox.due(10)) == ["firing", "other group", "other receiver"]
    assert ids(outbox.due(10, "dev")) == ["other receiver"]
    outbox.failed("firing", 11, 900, "503")
    assert ids(outbox.due(100, "ops")) == ["other group"]
    assert (outbox.next_due("ops"), outbox.next_due("nobody")) == (10, None)
    outbox.succeeded("other group", 12)
    assert outbox.next_due("ops") == 900, "the resolved one waits although it is due"
    outbox.succeeded("firing", 901)
    assert ids(outbox.due(901, "ops")) == ["resolved"]


def test_messages_and_states_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with Store.open(path) as store:
        store.outbox.enqueue(Message("m", body=b"\x00\xff"))
        store.outbox.failed("m", 11, 500, "503")
        store.outbox.put_alert_states([STATE, replace(STATE, branch="dev"), replace(STATE, group="v2", firing=False)])
    with Store.open(path) as store:
        (message,) = store.outbox.pending()
        assert (message.id, message.body, message.attempts) == ("m", b"\x00\xff", 1)
        assert store.outbox.alert_states("ci", "main") == (STATE, replace(STATE, group="v2", firing=False))
        assert [s.branch for s in store.outbox.firing()] == ["dev", "main"]
        assert store.outbox.alert_states("prod", "main") == ()
