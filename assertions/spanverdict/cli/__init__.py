"""The command line. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import gc
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line; whatever goes wrong is one line and an exit code, never a traceback."""
    # What is imported stays, and we leave next to no cycles behind: looking for them as often as
    # Python does by itself takes a tenth of the time that a start takes.
    gc.set_threshold(50_000, 20, 20)
    from spanverdict.cli.program import run_program  # noqa: PLC0415 - after that, it imports most of what there is

    run_program()
