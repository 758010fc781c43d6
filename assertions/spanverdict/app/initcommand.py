"""`spanverdict init`: write a starter flow from what a run shows."""

from __future__ import annotations

from pathlib import Path

from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.printing import print_text
from spanverdict.app.sources import Source
from spanverdict.drafting.draft import NothingToDraftError, draft


def write_flow(source: Source, name: str | None, path: Path | None) -> ExitCode:
    """Draft a flow and write it to a new file, or to standard output.

    Raises:
        CommandError: the spans cannot be read, hold no request, or the file is there already.
    """
    if path is not None and path.exists():
        raise CommandError(f"{path} is there already; nothing was written")
    try:
        text = draft(source.of_run(()).table, name)
    except NothingToDraftError as error:
        raise CommandError(str(error), ExitCode.NO_VERDICT) from None
    if path is None:
        print_text(text)
        return ExitCode.PASSED
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}") from None
    print_text(f"{path} is written: read it, and change what it got wrong\n")
    return ExitCode.PASSED
