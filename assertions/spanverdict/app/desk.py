"""Memory that two processes share, in which each lays what is long for the other, so that no kernel has to copy it."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from spanverdict.telemetry.blocks import PADDING

Bytes: TypeAlias = bytes | memoryview

PLACES: Final = 2
"""For each side. What lies in one stays as it is until so many more were laid."""
PLACE_BYTES: Final = 2 << 20
"""What is longer goes another way. Memory that nothing was laid in takes none."""


class Desk:
    """One of its two sides. One thread may lay something there while another takes.

    A side lays in its places in turn, and must know that the other is done with what lay there before.
    """

    def __init__(self, file: int, side: int, *, copies: bool) -> None:
        self._memory = mmap.mmap(file, _DESK_BYTES)
        self._bytes: npt.NDArray[np.uint8] = np.frombuffer(self._memory, np.uint8)
        self._places = range(side * PLACES, (side + 1) * PLACES)
        self._copies = copies
        """Whether what is taken has to last."""
        self._n_laid = 0

    def lay(self, pieces: Sequence[Bytes], size: int) -> int | None:
        """Lay pieces end to end, `PADDING` zeros behind them, and return the place; None for what is too long."""
        if size + PADDING > PLACE_BYTES:
            return None
        place = self._places[self._n_laid % PLACES]
        self._n_laid += 1
        at = place * PLACE_BYTES
        for piece in pieces:
            end = at + len(piece)
            self._memory[at:end] = piece
            at = end
        self._memory[at : at + PADDING] = bytes(PADDING)
        return place

    def take(self, place: int, size: int) -> npt.NDArray[np.uint8]:
        """Return what the other side has laid in a place, with its padding; a view, unless it has to last."""
        start = place * PLACE_BYTES
        found = self._bytes[start : start + size + PADDING]
        return found.copy() if self._copies else found


_DESK_BYTES: Final = 2 * PLACES * PLACE_BYTES


def desk_file() -> int | None:
    """Return the memory of a desk as a file that is open; None where the system has no such files."""
    try:
        file = os.memfd_create("spanverdict-desk")
        os.truncate(file, _DESK_BYTES)
    except (AttributeError, OSError):
        return None
    return file
