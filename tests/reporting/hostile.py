"""Arbitrary verdicts, with texts as bad as span data can be."""

from __future__ import annotations

from hypothesis import strategies as st

from reporting.streams import EVIL, flow, stream
from spanverdict.evaluation.outcomes import (
    Associated,
    Completeness,
    ConditionResult,
    Defect,
    Exhibit,
    GoldenUse,
    Outcome,
    RuleResult,
    RunInfo,
    RunStarted,
    Severity,
    StageShare,
    TimeSpent,
)

_PIECES = (
    EVIL,
    "\x1b[2J",
    "\x9b31m",
    "]]>",
    "::error::",
    "\n::set-output name=a::b",
    "##vso[task.setvariable]",
    "[[ATTACHMENT|/etc/passwd]]",
    "\ufffe\uffff",
    "\ud800",
    "\u2028",
    "<!--",
    "&amp;",
    "\r\n",
    " # SKIP ",
    "\\",
    "---\n...\n",
    "![x](http://evil.example/p.png)",
    "<img src=x onerror=alert(1)>",
    "http://evil.example",
)
texts = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=12),
    st.lists(st.sampled_from(_PIECES), max_size=3).map("".join),
)
outcomes = st.sampled_from(Outcome)
counts = st.integers(0, 10**6)
string_maps = st.dictionaries(texts, texts, max_size=2)
values = st.one_of(st.none(), st.integers(-(10**18), 10**18), st.floats())
shares = st.builds(StageShare, texts, counts, st.floats(0, 1))
exhibits = st.builds(Exhibit, texts, texts, texts, texts, st.lists(shares, max_size=2).map(tuple), st.booleans())
spent = st.builds(TimeSpent, st.lists(shares, max_size=10).map(tuple), counts, counts, st.booleans())
statistics = st.sampled_from(("p95", "ratio", "every", "max"))
conditions = st.builds(ConditionResult, statistics, texts, texts, values, outcomes, texts)
results = st.builds(
    RuleResult,
    id=st.one_of(st.sampled_from(("one", "two")), texts.filter(bool)),
    flow=texts,
    measure=st.sampled_from(("latency", "freshness", "coverage")),
    outcome=outcomes,
    conditions=st.lists(conditions, max_size=2, unique_by=lambda c: c.statistic).map(tuple),
    samples=counts,
    population=st.sampled_from(("requests", "spans")),
    message=texts,
    file=st.one_of(st.just("rules/a.yaml"), texts),
    line=st.integers(1, 999),
    column=st.integers(1, 99),
    severity=st.sampled_from(Severity),
    group=st.one_of(st.none(), texts),
    title=texts,
    owner=texts,
    report_only=st.booleans(),
    exhibits=st.lists(exhibits, max_size=2).map(tuple),
    tags=st.lists(texts, max_size=2).map(tuple),
    labels=string_maps,
    annotations=st.dictionaries(st.sampled_from(("summary", "description", "runbook_url")), texts),
    golden=st.none() | st.builds(GoldenUse, texts, texts, counts, texts),
)
completenesses = st.builds(
    Completeness,
    st.booleans(),
    st.one_of(st.sampled_from(("manifest", "cap", "idle")), texts),
    counts,
    st.one_of(st.none(), counts),
    st.lists(st.tuples(texts, st.integers(1, 99)), max_size=2).map(tuple),
)
runs = st.builds(
    RunStarted,
    st.builds(
        RunInfo,
        texts,
        string_maps,
        st.one_of(st.none(), counts),
        st.integers(1, 9),
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**64 - 1),
    ),
    counts,
    counts,
    st.none() | st.builds(Associated, st.dictionaries(texts, st.integers(1, 9), max_size=2), counts, counts),
)


@st.composite
def streams(draw):
    """Draw a whole stream of up to two flows."""
    flows = draw(st.lists(st.lists(results, max_size=3), max_size=2))
    ended = [
        flow(
            *rules,
            name=draw(texts),
            file=draw(texts),
            completeness=draw(completenesses),
            warnings=tuple(draw(st.lists(texts, max_size=1))),
            spent=draw(st.none() | spent),
        )
        for rules in flows
    ]
    defects = tuple(draw(st.lists(st.builds(Defect, texts, st.integers(1, 9), texts), max_size=1)))
    return stream(*ended, started=draw(runs), defects=defects, outcome=draw(st.one_of(st.none(), outcomes)))
