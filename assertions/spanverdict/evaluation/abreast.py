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

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


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
