"""What is kept beside verdicts: samples, each once, and the index of what flows and rules came to."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from spanverdict.storage.history import FlowRecord, Wanted
from spanverdict.storage.records import RunDeclaration, Verdict
from spanverdict.storage.samples import DamagedSample, Role, SampleRecord
from spanverdict.storage.schema import MIGRATIONS, migrate
from spanverdict.storage.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.sqlite", synchronous="OFF") as opened:
        yield opened


def document(labels: dict[str, str] | None = None, second: int = 5, **rules: str) -> str:
    """A verdict of one flow, as much of it as the index reads."""
    found = {
        "run": {
            "labels": labels or {},
            "started": "2026-03-02T09:00:00.000000001Z",
            "ended": f"2026-03-02T09:00:{second:02}.123456789Z",
        },
        "flows": [
            {
                "flow": "scoring",
                "sha256": "abc",
                "outcome": max(rules.values(), default="passed"),
                "complete": True,
                "completeness": {"requests": 7},
            }
        ],
        "rules": [
            {
                "flow": "scoring",
                "id": name,
                "group": None,
                "outcome": outcome,
                "report_only": False,
                "samples": 7,
                "tags": ["smoke"],
                "observed": {"p95": 12},
            }
            for name, outcome in rules.items()
        ],
    }
    return json.dumps(found)


def sample(rule: str, data: bytes, role: Role = Role.MEASURED, group: str | None = None) -> SampleRecord:
    return SampleRecord(role, "scoring", rule, group, data)


def save(store: Store, run: str, *samples: SampleRecord, revision: int = 1, at: int = 0, text: str = "") -> None:
    store.runs.declare(RunDeclaration(run), at or 10)
    store.runs.save_verdict(
        Verdict(run, revision, "passed", True, text or document(fast="passed"), 0, at or 10, ("scoring",), samples)
    )


def count(store: Store, table: str) -> int:
    with closing(sqlite3.connect(store.path)) as connection:
        found: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return found


def kept(store: Store, run: str, revision: int = 1, role: Role = Role.MEASURED) -> list[tuple[str, str | None, bytes]]:
    found = store.history.samples(run, revision, role, "scoring")
    return [(one.rule, one.group, one.data) for one in found]


def test_samples_come_back_by_role_and_in_order(store: Store) -> None:
    measured = [sample("b", b"2", group="x"), sample("b", b"1"), sample("a", b"1"), sample("b", b"3", group="")]
    save(store, "run-1", *measured, sample("a", b"0", Role.BASELINE))
    assert kept(store, "run-1") == [("a", None, b"1"), ("b", None, b"1"), ("b", "", b"3"), ("b", "x", b"2")]
    assert kept(store, "run-1", role=Role.BASELINE) == [("a", None, b"0")]
    assert kept(store, "run-2") == []


def test_the_same_bytes_are_kept_once_and_as_long_as_a_verdict_needs_them(store: Store) -> None:
    save(store, "run-1", sample("a", b"same"), sample("b", b"own"))
    save(store, "run-2", sample("a", b"same", Role.BASELINE))
    assert count(store, "samples") == 2
    assert store.runs.delete("run-1")
    assert kept(store, "run-2", role=Role.BASELINE) == [("a", None, b"same")]
    assert count(store, "samples") == 1
    assert store.runs.delete("run-2")
    assert [count(store, table) for table in ("samples", "verdict_samples", "flow_verdicts", "rule_results")] == [0] * 4


def test_a_revision_that_is_saved_again_replaces_what_was_kept(store: Store) -> None:
    save(store, "run-1", sample("a", b"old"))
    save(store, "run-1", sample("a", b"new"))
    save(store, "run-1", sample("a", b"later"), revision=2)
    assert kept(store, "run-1") == [("a", None, b"new")]
    assert kept(store, "run-1", 2) == [("a", None, b"later")]


def test_damaged_bytes_are_noticed(store: Store) -> None:
    save(store, "run-1", sample("a", b"whole"))
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("UPDATE samples SET data = X'00'")
    with pytest.raises(DamagedSample, match="what rule a of run run-1 measured was damaged"):
        kept(store, "run-1")


def names(found: tuple[FlowRecord, ...]) -> list[str]:
    return [record.run_id for record in found]


def test_the_index_says_what_the_document_says(store: Store) -> None:
    save(store, "run-1", at=17, text=document({"branch": "main"}, fast="passed", whole="failed"))
    (found,) = store.history.flows(Wanted())
    assert (found.run_id, found.revision, found.flow, found.sha256) == ("run-1", 1, "scoring", "abc")
    assert (found.outcome, found.complete, found.requests, found.labels) == ("passed", True, 7, {"branch": "main"})
    assert found.started_unix_nano == 1_772_442_000_000_000_001
    assert found.ended_unix_nano == 1_772_442_005_123_456_789
    assert found.created_unix_nano == 17
    assert [(rule.rule, rule.outcome, rule.samples) for rule in found.rules] == [
        ("fast", "passed", 7),
        ("whole", "failed", 7),
    ]
    assert (found.rules[0].tags, found.rules[0].observed) == (("smoke",), {"p95": 12})


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), ["run-3", "run-2", "run-1"]),
        (Wanted(limit=1), ["run-3"]),
        (Wanted("scoring", complete=True), ["run-3", "run-2", "run-1"]),
        (Wanted("search"), []),
        (Wanted(labels={"branch": "main"}), ["run-3", "run-1"]),
        (Wanted(labels={"branch": ""}), ["run-2"]),
        (Wanted(labels={'na"me': "x"}), []),
        (Wanted(rules=["whole"]), ["run-2"]),
        (Wanted(rules=["whole", "fast"]), []),
        (Wanted(outcome="failed"), ["run-2"]),
        (Wanted(run="run-2"), ["run-2"]),
        (Wanted(heard_since_unix_nano=20), ["run-3", "run-2"]),
        (Wanted(before=(30, "run-3")), ["run-2", "run-1"]),
        (Wanted(since_unix_nano=1_772_442_002_123_456_789), ["run-3", "run-2"]),
        (Wanted(until_unix_nano=1_772_442_002_123_456_788), ["run-1"]),
    ],
)  # fmt: skip
def test_verdicts_are_found_by_what_is_wanted(store: Store, wanted: Wanted, expected: list[str]) -> None:
    save(store, "run-1", at=10, text=document({"branch": "main"}, 1, fast="passed"))
    save(store, "run-2", at=20, text=document({}, 2, whole="failed"))
    save(store, "run-3", at=30, text=document({"branch": "main"}, 3, fast="passed"))
    assert names(store.history.flows(wanted)) == expected


def test_of_several_revisions_the_latest_counts(store: Store) -> None:
    save(store, "run-1", text=document(fast="failed"))
    save(store, "run-1", revision=2, text=document(fast="passed"))
    (found,) = store.history.flows(Wanted())
    assert (found.revision, found.outcome) == (2, "passed")
    assert store.history.flows(Wanted(outcome="failed")) == ()


def test_an_earlier_store_is_indexed_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, MIGRATIONS[:2])
        values: tuple[Any, ...] = ("run-1", "{}", "[]")
        connection.execute(
            "INSERT INTO runs (id, declared, labels, flows, first_batch, last_batch, state, created_unix_nano,"
            " updated_unix_nano) VALUES (?, 1, ?, ?, 0, 0, 'judged', 5, 5)", values,
        )  # fmt: skip
        connection.execute(
            "INSERT INTO verdicts VALUES ('run-1', 1, '[\"scoring\"]', 'passed', 1, ?, 5, 1)",
            (document(fast="passed"),),
        )
    with Store.open(path) as store:
        (found,) = store.history.flows(Wanted())
    assert (found.run_id, [rule.rule for rule in found.rules]) == ("run-1", ["fast"])
