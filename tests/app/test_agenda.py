"""The agenda: as if all due times were looked at every time."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from spanverdict.app.agenda import Agenda
from spanverdict.app.liverun import LiveRun

puts = st.tuples(st.integers(0, 4), st.none() | st.sampled_from([-math.inf, 1.0, 2.0, 3.0]))
steps = st.lists(puts | st.floats(0, 4), max_size=60)


@given(steps)
def test_it_knows_the_earliest_time_and_gives_each_run_once(steps: list[tuple[int, float | None] | float]) -> None:
    agenda, runs = Agenda(), [LiveRun(f"run-{n}") for n in range(5)]
    dues: dict[str, float] = {}
    for step in steps:
        if isinstance(step, tuple):
            number, due = step
            agenda.put(runs[number], due)
            dues.pop(runs[number].id, None)
            if due is not None:
                dues[runs[number].id] = due
        else:
            taken = [run.id for run in agenda.take(step)]
            assert sorted(taken) == sorted(name for name, due in dues.items() if due <= step)
            assert [dues[name] for name in taken] == sorted(dues[name] for name in taken)
            for name in taken:
                del dues[name]
        assert agenda.first() == min(dues.values(), default=None)


def test_a_run_that_is_put_off_a_thousand_times_takes_no_room() -> None:
    agenda, run = Agenda(), LiveRun("r")
    for second in range(10_000):
        agenda.put(run, float(second))
    assert len(agenda._entries) < 200
    assert agenda.take(9_999.0) == [run]
    assert agenda.first() is None
