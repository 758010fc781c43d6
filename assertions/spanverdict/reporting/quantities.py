"""Numbers and times as people read them; durations are written by `diagnostics.durations`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HALF_PER_CENT = 0.005


def share_text(share: float) -> str:
    """Write a share as whole per cent.

    >>> share_text(0.788), share_text(0.001)
    ('79 %', '<1 %')
    """
    return "<1 %" if 0 < share < _HALF_PER_CENT else f"{share:.0%}".replace("%", " %")


def counted(number: int, noun: str) -> str:
    """Write a count with its noun, in the singular where there is one.

    >>> counted(1640, "spans"), counted(1, "requests")
    ('1,640 spans', '1 request')
    """
    return f"{number:,} {noun.removesuffix('s') if number == 1 else noun}"


def rfc3339(unix_nano: int) -> str | None:
    """Write a time with all its nanoseconds; 0 stands for no time.

    >>> rfc3339(1_767_225_600_000_000_001), rfc3339(0)
    ('2026-01-01T00:00:00.000000001Z', None)
    """
    if unix_nano <= 0:
        return None
    seconds, fraction = divmod(unix_nano, _NS)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def unix_nano(text: str | None) -> int:
    """Read back what `rfc3339` wrote.

    >>> unix_nano("2026-01-01T00:00:00.000000001Z")
    1767225600000000001
    """
    if text is None:
        return 0
    whole, _, fraction = text.removesuffix("Z").partition(".")
    elapsed = datetime.fromisoformat(whole).replace(tzinfo=UTC) - _EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * _NS + int(fraction.ljust(9, "0"))
