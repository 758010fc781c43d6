"""Orders and refunds through a broker, fetched in batches: what the messaging pack is tried on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.trace import Span
from opentelemetry.trace import SpanKind

from rules.recording import Recording

MESSAGES = 20
BATCH = 5
DESTINATIONS = ("orders", "refunds")


@dataclass(frozen=True)
class Weather:
    """What is wrong with a run."""

    behind: float = 0.0
    """How much later than usual messages are fetched; before zero, by a consumer whose clock is slow."""
    slow: float = 0.0
    """How much longer a message takes to handle."""
    poisoned: frozenset[int] = frozenset()
    """Messages that fail each of five times and are given up."""
    lost: frozenset[int] = frozenset()
    """Messages that are never fetched."""
    batch_size: int = BATCH
    """What the broker says of the size of a batch."""
    described: bool = True


def healthy() -> Recording:
    return _record("messaging-healthy", Weather())


def backlog() -> Recording:
    """The consumers have become slow, and a backlog has grown."""
    return _record("messaging-backlog", Weather(behind=3000.0, slow=900.0))


def poison() -> Recording:
    """Two messages can never be handled: they are tried five times and given up."""
    return _record("messaging-poison", Weather(poisoned=frozenset({3, 14})))


def lost_messages() -> Recording:
    """Batches are huge, two messages vanish, and nobody says which is which."""
    return _record("messaging-lost-messages", Weather(lost=frozenset({6, 17}), batch_size=500, described=False))


def wrong_clock() -> Recording:
    """The consumer's clock is two seconds slow, so messages seem to be handled before they are sent."""
    return _record("messaging-wrong-clock", Weather(behind=-2000.0))


def pushed() -> Recording:
    """A broker that hands over every message by itself, in the trace that sent it."""
    run = Recording("messaging-pushed")
    run.service("shop", "opentelemetry.instrumentation.pika")
    run.service("fulfilment", "opentelemetry.instrumentation.pika")
    for number in range(MESSAGES):
        sent = _publish(run, number, Weather())
        run.span(
            "fulfilment", "process", SpanKind.CONSUMER, at=number * 50.0 + 5, took=run.jitter(20, 60), parent=sent,
            attributes=_about(number, "process", Weather()),
        )  # fmt: skip
    return run


def _record(name: str, weather: Weather) -> Recording:
    run = Recording(name)
    run.service("shop", "opentelemetry.instrumentation.confluent_kafka")
    run.service("fulfilment", "opentelemetry.instrumentation.confluent_kafka")
    for first in range(0, MESSAGES, BATCH):
        numbers = range(first, first + BATCH)
        sent = {number: _publish(run, number, weather) for number in numbers}
        fetched = {number: span for number, span in sent.items() if number not in weather.lost}
        _consume(run, first * 50.0 + 300 + weather.behind, fetched, weather)
    return run


def _about(number: int, operation: str, weather: Weather) -> dict[str, Any]:
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": DESTINATIONS[number % len(DESTINATIONS)],
        **({"messaging.message.id": f"m-{number:04}"} if weather.described else {}),
    }


def _publish(run: Recording, number: int, weather: Weather) -> Span:
    destination = DESTINATIONS[number % len(DESTINATIONS)]
    return run.span(
        "shop", f"send {destination}", SpanKind.PRODUCER,
        at=number * 50.0, took=run.jitter(1, 4), attributes=_about(number, "send", weather),
    )  # fmt: skip


def _consume(run: Recording, at: float, messages: dict[int, Span], weather: Weather) -> None:
    """Fetch a batch, whose span links all of its messages, and handle each in a span that links its own."""
    attributes = {
        "messaging.system": "kafka",
        "messaging.operation.name": "poll",
        "messaging.operation.type": "receive",
        "messaging.batch.message_count": weather.batch_size,
    }
    batch = run.span(
        "fulfilment", "poll", SpanKind.CLIENT,
        at=at, took=run.jitter(3, 8), attributes=attributes, links=tuple(messages.values()),
    )  # fmt: skip
    for number, message in messages.items():
        at += 10
        attempts = 5 if number in weather.poisoned else 1
        done = [_handle(run, (at + n * 200, number), (batch, message), weather) for n in range(attempts)]
        if number in weather.poisoned:
            _give_up(run, at + 1000, number, done[-1])


def _handle(run: Recording, when: tuple[float, int], spans: tuple[Span, Span], weather: Weather) -> Span:
    (at, number), (batch, message) = when, spans
    error = "not an order" if number in weather.poisoned else ""
    return run.span(
        "fulfilment", "process", SpanKind.CONSUMER, at=at, took=run.jitter(20, 60) + weather.slow, parent=batch,
        links=[message], attributes=_about(number, "process", weather), error=error,
    )  # fmt: skip


def _give_up(run: Recording, at: float, number: int, last: Span) -> None:
    about = {**_about(number, "send", Weather()), "messaging.destination.name": "orders-dlq"}
    run.span("fulfilment", "send orders-dlq", SpanKind.PRODUCER, at=at, took=1, parent=last, attributes=about)


RECORDINGS = {
    "healthy": healthy,
    "backlog": backlog,
    "poison": poison,
    "lost-messages": lost_messages,
    "wrong-clock": wrong_clock,
    "pushed": pushed,
}
