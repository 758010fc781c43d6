"""The queue between gateway and ledger: kombu over a SQLite file, so that no broker needs installing."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kombu import Connection, Exchange, Message, Producer, Queue

DECISIONS = "decisions"
UNBOUND = "decisions.v2"
"""A routing key that no queue is bound to: a direct exchange drops what is sent there, silently."""

EXCHANGE = Exchange(DECISIONS, type="direct")
QUEUE = Queue(DECISIONS, EXCHANGE, routing_key=DECISIONS)
POLL_SECONDS = 0.01


def create(path: Path) -> None:
    """Create the broker's file, in the mode in which readers and writers do not block each other."""
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA journal_mode = WAL")


def _connect(path: Path) -> Connection:
    return Connection(f"sqla+sqlite:///{path}", transport_options={"connect_args": {"timeout": 20}})


class Outbox:
    """The publishing end; threads may share one."""

    def __init__(self, path: Path) -> None:
        self._connection = _connect(path)
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        self._producer = Producer(self._connection, EXCHANGE, serializer="json")
        QUEUE(self._connection.default_channel).declare()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.release()

    def publish(self, body: dict[str, Any], message_id: str, headers: dict[str, str], routing_key: str) -> None:
        """Store one message; it is in the queue when this returns, if a queue is bound to `routing_key`."""
        with self._turn:
            self._producer.publish(body, routing_key=routing_key, headers=headers, message_id=message_id)


class Inbox:
    """The consuming end, for one thread."""

    def __init__(self, path: Path) -> None:
        self._connection = _connect(path)

    def __enter__(self) -> Self:
        self._queue = QUEUE(self._connection.default_channel)
        self._queue.declare()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.release()

    def batch(self, at_most: int, linger: float) -> list[Message]:
        """Return what is queued, waiting up to `linger` seconds after the first for more; empty if nothing is."""
        messages = list(filter(None, [self._queue.get()]))
        until = time.monotonic() + linger
        while messages and len(messages) < at_most and time.monotonic() < until:
            if (message := self._queue.get()) is not None:
                messages.append(message)
            else:
                time.sleep(POLL_SECONDS)
        return messages
