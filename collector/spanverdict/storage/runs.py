"""Runs and their verdicts: what was declared, which batches belong, what was judged."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from spanverdict.storage.database import Readers
from spanverdict.storage.errors import UnknownRecord
from spanverdict.storage.history import index_verdict
from spanverdict.storage.records import (
    RunDeclaration,
    RunPage,
    RunRecord,
    RunState,
    RunTouch,
    Verdict,
    VerdictRecord,
)
from spanverdict.storage.runfilter import RunFilter
from spanverdict.storage.samples import forget_unused, replace_samples
from spanverdict.storage.writer import Writer


class InvalidCursor(ValueError):  # noqa: N818 - says what is wrong
    """The text given as `before` did not come from a `RunPage`."""


_RUN = (
    "id, declared, expected_requests, labels, flows, first_batch, last_batch, judged_through, state,"
    " created_unix_nano, updated_unix_nano, ended_unix_nano, takes_untagged,"
    " (SELECT count(*) FROM run_traces WHERE run_id = runs.id)"
)
_VERDICT = "run_id, revision, flows, outcome, complete, document, created_unix_nano, alerts_decided"

# A run that was judged is judged no longer when a batch comes that its verdict has not seen.
_REOPENED = (
    "CASE WHEN state <> 'judged' OR (excluded.last_batch <= judged_through AND NOT :reopens) THEN state"
    " WHEN ended_unix_nano IS NULL THEN 'open' ELSE 'ended' END"
)
_TOUCH = f"""
    INSERT INTO runs (id, declared, labels, flows, first_batch, last_batch, state, created_unix_nano, updated_unix_nano)
    VALUES (:run_id, 0, '{{}}', '[]', :first, :last, 'open', :at, :at)
    ON CONFLICT (id) DO UPDATE SET
        first_batch = CASE first_batch WHEN 0 THEN excluded.first_batch ELSE min(first_batch, excluded.first_batch) END,
        last_batch = max(last_batch, excluded.last_batch),
        updated_unix_nano = max(updated_unix_nano, excluded.updated_unix_nano),
        state = {_REOPENED}
"""  # noqa: S608 - constants only
_DECLARE = """
    INSERT INTO runs (id, declared, expected_requests, labels, flows, first_batch, last_batch, state,
        created_unix_nano, updated_unix_nano, takes_untagged)
    VALUES (:id, 1, :expected, :labels, :flows, 0, 0, 'open', :at, :at, :takes_untagged)
    ON CONFLICT (id) DO UPDATE SET
        declared = 1,
        expected_requests = coalesce(excluded.expected_requests, expected_requests),
        labels = excluded.labels,
        flows = CASE excluded.flows WHEN '[]' THEN flows ELSE excluded.flows END,
        takes_untagged = max(takes_untagged, excluded.takes_untagged),
        updated_unix_nano = max(updated_unix_nano, excluded.updated_unix_nano)
"""
# Nor when more is said of it.
_REOPEN = "UPDATE runs SET state = CASE WHEN ended_unix_nano IS NULL THEN 'open' ELSE 'ended' END WHERE id = :id"
# A verdict that gave a run up does not know of an end that is announced after it.
_END = """
    UPDATE runs SET
        ended_unix_nano = coalesce(ended_unix_nano, :at),
        updated_unix_nano = max(updated_unix_nano, :at),
        state = CASE
            WHEN state = 'open' THEN 'ended'
            WHEN ended_unix_nano IS NULL AND NOT coalesce(
                (SELECT complete FROM verdicts WHERE run_id = :id ORDER BY revision DESC LIMIT 1), 1
            ) THEN 'ended'
            ELSE state
        END
    WHERE id = :id
"""


class RunStore:
    """Keeps runs and verdicts. What a method says is written is on disk when it returns. Thread-safe.

    Every method may raise `StoreUnavailable`.
    """

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    def declare(self, declaration: RunDeclaration, at_unix_nano: int) -> RunRecord:
        """Note what is said about a run; saying it again changes nothing, saying more adds and reopens a judged run.

        Labels and trace ids add up; where two declarations disagree the later one holds.
        """
        return self._writer.call(partial(_declare, declaration=declaration, at=at_unix_nano))

    def touch(self, run_id: str, first_batch: int, last_batch: int, at_unix_nano: int) -> None:
        """Note that batches hold spans of a run, which it need not have been told about before."""
        self.touch_many((RunTouch(run_id, first_batch, last_batch, at_unix_nano),))

    def touch_many(self, touches: Iterable[RunTouch]) -> None:
        """Note batches for many runs at once."""
        rows = [
            {
                "run_id": t.run_id,
                "first": t.first_batch,
                "last": t.last_batch,
                "at": t.at_unix_nano,
                "reopens": t.reopens,
            }
            for t in touches
        ]
        if rows:
            self._writer.call(partial(_execute_many, _TOUCH, rows))

    def end(self, run_id: str, at_unix_nano: int) -> RunRecord | None:
        """Note that a run sends no more requests; the first time counts. None when there is no such run.

        A run whose verdict is that it is incomplete is judged no longer: it may be whole now.
        """
        return self._writer.call(partial(_end, run_id=run_id, at=at_unix_nano))

    def get(self, run_id: str) -> RunRecord | None:
        """Return a run, or None."""
        with self._readers.borrow() as connection:
            return _get(connection, run_id)

    def list(self, limit: int = 50, before: str | None = None, chosen: RunFilter | None = None) -> RunPage:
        """Return a page of runs, newest first.

        Raises:
            InvalidCursor: `before` is not the `next` of an earlier page.
        """
        created, run_id = (2**63 - 1, "") if before is None else _parse_cursor(before)
        condition, given = (chosen or RunFilter()).where()
        with self._readers.borrow() as connection:
            rows = connection.execute(
                f"SELECT {_RUN} FROM runs WHERE {condition}"  # noqa: S608 - constants only
                " ORDER BY created_unix_nano DESC, id DESC LIMIT :limit",
                {**given, "created": created, "id": run_id, "limit": limit + 1},
            ).fetchall()
        runs = tuple(map(_run_record, rows[:limit]))
        last = runs[-1] if len(rows) > limit and runs else None
        return RunPage(runs, None if last is None else f"{last.created_unix_nano}.{last.id}")

    def unfinished(self) -> tuple[RunRecord, ...]:
        """Return the runs whose spans have not all been judged, oldest first: the work after a restart.

        Those that were only declared are not among them: nothing can be judged without spans, traces or an end.
        """
        with self._readers.borrow() as connection:
            rows = connection.execute(
                f"SELECT {_RUN} FROM runs WHERE state <> 'judged' AND (state <> 'open' OR last_batch > 0"  # noqa: S608 - constants only
                " OR id IN (SELECT run_id FROM run_traces)) ORDER BY created_unix_nano, id"
            ).fetchall()
        return tuple(map(_run_record, rows))

    def by_state(self) -> dict[str, int]:
        """Return how many runs are in each state."""
        with self._readers.borrow() as connection:
            found = dict(connection.execute("SELECT state, count(*) FROM runs GROUP BY state").fetchall())
        return {str(state): found.get(str(state), 0) for state in RunState}

    def claiming(self, since_unix_nano: int) -> tuple[RunRecord, ...]:
        """Return the judged runs that traces were declared for and something was heard of since, oldest first.

        Late spans of such traces are theirs, and no span says so.
        """
        with self._readers.borrow() as connection:
            rows = connection.execute(
                f"SELECT {_RUN} FROM runs WHERE state = 'judged' AND updated_unix_nano >= ?"  # noqa: S608 - constants only
                " AND id IN (SELECT run_id FROM run_traces) ORDER BY created_unix_nano, id",
                (since_unix_nano,),
            ).fetchall()
        return tuple(map(_run_record, rows))

    def traces(self, run_id: str) -> tuple[str, ...]:
        """Return the trace ids that were declared for a run, sorted."""
        with self._readers.borrow() as connection:
            rows = connection.execute(
                "SELECT trace_id FROM run_traces WHERE run_id = ? ORDER BY trace_id", (run_id,)
            ).fetchall()
        return tuple(trace_id for (trace_id,) in rows)

    def save_verdict(self, verdict: Verdict) -> None:
        """Keep a verdict; the same revision again replaces its text.

        The run is judged unless batches came that this verdict has not seen, or more was said that it does not know.

        Raises:
            UnknownRecord: there is no such run.
        """
        self._writer.call(partial(insert_verdict, verdict=verdict))

    def verdict(self, run_id: str, revision: int | None = None) -> VerdictRecord | None:
        """Return a run's verdict, by default its latest; None when there is none."""
        with self._readers.borrow() as connection:
            row = connection.execute(
                f"SELECT {_VERDICT} FROM verdicts WHERE run_id = ? AND revision = coalesce(?, revision)"  # noqa: S608 - constants only
                " ORDER BY revision DESC LIMIT 1",
                (run_id, revision),
            ).fetchone()
        return None if row is None else _verdict_record(row)

    def undecided(self) -> tuple[tuple[str, int], ...]:
        """Return (run id, revision) of the verdicts whose alerts were not decided before a crash, oldest first."""
        with self._readers.borrow() as connection:
            return tuple(
                connection.execute(
                    "SELECT run_id, revision FROM verdicts WHERE alerts_decided = 0"
                    " ORDER BY created_unix_nano, run_id, revision"
                ).fetchall()
            )

    def keep_verdict(self, run_id: str, through: int) -> None:
        """Note that no verdict will take in what came up to a batch: the latest one stays."""
        self._writer.call(
            partial(
                _execute_many,
                "UPDATE runs SET judged_through = max(judged_through, :through),"
                " state = CASE WHEN last_batch <= :through THEN 'judged' ELSE state END WHERE id = :id",
                [{"id": run_id, "through": through}],
            )
        )

    def delete(self, run_id: str) -> bool:
        """Forget a run and its verdicts; its spans stay in the journal until retention. False when unknown."""

        def change(connection: sqlite3.Connection) -> bool:
            known = connection.execute("DELETE FROM runs WHERE id = ?", (run_id,)).rowcount > 0
            forget_unused(connection)
            return known

        return self._writer.call(change)


def insert_verdict(connection: sqlite3.Connection, verdict: Verdict) -> None:
    """Write a verdict and what it means for its run."""
    known = _require(connection, verdict.run_id)
    connection.execute(
        "UPDATE runs SET judged_through = max(judged_through, :through),"
        " updated_unix_nano = max(updated_unix_nano, :at),"
        " state = CASE WHEN :knows_all AND last_batch <= :through THEN 'judged' ELSE state END WHERE id = :id",
        {
            "through": verdict.judged_through,
            "at": verdict.at_unix_nano,
            "id": verdict.run_id,
            "knows_all": _knows_all(verdict, known),
        },
    )
    connection.execute(
        f"INSERT INTO verdicts ({_VERDICT}) VALUES (?, ?, ?, ?, ?, ?, ?, 0)"  # noqa: S608 - constants only
        " ON CONFLICT (run_id, revision) DO UPDATE SET flows = excluded.flows, outcome = excluded.outcome,"
        " complete = excluded.complete, document = excluded.document, created_unix_nano = excluded.created_unix_nano",
        (
            verdict.run_id,
            verdict.revision,
            json.dumps(verdict.flows),
            verdict.outcome,
            verdict.complete,
            verdict.document,
            verdict.at_unix_nano,
        ),
    )
    index_verdict(connection, verdict.run_id, verdict.revision)
    replace_samples(connection, verdict.run_id, verdict.revision, verdict.samples)


def _knows_all(verdict: Verdict, known: RunRecord) -> bool:
    """Tell whether nothing was said of a run while it was judged; none is given up on that is known to have ended."""
    given_up = not verdict.complete
    return verdict.said in (None, known.said) and not (given_up and known.ended_unix_nano is not None)


def _declare(connection: sqlite3.Connection, declaration: RunDeclaration, at: int) -> RunRecord:
    known = _get(connection, declaration.id)
    labels = {**(known.labels if known else {}), **declaration.labels}
    values = {
        "id": declaration.id,
        "expected": declaration.expected_requests,
        "labels": json.dumps(labels, sort_keys=True),
        "flows": json.dumps(declaration.flows),
        "at": at,
        "takes_untagged": declaration.takes_untagged,
    }
    connection.execute(_DECLARE, values)
    connection.executemany(
        "INSERT OR IGNORE INTO run_traces (run_id, trace_id) VALUES (?, ?)",
        [(declaration.id, trace_id) for trace_id in declaration.traces],
    )
    record = _require(connection, declaration.id)
    if known is None or record.state is not RunState.JUDGED or record.said == known.said:
        return record
    connection.execute(_REOPEN, {"id": declaration.id})
    return _require(connection, declaration.id)


def _end(connection: sqlite3.Connection, run_id: str, at: int) -> RunRecord | None:
    connection.execute(_END, {"id": run_id, "at": at})
    return _get(connection, run_id)


def _execute_many(sql: str, rows: Sequence[Mapping[str, Any]], connection: sqlite3.Connection) -> None:
    connection.executemany(sql, rows)


def _get(connection: sqlite3.Connection, run_id: str) -> RunRecord | None:
    row = connection.execute(f"SELECT {_RUN} FROM runs WHERE id = ?", (run_id,)).fetchone()  # noqa: S608 - constants only
    return None if row is None else _run_record(row)


def _require(connection: sqlite3.Connection, run_id: str) -> RunRecord:
    record = _get(connection, run_id)
    if record is None:
        raise UnknownRecord(f"there is no run {run_id!r}")
    return record


def _run_record(row: tuple[Any, ...]) -> RunRecord:
    run_id, declared, expected, labels, flows, first, last, through, state, created, updated, ended, takes, traces = row
    return RunRecord(
        id=run_id,
        declared=bool(declared),
        expected_requests=expected,
        labels=json.loads(labels),
        flows=tuple(json.loads(flows)),
        first_batch=first,
        last_batch=last,
        judged_through=through,
        state=RunState(state),
        created_unix_nano=created,
        updated_unix_nano=updated,
        ended_unix_nano=ended,
        takes_untagged=bool(takes),
        traces=traces,
    )


def _verdict_record(row: tuple[Any, ...]) -> VerdictRecord:
    run_id, revision, flows, outcome, complete, document, created, decided = row
    return VerdictRecord(
        run_id, revision, tuple(json.loads(flows)), outcome, bool(complete), document, created, bool(decided)
    )


def _parse_cursor(text: str) -> tuple[int, str]:
    created, dot, run_id = text.partition(".")
    if not (dot and created.isascii() and created.isdigit()) or len(created) > len(str(2**63)):
        raise InvalidCursor(f"{text!r} is not where a page of runs ended")
    return min(int(created), 2**63 - 1), run_id
