"""How long things may take on a machine that has other things to do."""

from __future__ import annotations

import os


def a_second() -> float:
    """Return a second of a machine that has as many processors as things to do; more where it has fewer."""
    return max(1.0, os.getloadavg()[0] / len(os.sched_getaffinity(0)))
