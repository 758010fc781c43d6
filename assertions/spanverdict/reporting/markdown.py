"""The verdict as Markdown, for a step summary, a merge request or a chat."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TextIO

from spanverdict.evaluation.outcomes import Outcome, RuleResult
from spanverdict.reporting import wording
from spanverdict.reporting.escaping import shown
from spanverdict.reporting.reporter import OnceFinished, ReportOptions
from spanverdict.reporting.verdict import FlowVerdict, Verdict, noted_only

MOST_BYTES = 1_000_000
"""GitHub refuses a step summary of more than 1 MiB; what does not fit is left out, and that is said."""
CHANGES_SHOWN = 12
"""Sentences of what changed since the revision before."""
_SPECIAL = re.compile(r"([\\`*\[\]<>|~$&#]|(?<![^\W_])_|_(?![^\W_])|^[-+]|:(?=//|[a-z_]\w*:))")
_LINK = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&*+,;=%-]+")
_SIGNS = {
    Outcome.PASSED: "✅",
    Outcome.FAILED: "❌",
    Outcome.INCONCLUSIVE: "❔",
    Outcome.ERRORED: "💥",
    Outcome.SKIPPED: "⏭️",
}


def reporter(stream: TextIO, options: ReportOptions) -> OnceFinished:
    """Make the reporter for a stream."""
    del options
    return OnceFinished(stream, render)


def render(verdict: Verdict, most_bytes: int = MOST_BYTES) -> str:
    """Write the report; no more than `most_bytes` in UTF-8."""
    head = f"## {_sign(verdict)} Spanverdict: {escaped(wording.closing_line(verdict))}\n"
    return "".join(_fitting([head, *_blocks(verdict)], most_bytes))


def escaped(text: str) -> str:
    r"""Return the text so that Markdown shows it as it is.

    >>> escaped("a|b <b> [x](y)")
    'a\\|b \\<b\\> \\[x\\](y)'
    """
    return _SPECIAL.sub(r"\\\1", shown(text, wording.MESSAGE_LIMIT * 4))


def _fitting(blocks: list[str], most_bytes: int) -> Iterator[str]:
    note = "\n… The rest does not fit here; the JSON report has everything.\n"
    left = most_bytes - len(note.encode())
    for block in blocks:
        left -= len(block.encode())
        if left < 0:
            yield note
            return
        yield block


def _blocks(verdict: Verdict) -> Iterator[str]:
    yield from _changes(verdict)
    for flow in verdict.flows:
        yield from _flow_blocks(flow)
    if verdict.finished.defects:
        yield "\n### Defects in the data\n\n"
    for defect in verdict.finished.defects:
        yield f"- {escaped(defect.name)}: {defect.count:,}, e.g. {escaped(defect.detail)}\n"


def _changes(verdict: Verdict) -> Iterator[str]:
    """Say what is different from the revision before."""
    sentences = verdict.finished.changes
    if not sentences:
        return
    yield f"\n### Changes since revision {verdict.started.run.revision - 1}\n\n"
    yield from (f"- {escaped(sentence)}\n" for sentence in sentences[:CHANGES_SHOWN])
    if len(sentences) > CHANGES_SHOWN:
        yield f"- and {len(sentences) - CHANGES_SHOWN} more, all of them in the JSON report\n"


def _flow_blocks(flow: FlowVerdict) -> Iterator[str]:
    completeness = flow.finished.completeness
    yield f"\n### {escaped(flow.started.flow)}\n\n"
    yield f"Requests: {wording.requests_text(completeness)}. "
    yield f"Complete: {escaped(wording.completeness_text(completeness))}.\n"
    if completeness.missing_stages:
        yield f"\nMissing: {escaped(wording.missing_text(completeness))}.\n"
    if flow.finished.spent is not None:
        yield f"\nTime spent on: {escaped(wording.spent_text(flow.finished.spent))}.\n"
    yield from (f"\n> {escaped(warning)}\n" for warning in flow.finished.warnings)
    if flow.results:
        yield "\n| | Rule | Seen |\n|---|---|---|\n"
    yield from (_row(result) for result in flow.results)
    yield from (_details(result) for result in flow.results if _is_told(result))
    yield "\n"


def _row(result: RuleResult) -> str:
    sign = "📝" if noted_only(result) else _SIGNS[result.outcome]
    text = wording.passed_line(result) if result.outcome is Outcome.PASSED else wording.judgement(result)[0]
    return f"| {sign} | {escaped(wording.rule_name(result))} | {escaped(text)} |\n"


def _is_told(result: RuleResult) -> bool:
    return result.outcome not in {Outcome.PASSED, Outcome.SKIPPED}


def _details(result: RuleResult) -> str:
    lines = "".join(f"- {escaped(line.strip())}\n" for line in wording.explanation(result))
    link = _runbook(result)
    return f"\n**{escaped(wording.rule_name(result))}** {result.outcome}{link}\n\n{lines}"


def _runbook(result: RuleResult) -> str:
    url = result.annotations.get("runbook_url", "")
    return f", [runbook](<{url}>)" if _LINK.fullmatch(url) else ""


def _sign(verdict: Verdict) -> str:
    good = {Outcome.PASSED, Outcome.SKIPPED}
    if not verdict.finished.complete and verdict.finished.outcome in good:
        return _SIGNS[Outcome.INCONCLUSIVE]
    return _SIGNS[verdict.finished.outcome]
