"""One line that says what a long wait is waiting for; on a terminal only, and never in CI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self, TextIO

from spanverdict.reporting.escaping import fit_encoding, shown
from spanverdict.reporting.quantities import counted
from spanverdict.reporting.screen import columns

_STAGES_NAMED = 3


@dataclass(frozen=True, slots=True)
class ProgressState:
    """How far a run has come."""

    requests: int
    expected_requests: int | None
    spans: int
    stages_seen: int
    stages: int
    """How many stages the flow has."""
    missing: tuple[tuple[str, int], ...] = ()
    """(stage, requests that still lack it), in path order."""
    seconds_left: float | None = None
    """Until the run is judged as it is; None when nobody knows."""


def progress_line(state: ProgressState) -> str:
    """Say in one line what has come, what is missing and how long it may take.

    >>> progress_line(ProgressState(198, 200, 1610, 4, 4, (("notify", 2),), 23.6))
    'waiting: 198 of 200 requests, 1,610 spans, 4 of 4 stages, missing notify (2), 24s left'
    >>> progress_line(ProgressState(0, None, 0, 0, 4))
    'waiting: no spans yet'
    """
    parts = _arrived(state) if state.spans else ["no spans yet"]
    if state.seconds_left is not None:
        parts.append(f"{max(round(state.seconds_left), 0)}s left")
    return f"waiting: {', '.join(parts)}"


def _arrived(state: ProgressState) -> list[str]:
    expected = state.expected_requests
    seen = counted(state.requests, "requests")
    requests = seen if expected is None else f"{state.requests:,} of {counted(expected, 'requests')}"
    parts = [requests, counted(state.spans, "spans"), f"{state.stages_seen} of {counted(state.stages, 'stages')}"]
    return [*parts, f"missing {_missing(state)}"] if state.missing else parts


def _missing(state: ProgressState) -> str:
    named = [f"{shown(stage, 40)} ({count:,})" for stage, count in state.missing[:_STAGES_NAMED]]
    rest = len(state.missing) - len(named)
    return " ".join([*named, *([f"and {rest} more"] if rest else [])])


@dataclass(slots=True)
class Progress:
    """The line on the screen. Not for several threads at once."""

    stream: TextIO
    environ: Mapping[str, str]
    active: bool
    _written: str = field(default="", init=False)

    @classmethod
    def on(cls, stream: TextIO, environ: Mapping[str, str]) -> Self:
        """Make one for a stream, silent unless somebody is there to watch it."""
        watched = environ.get("CI", "").lower() not in {"true", "1"} and environ.get("TERM") != "dumb"
        return cls(stream, environ, active=watched and stream.isatty())

    def show(self, state: ProgressState) -> None:
        """Put the state in the place of the last one."""
        if not self.active:
            return
        line = progress_line(state)[: columns(self.stream, self.environ) - 1]
        if line != self._written:
            self.stream.write(f"\r{fit_encoding(line, self.stream.encoding)}\x1b[K")
            self.stream.flush()
            self._written = line

    def clear(self) -> None:
        """Take the line away, so that what is printed next starts clean."""
        if self._written:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
            self._written = ""
