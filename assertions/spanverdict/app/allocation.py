"""How memory is got from the system: what a request used is kept for the next one, as far as it is not much."""

from __future__ import annotations

import ctypes
import os
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
"""glibc's numbers of the three (mallopt(3))."""
_ARENAS_ASKED: Final = "MALLOC_ARENA_MAX"
LARGE: Final = 32 << 20
"""Pieces from here on are got and given back one by one: every page of them is filled with zeros anew."""
SPARE: Final = 32 << 20
"""Bytes that may stay unused at the end of what the system gave."""
ARENAS: Final = 2
"""From how many pools of memory all threads take. Left alone nearly each has its own, with what it has freed in it, and
what one has freed is no use to the others: with ten threads some 12 MB. Few of them ever allocate at the same time."""


def give_back() -> None:
    """Give what is not used back to the system but for `SPARE`; changes nothing where the C library is not glibc.

    What a large run took while it was judged lies in pieces, between others that are still used, and would stay.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return
    trim(ctypes.c_size_t(SPARE))


def keep_freed_memory() -> None:
    """Have the C library go to the system less often; changes nothing where it is not glibc.

    Left alone it maps the 160 KB of a request anew each time, which is a third of what a request over HTTP costs.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_MMAP_THRESHOLD, LARGE)
    mallopt(_TRIM_THRESHOLD, SPARE)
    if _ARENAS_ASKED not in os.environ:
        mallopt(_ARENA_MAX, ARENAS)
