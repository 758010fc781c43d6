"""Runs: declared, touched, ended, judged, reopened, listed, found again after a restart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanverdict.storage.errors import UnknownRecord
from spanverdict.storage.records import RunDeclaration, RunRecord, RunState, RunTouch, Verdict
from spanverdict.storage.runs import InvalidCursor, RunStore
from spanverdict.storage.store import Store


@pytest.fixture
def runs(tmp_path: Path):
    with Store.open(tmp_path / "store.db", synchronous="OFF") as store:
        yield store.runs


def verdict(
    run_id: str = "r", revision: int = 1, *, through: int = 0, at: int = 50, outcome: str = "passed"
) -> Verdict:
    return Verdict(run_id, revision, outcome, True, '{"schema_version": 1}', through, at, ("fraud", "ads"))


def test_a_declared_run_is_open_and_has_no_batches(runs: RunStore) -> None:
    declared = runs.declare(RunDeclaration("r", 200, {"branch": "main"}, ("fraud",), ("ab" * 16,)), 7)
    assert declared == RunRecord(
        "r", True, 200, {"branch": "main"}, ("fraud",), 0, 0, 0, RunState.OPEN, 7, 7, None, traces=1
    )
    assert runs.get("r") == declared
    assert runs.traces("r") == ("ab" * 16,)
    assert runs.get("other") is None


def test_declaring_again_changes_nothing_and_declaring_more_adds(runs: RunStore) -> None:
    first = RunDeclaration("r", 200, {"branch": "main", "sha": "1"}, ("fraud",), ("b",))
    assert runs.declare(first, 7) == runs.declare(first, 7)
    merged = runs.declare(RunDeclaration("r", None, {"sha": "2", "model": "v3"}, (), ("a",)), 9)
    assert merged.labels == {"branch": "main", "sha": "2", "model": "v3"}
    assert (merged.expected_requests, merged.flows, merged.created_unix_nano) == (200, ("fraud",), 7)
    assert runs.traces("r") == ("a", "b")
    assert runs.declare(RunDeclaration("r", 300, {}, ("ads",)), 9).expected_requests == 300


def test_a_run_that_takes_untagged_spans_goes_on_taking_them(runs: RunStore) -> None:
    assert runs.declare(RunDeclaration("r", takes_untagged=True), 7).takes_untagged
    assert runs.declare(RunDeclaration("r"), 8).takes_untagged
    assert not runs.declare(RunDeclaration("s"), 8).takes_untagged


def test_a_run_that_nobody_declared_is_known_by_its_spans(runs: RunStore) -> None:
    runs.touch("r", 4, 4, 10)
    runs.touch_many([RunTouch("r", 2, 6, 12), RunTouch("s", 5, 5, 11), RunTouch("r", 3, 3, 9)])
    runs.touch_many([])
    r = runs.get("r")
    assert r is not None
    assert (r.declared, r.first_batch, r.last_batch, r.created_unix_nano, r.updated_unix_nano) == (False, 2, 6, 10, 12)
    declared = runs.declare(RunDeclaration("r", 5), 13)
    assert (declared.declared, declared.first_batch, declared.last_batch) == (True, 2, 6)


def test_batches_of_a_declared_run_are_noted(runs: RunStore) -> None:
    runs.declare(RunDeclaration("r"), 1)
    runs.touch("r", 9, 9, 2)
    runs.touch("r", 8, 8, 3)
    r = runs.get("r")
    assert r is not None
    assert (r.first_batch, r.last_batch) == (8, 9)


@settings(max_examples=30, deadline=None)
@given(
    touches=st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 50), st.integers(0, 9)), min_size=1),
    data=st.data(),
)
def test_touches_in_any_order_and_repeated_give_the_same_run(tmp_path_factory, touches, data) -> None:
    rows = [RunTouch(run, first, first + more, 5) for run, first, more in touches]
    shuffled = data.draw(st.permutations(rows)) + rows
    with Store.open(tmp_path_factory.mktemp("runs") / "store.db", synchronous="OFF") as store:
        store.runs.touch_many(rows)
        once = store.runs.unfinished()
        for row in shuffled:
            store.runs.touch_many([row])
        assert store.runs.unfinished() == once


def test_the_first_end_counts_and_an_unknown_run_cannot_end(runs: RunStore) -> None:
    runs.declare(RunDeclaration("r"), 1)
    runs.end("r", 20)
    again = runs.end("r", 30)
    assert again is not None
    assert (again.state, again.ended_unix_nano, again.updated_unix_nano) == (RunState.ENDED, 20, 30)
    assert runs.end("unknown", 1) is None
    assert runs.get("unknown") is None


def test_a_verdict_is_kept_and_judges_the_run(runs: RunStore) -> None:
    runs.touch("r", 1, 3, 10)
    runs.save_verdict(verdict(through=3))
    saved = runs.verdict("r")
    assert saved is not None
    assert (saved.run_id, saved.revision, saved.outcome, saved.complete) == ("r", 1, "passed", True)
    assert (saved.flows, saved.document, saved.created_unix_nano) == (("fraud", "ads"), '{"schema_version": 1}', 50)
    r = runs.get("r")
    assert r is not None
    assert (r.state, r.judged_through) == (RunState.JUDGED, 3)
    assert runs.unfinished() == ()


def test_late_spans_reopen_a_judged_run_until_the_next_revision(runs: RunStore) -> None:
    runs.touch("open", 1, 3, 10)
    runs.save_verdict(verdict("open", through=3))
    runs.touch("ended", 1, 3, 10)
    runs.end("ended", 11)
    runs.save_verdict(verdict("ended", through=3))
    runs.touch_many([RunTouch("open", 2, 3, 60), RunTouch("ended", 3, 3, 60)])
    assert runs.unfinished() == (), "batches that the verdict has seen change nothing"
    runs.touch_many([RunTouch("open", 4, 4, 61), RunTouch("ended", 4, 4, 61)])
    assert {(r.id, r.state, r.judged_through, r.last_batch) for r in runs.unfinished()} == {
        ("open", RunState.OPEN, 3, 4),
        ("ended", RunState.ENDED, 3, 4),
    }
    runs.save_verdict(verdict("open", 2, through=4, outcome="failed"))
    assert [r.id for r in runs.unfinished()] == ["ended"]
    latest, first = runs.verdict("open"), runs.verdict("open", 1)
    assert latest is not None
    assert first is not None
    assert ((latest.revision, latest.outcome), (first.revision, first.outcome)) == ((2, "failed"), (1, "passed"))
    assert runs.verdict("open", 3) is None


def test_spans_that_came_while_judging_leave_the_run_unfinished(runs: RunStore) -> None:
    runs.touch("r", 1, 5, 10)
    runs.save_verdict(verdict(through=3))
    assert [(r.id, r.judged_through) for r in runs.unfinished()] == [("r", 3)]


def test_a_run_without_any_span_can_be_judged(runs: RunStore) -> None:
    runs.declare(RunDeclaration("r", 10), 1)
    runs.save_verdict(verdict(through=0, outcome="failed"))
    r = runs.get("r")
    assert r is not None
    assert r.state is RunState.JUDGED


def test_the_same_revision_again_replaces_its_text(runs: RunStore) -> None:
    runs.touch("r", 1, 1, 1)
    runs.save_verdict(verdict(through=1))
    runs.save_verdict(replace(verdict(through=1), document="{}"))
    saved = runs.verdict("r")
    assert saved is not None
    assert saved.document == "{}"


def test_a_verdict_needs_its_run(runs: RunStore) -> None:
    with pytest.raises(UnknownRecord, match="no run 'ghost'"):
        runs.save_verdict(verdict("ghost"))
    assert runs.verdict("ghost") is None


def test_a_deleted_run_takes_its_verdicts_and_traces_along(runs: RunStore) -> None:
    runs.declare(RunDeclaration("r", traces=("a",)), 1)
    runs.save_verdict(verdict())
    assert runs.delete("r")
    assert not runs.delete("r")
    assert (runs.get("r"), runs.verdict("r"), runs.traces("r"), runs.undecided()) == (None, None, (), ())


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
def test_pages_give_every_run_once_newest_first(runs: RunStore, limit: int) -> None:
    for i, name in enumerate(["a", "b.c", "9.9", "d:e/f", "g", "h", "i"]):
        runs.touch(name, 1, 1, 100 + i // 2)
    expected = ["i", "h", "g", "d:e/f", "9.9", "b.c", "a"]
    seen, before = [], None
    while True:
        page = runs.list(limit, before)
        assert len(page.runs) <= limit
        seen += [r.id for r in page.runs]
        before = page.next
        if before is None:
            break
    assert seen == expected


@pytest.mark.parametrize("cursor", ["", "x", "12", "-1.a", "1e5.a", "٣.a", "9" * 400 + ".a"])
def test_a_cursor_that_we_did_not_make_is_refused(runs: RunStore, cursor: str) -> None:
    with pytest.raises(InvalidCursor, match="not where a page of runs ended"):
        runs.list(before=cursor)


def test_everything_is_found_again_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with Store.open(path) as store:
        store.runs.declare(RunDeclaration("old", 3, {"branch": "main"}), 1)
        store.runs.end("old", 2)
        store.runs.declare(RunDeclaration("nothing to judge yet", 3), 2)
        store.runs.declare(RunDeclaration("spans may come", traces=("0a" * 16,)), 3)
        store.runs.touch("new", 1, 2, 5)
        store.runs.touch("judged", 1, 2, 4)
        store.runs.save_verdict(verdict("judged", through=2))
    with Store.open(path) as store:
        assert [r.id for r in store.runs.unfinished()] == ["old", "spans may come", "new"]
        assert store.runs.undecided() == (("judged", 1),)
        saved = store.runs.verdict("judged")
        assert saved is not None
        assert not saved.alerts_decided


def test_labels_keep_any_text(runs: RunStore) -> None:
    labels = {"naïve \U0001f600": 'line\nbreak \x00 \ud800 "quoted"'}
    assert runs.declare(RunDeclaration("r", labels=labels), 1).labels == labels
