"""To wait for what comes about beside a test, instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 100


def until(reached: Callable[[], bool], otherwise: str = "it does not come about") -> None:
    """Wait until it is so; a test that waits longer than anything takes fails."""
    end = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < end, otherwise
        time.sleep(0.005)
