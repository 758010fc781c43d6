"""What is said of a run after its verdict: a judged run is judged no longer when more is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from spanverdict.storage.records import RunDeclaration, RunState, Verdict
from spanverdict.storage.store import Store


@pytest.mark.parametrize(
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
