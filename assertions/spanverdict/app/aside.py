"""What takes long, worked out while whoever needs it goes on with something else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar

_T = TypeVar("_T")


class Aside(Protocol):
    """Has something worked out about so many spans, and returns or raises what that did."""

    def __call__(self, n_spans: int, work: Callable[[], _T], /) -> _T:
        """Let the caller's own thread take in batches meanwhile, if it takes long."""
        ...


def at_once(_n_spans: int, work: Callable[[], _T], /) -> _T:
    """Work it out here and now."""
    return work()


def in_a_thread(work: Callable[[], None]) -> None:
    """Begin to work on another thread, which nobody waits for when the process ends."""
    threading.Thread(target=work, name="verdict", daemon=True).start()


def settle(found: Future[_T], work: Callable[[], _T]) -> None:
    """Work something out and tell what was found, or what went wrong."""
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
        found.set_exception(error)
    else:
        found.set_result(result)
