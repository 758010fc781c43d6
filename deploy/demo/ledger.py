"""The ledger: takes decisions off the queue in batches and books each one.

A batch is a trace of its own: the queue ends the request's trace, and span links say what belongs together.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import book
import broker
import lifetime
import tracing
from kombu import Message
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind

BATCH = 8
LINGER_SECONDS = 0.05
IDLE_SECONDS = 0.01
MESSAGING = {"messaging.system": "kombu", "messaging.destination.name": broker.DECISIONS}

tracer = trace.get_tracer("demo.ledger")


def link_to_producer(message: Message) -> Link:
    """Return the link from whoever handles `message` to the span that published it."""
    sent_by = trace.get_current_span(propagate.extract(message.headers, context=Context())).get_span_context()
    return Link(sent_by, {"messaging.message.id": message.properties["message_id"]})


def settle_batch(entries: sqlite3.Connection, messages: list[Message], received_ns: int) -> None:
    """Book all messages of a batch in a trace of its own, linked to every producer."""
    with tracer.start_as_current_span(
        f"receive {broker.DECISIONS}",
        context=Context(),
        kind=SpanKind.CLIENT,
        links=[link_to_producer(message) for message in messages],
        start_time=received_ns,
        attributes={
            **MESSAGING,
            "messaging.operation.name": "receive",
            "messaging.operation.type": "receive",
            "messaging.batch.message_count": len(messages),
        },
    ):
        for message in messages:
            settle(entries, message)


def settle(entries: sqlite3.Connection, message: Message) -> None:
    """Book one decision, then acknowledge its message: in this order, so that a crash loses nothing."""
    decision = message.payload
    with tracer.start_as_current_span(
        f"process {broker.DECISIONS}",
        kind=SpanKind.CONSUMER,
        links=[link_to_producer(message)],
        attributes={
            **MESSAGING,
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.message.id": message.properties["message_id"],
            "request.id": decision["id"],
        },
    ):
        book.enter(entries, decision)
        message.ack()


def consume(inbox: broker.Inbox, entries: sqlite3.Connection, stop: threading.Event) -> None:
    """Settle batch after batch; once stopping is asked for, until the queue is empty."""
    while True:
        stopping = stop.is_set()
        received_ns = time.time_ns()
        if messages := inbox.batch(BATCH, LINGER_SECONDS):
            settle_batch(entries, messages, received_ns)
        elif stopping:
            return
        else:
            stop.wait(IDLE_SECONDS)


def main(broker_path: str, book_path: str) -> None:
    """Consume until stopped and the queue is empty, then export the last spans."""
    stop = lifetime.stop_asked()
    provider = tracing.start("ledger")
    broker.create(Path(broker_path))
    with broker.Inbox(Path(broker_path)) as inbox, closing(book.opened(Path(book_path))) as entries:
        lifetime.announce("ready")
        consume(inbox, entries, stop)
    provider.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
