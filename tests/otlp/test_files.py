from __future__ import annotations

import gzip
import io
import json
import re
import sys
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from bench.load import make_payload
from otlp.messages import expected_rows, good_span, request_of, table_rows
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.otlp.errors import UnreadableFile
from spanverdict.otlp.files import read_file
from spanverdict.otlp.json import protobuf_to_json

PAYLOADS = [make_payload(5, 12, seed) for seed in range(3)]
ROWS = [expected_rows(TracesData.FromString(payload)) for payload in PAYLOADS]
LINES = [protobuf_to_json(payload) for payload in PAYLOADS]
PRETTY = [json.dumps(json.loads(line), indent=2) for line in LINES]
PREFIXED = b"".join(len(payload).to_bytes(4, "big") + payload for payload in PAYLOADS)


def rows_of(path: Path | str) -> list[list[dict]]:
    return [table_rows(decode(payload, new_pool()).table) for payload in read_file(path)]


FILES = {
    "one document": (PRETTY[0].encode(), ROWS[:1]),
    "one document in one line": (LINES[0].encode(), ROWS[:1]),
    "pretty documents one after the other": ("\n".join(PRETTY).encode(), ROWS),
    "documents without a space between": ("".join(LINES).encode(), ROWS),
    "one document a line": ("\n".join(LINES).encode() + b"\n", ROWS),
    "one a line, with blank lines": (("\n\n" + "\r\n \r\n".join(LINES) + "\n\n").encode(), ROWS),
    "a line, then pretty": ("\n".join([LINES[0], *PRETTY[1:]]).encode(), ROWS),
    "a byte order mark": (b"\xef\xbb\xbf" + LINES[0].encode(), ROWS[:1]),
    "one binary message": (PAYLOADS[0], ROWS[:1]),
    "binary messages with length prefixes": (PREFIXED, ROWS),
    "an empty binary message with a length prefix": (bytes(4) + PREFIXED, [[], *ROWS]),
    "nothing": (b"", []),
    "nothing but blank lines": (b"\n \n", []),
    "an empty document": (b"{}", [[]]),
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".pb", ""])
@pytest.mark.parametrize("name", FILES)
def test_what_a_file_holds_decides_whatever_its_name(tmp_path: Path, name: str, suffix: str, zipped: bool) -> None:
    content, expected = FILES[name]
    path = tmp_path / f"traces{suffix}{'.gz' if zipped else ''}"
    path.write_bytes(gzip.compress(content) if zipped else content)
    assert rows_of(path) == expected


@pytest.mark.parametrize("name", FILES)
def test_standard_input_is_read_like_a_file(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    content, expected = FILES[name]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert rows_of("-") == expected


def test_a_binary_message_that_looks_like_json_after_a_blank_line_is_binary(tmp_path: Path) -> None:
    """0x0a is a line feed, and 0x7b an opening brace: a message whose first part is 123 bytes long."""
    size = next(n for n in range(200) if request_of(good_span(name="n" * n)).ByteSize() == 125)
    message = request_of(good_span(name="n" * size))
    assert message.SerializeToString()[:2] == b"\n{"
    path = tmp_path / "traces"
    path.write_bytes(message.SerializeToString())
    assert rows_of(path) == [expected_rows(message)]


def test_other_signals_are_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    path.write_text(
        "\n".join(['{"resourceMetrics": []}', LINES[0], '{"resourceLogs": [{}]}', '{"resourceProfiles": []}'])
    )
    payloads = read_file(path)
    assert len(list(payloads)) == 1
    assert payloads.skipped == 3


def test_enum_names_are_refused_or_warned_of_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "names.jsonl"
    path.write_text("\n".join([LINES[0], re.sub('"kind":[0-9]', '"kind":"SPAN_KIND_SERVER"', LINES[1])]))
    with pytest.raises(UnreadableFile, match=r"names\.jsonl:2: .*kind must be an integer"):
        list(read_file(path))
    payloads = read_file(path, lenient_enums=True)
    assert len(list(payloads)) == 2
    assert list(payloads.warnings.values()) == [2]


def test_lines_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    path.write_text("\n".join([LINES[0], "broken"]))
    payloads = read_file(path)
    assert table_rows(decode(next(payloads), new_pool()).table) == ROWS[0]
    with pytest.raises(UnreadableFile):
        next(payloads)


def test_a_file_can_be_closed_half_read(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    path.write_text("\n".join(LINES))
    payloads = read_file(path)
    next(payloads)
    payloads.close()
    assert list(payloads) == []


def test_nul_in_a_text_survives_a_file(tmp_path: Path) -> None:
    message = request_of(good_span(name="a\0b"))
    path = tmp_path / "traces.jsonl"
    path.write_text(protobuf_to_json(message.SerializeToString()))
    assert rows_of(path) == [expected_rows(message)]


CUT_JSON = "\n".join(LINES)[:-30].encode()
BROKEN = {
    "a last line that is cut": (CUT_JSON, 3, "column"),
    "a last line that is cut, zipped": (gzip.compress(CUT_JSON), 3, "column"),
    "the only line is cut": (LINES[0][:-5].encode(), 1, "column"),
    "a pretty document that is cut": (
        "\n".join(PRETTY[0].splitlines()[:-1]).encode(),
        len(PRETTY[0].splitlines()) - 1,
        "column",
    ),
    "a broken line in the middle": ("\n".join([LINES[0], "nonsense", LINES[1]]).encode(), 2, "column 1"),
    "a line that is no OTLP": ("\n".join([LINES[0], '{"data": []}']).encode(), 2, "no resourceSpans"),
    "a line of a wrong type": ("\n".join([LINES[0], '{"resourceSpans": 1}']).encode(), 2, "must be an array"),
    "a wrong type in a later pretty document": (
        (PRETTY[0] + '\n{"resourceSpans":\n 1}').encode(),
        len(PRETTY[0].splitlines()) + 1,
        "must be an array",
    ),
    "a line that is not UTF-8": (LINES[0].encode() + b'\n{"\xff": 1}', 2, "not UTF-8"),
    "a JSON array": (b"[1]", 1, "must be an object"),
    "a binary message that is cut": (PAYLOADS[0][:-5], None, "not a readable"),
    "a prefixed message that is cut": (PREFIXED[:-5], None, "message 3 is cut"),
    "a length prefix that is cut": (PREFIXED + b"\0\0", None, "message 4 is cut"),
    "a prefixed message that is malformed": (b"\0\0\0\x02\xff\xff", None, "message 1 is not a readable"),
    "some other text": (b"hello, world", None, "not an OTLP file"),
    "some other binary": (b"PK\x03\x04aaaaaaaa", None, "not an OTLP file"),
    "a length beyond reason": (b"\xff\xff\xff\xff" + PREFIXED, None, "not an OTLP file"),
    "gzip that is cut": (gzip.compress("\n".join(LINES).encode())[:-20], None, "cut or damaged"),
    "gzip that is damaged": (b"\x1f\x8b\x08\x00" + b"\xff" * 100, None, "gzip"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, name: str) -> None:
    content, line, why = BROKEN[name]
    path = tmp_path / "traces.jsonl"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile) as error:
        list(read_file(path))
    assert (error.value.path, why in error.value.message) == (str(path), True), str(error.value)
    if line is not None:
        assert error.value.line == line
        assert str(error.value).startswith(f"{path}:{line}: ")


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnreadableFile, match=r"No such file|directory") as error:
        list(read_file(tmp_path / name))
    assert str(tmp_path / name) in str(error.value)
