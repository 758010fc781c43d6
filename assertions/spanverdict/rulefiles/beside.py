"""The files that a rule file names: they stand beside it or in a folder below, and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from spanverdict.diagnostics import codes
from spanverdict.rulefiles.mistake import Mistake

MAX_BYTES: Final = 64 << 20
"""Of a file that a rule file names."""

ReadBeside: TypeAlias = Callable[[str, str], bytes | None]
"""Reads what a rule file (first) names (second); None is read as if it held nothing. Raises `Mistake`."""

_OUTSIDE: Final = re.compile(r"^/|^[A-Za-z]:|\\|\x00|(^|/)\.\.(/|$)")


def path_beside(rule_file: str, name: str) -> Path:
    """Return where a named file is; raises `Mistake` when it is not in or below the folder of the rule file.

    A link that leads out of the folder does not count as in it.
    """
    hint = "name a file in the folder of the rule file or below it, like golden/scores.jsonl"
    if _OUTSIDE.search(name):
        raise Mistake(codes.GOLDEN_FILE, f"the path `{name}` leads out of the folder of the rule file", hint)
    folder = Path(rule_file).parent
    path = folder / name
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # links in a circle
        inside = False
    if not inside:
        raise Mistake(codes.GOLDEN_FILE, f"`{name}` is a link out of the folder of the rule file", hint)
    return path


def read_beside(rule_file: str, name: str) -> bytes:
    """Return what a named file holds; raises `Mistake` when it cannot be read or is too large."""
    path = path_beside(rule_file, name)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        hint = "`spanverdict golden record` writes it from a run"
        raise Mistake(codes.GOLDEN_FILE, f"there is no file {path}", hint) from None
    except OSError as error:
        raise Mistake(codes.GOLDEN_FILE, f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    if len(data) > MAX_BYTES:
        raise Mistake(codes.GOLDEN_FILE, f"{path} is larger than {MAX_BYTES >> 20} MiB")
    return data


def unread(rule_file: str, name: str) -> None:
    """Check where a named file would be, and do not read it: it is about to be written."""
    path_beside(rule_file, name)
