"""The outbox: alerts that were decided and wait for delivery, and which alerts are firing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from spanverdict.storage.database import Readers
from spanverdict.storage.errors import UnknownRecord
from spanverdict.storage.records import (
    AlertStateLike,
    NewDelivery,
    OutboxStatistics,
    QueuedDelivery,
    StoredAlertState,
)
from spanverdict.storage.writer import Writer

_MAX_ERROR_CHARACTERS = 500


_DELIVERY = "id, receiver, group_key, run_id, body, created_unix_nano, attempts, next_attempt_unix_nano, error"
# The eldest of its receiver and group: a resolved alert must not overtake the firing one.
_HEADS = (
    "FROM deliveries AS d WHERE state = 'pending' AND receiver = coalesce(:receiver, receiver) AND NOT EXISTS ("
    "SELECT 1 FROM deliveries AS e WHERE e.state = 'pending' AND e.receiver = d.receiver"
    " AND e.group_key = d.group_key AND e.seq < d.seq)"
)
_STATE = (
    "environment, branch, flow, rule, rule_group, firing, fingerprint, since_unix_nano, updated_unix_nano,"
    " run_id, labels, annotations"
)


class Outbox:
    """Keeps deliveries until they arrived or were given up, and the state of alerts. Thread-safe.

    Every method may raise `StoreUnavailable`.
    """

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    def decide(
        self,
        run_id: str,
        revision: int,
        deliveries: Iterable[NewDelivery],
        state_changes: Iterable[AlertStateLike],
    ) -> bool:
        """Take what a verdict leads to: messages and alert states, and the mark that it was decided.

        All of it or nothing is written. Returns False, having changed nothing, when this revision had
        been decided before: after a crash the decision can simply be made again.

        Raises:
            UnknownRecord: there is no such verdict.
        """
        new, changed = tuple(deliveries), tuple(state_changes)

        def change(connection: sqlite3.Connection) -> bool:
            return insert_decision(connection, (run_id, revision), new, changed)

        return self._writer.call(change)

    def enqueue(self, delivery: NewDelivery) -> None:
        """Put one message into the outbox, due at once."""
        self._writer.call(partial(_insert_deliveries, deliveries=(delivery,)))

    def due(self, now_unix_nano: int, receiver: str | None = None, limit: int = 100) -> tuple[QueuedDelivery, ...]:
        """Return what may be sent now, oldest first, at most one of each receiver and group."""
        with self._readers.borrow() as connection:
            rows = connection.execute(
                f"SELECT {_DELIVERY} {_HEADS} AND next_attempt_unix_nano <= :now ORDER BY seq LIMIT :limit",
                {"receiver": receiver, "now": now_unix_nano, "limit": limit},
            ).fetchall()
        return tuple(QueuedDelivery(*row) for row in rows)

    def next_due(self, receiver: str | None = None) -> int | None:
        """Return when the next message may be sent, in ns since the epoch; None when none waits."""
        with self._readers.borrow() as connection:
            (when,) = connection.execute(
                f"SELECT min(next_attempt_unix_nano) {_HEADS}",
                {"receiver": receiver},
            ).fetchone()
        return None if when is None else int(when)

    def pending(self) -> tuple[QueuedDelivery, ...]:
        """Return everything that waits, oldest first."""
        with self._readers.borrow() as connection:
            rows = connection.execute(
                f"SELECT {_DELIVERY} FROM deliveries WHERE state = 'pending' ORDER BY seq"  # noqa: S608 - constants only
            ).fetchall()
        return tuple(QueuedDelivery(*row) for row in rows)

    def claim(self, delivery_id: str, now_unix_nano: int, until_unix_nano: int) -> bool:
        """Take a message that is due, so that nobody else finds it due before `until_unix_nano`.

        Of several that try at once, also from other processes, one gets True. The claim ends with
        `succeeded` or `failed`, or by itself when whoever made it is no more.
        """

        def change(connection: sqlite3.Connection) -> bool:
            taken = connection.execute(
                "UPDATE deliveries SET next_attempt_unix_nano = ?"
                " WHERE id = ? AND state = 'pending' AND next_attempt_unix_nano <= ?",
                (until_unix_nano, delivery_id, now_unix_nano),
            )
            return taken.rowcount == 1

        return self._writer.call(change)

    def succeeded(self, delivery_id: str, now_unix_nano: int) -> None:
        """Note that a message arrived."""
        self._finish(delivery_id, "delivered", now_unix_nano, "")

    def failed(self, delivery_id: str, now_unix_nano: int, next_attempt_unix_nano: int | None, error: str) -> None:
        """Note a failed attempt and when to try again; None gives the message up."""
        if next_attempt_unix_nano is None:
            self._finish(delivery_id, "given_up", now_unix_nano, error)
            return

        def change(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE deliveries SET attempts = attempts + 1, next_attempt_unix_nano = ?, error = ?"
                " WHERE id = ? AND state = 'pending'",
                (next_attempt_unix_nano, error[:_MAX_ERROR_CHARACTERS], delivery_id),
            )

        self._writer.call(change)

    def statistics(self) -> OutboxStatistics:
        """Count the messages by how they ended."""
        with self._readers.borrow() as connection:
            counts = dict(connection.execute("SELECT state, count(*) FROM deliveries GROUP BY state").fetchall())
            (oldest,) = connection.execute(
                "SELECT min(created_unix_nano) FROM deliveries WHERE state = 'pending'"
            ).fetchone()
        return OutboxStatistics(counts.get("pending", 0), counts.get("delivered", 0), counts.get("given_up", 0), oldest)

    def forget_finished(self, before_unix_nano: int) -> int:
        """Delete messages that arrived or were given up before a time; return how many."""

        def change(connection: sqlite3.Connection) -> int:
            return connection.execute(
                "DELETE FROM deliveries WHERE state <> 'pending' AND finished_unix_nano < ?", (before_unix_nano,)
            ).rowcount

        return self._writer.call(change)

    def alert_states(self, environment: str, branch: str) -> tuple[StoredAlertState, ...]:
        """Return the states of all alerts of one branch in one environment, sorted by flow, rule and group."""
        return self._states("WHERE environment = ? AND branch = ?", (environment, branch))

    def firing(self) -> tuple[StoredAlertState, ...]:
        """Return every alert that fires, sorted by environment, branch, flow, rule and group."""
        return self._states("WHERE firing = 1", ())

    def put_alert_states(self, states: Iterable[AlertStateLike]) -> None:
        """Write alert states, replacing those of the same key."""
        self._writer.call(partial(_insert_states, states=tuple(states)))

    def _states(self, where: str, parameters: tuple[str, ...]) -> tuple[StoredAlertState, ...]:
        with self._readers.borrow() as connection:
            rows = connection.execute(
                f"SELECT {_STATE} FROM alert_states {where} ORDER BY environment, branch, flow, rule, rule_group",  # noqa: S608 - constants only
                parameters,
            ).fetchall()
        return tuple(map(_alert_state, rows))

    def _finish(self, delivery_id: str, state: str, now_unix_nano: int, error: str) -> None:
        def change(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE deliveries SET state = ?, attempts = attempts + 1, finished_unix_nano = ?, error = ?"
                " WHERE id = ? AND state = 'pending'",
                (state, now_unix_nano, error[:_MAX_ERROR_CHARACTERS], delivery_id),
            )

        self._writer.call(change)


def insert_decision(
    connection: sqlite3.Connection,
    verdict: tuple[str, int],
    deliveries: Sequence[NewDelivery],
    state_changes: Sequence[AlertStateLike],
) -> bool:
    """Write what the verdict (run id, revision) leads to, once."""
    marked = connection.execute(
        "UPDATE verdicts SET alerts_decided = 1 WHERE run_id = ? AND revision = ? AND alerts_decided = 0", verdict
    )
    if marked.rowcount == 0:
        if connection.execute("SELECT 1 FROM verdicts WHERE run_id = ? AND revision = ?", verdict).fetchone() is None:
            raise UnknownRecord(f"run {verdict[0]!r} has no verdict {verdict[1]}")
        return False
    _insert_deliveries(connection, deliveries)
    _insert_states(connection, state_changes)
    return True


def _insert_deliveries(connection: sqlite3.Connection, deliveries: Sequence[NewDelivery]) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO deliveries (id, receiver, group_key, run_id, body, state, created_unix_nano,"
        " next_attempt_unix_nano) VALUES (?, ?, ?, ?, ?, 'pending', ?, ?)",
        [
            (d.id, d.receiver, d.group_key, d.run_id, d.body, d.created_unix_nano, d.created_unix_nano)
            for d in deliveries
        ],
    )


def _insert_states(connection: sqlite3.Connection, states: Sequence[AlertStateLike]) -> None:
    connection.executemany(
        f"INSERT OR REPLACE INTO alert_states ({_STATE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constants only
        [
            (
                s.environment,
                s.branch,
                s.flow,
                s.rule,
                s.group,
                s.firing,
                s.fingerprint,
                s.since_unix_nano,
                s.updated_unix_nano,
                s.run_id,
                json.dumps(dict(s.labels), sort_keys=True),
                json.dumps(dict(s.annotations), sort_keys=True),
            )
            for s in states
        ],
    )


def _alert_state(row: tuple[Any, ...]) -> StoredAlertState:
    environment, branch, flow, rule, group, firing, fingerprint, since, updated, run_id, labels, annotations = row
    return StoredAlertState(
        environment=environment,
        branch=branch,
        flow=flow,
        rule=rule,
        group=group,
        firing=bool(firing),
        fingerprint=fingerprint,
        since_unix_nano=since,
        updated_unix_nano=updated,
        run_id=run_id,
        labels=json.loads(labels),
        annotations=json.loads(annotations),
    )
