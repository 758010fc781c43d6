"""What was known of runs, and received, before: what a docket needs of a store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from spanverdict.storage.records import RunRecord
from spanverdict.telemetry.spantable import SpanTable


@dataclass(frozen=True, slots=True, eq=False)
class Recalled:
    """What is known of a run besides what came just now."""

    record: RunRecord
    revision: int
    """Of its last verdict; 0 for none."""
    traces: tuple[bytes, ...]
    """Those that were declared to be its own."""


class Archive(Protocol):
    """What was known and received before. Every method may raise `StoreError`."""

    def recall(self, run_id: str) -> Recalled | None:
        """Return what is known of a run; None when it is new."""
        ...

    def batches(self, first: int, last: int) -> Iterator[tuple[int, SpanTable]]:
        """Read the batches `first … last` again."""
        ...

    def first_batch(self) -> int:
        """Return the oldest batch that is still there."""
        ...

    def keep_verdict(self, run_id: str, through: int) -> None:
        """Note that the verdict on a run stays although batches up to `through` came."""
        ...
