"""One run while it is received: what was declared, what came, what was said of it last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from spanverdict.app.completeness import Progress, Waiting
from spanverdict.rulefiles.models import Flow
from spanverdict.storage.records import RunRecord


@dataclass(slots=True)
class LiveRun:
    """Times are seconds of a monotonic clock."""

    id: str
    expected: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    declared_flows: tuple[str, ...] = ()
    first_batch: int = 0
    last_batch: int = 0
    judged_through: int = 0
    revision: int = 0
    last_seen: float | None = None
    ended: float | None = None
    check_again: float = 0.0
    """Not before then is it stitched again to see whether it is whole."""
    progress: Progress = field(default_factory=Progress)
    counted: bool = False
    """Its spans are counted by stage as they come."""

    @property
    def fresh(self) -> bool:
        """Tell whether something came, or was said, that no verdict has taken in."""
        return self.last_batch > self.judged_through or (self.revision == 0 and self.ended is not None)

    def touch(self, batch: int, now: float) -> None:
        """Note that a batch may hold spans of it."""
        self.first_batch = min(self.first_batch or batch, batch)
        self.last_batch = max(self.last_batch, batch)
        self.last_seen = now

    def heard(self, record: RunRecord, now: float) -> None:
        """Take over what the store knows of it."""
        self.expected = record.expected_requests
        self.labels = record.labels
        self.declared_flows = record.flows
        self.judged_through = max(self.judged_through, record.judged_through)
        if record.ended_unix_nano is not None and self.ended is None:
            self.ended = now

    def waiting(self, flows: tuple[Flow, ...]) -> Waiting:
        """Return what it waits for."""
        return Waiting(self.last_seen, self.ended, self.expected, flows)
