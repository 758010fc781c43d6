"""What was measured on, and what was measured: processor, load, versions, commit."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import psutil

PACKAGES: Final = ("spanverdict", "grpcio", "protobuf", "numpy", "numba", "isal", "uvicorn", "uvloop")


def machine(folder: Path | None = None) -> dict[str, Any]:
    """Describe the machine; `folder` is where stores were made, by default the system's temporary folder."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "file_system": _file_system(folder or Path(tempfile.gettempdir())),
        **{name: found for name in PACKAGES if (found := _version(name)) is not None},
        "commit": _commit(),
    }


def one_line(about: dict[str, Any]) -> str:
    """Return a description as it is printed."""
    return ", ".join(f"{key} {value}" for key, value in about.items())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str:
    """Name the commit that is checked out; with a `+` when files differ from it."""
    here = Path(__file__).parent
    command = ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _file_system(folder: Path) -> str:
    """Return the type of file system that the store lies on; memory is not a disk."""
    mounts = [part for part in psutil.disk_partitions(all=True) if folder.resolve().is_relative_to(part.mountpoint)]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else "unknown"
