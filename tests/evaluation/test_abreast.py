"""Rules of a large run are judged two at a time, and nobody can tell."""

from __future__ import annotations

import threading

import pytest

from bench.bench_judging import flow_of, fresh, large_run
from bench.many_rules import rule_lines
from spanverdict.evaluation import abreast as room
from spanverdict.evaluation.abreast import AT_ONCE, MANY, SEVERAL, abreast
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.outcomes import RunInfo

PATIENCE_S = 20


def test_results_come_in_order_whichever_is_ready_first() -> None:
    later = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert later.wait(PATIENCE_S), "the second is worked on meanwhile"
        else:
            later.set()
        return number

    assert list(abreast(work, range(SEVERAL), MANY, processors=AT_ONCE)) == list(range(SEVERAL))


@pytest.mark.parametrize(
    ("n_members", "processors", "count"), [(MANY - 1, 8, SEVERAL), (MANY, 1, SEVERAL), (MANY, 8, SEVERAL - 1)]
)
def test_few_members_one_processor_or_few_rules_need_no_thread(n_members: int, processors: int, count: int) -> None:
    found = list(abreast(lambda _: threading.current_thread(), range(count), n_members, processors))
    assert found == [threading.current_thread()] * count


def test_who_stops_asking_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    results = abreast(str, range(100), MANY, processors=AT_ONCE)
    assert next(results) == "0"
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_an_error_is_raised_where_its_result_is_asked_for() -> None:
    results = abreast(lambda number: 1 // number, (1, 0) * SEVERAL, MANY, processors=AT_ONCE)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_the_events_are_the_same_as_one_rule_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    flow, table = flow_of(200, 60, rules="\n".join(rule_lines(60))), large_run(200)

    def events() -> str:
        return repr(list(evaluate([flow], fresh(table), RunInfo("bench-1"), keep_samples=True)))

    alone = events()
    monkeypatch.setattr(room, "MANY", 0)
    monkeypatch.setattr(room.os, "cpu_count", lambda: AT_ONCE)
    assert [events() for _ in range(5)] == [alone] * 5
