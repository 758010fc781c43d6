"""Annotations for GitHub Actions: workflow commands on standard output, worst first.

GitHub shows only ten of each kind a step, so the last of ten says how many were left out; the
Markdown report in the step summary has them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

from spanverdict.evaluation.outcomes import Outcome, RuleResult, Severity
from spanverdict.reporting import wording
from spanverdict.reporting.escaping import shown
from spanverdict.reporting.reporter import OnceFinished, ReportOptions
from spanverdict.reporting.verdict import FlowVerdict, Verdict, noted_only

SHOWN_BY_GITHUB = 10
"""Annotations of one kind that a step may have."""
_SEVERITIES = tuple(Severity)


@dataclass(frozen=True, slots=True)
class Annotation:
    """One note at a line of a rule file. `kind` is `error`, `warning` or `notice`."""

    kind: str
    title: str
    message: str
    file: str = ""
    line: int = 0
    column: int = 0

    def command(self) -> str:
        """Write it as a workflow command."""
        place = {"file": self.file, "line": str(self.line), "col": str(self.column)} if self.file else {}
        properties = ",".join(f"{key}={_property(value)}" for key, value in {**place, "title": self.title}.items())
        return f"::{self.kind} {properties}::{_data(self.message)}"


def reporter(stream: TextIO, options: ReportOptions) -> OnceFinished:
    """Make the reporter for a stream."""
    del options
    return OnceFinished(stream, render)


def render(verdict: Verdict) -> str:
    """Write the annotations, one a line."""
    noted = list(_annotations(verdict))
    lines = [
        note
        for kind in ("error", "warning", "notice")
        for note in limited(noted, kind, "more are in the step summary and the report")
    ]
    return "".join(f"{note.command()}\n" for note in lines)


def limited(noted: list[Annotation], kind: str, more: str) -> list[Annotation]:
    """Return the annotations of a kind; of more than GitHub shows the first, and one that counts the others."""
    same = [note for note in noted if note.kind == kind]
    if len(same) <= SHOWN_BY_GITHUB:
        return same
    kept = same[: SHOWN_BY_GITHUB - 1]
    return [*kept, Annotation(kind, "spanverdict", f"{len(same) - len(kept)} {more}")]


def _annotations(verdict: Verdict) -> Iterator[Annotation]:
    yield from (_incomplete(flow) for flow in verdict.flows if not flow.finished.completeness.complete)
    if verdict.unshown:
        yield Annotation("error", "spanverdict", wording.closing_line(verdict))
    results = [result for result in verdict.results if result.outcome is not Outcome.PASSED]
    for result in sorted(results, key=lambda result: _SEVERITIES.index(result.severity)):
        yield _rule(result)


def _incomplete(flow: FlowVerdict) -> Annotation:
    completeness = flow.finished.completeness
    missing = wording.missing_text(completeness)
    told = [wording.completeness_reason(completeness), *([f"missing: {missing}"] if missing else [])]
    return Annotation("error", f"{shown(flow.started.flow)} incomplete", "; ".join(told), flow.started.file, 1, 1)


def _rule(result: RuleResult) -> Annotation:
    message = "\n".join(wording.explanation(result)[:-1])
    title = f"{wording.rule_name(result)} {'noted' if noted_only(result) else result.outcome}"
    return Annotation(_kind(result), title, message, result.file, result.line, result.column)


def _kind(result: RuleResult) -> str:
    if result.outcome is Outcome.SKIPPED or noted_only(result):
        return "notice"
    return "warning" if result.outcome is Outcome.INCONCLUSIVE else "error"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(shown(text)).replace(":", "%3A").replace(",", "%2C")
