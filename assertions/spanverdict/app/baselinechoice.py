"""`--baseline`: which run is meant, as a user writes it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from spanverdict.app.errors import CommandError
from spanverdict.telemetry.identifiers import is_run_id

_BRANCH: Final = "branch:"
_FILES: Final = (".json", ".jsonl", ".pb", ".json.gz", ".jsonl.gz", ".pb.gz")


class From(StrEnum):
    """Where a baseline comes from."""

    PREVIOUS = "previous"
    BRANCH = "branch"
    RUN = "run"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class BaselineChoice:
    """What somebody wants to be compared with."""

    source: From
    name: str
    """Of the branch, the run or the file."""
    asked: str
    """As it was written."""

    @property
    def stored(self) -> bool:
        """Tell whether a store is needed to find it."""
        return self.source is not From.FILE


def looks_like_file(text: str) -> bool:
    """Tell whether a text is the name of a file, or looks like one."""
    return text.endswith(_FILES) or Path(text).is_file()


def parse_choice(text: str) -> BaselineChoice:
    """Read `previous`, `branch:NAME`, a file or a run id; what is the name of a file, or looks like one, is a file.

    >>> [str(parse_choice(text).source) for text in ("previous", "branch:main", "gh-122", "base.jsonl")]
    ['previous', 'branch', 'run', 'file']

    Raises:
        CommandError: it is none of them.
    """
    if text == From.PREVIOUS:
        return BaselineChoice(From.PREVIOUS, "", text)
    if text.startswith(_BRANCH):
        if not text.removeprefix(_BRANCH):
            raise CommandError("--baseline branch: needs the name of a branch, as in branch:main")
        return BaselineChoice(From.BRANCH, text.removeprefix(_BRANCH), text)
    if looks_like_file(text):
        return BaselineChoice(From.FILE, text, text)
    if not is_run_id(text):
        raise CommandError(
            f"--baseline {text!r} is no run id and no file; write previous, branch:NAME, a run or a file"
        )
    return BaselineChoice(From.RUN, text, text)
