"""Every measure of a request, over random runs, against what a plain reading of the reference gives.

The reading works on lists and fractions, one request at a time, and tries what missing values may have been one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleruns import MS, Row, flow_of, judged, span

HEAD: Final = """
version: 1
flow: scoring
stages:
  - {stage: ingest, select: {name: in}, count: "1"}
  - {stage: score, select: {name: score}, count: ">= 1"}
  - {stage: extra, select: {name: extra}, count: "0..1"}
  - {stage: notify, select: {name: notify}, count: "1..2"}
request: {key: span.request.id}
"""
LEAST, MOST = -(10**30), 10**30
"""What a missing number may be: farther than any other on either side."""
NAMES: Final = {"ingest": "in", "score": "score", "extra": "extra", "notify": "notify"}
COUNTS: Final = {"ingest": (1, 1), "score": (1, math.inf), "extra": (0, 1), "notify": (1, 2)}
OPTIONAL: Final = {"extra"}


@dataclass(frozen=True)
class Span:
    """One span of a request; times in ms."""

    stage: str
    start: int
    end: int
    tokens: int | None = None
    failed: bool = False


@dataclass(frozen=True)
class Values:
    """What a measure gives: values that are there, how many are not, and whether one of them cannot be right."""

    there: list[Any]
    missing: int = 0
    wrong: bool = False


Request = list[Span]


def of_stage(request: Request, stage: str) -> list[Span]:
    return [each for each in request if each.stage == stage]


def one_a_request(requests: Sequence[Request], stages: Iterable[str], take: Callable[[Request], int]) -> Values:
    """Ask requests that have the stages; those that lack one that is not optional are missing."""
    there, missing = [], 0
    for request in requests:
        lacking = [stage for stage in stages if not of_stage(request, stage)]
        if not lacking:
            there.append(take(request))
        elif not all(stage in OPTIONAL for stage in lacking):
            missing += 1
    return Values(there, missing, wrong=any(value < 0 for value in there))


def extent(spans: Sequence[Span]) -> int:
    return max(each.end for each in spans) - min(each.start for each in spans)


def busy(spans: Sequence[Span]) -> int:
    return len({tick for each in spans for tick in range(each.start, each.end)})


def whole(requests: Sequence[Request]) -> Values:
    def take(request: Request) -> int:
        return max(s.end for s in of_stage(request, "notify")) - min(s.start for s in of_stage(request, "ingest"))

    return one_a_request(requests, ["ingest", "notify"], take)


def waiting(requests: Sequence[Request]) -> Values:
    def take(request: Request) -> int:
        return min(s.start for s in of_stage(request, "notify")) - max(s.end for s in of_stage(request, "score"))

    return one_a_request(requests, ["score", "notify"], take)


def stage_time(stage: str, of: Callable[[Sequence[Span]], int]) -> Callable[[Sequence[Request]], Values]:
    return lambda requests: one_a_request(requests, [stage], lambda request: of(of_stage(request, stage)))


def each_time(requests: Sequence[Request]) -> Values:
    there = [s.end - s.start for request in requests for s in of_stage(request, "score")]
    return Values(there, sum(not of_stage(request, "score") for request in requests))


def covered(requests: Sequence[Request]) -> Values:
    def has_all(request: Request) -> bool:
        return all(low <= len(of_stage(request, stage)) <= high for stage, (low, high) in COUNTS.items())

    return Values([has_all(request) for request in requests])


def ordered(requests: Sequence[Request]) -> Values:
    """A request that lacks a stage is false when the rest is out of order, else missing."""
    there, missing = [], 0
    for request in requests:
        firsts = [min(s.start for s in of_stage(request, g)) for g in COUNTS if of_stage(request, g)]
        right = firsts == sorted(firsts)
        lacks = any(not of_stage(request, stage) for stage in COUNTS if stage not in OPTIONAL)
        if lacks and right:
            missing += 1
        else:
            there.append(right)
    return Values(there, missing)


def tokens(requests: Sequence[Request]) -> Values:
    spans = [s for request in requests for s in of_stage(request, "score")]
    there = [s.tokens for s in spans if s.tokens is not None]
    lacking = sum(not of_stage(request, "score") for request in requests)
    return Values(there, len(spans) - len(there) + lacking)


def token_sums(requests: Sequence[Request]) -> Values:
    there, missing = [], 0
    for request in requests:
        found = [s.tokens for s in of_stage(request, "score")]
        if not found or None in found:
            missing += 1
        else:
            there.append(sum(value for value in found if value is not None))
    return Values(there, missing)


def answers(requests: Sequence[Request]) -> Values:
    """The last attempt that says it, of those that did not fail if there are any."""
    there, missing = [], 0
    for request in requests:
        said = [(not s.failed, s.end, place, s.tokens) for place, s in enumerate(of_stage(request, "score"))]
        said = [each for each in said if each[-1] is not None]
        if said:
            there.append(max(said)[-1])
        else:
            missing += 1
    return Values(there, missing)


def attempts(requests: Sequence[Request]) -> Values:
    return Values([len(of_stage(request, "score")) for request in requests])


MEASURES: Final[dict[str, Callable[[Sequence[Request]], Values]]] = {
    "latency: request": whole,
    "latency: {from: score.end, to: notify.start}": waiting,
    "latency: {stage: score}": stage_time("score", extent),
    "latency: {stage: score, of: sum}": stage_time("score", lambda spans: sum(s.end - s.start for s in spans)),
    "latency: {stage: score, of: busy}": stage_time("score", busy),
    "latency: {stage: score, of: each}": each_time,
    "latency: {stage: extra}": stage_time("extra", extent),
    "attribute: {stage: score, value: span.tokens}": tokens,
    "attribute: {stage: score, value: span.tokens, of: sum}": token_sums,
    "count: {of: {name: score}, per: request}": attempts,
    "output: {stage: score, value: span.tokens}": answers,
    "coverage: {stages: all}": covered,
    "order: all": ordered,
}
TRUTHS: Final = ("coverage: {stages: all}", "order: all")
EXACT_ONLY: Final = {"mean", "sum", "stddev"}


def percentile(values: Sequence[Any], share: Fraction) -> Any:
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]


def statistic_of(name: str, values: Sequence[Any]) -> Any:
    """The value of a statistic of values that are all there; None without any."""
    if name == "ratio":
        return Fraction(sum(values), len(values)) if values else None
    if name == "count":
        return sum(values)
    if not values:
        return None
    plain = {"min": min, "max": max, "sum": sum}
    if name in plain:
        return plain[name](values)
    if name == "mean":
        return Fraction(sum(values), len(values))
    return percentile(values, Fraction(name[1:]) / 100)


def holds(operator: str, value: Any, limit: Any) -> bool:
    return {
        "<": value < limit, "<=": value <= limit, ">": value > limit, ">=": value >= limit, "==": value == limit, "!=": value != limit,
    }[operator]  # fmt: skip


def truths(found: Values, statistic: str, operator: str, limit: Any, extremes: Sequence[Any]) -> set[bool]:
    """Whether the condition holds, for each of what the missing values may have been, and all between."""
    if statistic in {"every", "any", "none"}:
        singles = [holds(operator, value, limit) for value in found.there]
        quantify = {"every": all, "any": any, "none": lambda seen: not any(seen)}[statistic]
        return {quantify([*singles, *more]) for more in product([False, True], repeat=min(found.missing, 2))}
    if statistic in EXACT_ONLY and found.missing:
        return {True, False}
    came = [statistic_of(statistic, [*found.there, *more]) for more in product(extremes, repeat=found.missing)]
    between = [limit] if min(came) <= limit <= max(came) else []
    return {holds(operator, value, limit) for value in (*came, *between)}


def outcome_by_hand(found: Values, statistic: str, operator: str, limit: Any, extremes: Sequence[Any]) -> str:
    if not found.there:
        return "failed"
    seen = truths(found, statistic, operator, limit, extremes)
    outcome = "inconclusive" if len(seen) == 2 else ("passed" if seen == {True} else "failed")
    return "inconclusive" if outcome == "passed" and found.wrong else outcome


@st.composite
def requests_drawn(draw: st.DrawFn) -> list[Request]:
    """One to five requests, each with its ingest span and any number of the others."""
    names = st.lists(st.sampled_from(["score", "score", "extra", "notify"]), max_size=5)
    found = []
    for _ in range(draw(st.integers(1, 5))):
        request = [Span("ingest", 0, 60)]
        for name in draw(names):
            start = draw(st.integers(0, 50))
            length, count = draw(st.integers(1, 20)), draw(st.one_of(st.none(), st.integers(-2, 9)))
            request.append(Span(name, start, start + length, count, draw(st.booleans())))
        found.append(request)
    return found


def rows_of(requests: Sequence[Request]) -> list[Row]:
    rows = []
    for number, request in enumerate(requests):
        for place, each in enumerate(request):
            attributes: dict[str, Any] = {"request.id": f"r-{number}"} if place == 0 else {}
            if each.tokens is not None:
                attributes["tokens"] = each.tokens
            shift, status = 1000 * number, "error" if each.failed else "unset"
            rows.append(
                span(
                    f"{number + 1:032x}", place + 1, NAMES[each.stage], each.start + shift, each.end + shift,
                    attributes=attributes, parent=1 if place else 0, status=status,
                )
            )  # fmt: skip
    return rows


CONDITION = st.tuples(
    st.sampled_from(["p1", "p50", "p75", "p99", "min", "max", "mean", "sum", "every", "any", "none"]),
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    st.integers(-5, 70),
)
SHARE = st.tuples(
    st.sampled_from(["ratio", "count"]),
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    st.integers(0, 4),
)


def with_those_that_never_came(found: Values, measure: str, lost: int) -> Values:
    """Add the requests that were expected and are not there: false for `coverage`, missing for all others."""
    if measure.startswith("coverage"):
        return Values([*found.there, *[False] * lost], found.missing, found.wrong)
    return Values(found.there, found.missing + lost, found.wrong)


@pytest.mark.parametrize("measure", MEASURES)
@given(st.data())
def test_a_measure_says_what_a_plain_reading_says(measure: str, data: st.DataObject) -> None:
    requests, lost, chosen = data.draw(requests_drawn()), data.draw(st.integers(0, 2)), data.draw(st.booleans())
    truth, duration = measure in TRUTHS, measure.startswith("latency")
    statistic, operator, number = data.draw(SHARE if truth else CONDITION)
    limit: Any = Fraction(number, 4) if statistic == "ratio" else number * MS if duration else number
    written = str(number / 4) if statistic == "ratio" else f"{number}ms" if duration else str(number)
    where = "where: '{ span:name = \"extra\" }', " if chosen else ""
    rule = f'- {{id: r, {measure}, {where}expect: {{{statistic}: "{operator} {written}"}}}}'
    judging = [request for request in requests if of_stage(request, "extra")] if chosen else requests
    found = with_those_that_never_came(MEASURES[measure](judging), measure, 0 if chosen else lost)
    if duration:
        found = Values([value * MS for value in found.there], found.missing, found.wrong)
    expected = outcome_by_hand(found, statistic, operator, limit, [False, True] if truth else [LEAST, MOST])
    (result,) = judged(rows_of(requests), flow_of(rule, HEAD), expected=len(requests) + lost).values()
    assert result.outcome == expected, (rule, found, result.message)
