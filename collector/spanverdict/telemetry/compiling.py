"""Functions that numba turns into machine code: loops over bytes that numpy has no word for.

Importing this takes numba, half a second and some 180 MB with it, so only a process that decodes much does. What is
compiled here reads what strangers send, and nothing checks its indices: every one must be known to be within.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Compiled = TypeVar("Compiled", bound=Callable[..., Any])


def compiled(function: Compiled) -> Compiled:
    """Compile a function when it is first called; machine code is kept beside the source, or in the user's cache."""
    try:
        return cast("Compiled", njit(cache=True, nogil=True)(function))
    except RuntimeError:  # neither can be written
        return cast("Compiled", njit(nogil=True)(function))


def inlined(function: Compiled) -> Compiled:
    """Make a part of compiled functions, into each of which it is copied: a call costs as much as it does."""
    return cast("Compiled", njit(nogil=True, forceinline=True)(function))
