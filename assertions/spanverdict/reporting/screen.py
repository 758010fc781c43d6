"""How wide the terminal behind a stream is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TextIO

NARROWEST = 20
"""A terminal that claims to be narrower than this is not believed."""
USUAL = 80


def columns(stream: TextIO, environ: Mapping[str, str]) -> int:
    """Give the width: what COLUMNS says, else what the terminal says, else what is usual."""
    said = environ.get("COLUMNS", "")
    if said.isascii() and said.isdigit() and int(said) >= NARROWEST:
        return int(said)
    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return USUAL
    return width if width >= NARROWEST else USUAL
