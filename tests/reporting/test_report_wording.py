"""The sentences that every format shares."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reporting.streams import (
    BROKEN,
    CUT,
    FAILED,
    GAPS,
    INCONCLUSIVE,
    NO_BASELINE,
    SLOW,
    STALE,
    STREAMS,
    condition,
    flow,
    stream,
)
from spanverdict.reporting import wording
from spanverdict.reporting.escaping import shown
from spanverdict.reporting.quantities import rfc3339, unix_nano
from spanverdict.reporting.verdict import gather


def test_the_condition_that_failed_comes_first():
    """Proves that an undecided condition written first does not hide the failed one."""
    mixed = replace(
        SLOW,
        conditions=(
            condition("p99 < 500ms", "490ms", 1, INCONCLUSIVE, "too close"),
            condition("p95 < 200ms", "231.4ms", 1, FAILED),
        ),
    )
    assert wording.judgement(mixed) == [
        "p95 = 231.4ms, expected < 200ms   (n = 200 requests)",
        "p99 = 490ms, expected < 500ms: inconclusive   (too close)",
    ]


def test_a_note_of_all_conditions_is_said_once():
    """Proves that one reason for several conditions does not fill the screen."""
    note = "5 of 200 requests have no notify"
    both = replace(SLOW, conditions=tuple(replace(c, outcome=FAILED, note=note) for c in SLOW.conditions))
    assert "".join(wording.judgement(both)).count(note) == 1


@pytest.mark.parametrize("result", [NO_BASELINE, BROKEN])
def test_without_conditions_the_message_speaks(result):
    """Proves that a rule that could not be judged at all still says why."""
    assert wording.judgement(result)[0].startswith(result.message)


def test_a_message_that_says_more_than_the_conditions_leads():
    """Proves that the engine's own explanation is not dropped."""
    odd = replace(STALE, message="3 ages are negative: a clock is wrong")
    assert wording.judgement(odd)[0].startswith("3 ages are negative: a clock is wrong")


@pytest.mark.parametrize(
    ("result", "word"),
    [
        (SLOW, "slowest: "),
        (STALE, "stalest: "),
        (GAPS, "worst: "),
        (replace(SLOW, conditions=(condition("min > 5ms", "1ms", 1, FAILED),)), "worst: "),
    ],
)
def test_the_worst_are_called_what_they_are(result, word):
    """Proves that requests which were too fast are not called slowest."""
    assert wording.worst_lines(result, most=1, whole_ids=False)[0].startswith(word)


@pytest.mark.parametrize(
    ("story", "word"),
    [
        ("passed", "PASSED"),
        ("incomplete", "INCOMPLETE"),
        ("failed_incomplete", "FAILED, INCOMPLETE"),
        ("no_flow", "INCOMPLETE"),
        ("errored", "ERRORED"),
    ],
)
def test_the_verdict_has_one_word(story, word):
    """Proves that an incomplete run is called so, and a failed one stays failed."""
    assert wording.verdict_word(gather(STREAMS[story])) == word


def test_two_flows_cut_off_alike_say_it_once():
    """Proves that one reason for several flows is one reason."""
    both = gather(stream(flow(completeness=CUT), flow(name="ranking", completeness=CUT)))
    assert wording.incomplete_reasons(both) == [wording.completeness_reason(CUT)]


@given(st.text(st.characters(exclude_categories=())))
def test_showing_twice_changes_nothing_more(text):
    """Proves that a text that is already harmless stays as it is, so that it may be shown again."""
    once = shown(text, 10**6)
    assert shown(once, 10**6) == once


@given(st.integers(1, 2**64 - 1))
def test_times_are_exact_both_ways(nanoseconds):
    """Proves that a time of the wire survives the JSON report to the nanosecond."""
    assert unix_nano(rfc3339(nanoseconds)) == nanoseconds
