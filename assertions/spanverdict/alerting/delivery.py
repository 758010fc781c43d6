"""Sending what the outbox holds: one thread a receiver, so that a slow one delays nobody else."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from spanverdict.alerting.attempt import AttemptResult, attempt
from spanverdict.alerting.config import ReceiverSettings
from spanverdict.alerting.outbox import OutboxProtocol, QueuedDelivery
from spanverdict.alerting.transport import guarded_client

_log = logging.getLogger(__name__)

JITTER = 0.2
"""Waits are up to this share longer, so that receivers are not met by everybody at once."""
CLAIM_SECONDS = 5.0
"""So much longer than an attempt may last is a message one courier's, before another may send it."""
_LOOK_AGAIN_SECONDS = 60.0
_STORE_TROUBLE_SECONDS = 5.0
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A message that did not arrive, and why."""

    id: str
    receiver: str
    run_id: str
    attempts: int
    error: str


@dataclass(frozen=True, slots=True)
class DrainReport:
    """What came of the messages of a run."""

    delivered: int
    undelivered: tuple[Undelivered, ...]
    """Given up, or still waiting when the time was over; for people to see."""


class Ledger:
    """What a courier has done so far. Thread-safe."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._delivered = 0
        self._given_up: list[Undelivered] = []

    @property
    def delivered(self) -> int:
        """How many messages arrived."""
        return self._delivered

    @property
    def given_up(self) -> tuple[Undelivered, ...]:
        """The messages that will not be tried again."""
        return tuple(self._given_up)

    def arrived(self) -> None:
        """Count one more that arrived."""
        with self.changed:
            self._delivered += 1
            self.changed.notify_all()

    def gave_up(self, message: Undelivered) -> None:
        """Note one that will not be tried again."""
        _log.error(
            "gave up webhook %s to %s for run %r after %d attempts: %s",
            message.id,
            message.receiver,
            message.run_id,
            message.attempts,
            message.error,
        )
        with self.changed:
            self._given_up.append(message)
            self.changed.notify_all()


class Lane:
    """The way to one receiver: one message at a time, oldest first."""

    def __init__(
        self,
        settings: ReceiverSettings,
        outbox: OutboxProtocol,
        ledger: Ledger,
        *,
        client: httpx.Client,
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self.settings = settings
        self.wakeup = threading.Event()
        self._outbox = outbox
        self._ledger = ledger
        self._client = client
        self._clock = clock
        self._jitter = jitter
        self._gone = False

    def deliver_due(self, stop: threading.Event, deadline: float | None = None) -> int:
        """Try everything that is due once, until told to stop; return the number of attempts.

        No attempt lasts beyond `deadline` (of the monotonic clock).
        """
        attempts = 0
        while not stop.is_set():
            if self._gone:
                self._give_up_all()
            due = self._outbox.due(self._now(), self.settings.name)
            for delivery in due:
                if stop.is_set() or _left(deadline) <= 0:
                    return attempts
                attempts += self._deliver(delivery, min(self.settings.timeout_seconds, _left(deadline)))
            if not due:
                break
        return attempts

    def seconds_to_next(self) -> float:
        """Return how long there is nothing to do."""
        due = self._outbox.next_due(self.settings.name)
        if due is None:
            return _LOOK_AGAIN_SECONDS
        return min(max((due - self._now()) / _NANOSECONDS, 0.0), _LOOK_AGAIN_SECONDS)

    def close(self) -> None:
        """Let the client go."""
        self._client.close()

    def _deliver(self, delivery: QueuedDelivery, timeout_seconds: float) -> bool:
        """Try a message unless somebody else is at it, or the receiver wants no more; say whether it was tried."""
        now = self._now()
        until = now + round((timeout_seconds + CLAIM_SECONDS) * _NANOSECONDS)
        if self._gone or not self._outbox.claim(delivery.id, now, until):
            return False
        self._settle(delivery, timeout_seconds)
        return True

    def _settle(self, delivery: QueuedDelivery, timeout_seconds: float) -> None:
        result = attempt(self._client, self.settings, delivery, self._clock(), timeout_seconds)
        if result.delivered:
            self._outbox.succeeded(delivery.id, self._now())
            self._ledger.arrived()
            return
        self._gone = result.final
        last = result.final or delivery.attempts + 1 >= self.settings.max_attempts
        again = None if last else self._now() + round(self._wait(delivery, result) * _NANOSECONDS)
        self._outbox.failed(delivery.id, self._now(), again, result.error)
        _log.warning("webhook %s to %s: %s", delivery.id, delivery.receiver, result.error)
        if last:
            self._ledger.gave_up(_undelivered(delivery, delivery.attempts + 1, result.error))

    def _give_up_all(self) -> None:
        """Let go of what waits for a receiver that wants no more. A new courier will ask it again."""
        for delivery in self._outbox.pending():
            if delivery.receiver == self.settings.name:
                error = "the receiver answered 410 to an earlier message"
                self._outbox.failed(delivery.id, self._now(), None, error)
                self._ledger.gave_up(_undelivered(delivery, delivery.attempts, error))

    def _wait(self, delivery: QueuedDelivery, result: AttemptResult) -> float:
        planned = self.settings.retry_after_seconds[delivery.attempts] * (1 + JITTER * self._jitter())
        return max(planned, result.retry_after_seconds)

    def _now(self) -> int:
        return round(self._clock() * _NANOSECONDS)


class Courier:
    """Delivers what the outbox holds for the configured receivers, at least once, until given up.

    `start` and `wake` for a server; `drain` for a command that ends; `deliver_due` for one round in
    the caller's own thread. Whoever puts messages into the outbox calls `wake`.
    """

    def __init__(
        self,
        outbox: OutboxProtocol,
        receivers: Sequence[ReceiverSettings],
        client_factory: Callable[[ReceiverSettings], httpx.Client] = guarded_client,
        clock: Callable[[], float] = time.time,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._ledger = Ledger()
        self._lanes = [
            Lane(one, outbox, self._ledger, client=client_factory(one), clock=clock, jitter=jitter) for one in receivers
        ]
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()
        self._deadline: float | None = None

    @property
    def given_up(self) -> tuple[Undelivered, ...]:
        """Messages that this courier gave up."""
        return self._ledger.given_up

    def deliver_due(self) -> int:
        """Try everything that is due once and return the number of attempts."""
        self._give_up_unknown()
        return sum(lane.deliver_due(self._stop, self._deadline) for lane in self._lanes)

    def start(self) -> None:
        """Deliver in the background from now on. Starting twice is fine."""
        if self._threads or self._stop.is_set():
            return
        self._give_up_unknown()
        self._threads = [
            threading.Thread(target=self._run, args=(lane,), name=f"spanverdict-webhook-{i}", daemon=True)
            for i, lane in enumerate(self._lanes)
        ]
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Look into the outbox at once."""
        for lane in self._lanes:
            lane.wakeup.set()

    def drain(self, timeout_seconds: float) -> DrainReport:
        """Deliver until nothing waits or the time is over, then close; say what did not arrive.

        What still waits stays in the outbox.
        """
        end = self._deadline = time.monotonic() + timeout_seconds
        self.start()
        self.wake()
        with self._ledger.changed:
            self._ledger.changed.wait_for(lambda: not self._outbox.pending(), timeout_seconds)
        self.close(max(end - time.monotonic(), 0.0) + 1.0)
        waiting = [_undelivered(d, d.attempts, d.error or "the time was over") for d in self._outbox.pending()]
        return DrainReport(self._ledger.delivered, (*self._ledger.given_up, *waiting))

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Stop. An attempt that lasts longer is left alone; its message stays in the outbox."""
        self._stop.set()
        self.wake()
        end = time.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(max(end - time.monotonic(), 0.0))
        for lane in self._lanes:
            lane.close()

    def _run(self, lane: Lane) -> None:
        while not self._stop.is_set():
            try:
                lane.deliver_due(self._stop, self._deadline)
                wait = lane.seconds_to_next()
            except Exception:  # noqa: BLE001 - any error of the store; it may be full or locked
                # That must cost time, not the receiver.
                _log.exception("cannot work through the outbox for %s", lane.settings.name)
                wait = _STORE_TROUBLE_SECONDS
            lane.wakeup.wait(wait)
            lane.wakeup.clear()

    def _give_up_unknown(self) -> None:
        """Give up messages for receivers that were taken out of the configuration."""
        known = {lane.settings.name for lane in self._lanes}
        for delivery in self._outbox.pending():
            if delivery.receiver not in known:
                error = "no receiver of that name is configured"
                self._outbox.failed(delivery.id, round(self._clock() * _NANOSECONDS), None, error)
                self._ledger.gave_up(_undelivered(delivery, delivery.attempts, error))


def _left(deadline: float | None) -> float:
    return float("inf") if deadline is None else deadline - time.monotonic()


def _undelivered(delivery: QueuedDelivery, attempts: int, error: str) -> Undelivered:
    return Undelivered(delivery.id, delivery.receiver, delivery.run_id, attempts, error)
