"""Numbers of bytes as people write them."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}
_SIZE: Final = re.compile(r"(\d{1,9})\s*([KMGT]iB|B)")


def parse_bytes(text: str) -> int:
    """Read a whole number of bytes with its unit.

    Raises:
        ValueError: it is none; the message says how to write one.

    >>> parse_bytes("10GiB")
    10737418240
    >>> parse_bytes("10 GB")
    Traceback (most recent call last):
    ValueError: '10 GB' is no number of bytes; write one like 512MiB or 10GiB (units: B, KiB, MiB, GiB, TiB)
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no number of bytes; write one like 512MiB or 10GiB (units: {', '.join(_UNITS)})")
    return int(found[1]) << _UNITS[found[2]]
