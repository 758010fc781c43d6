"""What alerting needs of a store: what is known of alerts, and messages that wait. The store has the same shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class KnownState(Protocol):
    """What the store remembers of an alert."""

    @property
    def environment(self) -> str:
        """Empty when the runs do not say."""

    @property
    def branch(self) -> str:
        """Empty when the runs do not say."""

    @property
    def flow(self) -> str:
        """Name of the flow."""

    @property
    def rule(self) -> str:
        """Id of the rule."""

    @property
    def group(self) -> str:
        """The value of `per`; empty for rules without."""

    @property
    def firing(self) -> bool:
        """False is resolved."""

    @property
    def fingerprint(self) -> str:
        """Identity of the alert that receivers were told about."""

    @property
    def since_unix_nano(self) -> int:
        """When it began to fire."""

    @property
    def run_id(self) -> str:
        """The run that last said something about it."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels as sent."""

    @property
    def annotations(self) -> Mapping[str, str]:
        """Its annotations as sent."""


class QueuedDelivery(Protocol):
    """A message that waits to be sent."""

    @property
    def id(self) -> str:
        """The same over all attempts."""

    @property
    def receiver(self) -> str:
        """Name of the receiver."""

    @property
    def run_id(self) -> str:
        """The run that it is about."""

    @property
    def body(self) -> bytes:
        """What to send."""

    @property
    def attempts(self) -> int:
        """How often it was tried."""

    @property
    def error(self) -> str:
        """Why the last attempt failed; empty before the first."""


class OutboxProtocol(Protocol):
    """Keeps messages until they arrived or were given up. Thread-safe; may raise errors of its own."""

    def due(self, now_unix_nano: int, receiver: str | None = None, limit: int = 100) -> Sequence[QueuedDelivery]:
        """Return what may be sent now, oldest first; of one receiver and group only the oldest."""

    def next_due(self, receiver: str | None = None) -> int | None:
        """Return when the next message may be sent; None when none waits."""

    def pending(self) -> Sequence[QueuedDelivery]:
        """Return everything that waits, oldest first."""

    def claim(self, delivery_id: str, now_unix_nano: int, until_unix_nano: int) -> bool:
        """Take a message that is due for oneself until a time; False when somebody else has it, or it is over."""

    def succeeded(self, delivery_id: str, now_unix_nano: int) -> None:
        """Note that a message arrived."""

    def failed(self, delivery_id: str, now_unix_nano: int, next_attempt_unix_nano: int | None, error: str) -> None:
        """Note a failed attempt and when to try again; None gives the message up."""
