"""What a restart takes up again from the store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from spanverdict.app.docket import KEEP_S
from spanverdict.app.storedruns import StoredRuns
from spanverdict.storage.records import RunDeclaration, Verdict
from spanverdict.storage.store import Store

TRACE = "ab" * 16


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "s.db", synchronous="OFF") as opened:
        yield opened


def judged(store: Store, run: str, traces: tuple[str, ...], at: int) -> None:
    store.runs.declare(RunDeclaration(run, traces=traces), at)
    store.runs.save_verdict(Verdict(run, 1, "passed", complete=True, document="{}", judged_through=0, at_unix_nano=at))


def test_a_judged_run_is_taken_up_when_late_spans_of_its_declared_traces_may_come(store: Store) -> None:
    """No span of them says whose it is, so nothing else would lead back to the run."""
    now = time.time_ns()
    store.journal.append(b"", now).result(10)
    judged(store, "untagged", (TRACE,), now)
    judged(store, "tagged", (), now)
    judged(store, "long ago", (TRACE,), now - int(2 * KEEP_S * 1e9))
    store.runs.declare(RunDeclaration("open"), now)
    records, _ = StoredRuns(store).left_over()
    assert [record.id for record in records] == ["open", "untagged"]
