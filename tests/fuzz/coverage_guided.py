"""Fuzz one target with atheris: `python coverage_guided.py TARGET [libFuzzer options]`."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["spanverdict"]):
    from fuzz.targets import TARGETS


def main() -> None:
    """Run until the options say stop."""
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
