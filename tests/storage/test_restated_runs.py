"""What is said of a run after its verdict: a judged run is judged no longer when more is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spanverdict.storage.records import RunDeclaration, RunState, Verdict
from spanverdict.storage.store import Store

SAID_AGAIN = pytest.mark.parametrize(
    ("again", "state"),
    [
        ({}, RunState.JUDGED),
        ({"expected_requests": 5, "labels": {"branch": "main"}, "traces": ("ab" * 16,)}, RunState.JUDGED),
        ({"labels": {}}, RunState.JUDGED),
        ({"expected_requests": 6}, RunState.OPEN),
        ({"labels": {"branch": "other"}}, RunState.OPEN),
        ({"labels": {"commit": "abc"}}, RunState.OPEN),
        ({"flows": ("scoring",)}, RunState.OPEN),
        ({"traces": ("cd" * 16,)}, RunState.OPEN),
        ({"takes_untagged": True}, RunState.OPEN),
    ],
)


@SAID_AGAIN
@pytest.mark.parametrize("ended", [False, True])
def test_only_what_a_verdict_does_not_know_reopens_a_run(
    tmp_path: Path, again: dict[str, Any], state: RunState, ended: bool
) -> None:
    with Store.open(tmp_path / "s.db", synchronous="OFF") as store:
        store.runs.declare(RunDeclaration("r", 5, {"branch": "main"}, (), ("ab" * 16,)), 1)
        if ended:
            store.runs.end("r", 2)
        store.runs.touch("r", 1, 3, 3)
        store.runs.save_verdict(
            Verdict("r", 1, "passed", complete=True, document="{}", judged_through=3, at_unix_nano=4)
        )
        said = store.runs.declare(RunDeclaration("r", **again), 5)
        if state is RunState.OPEN and ended:
            state = RunState.ENDED
        assert said.state is state
        assert [run.id for run in store.runs.unfinished()] == ([] if state is RunState.JUDGED else ["r"])
        store.runs.save_verdict(
            Verdict("r", 2, "failed", complete=True, document="{}", judged_through=3, at_unix_nano=6)
        )
        assert store.runs.unfinished() == ()


@SAID_AGAIN
def test_a_run_is_not_judged_by_a_verdict_that_does_not_know_what_was_said_meanwhile(
    tmp_path: Path, again: dict[str, Any], state: RunState
) -> None:
    with Store.open(tmp_path / "s.db", synchronous="OFF") as store:
        known = store.runs.declare(RunDeclaration("r", 5, {"branch": "main"}, (), ("ab" * 16,)), 1).said
        said = store.runs.declare(RunDeclaration("r", **again), 2).said
        verdict = Verdict("r", 1, "passed", complete=True, document="{}", judged_through=0, at_unix_nano=4, said=known)
        store.runs.save_verdict(verdict)
        assert [run.state for run in store.runs.unfinished()] == ([] if state is RunState.JUDGED else [state])
        store.runs.save_verdict(replace(verdict, revision=2, said=said))
        assert store.runs.unfinished() == ()


@pytest.mark.parametrize("complete", [False, True])
def test_a_run_is_not_judged_by_giving_it_up_while_its_end_is_announced(tmp_path: Path, complete: bool) -> None:
    with Store.open(tmp_path / "s.db", synchronous="OFF") as store:
        store.runs.declare(RunDeclaration("r", 5), 1)
        store.runs.end("r", 2)
        store.runs.save_verdict(Verdict("r", 1, "failed", complete, document="{}", judged_through=0, at_unix_nano=4))
        assert [run.state for run in store.runs.unfinished()] == ([] if complete else [RunState.ENDED])
