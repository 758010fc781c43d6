"""The spans that may be a run's, as they were at hand at some moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from spanverdict.paths.association import Association, associate
from spanverdict.paths.bonds import KeyReader
from spanverdict.paths.shelf import Picked
from spanverdict.telemetry.spantable import SpanTable


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What a window knew of a run. Nothing in it changes, so it can be looked at while the window goes on."""

    run: str
    picked: Picked
    traces: AbstractSet[bytes] | None
    """Those that the spans are of; None for all that were picked."""
    keys: tuple[KeyReader, ...]
    registered: Mapping[bytes, Sequence[str]] | None
    window_run: str | None
    tags: tuple[str, ...]

    def __len__(self) -> int:
        """Return how many spans were picked."""
        return len(self.picked)

    def spans(self) -> tuple[SpanTable, Association] | None:
        """Return the spans of the run and how they were found; None when there are none."""
        found = self.picked.spans(self.traces)
        if found is None:
            return None
        keys = [read(found) for read in self.keys]
        association = associate(found, keys=keys, registered=self.registered, window=self.window_run, tags=self.tags)
        rows = association.rows_of(self.run)
        if not len(rows):
            return None
        return (found if len(rows) == len(found) else found.take(rows)), association
