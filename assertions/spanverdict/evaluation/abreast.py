"""Rules of a large run, two at a time: numpy lets go of the interpreter lock while it works through columns."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

MANY: Final = 200_000
"""Of fewer members a rule takes so little time that threads would wait for each other."""
SEVERAL: Final = 10
"""Of fewer rules most of the time goes to what they share: in turns they are as fast, and take less memory."""
AT_ONCE: Final = 2
"""More would take more memory at a time, and mostly wait for what several of them need."""
HUGE: Final = 10_000
"""Of requests of so many spans rules share most of what they ask for, trees and the paths through them."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def own_work(n_members: int, n_requests: int) -> int:
    """Return how many members a rule works through that no other rule has worked through already.

    >>> own_work(1_000_000, n_requests=100_000), own_work(1_000_000, n_requests=1)
    (1000000, 0)
    """
    return n_members if n_members < HUGE * n_requests else 0


def abreast(
    work: Callable[[_Item], _Result], items: Sequence[_Item], n_members: int, processors: int | None = None
) -> Iterator[_Result]:
    """Yield what work comes to for each item, in order; `n_members` says how much each of them is.

    >>> list(abreast(str, [3, 4], n_members=10))
    ['3', '4']
    """
    processors = (os.cpu_count() or 1) if processors is None else processors
    if n_members < MANY or len(items) < SEVERAL or processors < AT_ONCE:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(AT_ONCE, "rule") as threads:
        yield from threads.map(work, items)
