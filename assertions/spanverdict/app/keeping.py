"""Keeping the store as old and as large as it may be, while it is written."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from spanverdict.config.settings import RetentionSettings
from spanverdict.storage.errors import StoreError
from spanverdict.storage.retention import Deleted
from spanverdict.storage.store import Store

PERIOD_S: Final = 0.5
"""How often it is looked whether the store is too large."""
AGE_PERIOD_S: Final = 30.0
"""How often what is too old is deleted; each time costs some commits."""
SETTLE_S: Final = 30.0
"""Batches younger than this stay, as nobody may have noted yet whose they are."""
_HEADROOM: Final = 64 * 1024 * 1024
_REST_S: Final = 0.05
"""So long it is not looked again although something does not fit."""
_ROW_BYTES: Final = 256
_ROW_SHARE: Final = 12
"""What a batch takes besides its payload, and one part in so many of that: a segment is written in whole blocks."""
_NS: Final = 1_000_000_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is kept: for how long, in ns, and how much of the store's file may be in use. None for no limit."""

    age_ns: int | None = None
    used_bytes: int | None = None


def keeping_of(settings: RetentionSettings) -> Keeping:
    """Return what settings say."""
    return Keeping(settings.age_ns, settings.used_bytes)


class Keeper:
    """Deletes in a thread of its own; `step` does it once, for a caller who has a clock of his own."""

    def __init__(
        self,
        store: Store,
        keeping: Keeping,
        clock: Callable[[], int] = time.time_ns,
        settle_ns: int = int(SETTLE_S * _NS),
    ) -> None:
        self.keeping = keeping
        """May be set at any time."""
        self.deleted: Counter[str] = Counter()
        """Batches, runs and deliveries that went since the start."""
        self.held_back = 0
        """Batches that are too old, or too much, and that runs without a verdict still need."""
        self._store = store
        self._clock = clock
        self._settle_ns = settle_ns
        self._full = False
        self._lacking = False
        """Something did not fit since it was looked last."""
        self._used = 0
        """Bytes in use when it was looked last."""
        self._coming = [0, 0]
        """Bytes that were let in between the last two looks, which may not be among them, and since the last one."""
        self._counting = threading.Lock()
        self._look = threading.Event()
        self._aged_at: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    @property
    def problem(self) -> str | None:
        """Why nothing more can be kept now; None when it can."""
        if not self._full:
            return None
        return (
            f"the store is full: runs without a verdict, and the last {SETTLE_S:g} seconds, need all of "
            f"retention.bytes ({self.keeping.used_bytes})"
        )

    def refusal(self, nbytes: int) -> str | None:
        """Return why a request of so many bytes cannot be kept now; None lets it in, and counts it. From any thread."""
        limit = self.keeping.used_bytes
        if limit is None:
            return None
        with self._counting:
            size = nbytes + nbytes // _ROW_SHARE + _ROW_BYTES
            if not self._full and self._used + sum(self._coming) + size <= limit:
                self._coming[1] += size
                return None
            self._lacking = True
        self._look.set()
        return self.problem or "the store has no room for it just now"

    def start(self) -> None:
        """Begin to delete."""
        self._thread.start()

    def close(self) -> None:
        """Stop. Closing one that was not started is fine."""
        self._stop.set()
        self._look.set()
        if self._thread.is_alive():
            self._thread.join()

    def step(self) -> None:
        """Delete what is too old or too much now; raises `StoreError`."""
        keeping, now = self.keeping, self._clock()
        held = 0
        if keeping.age_ns is not None and (self._aged_at is None or now - self._aged_at >= AGE_PERIOD_S * _NS):
            held = self._note(self._store.retention.delete_old(now - keeping.age_ns))
            self._aged_at = now
            self._tell(held, "older than retention.age")
        if keeping.used_bytes is None:
            self._full = False
        else:
            self._fit(keeping.used_bytes, now)

    def _fit(self, limit: int, now: int) -> None:
        """Leave some room below the limit, so that what comes until the next look stays within it."""
        retention = self._store.retention
        goal = limit - min(_HEADROOM, limit // 8)
        if retention.used_bytes() > goal:
            self._note(retention.delete_to_fit(goal, now - self._settle_ns))
        used, was = retention.used_bytes(), self._full
        with self._counting:
            self._full = used > limit or (used > goal and (was or self._lacking))
            self._lacking, self._used, self._coming = False, used, [self._coming[1], 0]
        if self._full and not was:
            _log.error("%s; spans are refused until there is room", self.problem)

    def _note(self, gone: Deleted) -> int:
        self.deleted.update(batches=gone.batches, runs=gone.runs, deliveries=gone.deliveries)
        self.held_back = gone.held_back
        return gone.held_back

    def _tell(self, held: int, why: str) -> None:
        if held:
            _log.warning("%d batches are %s and stay: runs without a verdict need them", held, why)

    def _run(self) -> None:
        while not self._stop.wait(_REST_S):
            self._look.wait(PERIOD_S - _REST_S)
            self._look.clear()
            try:
                self.step()
            except StoreError as error:
                _log.error("what is too old or too much cannot be deleted: %s", error)
            except Exception:  # noqa: BLE001 - logged; the thread must outlive any one step
                _log.exception("what is too old or too much cannot be deleted")
