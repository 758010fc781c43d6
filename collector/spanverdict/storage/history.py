"""The index of verdicts: what each flow and rule came to in each run, taken from the documents themselves.

The document of a verdict is what counts; these tables say no more than it does, and are written
from it by the statements below, also for documents from before there was an index.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from spanverdict.storage.database import Readers
from spanverdict.storage.samples import Role, SampleRecord, read_samples

_NANOS: Final = "CAST(strftime('%s', substr({0}, 1, 19)) AS INTEGER) * 1000000000 + CAST(substr({0}, 21, 9) AS INTEGER)"
"""From RFC 3339 with nine digits; NULL of NULL."""
_STARTED, _ENDED = (_NANOS.format(f"json_extract(document, '$.run.{name}')") for name in ("started", "ended"))

_OF_FLOWS: Final = f"""
    INSERT INTO flow_verdicts
    SELECT run_id, revision, json_extract(flow.value, '$.flow'), json_extract(flow.value, '$.sha256'),
        json_extract(flow.value, '$.outcome'), json_extract(flow.value, '$.complete'),
        json_extract(flow.value, '$.completeness.requests'), json_extract(document, '$.run.labels'),
        coalesce({_STARTED}, created_unix_nano), coalesce({_ENDED}, created_unix_nano)
    FROM verdicts, json_each(document, '$.flows') AS flow
"""  # noqa: S608 - constants only
_OF_RULES: Final = """
    INSERT INTO rule_results
    SELECT run_id, revision, json_extract(rule.value, '$.flow'), json_extract(rule.value, '$.id'),
        json_extract(rule.value, '$.group'), json_extract(rule.value, '$.outcome'),
        json_extract(rule.value, '$.report_only'), json_extract(rule.value, '$.samples'),
        json_extract(rule.value, '$.tags'), json_extract(rule.value, '$.observed')
    FROM verdicts, json_each(document, '$.rules') AS rule
"""

TABLES: Final = (
    """CREATE TABLE flow_verdicts (
        run_id TEXT NOT NULL,
        revision INTEGER NOT NULL,
        flow TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        outcome TEXT NOT NULL,
        complete INTEGER NOT NULL,
        requests INTEGER NOT NULL,
        labels TEXT NOT NULL,
        started_unix_nano INTEGER NOT NULL,
        ended_unix_nano INTEGER NOT NULL,
        PRIMARY KEY (run_id, revision, flow),
        FOREIGN KEY (run_id, revision) REFERENCES verdicts (run_id, revision) ON DELETE CASCADE
    ) WITHOUT ROWID""",
    "CREATE INDEX flow_verdicts_by_age ON flow_verdicts (flow, ended_unix_nano)",
    """CREATE TABLE rule_results (
        run_id TEXT NOT NULL,
        revision INTEGER NOT NULL,
        flow TEXT NOT NULL,
        rule TEXT NOT NULL,
        rule_group TEXT,
        outcome TEXT NOT NULL,
        report_only INTEGER NOT NULL,
        samples INTEGER NOT NULL,
        tags TEXT NOT NULL,
        observed TEXT NOT NULL,
        FOREIGN KEY (run_id, revision) REFERENCES verdicts (run_id, revision) ON DELETE CASCADE
    )""",
    "CREATE INDEX rule_results_by_verdict ON rule_results (run_id, revision, flow, rule)",
    _OF_FLOWS,
    _OF_RULES,
)
"""What a store needs for the index, and the index of what it holds."""


@dataclass(frozen=True, slots=True)
class RuleRecord:
    """What one rule (and group) came to in one run."""

    rule: str
    group: str | None
    outcome: str
    report_only: bool
    samples: int
    tags: tuple[str, ...]
    observed: Mapping[str, float | int | None]
    """By statistic, in base units."""


@dataclass(frozen=True, slots=True)
class FlowRecord:
    """What one flow came to in one run, by the latest revision of its verdict."""

    run_id: str
    revision: int
    flow: str
    sha256: str
    """Of the rule file."""
    outcome: str
    complete: bool
    requests: int
    labels: Mapping[str, str]
    started_unix_nano: int
    ended_unix_nano: int
    """Of the run's last span; when it was judged, for one without."""
    created_unix_nano: int
    """When the run was first heard of."""
    rules: tuple[RuleRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which verdicts are asked for; what is not said does not matter."""

    flow: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    """An empty text: the label is not there, or is empty."""
    outcome: str | None = None
    complete: bool | None = None
    run: str | None = None
    rules: Sequence[str] = ()
    """Rules that the verdict has to have a result of, all of them."""
    since_unix_nano: int | None = None
    """Runs that ended then or later."""
    until_unix_nano: int | None = None
    """Runs that ended then or earlier."""
    heard_since_unix_nano: int | None = None
    """Runs that were first heard of then or later."""
    before: tuple[int, str] | None = None
    """(creation, id) of a run; those that were first heard of earlier."""
    limit: int = -1

    def where(self) -> tuple[str, dict[str, Any]]:
        """Return the condition in SQL, and its parameters."""
        asked: dict[str, Any] = {
            "f.flow = :flow": self.flow,
            "f.run_id = :run_id": self.run,
            "f.outcome = :outcome": self.outcome,
            "f.complete = :complete": self.complete,
            "f.ended_unix_nano >= :since": self.since_unix_nano,
            "f.ended_unix_nano <= :until": self.until_unix_nano,
            "r.created_unix_nano >= :heard": self.heard_since_unix_nano,
        }
        parts = [_LATEST, *(part for part, value in asked.items() if value is not None)]
        given = {part.rpartition(":")[2]: value for part, value in asked.items() if value is not None}
        if self.before is not None:
            parts.append("(r.created_unix_nano, r.id) < (:created, :run)")
            given["created"], given["run"] = self.before
        for number, (name, value) in enumerate(self.labels.items()):
            parts.append(_LABEL.format(number))
            given[f"name{number}"], given[f"value{number}"] = name, value
        for number, rule in enumerate(self.rules):
            parts.append(_RULE.format(number))
            given[f"rule{number}"] = rule
        return " AND ".join(parts), given


_LATEST: Final = "f.revision = (SELECT max(revision) FROM verdicts AS v WHERE v.run_id = f.run_id)"
_LABEL: Final = "coalesce((SELECT value FROM json_each(f.labels) WHERE key = :name{0}), '') = :value{0}"
_RULE: Final = (
    "EXISTS (SELECT 1 FROM rule_results AS x WHERE x.run_id = f.run_id AND x.revision = f.revision"
    " AND x.flow = f.flow AND x.rule = :rule{0})"
)
_FLOWS: Final = """
    SELECT f.run_id, f.revision, f.flow, f.sha256, f.outcome, f.complete, f.requests, f.labels, f.started_unix_nano,
        f.ended_unix_nano, r.created_unix_nano
    FROM flow_verdicts AS f JOIN runs AS r ON r.id = f.run_id WHERE {}
    ORDER BY r.created_unix_nano DESC, f.run_id DESC, f.flow LIMIT :limit
"""


class History:
    """What runs came to. Thread-safe; every method may raise `StoreUnavailable`."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    def flows(self, wanted: Wanted) -> tuple[FlowRecord, ...]:
        """Return verdicts of flows with the results of their rules, the run first heard of last comes first."""
        condition, given = wanted.where()
        with self._readers.borrow() as connection:
            rows = connection.execute(_FLOWS.format(condition), given | {"limit": wanted.limit}).fetchall()
            return tuple(_flow_record(connection, row) for row in rows)

    def samples(self, run_id: str, revision: int, role: Role, flow: str) -> tuple[SampleRecord, ...]:
        """Return what the rules of a flow measured, or what they were compared with.

        Raises:
            DamagedSample: the bytes are not those that were stored.
        """
        with self._readers.borrow() as connection:
            return read_samples(connection, run_id, revision, role, flow)


def index_verdict(connection: sqlite3.Connection, run_id: str, revision: int) -> None:
    """Write what the index says of a verdict, in place of what it said before."""
    for table, statement in (("flow_verdicts", _OF_FLOWS), ("rule_results", _OF_RULES)):
        connection.execute(f"DELETE FROM {table} WHERE run_id = ? AND revision = ?", (run_id, revision))  # noqa: S608 - constants only
        connection.execute(f"{statement} WHERE run_id = ? AND revision = ?", (run_id, revision))


def _flow_record(connection: sqlite3.Connection, row: tuple[Any, ...]) -> FlowRecord:
    run_id, revision, flow, sha256, outcome, complete, requests, labels, started, ended, created = row
    rules = connection.execute(
        "SELECT rule, rule_group, outcome, report_only, samples, tags, observed FROM rule_results"
        " WHERE run_id = ? AND revision = ? AND flow = ? ORDER BY rowid",
        (run_id, revision, flow),
    ).fetchall()
    return FlowRecord(
        run_id,
        revision,
        flow,
        sha256,
        outcome,
        bool(complete),
        requests,
        json.loads(labels),
        started,
        ended,
        created,
        tuple(_rule_record(rule) for rule in rules),
    )


def _rule_record(row: tuple[Any, ...]) -> RuleRecord:
    rule, group, outcome, report_only, samples, tags, observed = row
    return RuleRecord(rule, group, outcome, bool(report_only), samples, tuple(json.loads(tags)), json.loads(observed))
