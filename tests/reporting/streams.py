"""Runs as judging would report them: one realistic stream of events a story."""

from __future__ import annotations

from dataclasses import replace

from spanverdict.evaluation.outcomes import (
    Associated,
    ClockPair,
    Completeness,
    ConditionResult,
    Defect,
    Event,
    Exhibit,
    FlowFinished,
    FlowStarted,
    Outcome,
    RuleEvaluated,
    RuleResult,
    RunFinished,
    RunInfo,
    RunStarted,
    Severity,
    StageShare,
    TimeSpent,
)

MS = 1_000_000
START = 1_767_225_600_000_000_000
TRACES = (
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "0af7651916cd43dd8448eb211c80319c",
    "a3ce929d0e0e47364bf92f3577b34da6",
)
PASSED, FAILED, INCONCLUSIVE = Outcome.PASSED, Outcome.FAILED, Outcome.INCONCLUSIVE
ERRORED, SKIPPED = Outcome.ERRORED, Outcome.SKIPPED


def condition(text, observed, value, outcome=PASSED, note=""):
    statistic, _, expected = text.partition(" ")
    return ConditionResult(statistic, expected, observed, value, outcome, note)


def rule(name, measure, outcome, *conditions, line=30, flow="fraud-scoring", file="rules/fraud.yaml", **rest):
    message = rest.pop("message", None)
    if message is None:
        first = next((c for c in conditions if c.outcome is outcome), conditions[0])
        message = (
            f"{first.statistic} = {first.observed}, expected {first.expected} (n = {rest.get('samples', 200)} requests)"
        )
    values = {"samples": 200, "population": "requests", "labels": {"team": "risk"}, **rest}
    return RuleResult(
        id=name,
        flow=flow,
        measure=measure,
        outcome=outcome,
        conditions=conditions,
        message=message,
        file=file,
        line=line,
        column=5,
        **values,
    )


END_TO_END = rule(
    "end-to-end",
    "latency",
    PASSED,
    condition("p95 < 200ms", "112.3ms", 112_300_000),
    condition("p99 < 500ms", "180.9ms", 180_900_000),
    condition("samples >= 100", "200", 200),
    line=38,
    severity=Severity.CRITICAL,
    owner="risk-platform",
    annotations={"summary": "Scoring is slow end to end", "runbook_url": "https://runbooks.example/scoring-latency"},
    tags=("smoke",),
)
QUEUE_WAIT = rule("queue-wait", "latency", PASSED, condition("p99 < 50ms", "31.2ms", 31_200_000), line=44)
FRESH = tuple(
    rule(
        "fresh-features",
        "freshness",
        PASSED,
        condition("p95 < 60s", f"{age}.0s", age * 1_000 * MS),
        condition("max < 5m", f"{age + 9}.0s", (age + 9) * 1_000 * MS),
        line=48,
        group=view,
        samples=samples,
        population="spans",
    )
    for view, age, samples in (("card_velocity", 12, 200), ("merchant_risk", 31, 187), ("user_profile", 44, 200))
)
WHOLE_PATH = rule("whole-path", "coverage", PASSED, condition("ratio >= 99%", "100 %", 1.0), line=54)
SCORE_RANGE = rule("score-range", "output", PASSED, condition("every 0..1", "200 of 200", 1.0), line=59)
ALL_GOOD = (END_TO_END, QUEUE_WAIT, *FRESH, WHOLE_PATH, SCORE_RANGE)

SLOW = replace(
    END_TO_END,
    outcome=FAILED,
    message="p95 = 231.4ms, expected < 200ms (n = 200 requests)",
    conditions=(
        condition("p95 < 200ms", "231.4ms", 231_400_000, FAILED, "95 % CI 224.0..240.2ms"),
        condition("p99 < 500ms", "640.7ms", 640_700_000, FAILED),
        condition("samples >= 100", "200", 200),
    ),
    exhibits=(
        Exhibit(
            TRACES[0],
            TRACES[0],
            "00f067aa0ba902b7",
            "812.0ms",
            (
                StageShare("score", 640_100_000, 0.788),
                StageShare("queue", 96_300_000, 0.119),
                StageShare("features", 41_000_000, 0.05),
            ),
        ),
        Exhibit(
            "order-000117",
            TRACES[1],
            "b7ad6b7169203331",
            "790.4ms",
            (StageShare("score", 622_000_000, 0.787), StageShare("features", 52_000, 0.0)),
        ),
    ),
)
STALE = replace(
    FRESH[2],
    outcome=FAILED,
    message="p95 = 4m12.0s, expected < 60s (n = 200 spans)",
    conditions=(
        condition("p95 < 60s", "4m12.0s", 252_000 * MS, FAILED),
        condition("max < 5m", "4m41.0s", 281_000 * MS),
    ),
    exhibits=(Exhibit(TRACES[2], TRACES[2], "00f067aa0ba902b7", "4m41.0s"),),
)
GAPS = replace(
    WHOLE_PATH,
    outcome=FAILED,
    message="ratio = 97.5 %, expected >= 99% (n = 200 requests)",
    conditions=(condition("ratio >= 99%", "97.5 %", 0.975, FAILED, "5 of 200 requests have no notify"),),
    exhibits=(
        Exhibit(
            "order-000042",
            TRACES[1],
            "b7ad6b7169203331",
            "missing: notify",
            (StageShare("score", 40 * MS, 0.8), StageShare("ingest", 10 * MS, 0.2)),
            about_time=False,
        ),
    ),
)
ODD_SCORE = replace(
    SCORE_RANGE,
    outcome=FAILED,
    report_only=True,
    message="every = 199 of 200, expected 0..1 (n = 200 requests)",
    conditions=(condition("every 0..1", "199 of 200", 0.995, FAILED),),
    exhibits=(Exhibit(TRACES[2], TRACES[2], "00f067aa0ba902b7", "1.7"),),
)
UNSURE = replace(
    WHOLE_PATH,
    outcome=INCONCLUSIVE,
    message="ratio = 99.5 %, expected >= 99% (n = 200 requests)",
    conditions=(
        condition(
            "ratio >= 99%", "99.5 %", 0.995, INCONCLUSIVE, "95 % CI 97.2..99.9 %; about 1,100 requests would decide"
        ),
    ),
)
FEW = replace(
    QUEUE_WAIT,
    outcome=INCONCLUSIVE,
    samples=17,
    message="samples = 17, expected >= 100 (n = 17 requests)",
    conditions=(
        condition("p99 < 50ms", "31.2ms", 31_200_000),
        condition("samples >= 100", "17", 17, INCONCLUSIVE, "83 more requests would decide"),
    ),
)
NO_BASELINE = rule(
    "no-slower-than-main",
    "latency",
    INCONCLUSIVE,
    message="no baseline run was found, so there is nothing to compare with",
    line=70,
)
LATE = replace(
    WHOLE_PATH,
    outcome=INCONCLUSIVE,
    message="ratio = 96.5 %, expected >= 99% (n = 200 requests)",
    conditions=(
        condition(
            "ratio >= 99%", "96.5 %", 0.965, INCONCLUSIVE, "the run was cut off: 7 requests may still have gone on"
        ),
    ),
)
NOTHING = rule(
    "cache-hits",
    "ratio",
    FAILED,
    condition("ratio >= 90%", "nothing", None, FAILED),
    message="nothing matched, and on_no_data is fail",
    samples=0,
    population="spans",
    line=66,
)
BROKEN = rule(
    "correct",
    "output",
    ERRORED,
    message="the check failed on our side: ZeroDivisionError in output",
    samples=0,
    line=62,
)
LEFT_OUT = rule("nightly-quality", "output", SKIPPED, message="the model has no golden file yet", samples=0, line=75)


def run(*, spans=1_640, traces=396, **rest):
    info = RunInfo(
        **{
            "id": "gh-123",
            "labels": {"branch": "main", "git.sha": "4f2c1d9", "environment": "ci"},
            "expected_requests": 200,
            "started_unix_nano": START,
            "ended_unix_nano": START + 12_345_678_901,
            **rest,
        }
    )
    return RunStarted(info, spans, traces, Associated({"resource": spans - 40, "link": 40}, untagged=3, conflicts=1))


WHOLE = Completeness(complete=True, trigger="manifest", requests=200, expected_requests=200)
CUT = Completeness(
    complete=False,
    trigger="cap",
    requests=195,
    expected_requests=200,
    missing_stages=(("score", 1), ("notify", 7)),
)
SPENT = TimeSpent(
    (
        StageShare("score", 14_640 * MS, 0.61),
        StageShare("queue", 5_280 * MS, 0.22),
        StageShare("features", 2_160 * MS, 0.09),
        StageShare("ingest", 1_920 * MS, 0.08),
    ),
    200,
    200,
)
_WORST = (FAILED, ERRORED, INCONCLUSIVE, PASSED, SKIPPED)


def flow(
    *results, name="fraud-scoring", file="rules/fraud.yaml", completeness=WHOLE, warnings=(), outcome=None, spent=SPENT
):
    counted = [result.outcome for result in results if not result.report_only] or [SKIPPED]
    return [
        FlowStarted(name, file, "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", {"team": "risk"}),
        *(RuleEvaluated(result) for result in results),
        FlowFinished(name, outcome or min(counted, key=_WORST.index), completeness, warnings, spent),
    ]


def stream(*flows, started=None, defects=(), outcome=None, changes=(), clocks=()) -> list[Event]:
    events = [event for one in flows for event in one]
    ends = [event for event in events if isinstance(event, FlowFinished)]
    results = [event.result.outcome for event in events if isinstance(event, RuleEvaluated)]
    return [
        started or run(),
        *events,
        RunFinished(
            outcome or min((end.outcome for end in ends), key=_WORST.index, default=INCONCLUSIVE),
            bool(ends) and all(end.completeness.complete for end in ends),
            defects,
            {outcome: results.count(outcome) for outcome in Outcome},
            changes,
            clocks,
        ),
    ]


EVIL = "\x1b[31mred\x1b[0m\x1b]8;;http://evil.example\x07\r\n::error::owned ##vso[task.x] ]]>\x00\ud800\u202e<script>alert(1)</script>|`*_[a](javascript:x)"
HOSTILE_RULE = replace(
    SLOW,
    group=EVIL,
    message=EVIL,
    conditions=(
        condition("p95 < 200ms", EVIL, float("nan"), FAILED, EVIL),
        condition("max < 1s", "inf", float("inf"), FAILED),
    ),
    owner=EVIL,
    labels={EVIL: EVIL},
    annotations={"summary": EVIL, "runbook_url": "javascript:alert(1)"},
    exhibits=(Exhibit(EVIL, TRACES[0], "00f067aa0ba902b7", EVIL, (StageShare(EVIL, 5 * MS, 1.0),)),),
)

STREAMS: dict[str, list[Event]] = {
    "passed": stream(flow(*ALL_GOOD)),
    "failed": stream(
        flow(SLOW, QUEUE_WAIT, *FRESH[:2], STALE, GAPS, ODD_SCORE, NOTHING, warnings=("2 spans have no service.name",)),
        started=run(revision=2),
        defects=(
            Defect("missing_parent", 12, "span 00f067aa0ba902b7 names parent 53995c3f42cd8ad8, which never came"),
            Defect("unfinished_span", 1, "span b7ad6b7169203331 (predict) has no end"),
        ),
        changes=(
            "the verdict was passed and is failed now",
            "69 more spans came: 1,571 before, 1,640 now",
            "rule end-to-end of flow fraud-scoring was passed and is failed now: p95 = 231.4ms, before 112.3ms",
        ),
        clocks=(
            ClockPair("gateway-1", "scorer-2", -17 * MS, 16 * MS, 200, "calls"),
            ClockPair("gateway-1", "ledger", -1, 400_000, 12, "shared"),
        ),
    ),
    "inconclusive": stream(flow(END_TO_END, FEW, UNSURE, NO_BASELINE)),
    "incomplete": stream(
        flow(*ALL_GOOD[:-2], SCORE_RANGE, LATE, completeness=CUT), started=run(spans=1_571, traces=384)
    ),
    "failed_incomplete": stream(
        flow(SLOW, QUEUE_WAIT, GAPS, completeness=CUT, spent=replace(SPENT, requests=188)),
        started=run(spans=1_571, traces=384),
    ),
    "errored": stream(flow(END_TO_END, BROKEN, spent=None)),
    "skipped": stream(flow(END_TO_END, LEFT_OUT)),
    "many_groups": stream(
        flow(
            *(replace(FRESH[0], group=f"view_{number:02d}") for number in range(11)),
            replace(STALE, group="view_99"),
            spent=replace(SPENT, requests=8_000, of_requests=100_000, sampled=True),
        )
    ),
    "two_flows": stream(
        flow(END_TO_END, GAPS),
        flow(
            replace(END_TO_END, flow="ranking", file="rules/ranking.yaml"),
            name="ranking",
            file="rules/ranking.yaml",
            completeness=Completeness(True, "run end", 48, None),
        ),
    ),
    "no_flow": stream(started=run(spans=52, traces=3)),
    "hostile": stream(
        flow(HOSTILE_RULE, warnings=(EVIL,), spent=TimeSpent((StageShare(EVIL, 5, 1.0),) * 9, 1, 1)),
        started=run(labels={EVIL: EVIL}, revision=3),
        defects=(Defect("missing_parent", 1, EVIL),),
        changes=(EVIL, *(f"change {number}" for number in range(20))),
        clocks=(ClockPair(EVIL, EVIL, 0, 1, 1, "drift"),),
    ),
}
