"""The line that a person sees while waiting, and that a log never sees."""

from __future__ import annotations

import io

import pytest
from hypothesis import given

from reporting.hostile import texts
from spanverdict.reporting.progress import Progress, ProgressState, progress_line

STATE = ProgressState(12, 200, 96, 3, 4, (("score", 2), ("notify", 12)), 27.4)


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (STATE, "waiting: 12 of 200 requests, 96 spans, 3 of 4 stages, missing score (2) notify (12), 27s left"),
        (ProgressState(1, None, 1, 1, 4), "waiting: 1 request, 1 span, 1 of 4 stages"),
        (ProgressState(0, 200, 0, 0, 4, (), 30.0), "waiting: no spans yet, 30s left"),
        (
            ProgressState(9, None, 9, 1, 6, tuple((f"s{n}", 9) for n in range(5)), -1.0),
            "waiting: 9 requests, 9 spans, 1 of 6 stages, missing s0 (9) s1 (9) s2 (9) and 2 more, 0s left",
        ),
    ],
)
def test_the_line_says_what_is_there_and_what_is_missing(state, line):
    """Proves the wording of the states a wait goes through."""
    assert progress_line(state) == line


@given(texts)
def test_a_stage_name_cannot_move_the_cursor(stage):
    """Proves that the line stays one line of printable text."""
    line = progress_line(ProgressState(1, None, 1, 1, 1, ((stage, 1),)))
    assert "\x1b" not in line
    assert len(line.splitlines()) == 1


def test_the_line_is_rewritten_in_place_and_taken_away():
    """Proves that one line is used over and over, is not written twice alike, and leaves nothing behind."""
    screen = Screen()
    progress = Progress.on(screen, {"COLUMNS": "40"})
    progress.show(STATE)
    progress.show(STATE)
    progress.clear()
    progress.clear()
    assert screen.getvalue() == "\rwaiting: 12 of 200 requests, 96 spans, \x1b[K\r\x1b[K"


@pytest.mark.parametrize(
    ("stream", "environ"),
    [(io.StringIO(), {}), (Screen(), {"CI": "true"}), (Screen(), {"CI": "1"}), (Screen(), {"TERM": "dumb"})],
)
def test_nobody_watching_means_nothing_written(stream, environ):
    """Proves that logs, CI and dumb terminals get no progress line."""
    progress = Progress.on(stream, environ)
    progress.show(STATE)
    progress.clear()
    assert stream.getvalue() == ""
