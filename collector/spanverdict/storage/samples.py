"""What rules measured, kept beside verdicts: opaque bytes, each stored once however many verdicts refer to it.

A verdict refers to what its own rules measured, and to what they were compared with. So a baseline
outlives the run that it came from for as long as a verdict needs it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

TABLES: Final = (
    """CREATE TABLE samples (
        id INTEGER PRIMARY KEY,
        sha256 BLOB NOT NULL UNIQUE,
        data BLOB NOT NULL
    )""",
    # `rule_group` is NULL for a rule without groups.
    """CREATE TABLE verdict_samples (
        run_id TEXT NOT NULL,
        revision INTEGER NOT NULL,
        role TEXT NOT NULL CHECK (role IN ('measured', 'baseline')),
        flow TEXT NOT NULL,
        rule TEXT NOT NULL,
        rule_group TEXT,
        sample INTEGER NOT NULL REFERENCES samples (id),
        FOREIGN KEY (run_id, revision) REFERENCES verdicts (run_id, revision) ON DELETE CASCADE
    )""",
    "CREATE INDEX verdict_samples_by_verdict ON verdict_samples (run_id, revision, role, flow)",
    "CREATE INDEX verdict_samples_by_sample ON verdict_samples (sample)",
)
"""What a store needs for them."""


class Role(StrEnum):
    """What a sample is to the verdict that refers to it."""

    MEASURED = "measured"
    BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class SampleRecord:
    """What one rule (and group) of a flow measured, in this run or in its baseline."""

    role: Role
    flow: str
    rule: str
    group: str | None
    data: bytes


class DamagedSample(Exception):  # noqa: N818 - says what is wrong
    """What is stored is not what was stored."""


def replace_samples(
    connection: sqlite3.Connection, run_id: str, revision: int, samples: Iterable[SampleRecord]
) -> None:
    """Let a verdict refer to these samples and no others."""
    connection.execute("DELETE FROM verdict_samples WHERE run_id = ? AND revision = ?", (run_id, revision))
    for sample in samples:
        digest = sha256(sample.data).digest()
        connection.execute("INSERT OR IGNORE INTO samples (sha256, data) VALUES (?, ?)", (digest, sample.data))
        connection.execute(
            "INSERT INTO verdict_samples (run_id, revision, role, flow, rule, rule_group, sample)"
            " SELECT ?, ?, ?, ?, ?, ?, id FROM samples WHERE sha256 = ?",
            (run_id, revision, sample.role, sample.flow, sample.rule, sample.group, digest),
        )


def forget_unused(connection: sqlite3.Connection) -> None:
    """Delete the samples that no verdict refers to any more."""
    connection.execute("DELETE FROM samples WHERE id NOT IN (SELECT sample FROM verdict_samples)")


def read_samples(
    connection: sqlite3.Connection, run_id: str, revision: int, role: Role, flow: str
) -> tuple[SampleRecord, ...]:
    """Return the samples of one flow that a verdict refers to.

    Raises:
        DamagedSample: the bytes are not those that were stored.
    """
    rows = connection.execute(
        "SELECT rule, rule_group, sha256, data FROM verdict_samples JOIN samples ON samples.id = sample"
        " WHERE run_id = ? AND revision = ? AND role = ? AND flow = ? ORDER BY rule, rule_group",
        (run_id, revision, role, flow),
    ).fetchall()
    found = []
    for rule, group, digest, data in rows:
        if sha256(data).digest() != digest:
            raise DamagedSample(f"what rule {rule} of run {run_id} measured was damaged on disk")
        found.append(SampleRecord(role, flow, rule, group, data))
    return tuple(found)
