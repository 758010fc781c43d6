"""The text report where it meets a terminal: colour, width, encodings, and what data must not do to it."""

from __future__ import annotations

import io
import os
import pty
import re
import struct
from contextlib import contextmanager, suppress
from itertools import pairwise

import pytest
from hypothesis import given

from reporting.hostile import streams
from reporting.streams import STREAMS
from spanverdict.reporting import text
from spanverdict.reporting.reporter import ReportOptions
from spanverdict.reporting.text import Looks
from spanverdict.reporting.verdict import gather

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e\ud800-\udfff]")


@contextmanager
def terminal(columns):
    """Give a stream on a real pseudo-terminal of this width, and a function that reads what was written."""
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    with os.fdopen(inner, "w", encoding="utf-8") as stream:
        yield stream, lambda: _drained(outer, stream)
    os.close(outer)


def _drained(outer, stream):
    stream.write("\x04")  # marks the end of what was written
    stream.flush()
    received = b""
    while not received.endswith(b"\x04"):
        with suppress(InterruptedError):
            received += os.read(outer, 65_536)
    return received[:-1].decode().replace("\r\n", "\n")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for variable in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def report_on(stream, story="incomplete", options=None):
    reporter = text.reporter(stream, options or ReportOptions())
    for event in STREAMS[story]:
        reporter.consume(event)


def test_a_terminal_gets_colour_and_its_own_width():
    """Proves that outcomes are coloured and no line is wider than the terminal."""
    with terminal(70) as (stream, written):
        report_on(stream)
        shown = written()
    assert "\x1b[32mPASSED" in shown
    assert "\x1b[1;33mINCONCLUSIVE" in shown
    assert max(len(line) for line in ESCAPES.sub("", shown).splitlines()) <= 70


def test_wrapping_loses_no_word():
    """Proves that the wrapped report has the words of the plain one, in their order."""
    with terminal(61) as (stream, written):
        report_on(stream, "failed")
        shown = ESCAPES.sub("", written())
    assert shown.split() == text.render(gather(STREAMS["failed"])).split()


def test_no_color_leaves_no_escape_codes(monkeypatch):
    """Proves that NO_COLOR is obeyed on a terminal, which still gets its width."""
    monkeypatch.setenv("NO_COLOR", "1")
    with terminal(70) as (stream, written):
        report_on(stream)
        shown = written()
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 70


def test_wrapped_lines_hang_under_their_text():
    """Proves that the rest of a wrapped line stands under the text and not under the outcome."""
    lines = text.render(gather(STREAMS["failed"]), look=Looks(width=80)).splitlines()
    wrapped = {first.split()[0]: rest for first, rest in pairwise(lines) if first}
    assert wrapped["slowest:"] == " " * 17 + "features 41ms"
    assert wrapped["defects"] == " " * 11 + "53995c3f42cd8ad8, which never came"


def test_wide_characters_count_as_two_columns():
    """Proves that a line of Chinese or emoji is not wider on screen than the terminal."""
    from rich.cells import cell_len

    lines = [text.Line((text.Piece("FAILED  "), text.Piece("订单 🚚 迟到 " * 12)), 8)]
    from spanverdict.reporting.terminal import painted

    shown = painted(lines, colour=False, width=40)
    assert max(cell_len(line) for line in shown.splitlines()) <= 40


def test_one_endless_word_is_broken_and_kept():
    """Proves that a word longer than the terminal neither hangs the wrapping nor gets lost."""
    from spanverdict.reporting.terminal import painted

    shown = painted([text.Line((text.Piece("FAILED  " + "x" * 300),), 8)], colour=False, width=40)
    assert shown.count("x") == 300
    assert max(map(len, shown.splitlines())) <= 40


@pytest.mark.parametrize(
    ("environ", "options", "colour"),
    [
        ({}, ReportOptions(), False),
        ({"FORCE_COLOR": "1"}, ReportOptions(), True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, ReportOptions(), False),
        ({"NO_COLOR": ""}, ReportOptions(colour=True), True),
        ({"FORCE_COLOR": "1"}, ReportOptions(colour=False), False),
    ],
)
def test_the_users_word_on_colour_counts_most(environ, options, colour):
    """Proves the order: the flag, NO_COLOR, FORCE_COLOR, the stream."""
    assert text.looks(io.StringIO(), options, environ).colour is colour


def test_a_dumb_terminal_gets_plain_text():
    """Proves that TERM=dumb gets no escape codes."""
    with terminal(70) as (stream, _written):
        assert text.looks(stream, ReportOptions(), {"TERM": "dumb"}) == Looks(colour=False, width=None)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_stream_of_an_old_encoding_gets_a_whole_report(encoding):
    """Proves that dashes and ellipses do not end the program where they cannot be written."""
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding=encoding, newline="\n") as stream:
        report_on(stream, "failed")
        shown = raw.getvalue().decode(encoding)
    assert "slowest: 4bf92f35... 812.0ms - score 640.1ms" in shown


def test_a_stream_that_breaks_off_writes_nothing():
    """Proves that half a run never looks like a whole report."""
    out = io.StringIO()
    reporter = text.reporter(out, ReportOptions())
    for event in STREAMS["passed"][:-1]:
        reporter.consume(event)
    assert out.getvalue() == ""


@given(streams())
def test_no_data_can_command_the_terminal_or_the_log(events):
    """Proves that no control character, hidden turn of direction or CI log command survives."""
    shown = text.render(gather(events))
    assert not CONTROL.search(shown)
    assert not [line for line in shown.splitlines() if line.lstrip().startswith("::")]
    assert not re.search(r"##\w*\[", shown)


@given(streams())
def test_only_a_good_and_whole_run_says_passed_at_the_end(events):
    """Proves that the closing line never calls an incomplete or bad run passed."""
    verdict = gather(events)
    closing = text.render(verdict).splitlines()[-1]
    assert closing.startswith("PASSED  ") == (verdict.finished.complete and verdict.finished.outcome == "passed")


@given(streams())
def test_colour_changes_no_character(events):
    """Proves that the coloured report is the plain one with colours."""
    verdict = gather(events)
    coloured = text.render(verdict, look=Looks(colour=True))
    assert ESCAPES.sub("", coloured).split() == text.render(verdict).split()
