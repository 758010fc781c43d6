"""OTLP files: what the Collector's file exporter, SDKs and people write, one payload after another."""

from __future__ import annotations

import gzip
import io
import re
import sys
import zlib
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Final

from google.protobuf.message import DecodeError

from spanverdict.otlp.errors import Undecodable, UnreadableFile
from spanverdict.otlp.json import convert
from spanverdict.otlp.jsontext import BrokenJson, decode_text, parse_first, skip_space
from spanverdict.otlp.shallow_pb2 import TracesData

STANDARD_INPUT: Final = "-"

_HEAD: Final = 4096
_SNIFFED: Final = 64
_BUFFER: Final = 1 << 16
_MAX_MESSAGE: Final = 1 << 29
_GZIP: Final = b"\x1f\x8b"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_LENGTH_SIZE: Final = 4
_FIRST_TAG: Final = 0x0A
_JSON: Final = re.compile(rb"(\xef\xbb\xbf)?([\[{]|[ \t\r\n]+[\[{][^\x00-\x08\x0b\x0c\x0e-\x1f]{0,64}\Z)")
"""How JSON begins. Binary OTLP may begin as JSON with a blank line does, but control characters soon follow."""
_OTHER_SIGNALS: Final = frozenset({"resourceMetrics", "resourceLogs", "resourceProfiles"})


def read_file(path: str | Path, *, lenient_enums: bool = False) -> Payloads:
    """Read an OTLP file as binary payloads, in order; `-` is standard input.

    What it holds decides, not its name: OTLP/JSON (one document, several, or one a line), one binary
    TracesData, or the Collector's length-prefixed binary messages; any of them gzipped. Documents
    that stand one a line are read line by line, binary ones message by message.
    """
    return Payloads(str(path), lenient_enums=lenient_enums)


class Payloads(Iterator[bytes]):
    """The payloads of a file.

    Every step may raise `UnreadableFile`; nothing is left out without one. The file is closed when
    the last payload was taken, and by `close`.
    """

    def __init__(self, path: str, *, lenient_enums: bool) -> None:
        self.path = path
        self.skipped = 0
        """Documents so far that hold metrics, logs or profiles only."""
        self.warnings: dict[str, int] = {}
        """What was accepted so far although it is not allowed, and the line where it was first met."""
        self._lenient_enums = lenient_enums
        self._line: int | None = None
        self._payloads = self._read()

    def __next__(self) -> bytes:
        return next(self._payloads)

    def close(self) -> None:
        """Close the file."""
        self._payloads.close()

    def _read(self) -> Generator[bytes]:
        try:
            with ExitStack() as stack:
                file = _open(self.path, stack)
                head = file.peek(_SNIFFED)[:_SNIFFED]
                if _JSON.match(head):
                    yield from self._read_json(file)
                elif head.strip():
                    yield from _read_binary(file)
        except Undecodable as error:
            raise UnreadableFile(self.path, self._line, str(error)) from None
        except (EOFError, zlib.error) as error:
            raise UnreadableFile(self.path, self._line, f"the gzip data is cut or damaged: {error}") from None
        except OSError as error:
            raise UnreadableFile(self.path, self._line, error.strerror or str(error)) from None

    def _read_json(self, file: IO[bytes]) -> Generator[bytes]:
        for number, line in enumerate(file, start=1):
            self._line = number
            try:
                documents = [*_documents(line)]
            except BrokenJson:
                yield from self._read_rest(decode_text(line + file.read()), number)
                return
            for _, document in documents:
                yield from self._payload(document)

    def _read_rest(self, text: str, first_line: int) -> Generator[bytes]:
        """Read documents that do not stand one a line."""
        try:
            for start, document in _documents_in(text):
                self._line = first_line + text.count("\n", 0, start)
                yield from self._payload(document)
        except BrokenJson as error:
            line = first_line + error.line - 1
            raise UnreadableFile(self.path, line, f"column {error.column}: {error.reason}") from None

    def _payload(self, document: object) -> Generator[bytes]:
        if isinstance(document, dict) and document and "resourceSpans" not in document:
            if _OTHER_SIGNALS.isdisjoint(document):
                raise Undecodable("this is JSON, but not OTLP/JSON: it has no resourceSpans")
            self.skipped += 1
            return
        converted = convert(document, lenient_enums=self._lenient_enums)
        for warning in converted.warnings:
            self.warnings.setdefault(warning, self._line or 0)
        yield converted.payload


def _documents(line: bytes) -> Iterator[tuple[int, object]]:
    return _documents_in(decode_text(line.removeprefix(_BYTE_ORDER_MARK)))


def _documents_in(text: str) -> Iterator[tuple[int, object]]:
    at = skip_space(text, 0)
    while at < len(text):
        start = at
        # What exporters write may hold U+0000: the binary form they had it in allows it.
        document, at = parse_first(text, start, allow_nul=True)
        yield start, document


def _open(path: str, stack: ExitStack) -> io.BufferedReader[_Rejoined]:
    if path == STANDARD_INPUT:
        return _unzipped(sys.stdin.buffer, stack)
    return _unzipped(stack.enter_context(Path(path).open("rb")), stack)


def _unzipped(file: IO[bytes], stack: ExitStack) -> io.BufferedReader[_Rejoined]:
    head = file.read(_HEAD)
    whole = io.BufferedReader(_Rejoined(head, file), _BUFFER)
    if not head.startswith(_GZIP):
        return whole
    unzipped = stack.enter_context(gzip.GzipFile(fileobj=whole))
    return io.BufferedReader(_Rejoined(unzipped.read(_HEAD), unzipped), _BUFFER)


class _Rejoined(io.RawIOBase):
    """A stream of which the head was read already, from the start."""

    def __init__(self, head: bytes, rest: IO[bytes] | gzip.GzipFile) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head[: len(buffer)] or self._rest.read(len(buffer))
        self._head = self._head[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


def _read_binary(file: io.BufferedReader[_Rejoined]) -> Generator[bytes]:
    if file.peek(1)[:1] == bytes([_FIRST_TAG]):
        yield _checked(file.read(), "the file")
        return
    number = 0
    while size := file.read(_LENGTH_SIZE):
        number += 1
        length = int.from_bytes(size, "big")
        message = file.read(length) if length <= _MAX_MESSAGE else b""
        if len(size) < _LENGTH_SIZE or len(message) < length:
            raise Undecodable(f"binary message {number} is cut, or this is not an OTLP file")
        yield _checked(message, f"binary message {number}")


def _checked(payload: bytes, name: str) -> bytes:
    try:
        TracesData.FromString(payload)
    except DecodeError:
        raise Undecodable(f"{name} is not a readable TracesData message") from None
    return payload
