"""Runs to follow: small flows, requests as span rows, and an archive in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from spantables import new_pool, table_of
from spanverdict.app.recollection import Recalled
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.rulefiles.loader import load
from spanverdict.rulefiles.models import Flow
from spanverdict.storage.errors import StoreUnavailable
from spanverdict.storage.records import RunRecord, RunState
from spanverdict.telemetry.spantable import SpanTable

MS = 1_000_000


def flow(name: str = "scoring", service: str = "gateway", complete: str = "") -> Flow:
    """Two stages, in services of their own names."""
    text = f"""
version: 1
flow: {name}
stages:
  - stage: ingest
    select: {{service: {service}, kind: server}}
  - stage: score
    select: {{service: scorer}}
{f"complete: {complete}" if complete else ""}
rules:
  - id: fast
    latency: request
    expect: {{p95: "< 200ms"}}
  - id: whole
    coverage: {{stages: all}}
    expect: {{ratio: ">= 99%"}}
"""
    problems = Problems()
    loaded = load(text, f"{name}.yaml", problems)
    assert loaded is not None, problems.sorted()
    return loaded


def ingest(number: int, run: str | None = "r", service: str = "gateway") -> dict[str, Any]:
    """The first stage of a request, and what tags it."""
    attributes = {"test.suite.run.id": run} if run else {}
    return {
        "trace": f"trace-{number}",
        "id": number * 10 + 1,
        "kind": "server",
        "start": 1_000 * MS,
        "end": 1_100 * MS,
        "resource": {"service.name": service},
        "attributes": attributes,
    }


def score(number: int) -> dict[str, Any]:
    """The second stage, which carries no tag."""
    return {
        "trace": f"trace-{number}",
        "id": number * 10 + 2,
        "parent": number * 10 + 1,
        "start": 1_010 * MS,
        "end": 1_050 * MS,
        "resource": {"service.name": "scorer"},
    }


def requests(*numbers: int, run: str | None = "r", service: str = "gateway") -> SpanTable:
    """Whole requests in one table."""
    return table_of([row for number in numbers for row in (ingest(number, run, service), score(number))], new_pool())


def record(run: str = "r", **more: Any) -> RunRecord:
    """A run as a store knows it."""
    values: dict[str, Any] = {
        "declared": True,
        "expected_requests": None,
        "labels": {},
        "flows": (),
        "first_batch": 0,
        "last_batch": 0,
        "judged_through": 0,
        "state": RunState.OPEN,
        "created_unix_nano": 1,
        "updated_unix_nano": 1,
        "ended_unix_nano": None,
    }
    return RunRecord(id=run, **values | more)


class MemoryArchive:
    """What was there before; refuses to be read while `broken`."""

    def __init__(self) -> None:
        self.known: dict[str, Recalled] = {}
        self.journal: dict[int, SpanTable] = {}
        self.broken = False
        self.read: list[int] = []
        self.first = 1
        self.kept: list[tuple[str, int]] = []

    def recall(self, run_id: str) -> Recalled | None:
        self._check()
        return self.known.get(run_id)

    def batches(self, first: int, last: int) -> Iterator[tuple[int, SpanTable]]:
        self._check()
        for number in range(first, last + 1):
            if number in self.journal:
                self.read.append(number)
                yield number, self.journal[number]

    def first_batch(self) -> int:
        self._check()
        return self.first

    def keep_verdict(self, run_id: str, through: int) -> None:
        self._check()
        self.kept.append((run_id, through))

    def _check(self) -> None:
        if self.broken:
            raise StoreUnavailable("the disk is gone")
