"""What the store is told of runs while they come, so that a restart finds their spans."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

from spanverdict.app.docket import RETRY_S, Docket
from spanverdict.app.liverun import LiveRun
from spanverdict.storage.errors import StoreError

_EVERY_S: Final = 0.2
"""How often the store is told of more batches of runs that it knows. Each time costs a commit."""

_log = logging.getLogger(__name__)


class Notes:
    """Tells which batches belong to which runs.

    Of a new run at once, since it can be asked for; of more batches, which a restart reads again anyway, not
    every time. `note` may raise `StoreError`, and is then told again; without it nobody is told.
    """

    def __init__(self, docket: Docket, note: Callable[[Sequence[LiveRun]], None] | None) -> None:
        self._docket = docket
        self._note = note
        self._next_at = 0.0
        self._retry_at = 0.0

    def soonest(self, due: float | None) -> float | None:
        """Return that time, or when the store is to be told of something, if that is sooner."""
        if self._note is None or not self._docket.unnoted():
            return due
        tell_at = max(self._next_at, self._retry_at)
        return tell_at if due is None else min(tell_at, due)

    def tell(self, now: float) -> None:
        """Tell what is to be told by now."""
        runs = self._docket.unnoted()
        if self._note is None or not runs or now < self._retry_at:
            return
        if now < self._next_at and all(run.noted[1] for run in runs):
            return
        try:
            self._note(runs)
        except StoreError as error:
            _log.error("runs cannot be noted: %s", error)
            self._retry_at = now + RETRY_S
        else:
            self._docket.noted(runs)
            self._next_at = now + _EVERY_S
