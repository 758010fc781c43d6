"""What the operating system knows of this process, where it has /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

_SELF: Final = Path("/proc/self")

Metric: TypeAlias = tuple[str, str, str, list[tuple[dict[str, str], int | float]]]
"""Name, kind, what it is, and samples."""


def process_metrics() -> Iterator[Metric]:
    """Give memory, files and CPU time of this process; memory and files only on Linux."""
    used = os.times()
    yield "process_cpu_seconds_total", "counter", "CPU time of this process", [({}, used.user + used.system)]
    try:
        pages = int((_SELF / "statm").read_text("ascii").split()[1])
        files = len(list((_SELF / "fd").iterdir()))
    except OSError:
        return
    resident = pages * os.sysconf("SC_PAGE_SIZE")
    yield "process_resident_memory_bytes", "gauge", "Resident memory of this process", [({}, resident)]
    yield "process_open_fds", "gauge", "Open files and sockets of this process", [({}, files)]
