"""Values of spans, for people and for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from spanverdict.diagnostics.durations import format_duration
from spanverdict.reporting.escaping import shown
from spanverdict.telemetry.pool import Value
from spanverdict.telemetry.spantable import MAX_TIME

UNKNOWN: Final = "-"
DURATION_FIELDS: Final = frozenset({"span:duration", "trace:duration", "event:timeSinceStart"})
"""Fields whose values are int nanoseconds."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def value_text(value: Value, field: str = "") -> str:
    r"""Write the value of a field on one harmless line.

    >>> value_text((1, "a b", True)), value_text(41_000, "span:duration"), value_text("\x1b[0m")
    ('[1, a b, true]', '41us', '\\x1b[0m')
    """
    match value:
        case None:
            return UNKNOWN
        case bool():
            return str(value).lower()
        case int() if field in DURATION_FIELDS:
            return format_duration(value)
        case str():
            return shown(value, 60)
        case bytes():
            return shown(f"0x{value.hex()}", 60)
        case tuple():
            return shown(f"[{', '.join(value_text(item) for item in value[:20])}]", 120)
        case Mapping():
            return shown(", ".join(f"{key}={value_text(item)}" for key, item in list(value.items())[:20]), 120)
        case _:
            return str(value)


def plain(value: Value) -> Any:
    r"""Return a value as JSON has it; bytes become hexadecimal digits.

    >>> plain({"a": (b"\x01", 2)})
    {'a': ['01', 2]}
    """
    match value:
        case bytes():
            return value.hex()
        case tuple():
            return [plain(item) for item in value]
        case Mapping():
            return {key: plain(item) for key, item in value.items()}
        case _:
            return value


def moment_text(unix_nano: int) -> str:
    """Write a time to the millisecond, for a column of a table.

    >>> moment_text(1_772_442_000_012_999_999), moment_text(0)
    ('2026-03-02T09:00:00.012Z', '-')
    """
    if not 0 < unix_nano < MAX_TIME:
        return UNKNOWN
    moment = _EPOCH + timedelta(milliseconds=unix_nano // 1_000_000)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def length_text(start_unix_nano: int, end_unix_nano: int) -> str:
    """Write how long something took, unless it never ended or its times are out of range.

    >>> length_text(5, 41_005), length_text(5, 0)
    ('41us', '-')
    """
    if end_unix_nano == 0 or MAX_TIME in (start_unix_nano, end_unix_nano):
        return UNKNOWN
    return format_duration(end_unix_nano - start_unix_nano)
