"""What a verdict says in sentences, the same in every format that people read.

Everything returned here is harmless to show: texts that came with the spans went through `shown`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spanverdict.diagnostics.durations import format_duration
from spanverdict.evaluation.outcomes import (
    BaselineOrigin,
    Completeness,
    ConditionResult,
    Exhibit,
    Outcome,
    RuleResult,
    StageShare,
    TimeSpent,
)
from spanverdict.reporting.escaping import shown
from spanverdict.reporting.quantities import counted, share_text
from spanverdict.reporting.verdict import FlowVerdict, Verdict

MESSAGE_LIMIT = 600
"""Characters of a message or note that are shown."""
_STAGES_SHOWN = 4
_SHARES_SHOWN = 8
_COUNT_ORDER = (Outcome.ERRORED, Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.PASSED, Outcome.SKIPPED)
_TRIGGERS = {
    "manifest": "every expected request is there with all its stages",
    "run end": "the run was declared ended",
    "structure": "every request's path is whole",
    "idle": "no more spans came",
    "cap": "the waiting time (at_most) ran out",
    "input": "the input holds no more",
}


def rule_name(result: RuleResult) -> str:
    """Name a result: the rule, and the group it is for."""
    group = "" if result.group is None else f"[{shown(result.group, 60)}]"
    return shown(f"{shown(result.id, 80)}{group}")


def passed_line(result: RuleResult) -> str:
    """Say briefly what a passed rule saw: `p95 = 112.3ms (< 200ms)   n = 200 requests`."""
    seen = ", ".join(_held(condition) for condition in result.conditions)
    return f"{seen or shown(result.message, MESSAGE_LIMIT)}   {sample_size(result)}"


def sample_size(result: RuleResult) -> str:
    """Say how much was judged: `n = 200 requests`."""
    return f"n = {counted(result.samples, shown(result.population))}"


def judgement(result: RuleResult) -> list[str]:
    """Say what a rule that did not pass saw and what it expected, the first line the one that matters most."""
    if result.outcome in {Outcome.ERRORED, Outcome.SKIPPED}:
        return [shown(result.message or "no reason is known", MESSAGE_LIMIT)]
    decisive = sorted((c for c in result.conditions if c.outcome is not Outcome.PASSED), key=_weight)
    lines = [_decisive(condition, result.outcome) for condition in decisive]
    notes = [shown(condition.note, MESSAGE_LIMIT) for condition in decisive]
    if not decisive or not result.samples or decisive[0].observed not in result.message:
        lines.insert(0, shown(result.message or "no reason is known", MESSAGE_LIMIT))
        notes.insert(0, "")
    bracketed = [", ".join(filter(None, part)) for part in _brackets(sample_size(result), notes)]
    held = [_held(c) for c in result.conditions if c.outcome is Outcome.PASSED]
    said = [f"{line}   ({extra})" if extra else line for line, extra in zip(lines, bracketed, strict=True)]
    return [*said, f"passed: {', '.join(held)}"] if held else said


def _brackets(size: str, notes: Sequence[str]) -> Iterable[tuple[str, ...]]:
    """Put the sample size before the first note, and say a repeated note once."""
    said: set[str] = set()
    for number, note in enumerate(notes):
        fresh = "" if note in said else note
        said.add(note)
        yield (size, fresh) if number == 0 else (fresh,)


def _weight(condition: ConditionResult) -> int:
    order = (Outcome.FAILED, Outcome.ERRORED, Outcome.INCONCLUSIVE)
    return order.index(condition.outcome) if condition.outcome in order else len(order)


def _held(condition: ConditionResult) -> str:
    sure = f", {shown(condition.note, MESSAGE_LIMIT)}" if condition.level is not None and condition.note else ""
    return f"{shown(condition.statistic)} = {shown(condition.observed)} ({shown(condition.wanted)}{sure})"


def _decisive(condition: ConditionResult, whole: Outcome) -> str:
    line = f"{shown(condition.statistic)} = {shown(condition.observed)}, expected {shown(condition.wanted)}"
    return line if condition.outcome is whole else f"{line}: {condition.outcome}"


def worst_lines(result: RuleResult, *, most: int, whole_ids: bool) -> list[str]:
    """Name the worst requests, at most `most` of them, times with their longest stages."""
    word = _worst_word(result)
    lead = [f"{word}: ", *[" " * (len(word) + 2)] * most]
    named = (exhibit_line(exhibit, whole_ids=whole_ids) for exhibit in result.exhibits[:most])
    return [start + line for start, line in zip(lead, named, strict=False)]


def _worst_word(result: RuleResult) -> str:
    too_low = any(c.outcome is Outcome.FAILED and c.expected.startswith(">") for c in result.conditions)
    if result.measure == "latency" and not too_low:
        return "slowest"
    return "stalest" if result.measure == "freshness" else "worst"


def exhibit_line(exhibit: Exhibit, *, whole_ids: bool) -> str:
    """Name one request: `4bf92f35… 812.0ms — score 640.1ms (79 %), queue 96.3ms`."""
    line = f"{_request_name(exhibit, whole_ids=whole_ids)} {shown(exhibit.value)}".strip()
    shares = exhibit.stages[:_STAGES_SHOWN] if exhibit.about_time else ()
    stages = ", ".join(_stage(share, first=share is exhibit.stages[0]) for share in shares)
    return f"{line} — {stages}" if stages else line


def _request_name(exhibit: Exhibit, *, whole_ids: bool) -> str:
    if not exhibit.key and not exhibit.trace_id:
        return ""
    trace = exhibit.trace_id if whole_ids else f"{exhibit.trace_id[:8]}…"
    if exhibit.key in {"", exhibit.trace_id}:
        return shown(trace)
    key = shown(exhibit.key, 80)
    return f"{key} (trace {shown(trace)})" if exhibit.trace_id else key


def _stage(share: StageShare, *, first: bool) -> str:
    text = f"{shown(share.stage)} {format_duration(share.duration_ns)}"
    return f"{text} ({share_text(share.share)})" if first else text


def spent_text(spent: TimeSpent) -> str:
    """Say what the time of all requests was spent on: `score 61 %, queue 22 %, features 9 %`."""
    said = [f"{shown(share.stage, 80)} {share_text(share.share)}" for share in spent.shares[:_SHARES_SHOWN]]
    if rest := spent.shares[_SHARES_SHOWN:]:
        said.append(f"{len(rest)} more {share_text(sum(share.share for share in rest))}")
    return f"{', '.join(said)}{_of_how_many(spent)}"


def _of_how_many(spent: TimeSpent) -> str:
    if spent.sampled:
        return f"   (a sample of {spent.requests:,} of {counted(spent.of_requests, 'requests')})"
    if spent.requests < spent.of_requests:
        return f"   ({spent.requests:,} of {counted(spent.of_requests, 'requests')} have a beginning and an end)"
    return ""


def summary_lines(result: RuleResult) -> list[str]:
    """Give the author's own words for what a failure means, if there are any."""
    said = (result.annotations.get("summary") or result.title, result.annotations.get("description", ""))
    return [shown(line.strip(), MESSAGE_LIMIT) for text in said for line in text.splitlines() if line.strip()]


def golden_lines(result: RuleResult) -> list[str]:
    """Say which golden file a rule was judged by, and what its keys and those of the run do not share."""
    golden = result.golden
    if golden is None:
        return []
    file = f"{shown(golden.file)} ({counted(golden.records, 'records')}, sha256 {shown(golden.sha256[:12])})"
    note = f": {shown(golden.note, MESSAGE_LIMIT)}" if golden.note else ""
    return [f"golden: {file}{note}"]


def place_line(result: RuleResult) -> str:
    """Say where the rule stands, how severe it is, who owns it and what to do."""
    parts = [shown(f"{shown(result.file)}:{result.line}:{result.column}", 300)]
    if result.severity != "warning":
        parts.append(str(result.severity))
    if result.owner:
        parts.append(f"owner {shown(result.owner)}")
    if runbook := result.annotations.get("runbook_url"):
        parts.append(shown(runbook, 400))
    return "   ".join(parts)


def explanation(result: RuleResult) -> list[str]:
    """Tell all about a result that did not pass: what was seen, the worst requests, the place."""
    return [
        *judgement(result),
        *golden_lines(result),
        *summary_lines(result),
        *worst_lines(result, most=5, whole_ids=True),
        place_line(result),
    ]


def requests_text(completeness: Completeness) -> str:
    """Say how many requests came: `198 of 200 expected`."""
    if completeness.expected_requests is None:
        return f"{completeness.requests:,}"
    return f"{completeness.requests:,} of {completeness.expected_requests:,} expected"


def completeness_text(completeness: Completeness) -> str:
    """Say whether the run may be judged as a whole, and why."""
    return f"{'yes' if completeness.complete else 'no'}, {completeness_reason(completeness)}"


def completeness_reason(completeness: Completeness) -> str:
    """Say what ended the waiting for the run, and how many requests are lacking."""
    why = _TRIGGERS.get(completeness.trigger)
    reason = f"{why} ({completeness.trigger})" if why else shown(completeness.trigger)
    return reason if completeness.complete else f"{reason}{_lack(completeness)}"


def _lack(completeness: Completeness) -> str:
    expected = completeness.expected_requests
    if expected is None or completeness.requests >= expected:
        return ""
    absent = expected - completeness.requests
    return f"; {counted(absent, 'requests')} never arrived"


def baseline_text(origin: BaselineOrigin) -> str:
    """Say what a flow was compared with: `run gh-122, revision 1 (previous)`."""
    asked = shown(origin.asked)
    if origin.missing:
        return f"none ({asked}): {shown(origin.missing, MESSAGE_LIMIT)}"
    if origin.file:
        return f"{shown(origin.file, 300)} (sha256 {origin.sha256[:12]}…)"
    if not origin.run:
        return f"requests that contain {asked}"
    known_as = "" if origin.asked == origin.run else f" ({asked})"
    return f"run {shown(origin.run, 128)}, revision {origin.revision}{known_as}"


def missing_text(completeness: Completeness) -> str:
    """Say which stages are missing in how many requests: `notify in 5 requests, score in 1 request`."""
    lacking = completeness.missing_stages
    return ", ".join(f"{shown(stage)} in {counted(count, 'requests')}" for stage, count in lacking)


def verdict_word(verdict: Verdict) -> str:
    """Give the verdict in a word: its outcome, and that it is incomplete; never PASSED on half a run."""
    outcome = verdict.finished.outcome.value.upper()
    if verdict.finished.complete:
        return outcome
    if verdict.finished.outcome in {Outcome.FAILED, Outcome.ERRORED}:
        return f"{outcome}, INCOMPLETE"
    return "INCOMPLETE"


def counts_text(verdict: Verdict) -> str:
    """Count the rules: `1 failed, 6 passed`."""
    counts = verdict.counts
    parts = [f"{counts[outcome]} {outcome}" for outcome in _COUNT_ORDER if counts[outcome]]
    if verdict.reported_only:
        parts.append(f"{verdict.reported_only} reported only")
    return ", ".join(parts) or "nothing judged"


def flows_text(verdict: Verdict) -> str:
    """Name the flow, or count them."""
    if len(verdict.flows) == 1:
        return shown(verdict.flows[0].started.flow)
    return counted(len(verdict.flows), "flows") if verdict.flows else "no flow"


def closing_line(verdict: Verdict) -> str:
    """Say it all in one line: `FAILED  fraud-scoring  run gh-123  1 failed, 6 passed  (200 requests, 1,640 spans)`."""
    return f"{verdict_word(verdict)}  {closing_facts(verdict)}"


def closing_facts(verdict: Verdict) -> str:
    """Say what stands behind the verdict's word in the closing line."""
    run = f"run {shown(verdict.started.run.id)}"
    size = f"({_total_requests(verdict.flows)}{counted(verdict.started.spans, 'spans')})"
    return "  ".join((flows_text(verdict), run, counts_text(verdict), size)) + _because(verdict)


def _total_requests(flows: Sequence[FlowVerdict]) -> str:
    if not flows:
        return ""
    first = flows[0].finished.completeness
    if len(flows) == 1 and not first.complete and first.expected_requests is not None:
        return f"{first.requests:,} of {counted(first.expected_requests, 'requests')}, "
    return f"{counted(sum(flow.finished.completeness.requests for flow in flows), 'requests')}, "


def _because(verdict: Verdict) -> str:
    reasons = incomplete_reasons(verdict)
    return f" — {'; '.join(reasons)}" if reasons else ""


def incomplete_reasons(verdict: Verdict) -> list[str]:
    """Say why a run is not complete, once a distinct reason; nothing for a complete one."""
    if verdict.finished.complete:
        return []
    if not verdict.flows:
        return ["no flow judged this run"]
    open_flows = [flow.finished.completeness for flow in verdict.flows if not flow.finished.completeness.complete]
    said = [completeness_reason(completeness) for completeness in open_flows]
    return list(dict.fromkeys(said)) or ["the run did not end"]
