"""What became of requests, brought from the threads that know it to the event loop that answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable

from spanverdict.receiver.sink import Receipt

Answered = Callable[[Receipt | Exception], None]
"""Takes what became of a request, on the receiver's event loop."""

_LOGGER = logging.getLogger(__name__)


class Outcomes:
    """The way to one event loop. What comes from other threads at about the same time wakes it once."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Answered, Receipt | Exception]] = deque()
        self._is_woken = False

    def teller(self, answered: Answered) -> Answered:
        """Return what tells an outcome from any thread, once; call it on the event loop."""
        loop, thread = asyncio.get_running_loop(), threading.get_ident()

        def tell(outcome: Receipt | Exception) -> None:
            if threading.get_ident() == thread:
                answered(outcome)
                return
            self._waiting.append((answered, outcome))
            if not self._is_woken:  # else it looks again before it sleeps
                self._is_woken = True
                with contextlib.suppress(RuntimeError):  # the loop is closed, and with it the connection that waited
                    loop.call_soon_threadsafe(self._answer)

        return tell

    def _answer(self) -> None:
        self._is_woken = False
        while self._waiting:
            answered, outcome = self._waiting.popleft()
            try:
                answered(outcome)
            except Exception:  # the others wait, too
                _LOGGER.exception("an answer failed")
