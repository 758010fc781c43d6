"""Waiting for verdicts from other threads, without polling."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Settling:
    """Wakes whoever waits for something to become true whenever something has changed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._changes = 0
        self._closed = False

    def announce(self) -> None:
        """Say that something has changed."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], bool], timeout_s: float | None) -> bool:
        """Wait until `condition` holds; False when the time ran out first, if there is one, or all is closed."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            known = self._changes
            if condition():  # outside the lock, as it may take its time
                return True
            with self._changed:
                left = None if end is None else end - time.monotonic()
                if self._closed or (left is not None and left <= 0):
                    return False
                if self._changes == known:
                    self._changed.wait(left)
