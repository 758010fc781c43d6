"""What is said of the difference between two revisions of a verdict."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given

from reporting.hostile import streams
from reporting.streams import ALL_GOOD, END_TO_END, FRESH, GAPS, STALE, STREAMS, flow, run, stream
from spanverdict.evaluation.outcomes import Completeness, Defect, Event, Outcome
from spanverdict.reporting.jsonreport import document
from spanverdict.reporting.revision import MOST_CHANGES, changes

CUT = Completeness(False, "cap", 184, 200, (("notify", 12), ("score", 1)))
WHOLE = Completeness(True, "manifest", 200, 200, (("score", 2),))


def said(before: list[Event], after: list[Event]) -> list[str]:
    return changes(document(before), document(after))


def test_a_late_half_of_a_run_is_told_in_full() -> None:
    """The verdict, what came, what is no longer missing, the rules and the defects, in this order."""
    failing = replace(
        END_TO_END,
        outcome=Outcome.FAILED,
        conditions=(replace(END_TO_END.conditions[0], observed="231.4ms", outcome=Outcome.FAILED),),
    )
    before = stream(
        flow(failing, completeness=CUT),
        started=run(spans=1_571, traces=384),
        defects=(Defect("missing_parent", 12, ""), Defect("self_link", 1, "")),
    )
    after = stream(
        flow(END_TO_END, completeness=WHOLE),
        started=run(spans=1_640, traces=400),
        defects=(Defect("missing_parent", 2, ""), Defect("dropped_links", 1_000, "")),
    )
    observed = "p95 = 112.3ms, before 231.4ms, p99 = 180.9ms, before nothing, samples = 200, before nothing"
    assert said(before, after) == [
        "the verdict was failed and is passed now",
        "the run was incomplete and is complete now",
        "69 more spans came: 1,571 before, 1,640 now",
        "16 more traces came: 384 before, 400 now",
        "flow fraud-scoring: 16 more requests came: 184 before, 200 now",
        "flow fraud-scoring was incomplete (cap) and is complete (manifest) now",
        "flow fraud-scoring: stage score was missing from 1 request, from 2 now",
        "flow fraud-scoring: stage notify was missing from 12 requests, from none now",
        f"rule end-to-end of flow fraud-scoring was failed and is passed now: {observed}",
        "defect missing_parent was 12 and is 2 now",
        "defect dropped_links is new: 1,000",
        "defect self_link is gone; it was 1",
    ]


def test_groups_and_flows_come_and_go() -> None:
    """A value of `per` that a late span brings is a new result; another set of flows is said too."""
    before = stream(flow(END_TO_END, FRESH[0]), flow(GAPS, name="old"))
    after = stream(flow(END_TO_END, STALE), flow(GAPS, name="ranking"))
    observed = ", ".join(f"{c.statistic} = {c.observed}" for c in STALE.conditions)
    assert said(before, after) == [
        "flow ranking judges the run now: failed",
        "flow old judges the run no more; it was failed",
        f"rule {STALE.id}[{STALE.group}] of flow fraud-scoring is new: failed: {observed}",
        f"rule {FRESH[0].id}[{FRESH[0].group}] of flow fraud-scoring is gone; it was passed",
    ]


def test_a_rule_that_observed_the_same_gives_its_message() -> None:
    """An outcome can change without its numbers: then the message says why."""
    undecided = replace(END_TO_END, outcome=Outcome.INCONCLUSIVE, message="the clocks differ")
    assert said(stream(flow(END_TO_END)), stream(flow(undecided)))[1:] == [
        "rule end-to-end of flow fraud-scoring was passed and is inconclusive now: the clocks differ"
    ]


def test_changed_rules_and_fewer_spans_are_not_passed_over() -> None:
    """Between two revisions a file may be edited, and a tag may move spans to another run."""
    before, after = document(STREAMS["passed"]), document(STREAMS["passed"])
    after["flows"][0]["sha256"] = "0"
    after["run"]["spans"] -= 1
    after["flows"][0]["completeness"]["requests"] -= 5
    spans, requests = before["run"]["spans"], before["flows"][0]["completeness"]["requests"]
    assert changes(before, after) == [
        f"1 span fewer: {spans:,} before, {spans - 1:,} now",
        "the rules of flow fraud-scoring were changed in between",
        f"flow fraud-scoring: 5 requests fewer: {requests:,} before, {requests - 5:,} now",
    ]


def test_many_changes_are_cut_and_counted() -> None:
    """A rule with many groups does not make the verdict unreadable."""
    groups = [replace(FRESH[0], group=f"g{number}") for number in range(MOST_CHANGES + 20)]
    found = said(stream(flow(*ALL_GOOD)), stream(flow(*ALL_GOOD, *groups)))
    assert len(found) == MOST_CHANGES
    assert found[-1] == "21 more changes"


@given(streams())
def test_nothing_is_said_of_the_same_verdict(events: list[Event]) -> None:
    assert said(events, events) == []


@given(streams(), streams())
def test_any_two_verdicts_can_be_compared(before: list[Event], after: list[Event]) -> None:
    """Whatever a verdict holds, each difference of the outcome is told, and from both sides."""
    there, back = said(before, after), said(after, before)
    assert (not there) == (not back)
    assert all(isinstance(sentence, str) for sentence in there)
    differs = document(before)["outcome"] != document(after)["outcome"]
    assert any(sentence.startswith("the verdict was") for sentence in there) == differs
