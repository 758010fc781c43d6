"""What the store keeps besides spans: runs, verdicts, deliveries and the state of alerts.

What others hand in is described by what it must offer (`NewDelivery`, `AlertStateLike`), because
those who decide on alerts do not know the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from spanverdict.storage.samples import SampleRecord


class RunState(StrEnum):
    """How far a run has come. Spans after the last verdict bring a judged run back."""

    OPEN = "open"
    ENDED = "ended"
    JUDGED = "judged"


@dataclass(frozen=True, slots=True)
class RunDeclaration:
    """What somebody says about a run, before or while it happens."""

    id: str
    expected_requests: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    flows: tuple[str, ...] = ()
    """Names of the flows that shall judge it; none means all."""
    traces: tuple[str, ...] = ()
    """Trace ids in hex that belong to it although no span says so."""
    takes_untagged: bool = False
    """It also has every span that came meanwhile and belongs to no run: the run of a private receiver."""


@dataclass(frozen=True, slots=True)
class RunTouch:
    """Batches `first_batch … last_batch` hold spans of this run (among others)."""

    run_id: str
    first_batch: int
    last_batch: int
    at_unix_nano: int
    reopens: bool = False
    """Its verdict does not know all, even if it has seen them."""


@dataclass(frozen=True, slots=True)
class Said:
    """All that was declared of a run and a verdict depends on."""

    expected_requests: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    flows: tuple[str, ...] = ()
    traces: int = 0
    """How many traces were declared to be its own; they only add up."""
    takes_untagged: bool = False


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as the store knows it."""

    id: str
    declared: bool
    expected_requests: int | None
    labels: Mapping[str, str]
    flows: tuple[str, ...]
    first_batch: int
    """0 while no span came."""
    last_batch: int
    judged_through: int
    """The last batch that the last verdict has seen; 0 before the first verdict."""
    state: RunState
    created_unix_nano: int
    updated_unix_nano: int
    ended_unix_nano: int | None
    takes_untagged: bool = False
    """See `RunDeclaration`."""
    traces: int = 0
    """How many traces were declared to be its own."""

    @property
    def said(self) -> Said:
        """What was declared of it."""
        return Said(self.expected_requests, self.labels, self.flows, self.traces, self.takes_untagged)


@dataclass(frozen=True, slots=True)
class RunPage:
    """Some runs, newest first, and where to go on."""

    runs: tuple[RunRecord, ...]
    next: str | None
    """Give this as `before` for the next page; None when this is the last."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict to save."""

    run_id: str
    revision: int
    outcome: str
    complete: bool
    document: str
    """The verdict as JSON text."""
    judged_through: int
    """The last batch that was judged; later ones leave the run unfinished."""
    at_unix_nano: int
    flows: tuple[str, ...] = ()
    samples: tuple[SampleRecord, ...] = ()
    """What the rules measured, and what they were compared with."""
    said: Said | None = None
    """What was known to be declared when it was judged; None for all of it."""


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """A verdict as the store knows it."""

    run_id: str
    revision: int
    flows: tuple[str, ...]
    outcome: str
    complete: bool
    document: str
    created_unix_nano: int
    alerts_decided: bool


class NewDelivery(Protocol):
    """A message to put into the outbox."""

    @property
    def id(self) -> str:
        """Stays the same over all attempts; a second delivery of that id is ignored."""

    @property
    def receiver(self) -> str:
        """Name of the receiver; where that is stays in the configuration, as an address may be a secret."""

    @property
    def group_key(self) -> str:
        """Deliveries of one receiver and group are handed out strictly in order."""

    @property
    def run_id(self) -> str:
        """The run that it is about."""

    @property
    def body(self) -> bytes:
        """What to send."""

    @property
    def created_unix_nano(self) -> int:
        """When it was decided."""


class AlertStateLike(Protocol):
    """Whether one rule (and group) of a flow fires on one branch of one environment."""

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
    def updated_unix_nano(self) -> int:
        """When a run last said something about it."""

    @property
    def run_id(self) -> str:
        """That run."""

    @property
    def labels(self) -> Mapping[str, str]:
        """The alert's labels as sent."""

    @property
    def annotations(self) -> Mapping[str, str]:
        """The alert's annotations as sent."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """A verdict with the alerts that it leads to."""

    verdict: Verdict
    deliveries: Sequence[NewDelivery] = ()
    state_changes: Sequence[AlertStateLike] = ()


@dataclass(frozen=True, slots=True)
class QueuedDelivery:
    """A delivery that waits in the outbox."""

    id: str
    receiver: str
    group_key: str
    run_id: str
    body: bytes
    created_unix_nano: int
    attempts: int
    """How often it was tried."""
    next_attempt_unix_nano: int
    error: str
    """Why the last attempt failed; empty before the first."""


@dataclass(frozen=True, slots=True)
class StoredAlertState:
    """An alert state as it was put in; see `AlertStateLike`."""

    environment: str
    branch: str
    flow: str
    rule: str
    group: str
    firing: bool
    fingerprint: str
    since_unix_nano: int
    updated_unix_nano: int
    run_id: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OutboxStatistics:
    """How the outbox stands."""

    pending: int
    delivered: int
    given_up: int
    oldest_pending_unix_nano: int | None
