"""In which pieces the kernel hands out memory for columns."""

from __future__ import annotations

import os
from typing import Final

from numpy._core import multiarray

_ASKED: Final = "NUMPY_MADVISE_HUGEPAGE"


def take_small_pages() -> None:
    """Let numpy not ask for huge pages in this process, unless its user says so in the environment.

    Judging takes fresh memory for nearly everything it works out. Where the kernel first has to find two megabytes
    in one piece, that costs more than what it saves later.
    """
    switch = getattr(multiarray, "_set_madvise_hugepage", None)
    if switch is not None and _ASKED not in os.environ:
        switch(False)
