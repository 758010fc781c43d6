"""The report that people read: a line a rule, what is wrong in full, and the verdict last.

Plain and unwrapped where the stream is no terminal, so that a log can be searched; coloured and
wrapped to the width on a terminal. rich is only loaded for a terminal.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TextIO

from spanverdict.evaluation.outcomes import Defect, Outcome, RuleResult
from spanverdict.reporting import wording
from spanverdict.reporting.escaping import shown
from spanverdict.reporting.quantities import counted
from spanverdict.reporting.reporter import OnceFinished, ReportOptions
from spanverdict.reporting.screen import columns
from spanverdict.reporting.verdict import FlowVerdict, Verdict, noted_only

NAME_WIDTH = 32
"""Longest rule name that the others are lined up with."""
GROUPS_SHOWN = 3
"""More passed groups of one rule than these share a line."""
CHANGES_SHOWN = 12
"""Sentences of what changed since the revision before."""
_FACT_WIDTH = 11


@dataclass(frozen=True, slots=True)
class Piece:
    """Some words of a line and the tone they are said in: an outcome, `strong`, `dim` or nothing."""

    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report; when it is wrapped, the rest stands `hang` columns in."""

    pieces: tuple[Piece, ...] = ()
    hang: int = 0

    @property
    def plain(self) -> str:
        """The line without its tones."""
        return "".join(piece.text for piece in self.pieces).rstrip()


def reporter(stream: TextIO, options: ReportOptions) -> OnceFinished:
    """Make the reporter for a stream."""
    return OnceFinished(stream, lambda verdict: render(verdict, options, looks(stream, options, os.environ)))


@dataclass(frozen=True, slots=True)
class Looks:
    """How lines become text: with or without colour, wrapped at `width` or not at all."""

    colour: bool = False
    width: int | None = None


def looks(stream: TextIO, options: ReportOptions, environ: Mapping[str, str]) -> Looks:
    """Decide on colour and width: the user's word first, then NO_COLOR, FORCE_COLOR, and what the stream is."""
    terminal = stream.isatty() and environ.get("TERM") != "dumb"
    colour = terminal or bool(environ.get("FORCE_COLOR"))
    if environ.get("NO_COLOR"):
        colour = False
    if options.colour is not None:
        colour = options.colour
    width = options.width or (columns(stream, environ) if terminal else None)
    return Looks(colour, width)


def render(verdict: Verdict, options: ReportOptions | None = None, look: Looks | None = None) -> str:
    """Write the report as text that ends with a newline."""
    options = options or ReportOptions()
    return written(report_lines(verdict, quiet=options.quiet), look or Looks())


def written(lines: Iterable[Line], look: Looks) -> str:
    """Write lines as text, each ending with a newline."""
    if look.colour or look.width is not None:
        from spanverdict.reporting.terminal import painted  # noqa: PLC0415 - rich is slow to import

        return painted(lines, colour=look.colour, width=look.width)
    return "".join(f"{line.plain}\n" for line in lines)


def report_lines(verdict: Verdict, *, quiet: bool) -> Iterator[Line]:
    """Give the whole report line by line."""
    indent = 2 + max((len(_status(result)) for result in verdict.results), default=0)
    for flow in verdict.flows:
        lines = [line for result in _listed(flow.results, quiet=quiet) for line in _rule_lines(result, flow, indent)]
        if lines or not quiet:
            yield _heading(flow)
            yield from lines
            yield Line()
    yield from _facts(verdict)
    yield Line()
    yield _closing(verdict)


def _heading(flow: FlowVerdict) -> Line:
    return Line((Piece(shown(flow.started.flow), "strong"), Piece(f"  {shown(flow.started.file)}", "dim")))


@dataclass(frozen=True, slots=True)
class _PassedGroups:
    """Passed groups of one rule that share a line."""

    results: tuple[RuleResult, ...]
    total: int


def _listed(results: Iterable[RuleResult], *, quiet: bool) -> Iterator[RuleResult | _PassedGroups]:
    for _, same_rule in groupby(results, key=lambda result: result.id):
        groups = tuple(same_rule)
        passed = tuple(result for result in groups if result.outcome is Outcome.PASSED and result.group is not None)
        folded = passed if len(passed) > GROUPS_SHOWN else ()
        yield from (r for r in groups if r not in folded and not (quiet and r.outcome is Outcome.PASSED))
        if folded and not quiet:
            yield _PassedGroups(folded, len(groups))


def _rule_lines(item: RuleResult | _PassedGroups, flow: FlowVerdict, indent: int) -> Iterator[Line]:
    width = min(NAME_WIDTH, max(len(wording.rule_name(result)) for result in flow.results))
    if isinstance(item, _PassedGroups):
        yield _rule_line(item.results[0], shown(item.results[0].id), _folded_text(item), (indent, width))
        return
    name = wording.rule_name(item)
    if item.outcome is Outcome.PASSED:
        yield _rule_line(item, name, wording.passed_line(item), (indent, width))
        yield from (_detail(text, indent, "dim") for text in wording.golden_lines(item))
        return
    first, *more = wording.judgement(item)
    yield _rule_line(item, name, f"report only: {first}" if noted_only(item) else first, (indent, width))
    yield from (_detail(text, indent) for text in more)
    yield from _explained(item, indent)


def _folded_text(folded: _PassedGroups) -> str:
    names = [shown(str(result.group), 40) for result in folded.results]
    rest = [f"{len(names) - 5} more"] if len(names) > 5 else []  # noqa: PLR2004 - a line's worth
    return f"{len(names)} of {folded.total} groups: {', '.join([*names[:5], *rest])}"


def _rule_line(result: RuleResult, name: str, text: str, columns: tuple[int, int]) -> Line:
    indent, width = columns
    status = Piece(_status(result).ljust(indent), _tone(result))
    return Line((status, Piece(f"{name:<{width}}  ", "strong"), Piece(text)), indent)


def _explained(result: RuleResult, indent: int) -> Iterator[Line]:
    if result.outcome is Outcome.SKIPPED:
        return
    yield from (_detail(text, indent) for text in [*wording.golden_lines(result), *wording.summary_lines(result)])
    worst = wording.worst_lines(result, most=3, whole_ids=False)
    yield from (_detail(text, indent, hang=worst[0].index(": ") + 2) for text in worst)
    yield _detail(wording.place_line(result), indent, "dim")


def _detail(text: str, indent: int, tone: str = "", hang: int = 0) -> Line:
    return Line((Piece(" " * indent), Piece(text, tone)), indent + hang)


def _status(result: RuleResult) -> str:
    return "NOTED" if noted_only(result) else result.outcome.value.upper()


def _tone(result: RuleResult) -> str:
    return "dim" if noted_only(result) else result.outcome.value


def _facts(verdict: Verdict) -> Iterator[Line]:
    run = verdict.started.run
    revision = f"   revision {run.revision}" if run.revision > 1 else ""
    yield _fact("run", f"{shown(run.id, 128)}{revision}")
    if run.labels:
        yield _fact("labels", ", ".join(f"{shown(k)}={shown(v)}" for k, v in sorted(run.labels.items())))
    yield _fact("spans", f"{verdict.started.spans:,} in {counted(verdict.started.traces, 'traces')}")
    for flow in verdict.flows:
        yield from _flow_facts(flow)
    yield from _repeated("defects", [_defect_text(defect) for defect in verdict.finished.defects], "warned")
    yield from _repeated("changes", _change_texts(verdict.finished.changes), "")


def _flow_facts(flow: FlowVerdict) -> Iterator[Line]:
    completeness = flow.finished.completeness
    yield _fact("flow", shown(flow.started.flow))
    yield _fact("requests", wording.requests_text(completeness))
    tone = "" if completeness.complete else "inconclusive"
    yield _fact("complete", wording.completeness_text(completeness), tone)
    if flow.started.baseline is not None:
        tone = "inconclusive" if flow.started.baseline.missing else ""
        yield _fact("baseline", wording.baseline_text(flow.started.baseline), tone)
    if completeness.missing_stages:
        yield _fact("missing", wording.missing_text(completeness), "inconclusive")
    if flow.finished.spent is not None:
        yield _fact("spent on", wording.spent_text(flow.finished.spent))
    yield from _repeated("warnings", [shown(text, wording.MESSAGE_LIMIT) for text in flow.finished.warnings], "warned")


def _repeated(name: str, texts: list[str], tone: str) -> Iterator[Line]:
    yield from (_fact(name if number == 0 else "", text, tone) for number, text in enumerate(texts))


def _defect_text(defect: Defect) -> str:
    example = f", e.g. {shown(defect.detail, wording.MESSAGE_LIMIT)}" if defect.detail else ""
    return f"{shown(defect.name)}: {defect.count:,}{example}"


def _change_texts(changes: Sequence[str]) -> list[str]:
    texts = [shown(text, wording.MESSAGE_LIMIT) for text in changes[:CHANGES_SHOWN]]
    more = len(changes) - len(texts)
    return [*texts, *([f"and {more} more, all of them in the JSON report"] if more else [])]


def _fact(name: str, text: str, tone: str = "") -> Line:
    return Line((Piece(f"{name:<{_FACT_WIDTH}}", "dim"), Piece(text, tone)), _FACT_WIDTH)


def _closing(verdict: Verdict) -> Line:
    outcome, complete = verdict.finished.outcome, verdict.finished.complete
    good_but_half = not complete and outcome not in {Outcome.FAILED, Outcome.ERRORED}
    tone = Outcome.INCONCLUSIVE.value if good_but_half else outcome.value
    return Line((Piece(wording.verdict_word(verdict), tone), Piece(f"  {wording.closing_facts(verdict)}")))
