"""What a reporter is: it reads the events of a run and has written its report when the run is finished."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TextIO

from spanverdict.evaluation.outcomes import Event, RunFinished
from spanverdict.reporting.escaping import fit_encoding
from spanverdict.reporting.verdict import Verdict, gather


class Reporter(Protocol):
    """A consumer of the event stream. It writes text, keeps nothing open, and never raises for what the data holds."""

    def consume(self, event: Event) -> None:
        """Take the next event. After `RunFinished` the report is written in full."""
        ...


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What a user may choose about the looks of a report. A format ignores what does not concern it."""

    quiet: bool = False
    """Text: leave out the rules that passed."""
    colour: bool | None = None
    """Text: None looks at the stream and the environment."""
    width: int | None = None
    """Text: columns to wrap at; None asks the terminal, and does not wrap where there is none."""
    junit_flavor: str = "extended"
    """JUnit: `extended` names file and line of each rule, `xunit2` keeps to what strict readers allow."""
    version: str = ""
    """CTRF: the version of Spanverdict that judged."""


@dataclass(slots=True)
class OnceFinished:
    """A reporter that collects a run's events and writes one text when the run is finished.

    A stream of events that breaks off before `RunFinished` writes nothing: half a report would look like a whole one.
    """

    stream: TextIO
    render: Callable[[Verdict], str]
    _events: list[Event] = field(default_factory=list)

    def consume(self, event: Event) -> None:
        """Keep the event; write when it is the last."""
        self._events.append(event)
        if isinstance(event, RunFinished):
            verdict = gather(self._events)
            self._events = []
            self.stream.write(fit_encoding(self.render(verdict), getattr(self.stream, "encoding", None)))
            self.stream.flush()
