"""Functions over arrays that run as machine code once it was made of them: loops over bytes that numpy has no word for.

Uncompiled they do the same, slowly, and numpy holds every index against its bounds. In machine code nothing does, and
it reads what strangers send: every index must be known to be within. How it is made, kept and loaded: `machinecode.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Everywhere: TypeAlias = npt.NDArray[Any]
"""Bytes, in which a routine sees numbers at every place."""
Machine: TypeAlias = Callable[[tuple[Array, ...]], int]
"""Machine code; takes all arrays, and one more."""
_Part = TypeVar("_Part", bound=Callable[..., Any])

REFUSED: Final = -(2**63)
"""What machine code returns that was given other objects than it takes."""
_AN_ARRAY: Final = np.zeros(0)
"""Machine code takes nothing that is not of the same type."""


class Taken(NamedTuple):
    """An array that a routine takes."""

    dtype: np.dtype[Any]
    n_dimensions: int
    everywhere: bool
    """What is given are bytes, and they are seen as numbers that begin at every byte."""

    @staticmethod
    def of(said: str) -> Taken:
        """Read how an array is said: `u8` has one dimension, `u8,2` two, and `*u8` is taken everywhere.

        >>> Taken.of("*u8").everywhere, Taken.of("i4,2").n_dimensions
        (True, 2)
        """
        dtype, _, dimensions = said.lstrip("*").partition(",")
        return Taken(np.dtype(dtype), int(dimensions or 1), said.startswith("*"))

    def seen(self, array: Array) -> Array:
        """Return an array as the routine sees it."""
        if self.everywhere:
            size = self.dtype.itemsize
            return np.ndarray((max(len(array) - size + 1, 0),), self.dtype, array, strides=(1,))
        if (array.dtype, array.ndim) != (self.dtype, self.n_dimensions) or not array.flags.c_contiguous:
            raise TypeError(f"a routine takes {self}, and not {array.dtype} of {array.ndim} dimensions")
        return array


class Routine:
    """A function that takes tuples of arrays, all of them contiguous and writable, and returns a number."""

    __slots__ = ("function", "kinds", "machine", "takes")

    def __init__(self, function: Callable[..., int], kinds: Sequence[type], takes: Sequence[Sequence[Taken]]) -> None:
        self.function = function
        self.kinds = kinds
        """The tuples that it takes …"""
        self.takes = takes
        """… and the arrays in each."""
        self.machine: Machine | None = None
        """What runs instead of the function once it is there."""

    @property
    def name(self) -> str:
        """What it is called among others."""
        return f"{self.function.__module__}.{self.function.__name__}"

    def __call__(self, *tuples: tuple[Array, ...]) -> int:
        """Run it; raises `TypeError` for arrays that are not contiguous, or cannot be written."""
        if self.machine is None:
            return int(self.function(*map(self._seen, self.kinds, self.takes, tuples)))
        found = self.machine((*chain.from_iterable(tuples), _AN_ARRAY))
        if found == REFUSED:
            raise TypeError(f"{self.name} takes other arrays")
        return found

    def _seen(self, kind: type, takes: Sequence[Taken], arrays: tuple[Array, ...]) -> Any:
        return kind(*(taken.seen(array) for taken, array in zip(takes, arrays, strict=True)))


def routine(*said: tuple[type, str]) -> Callable[[Callable[..., int]], Routine]:
    """Make a routine of a function; said are the named tuples that it takes, with their arrays (see `Taken.of`)."""
    takes = [[*map(Taken.of, arrays.split())] for _, arrays in said]
    return lambda function: Routine(function, [kind for kind, _ in said], takes)


def part(function: _Part) -> _Part:
    """Mark a function as one that routines call: it is copied into each, as a call costs as much as reading a field."""
    function.__dict__["of_routines"] = True
    return function
