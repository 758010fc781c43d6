"""The critical path: what holds for every request, known shapes, a walk to compare with, and speed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slow_critical_path import Span, Walk
from spanverdict.paths.critical_path import Extents, Members, SectionKind, Sections, critical_paths, sync_parents
from spanverdict.telemetry.vocabulary import SpanKind

Requests = list[tuple[list[Span], int, int]]
"""For each request its spans and the ids of the first and the last."""


def members_of(requests: Requests, order: Sequence[int] | None = None, shift: int = 0) -> tuple[Members, Extents]:
    """Lay requests out as columns, the rows of each permuted by `order` (of all rows together)."""
    rows = [(number, span) for number, (spans, _, _) in enumerate(requests) for span in spans]
    order = list(range(len(rows))) if order is None else list(order)
    rows = [rows[place] for place in order]
    place_of = {(number, span.id): place for place, (number, span) in enumerate(rows)}
    services = sorted({span.service for _, span in rows})
    links = [
        (place_of[number, link], place)
        for place, (number, span) in enumerate(rows)
        for link in span.links
        if (number, link) in place_of
    ]
    members = Members(
        request=np.array([number for number, _ in rows], np.int64),
        parent=np.array([place_of.get((number, span.parent), -1) for number, span in rows], np.intp),
        start=np.array([span.start + shift for _, span in rows], np.int64),
        end=np.array([span.end + shift for _, span in rows], np.int64),
        usable=np.array([span.end >= span.start for _, span in rows], np.bool_),
        kind=np.array([SpanKind[span.kind] for _, span in rows], np.int8),
        span_id=np.array([span.id for _, span in rows], np.uint64),
        resource=np.array([services.index(span.service) for _, span in rows], np.int32),
        link_from=np.array([source for source, _ in links], np.intp),
        link_to=np.array([target for _, target in links], np.intp),
    )
    first = np.array([place_of[number, first] for number, (_, first, _) in enumerate(requests)], np.intp)
    last = np.array([place_of[number, last] for number, (_, _, last) in enumerate(requests)], np.intp)
    return members, Extents(members.start[first], members.end[last], first, last)


def sections_of(
    requests: Requests, order: Sequence[int] | None = None, shift: int = 0
) -> list[list[tuple[int, int, int]]]:
    """Return the (span id or -1, start, end) sections of each request, the shift undone."""
    members, extents = members_of(requests, order, shift)
    found = critical_paths(members, extents)
    result: list[list[tuple[int, int, int]]] = [[] for _ in requests]
    columns = (found.request, found.member, found.start, found.end)
    for request, member, start, end in zip(*(column.tolist() for column in columns), strict=True):
        result[request].append((int(members.span_id[member]) if member >= 0 else -1, start - shift, end - shift))
    return result


def path(*spans: Span, first: int = 1, last: int = 1) -> list[tuple[int, int, int]]:
    return sections_of([(list(spans), first, last)])[0]


# Shapes


def test_a_sequence_alternates_between_the_parent_and_its_children() -> None:
    found = path(Span(1, 0, 100), Span(2, 10, 30, 1), Span(3, 40, 90, 1))
    assert found == [(1, 0, 10), (2, 10, 30), (1, 30, 40), (3, 40, 90), (1, 90, 100)]


def test_back_to_back_children_are_both_on_the_path() -> None:
    """One ends in the very nanosecond in which the next begins."""
    assert path(Span(1, 0, 100), Span(2, 0, 40, 1), Span(3, 40, 100, 1)) == [(2, 0, 40), (3, 40, 100)]


def test_of_parallel_children_the_last_to_end_counts() -> None:
    found = path(Span(1, 0, 100), Span(2, 10, 90, 1), Span(3, 10, 60, 1), Span(4, 12, 30, 1))
    assert found == [(1, 0, 10), (2, 10, 90), (1, 90, 100)]


def test_of_overlapping_children_the_earlier_is_only_followed_if_it_had_ended() -> None:
    found = path(Span(1, 0, 100), Span(2, 50, 90, 1), Span(3, 20, 60, 1), Span(4, 5, 45, 1))
    assert found == [(1, 0, 5), (4, 5, 45), (1, 45, 50), (2, 50, 90), (1, 90, 100)]


def test_a_child_that_outlives_its_parent_counts_as_far_as_the_parent_lasts() -> None:
    assert path(Span(1, 0, 100), Span(2, 60, 150, 1)) == [(1, 0, 60), (2, 60, 100)]


def test_a_request_may_be_ended_by_a_child_that_outlived_its_parent() -> None:
    found = path(Span(1, 0, 100), Span(2, 60, 150, 1), Span(3, 110, 130, 2), last=2)
    assert found == [(1, 0, 60), (2, 60, 110), (3, 110, 130), (2, 130, 150)]


def test_work_begun_after_its_parent_ended_had_to_wait() -> None:
    assert path(Span(1, 0, 100), Span(2, 130, 150, 1), last=2) == [(1, 0, 100), (-1, 100, 130), (2, 130, 150)]


def test_retries_and_the_pauses_between_them_are_on_the_path() -> None:
    found = path(Span(1, 0, 100), Span(2, 0, 20, 1), Span(3, 30, 50, 1), Span(4, 60, 100, 1))
    assert found == [(2, 0, 20), (1, 20, 30), (3, 30, 50), (1, 50, 60), (4, 60, 100)]


def test_a_child_ahead_of_its_parents_clock_is_cut_to_the_parent() -> None:
    assert path(Span(1, 100, 200), Span(2, 90, 150, 1)) == [(2, 100, 150), (1, 150, 200)]


def test_a_child_wholly_outside_its_parent_is_left_out_with_all_below_it() -> None:
    found = path(Span(1, 0, 100), Span(2, 10, 40, 1), Span(3, 50, 60, 2), Span(4, 55, 58, 3))
    assert found == [(1, 0, 10), (2, 10, 40), (1, 40, 100)]


def test_spans_without_length_take_no_time_and_cost_no_round() -> None:
    found = path(Span(1, 0, 10), *(Span(n, 5, 5, 1) for n in range(2, 9)), Span(9, 5, 7, 1))
    assert found == [(1, 0, 5), (9, 5, 7), (1, 7, 10)]


def test_a_request_without_length_has_no_sections() -> None:
    assert path(Span(1, 7, 7), Span(2, 7, 7, 1)) == []


def test_a_queue_is_a_wait_between_sender_and_taker() -> None:
    """The taker's own trace is joined by its link alone."""
    found = path(
        Span(1, 0, 50, kind="SERVER"),
        Span(2, 10, 20, 1, kind="PRODUCER"),
        Span(3, 70, 100, kind="CONSUMER", service="b", links=(2,)),
        Span(4, 80, 95, 3, service="b"),
        last=3,
    )
    assert found == [(1, 0, 10), (2, 10, 20), (-1, 20, 70), (3, 70, 80), (4, 80, 95), (3, 95, 100)]


def test_a_consumer_below_its_producer_does_not_keep_it_waiting() -> None:
    spans = (
        Span(1, 0, 50, kind="SERVER"),
        Span(2, 10, 20, 1, kind="PRODUCER"),
        Span(3, 15, 48, 2, kind="CONSUMER", service="b"),
    )
    assert path(*spans) == [(1, 0, 10), (2, 10, 20), (1, 20, 50)]
    assert path(*spans, last=3) == [(1, 0, 10), (2, 10, 15), (3, 15, 48)]


def test_a_batch_consumer_was_let_go_by_the_last_of_its_messages() -> None:
    found = path(
        Span(1, 0, 40),
        Span(2, 10, 12, 1, kind="PRODUCER"),
        Span(3, 30, 33, 1, kind="PRODUCER"),
        Span(4, 60, 90, kind="CONSUMER", links=(2, 3)),
        last=4,
    )
    assert found == [(1, 0, 10), (2, 10, 12), (1, 12, 30), (3, 30, 33), (-1, 33, 60), (4, 60, 90)]


def test_a_poll_that_began_before_the_message_was_sent_is_not_on_the_path() -> None:
    """The processing span has the poll as its parent and the message as its link: the link leads."""
    found = path(
        Span(1, 100, 120),
        Span(2, 105, 110, 1, kind="PRODUCER"),
        Span(3, 101, 190, service="b"),
        Span(4, 130, 180, 3, kind="CONSUMER", service="b", links=(2,)),
        last=4,
    )
    assert found == [(1, 100, 105), (2, 105, 110), (-1, 110, 130), (4, 130, 180)]


def test_a_link_inside_one_trace_of_calls_changes_nothing() -> None:
    """A retry that links the attempt before it still is a child of the span that pauses between."""
    spans = [Span(1, 0, 100), Span(2, 0, 20, 1), Span(3, 40, 100, 1, links=(2,))]
    assert path(*spans) == path(*(replace(span, links=()) for span in spans)) == [(2, 0, 20), (1, 20, 40), (3, 40, 100)]


def test_what_nothing_leads_to_follows_from_the_start_of_the_request() -> None:
    """An orphan counts as work of the span that began the request; a trace joined by a key alone waited."""
    orphan = path(Span(1, 0, 100), Span(2, 20, 60, parent=99))
    joined = path(Span(1, 0, 100), Span(2, 130, 160), last=2)
    assert orphan == [(1, 0, 20), (2, 20, 60), (1, 60, 100)]
    assert joined == [(1, 0, 100), (-1, 100, 130), (2, 130, 160)]


def test_user_code_whose_context_was_detached_follows_what_its_process_received() -> None:
    """As clients of Kafka leave it: the receive span has ended, the handler begins a trace of its own."""
    found = path(
        Span(1, 0, 50),
        Span(2, 10, 20, 1, kind="PRODUCER"),
        Span(3, 70, 75, 2, kind="CONSUMER", service="b"),
        Span(4, 80, 95, service="b"),
        last=4,
    )
    assert found == [(1, 0, 10), (2, 10, 20), (-1, 20, 70), (3, 70, 75), (-1, 75, 80), (4, 80, 95)]


def test_a_span_without_an_end_is_passed_over() -> None:
    """What is below it counts for the span above it."""
    found = path(Span(1, 0, 100), Span(2, 10, 0, 1), Span(3, 20, 60, 2))
    assert found == [(1, 0, 20), (3, 20, 60), (1, 60, 100)]


def test_spans_above_the_first_add_nothing() -> None:
    assert path(Span(9, 0, 500), Span(1, 100, 200, 9), Span(2, 120, 150, 1)) == [
        (1, 100, 120),
        (2, 120, 150),
        (1, 150, 200),
    ]


def test_links_in_a_circle_end_somewhere() -> None:
    found = path(Span(1, 0, 10, links=(3,)), Span(2, 20, 30, links=(1,)), Span(3, 40, 50, links=(2,)), last=3)
    assert found == [(1, 0, 10), (-1, 10, 20), (2, 20, 30), (-1, 30, 40), (3, 40, 50)]


def test_a_message_taken_before_it_was_sent_by_the_clocks_takes_no_time_in_the_queue() -> None:
    found = path(
        Span(1, 0, 90), Span(2, 60, 70, 1, kind="PRODUCER"), Span(3, 50, 100, kind="CONSUMER", links=(2,)), last=3
    )
    assert found == [(1, 0, 60), (3, 60, 100)]


def test_a_request_without_extent_has_no_sections_and_disturbs_no_other() -> None:
    requests: Requests = [([Span(1, 0, 10)], 1, 1), ([Span(1, 0, 10), Span(2, 3, 5, 1)], 1, 1)]
    members, extents = members_of(requests)
    nothing = np.array([-1, extents.first[1]], np.intp)
    found = critical_paths(members, Extents(extents.start * [0, 1], extents.end * [0, 1], nothing, nothing))
    assert found.request.tolist() == [1, 1, 1]


def test_no_requests_have_no_sections() -> None:
    members, extents = members_of([])
    assert len(critical_paths(members, extents)) == 0


def test_waits_are_marked_by_kind_and_have_no_member() -> None:
    members, extents = members_of([([Span(1, 0, 10), Span(2, 20, 30, 1)], 1, 2)])
    found = critical_paths(members, extents)
    assert found.kind.tolist() == [SectionKind.WORK, SectionKind.QUEUE, SectionKind.WORK]
    assert found.member.tolist() == [0, -1, 1]
    assert found.duration().tolist() == [10, 10, 10]


# What holds for every request


KINDS = ("INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")


@st.composite
def requests(draw: st.DrawFn) -> Requests:
    """Small forests of overlapping, nested, reversed and linked spans, some of no length."""
    made = []
    for _ in range(draw(st.integers(1, 3))):
        spans = []
        for number in range(1, draw(st.integers(1, 12)) + 1):
            start = draw(st.integers(0, 20))
            spans.append(
                Span(
                    number,
                    start,
                    start + draw(st.integers(0, 12)),
                    draw(st.integers(0, number - 1)),
                    draw(st.sampled_from(KINDS)),
                    draw(st.sampled_from("ab")),
                    tuple(draw(st.sets(st.integers(1, 12), max_size=2)) - {number}),
                )
            )
        first, last = spans[0], max(spans, key=lambda span: (span.end, draw(st.booleans()), span.id))
        made.append((spans, first.id, last.id))
    return made


@settings(deadline=None, max_examples=300)
@given(requests())
def test_sections_are_disjoint_inside_and_sum_to_the_duration(made: Requests) -> None:
    for (spans, first, last), found in zip(made, sections_of(made), strict=True):
        by_id = {span.id: span for span in spans}
        low, high = by_id[first].start, by_id[last].end
        edges = [edge for _, start, end in found for edge in (start, end)]
        assert edges == sorted(edges)
        assert all(start < end for _, start, end in found)
        assert sum(end - start for _, start, end in found) == high - low
        assert not found or (edges[0], edges[-1]) == (low, high)
        assert all(by_id[n].start <= start and end <= by_id[n].end for n, start, end in found if n >= 0)


@settings(deadline=None, max_examples=200)
@given(requests(), st.randoms(use_true_random=False), st.integers(0, 2**60))
def test_neither_the_order_of_rows_nor_the_date_matters(made: Requests, random: object, shift: int) -> None:
    order = list(range(sum(len(spans) for spans, _, _ in made)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert sections_of(made, order, shift) == sections_of(made)


@settings(deadline=None, max_examples=400)
@given(requests())
def test_sections_are_those_of_a_naive_walk(made: Requests) -> None:
    """Links point backwards only: how circles are cut is not the walk's business."""
    acyclic = [
        ([replace(span, links=tuple(n for n in span.links if n < span.id)) for span in spans], first, last)
        for spans, first, last in made
    ]
    walked = [Walk({span.id: span for span in spans}, first, last).found for spans, first, last in acyclic]
    assert sections_of(acyclic) == walked


@settings(deadline=None)
@given(requests())
def test_requests_do_not_disturb_each_other(made: Requests) -> None:
    assert sections_of(made) == [sections_of([one])[0] for one in made]


# Speed


def columns(parent: np.ndarray, start: np.ndarray, end: np.ndarray, request: np.ndarray) -> tuple[Members, Extents]:
    count = len(parent)
    nothing = np.zeros(0, np.intp)
    members = Members(
        request,
        parent,
        start,
        end,
        np.ones(count, np.bool_),
        np.zeros(count, np.int8),
        np.arange(1, count + 1, dtype=np.uint64),
        np.zeros(count, np.int32),
        nothing,
        nothing,
    )
    roots = np.flatnonzero(parent < 0)
    return members, Extents(start[roots], end[roots], roots, roots)


def timed(members: Members, extents: Extents) -> tuple[Sections, float]:
    began = time.process_time()
    found = critical_paths(members, extents)
    return found, time.process_time() - began


@pytest.mark.parametrize("shape", ["chain", "fan", "mixed"])
def test_extreme_traces_take_well_under_two_seconds(shape: str) -> None:
    """100,000 spans of one trace: 10,000 deep, 50,000 wide, or at random."""
    count = 100_000
    number = np.arange(count)
    if shape == "chain":
        parent = np.where(number % 10_000 == 0, 0, number - 1)
        start, end = number, 10**7 - number
    elif shape == "fan":
        parent = np.where(number <= count // 2, 0, number - count // 2)
        start, end = 10 * number % (5 * count), 10 * number % (5 * count) + 9
    else:
        parent = (number * np.random.default_rng(7).random(count)).astype(np.intp)
        start = np.random.default_rng(8).integers(0, 10**6, count)
        end = start + np.random.default_rng(9).integers(0, 10**6, count)
    parent[0] = -1
    start[0], end[0] = 0, 10**7
    found, seconds = timed(*columns(parent, start.astype(np.int64), end.astype(np.int64), np.zeros(count, np.int64)))
    assert found.duration().sum() == 10**7
    assert seconds < 2


def test_a_hundred_thousand_requests_of_ten_spans_take_seconds() -> None:
    count, size = 100_000, 10
    number = np.arange(count * size)
    place = number % size
    parent = np.where(place == 0, -1, number - 1 - (place - 1) // 2)
    start = 1000 * (number // size) + 10 * place
    end = np.where(place == 0, start + 900, start + 300 - place)
    found, seconds = timed(*columns(parent, start, end, number // size))
    assert np.array_equal(np.bincount(found.request, found.duration()), np.full(count, 900.0))
    assert seconds < 10


def test_work_of_a_consumer_is_not_its_senders() -> None:
    members, _ = members_of(
        [([Span(1, 0, 9), Span(2, 1, 2, 1, "PRODUCER"), Span(3, 3, 4, 2, "CONSUMER"), Span(4, 3, 4, 3)], 1, 1)]
    )
    assert sync_parents(members).tolist() == [-1, 0, -1, 2]
