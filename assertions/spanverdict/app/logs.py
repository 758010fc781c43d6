"""What is logged, as lines that nobody else can forge: as text for people, or as JSON for what collects logs."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

from spanverdict.diagnostics.diagnostic import Diagnostic, Level

LogFormat: TypeAlias = Literal["text", "json"]

_TEXT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure_logging(log_format: LogFormat, level: int) -> None:
    """Let all that is logged in this process go to standard error in one format; whatever did before does no more.

    Of libraries only warnings and worse are logged: their chatter may show addresses that are secret.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines(_TEXT))
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)
    logging.getLogger("spanverdict").setLevel(level)


def complain(message: str) -> None:
    """Say why a command ends, on standard error: as text, or as a record where records are JSON."""
    if any(isinstance(handler.formatter, JsonLines) for handler in logging.getLogger().handlers):
        logging.getLogger("spanverdict").error("%s", message)
    else:
        print(f"spanverdict: {message}", file=sys.stderr)  # noqa: T201 - for people


def log_diagnostics(found: Sequence[Diagnostic]) -> None:
    """Log mistakes of files, a record each."""
    for one in found:
        hint = f"; {one.hint}" if one.hint else ""
        level = logging.ERROR if one.level is Level.ERROR else logging.WARNING
        logging.getLogger("spanverdict").log(level, "%s: %s%s [%s]", one.position, one.message, hint, one.code)


def escaped(text: str) -> str:
    r"""Make control characters, and all else that is not printable, visible and harmless.

    >>> escaped("run \x1b[31mred\n2026-01-01 ERROR forged")
    'run \\x1b[31mred\\n2026-01-01 ERROR forged'
    >>> escaped("naïve 日本")
    'naïve 日本'
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape", "backslashreplace").decode("ascii") for one in text
    )


class TextLines(logging.Formatter):
    """One line a record; those of a traceback are indented, so none of them looks like a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's line, and its traceback."""
        traceback = _traceback(self, record)
        record.message = escaped(record.getMessage())
        record.asctime = self.formatTime(record, self.datefmt)
        return "\n".join([self.formatMessage(record), *(f"    {escaped(line)}" for line in traceback)])


class JsonLines(logging.Formatter):
    """One JSON object a record: `time` in RFC 3339, `level`, `logger`, `message`, and `error` with its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's object, in ASCII."""
        told: dict[str, str] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        traceback = _traceback(self, record)
        return json.dumps(told | ({"error": "\n".join(traceback)} if traceback else {}))


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    """Return the lines of a record's traceback; none where it has none."""
    return formatter.formatException(record.exc_info).split("\n") if record.exc_info else []
