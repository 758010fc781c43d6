"""When a thread has so much of one thing to do that it pays to have it done elsewhere."""

from __future__ import annotations

from spanverdict.app.workload import BUSY_S, WITHIN_S, Workload


class Work:
    """Something that takes a time, a share of which the processor is at it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.computed = 0.0
        self.load = Workload(clock=lambda: self.now, computing=lambda: self.computed)

    def do(self, seconds: float, computing: float, rest: float = 0.0) -> None:
        with self.load.measured():
            self.now += seconds
            self.computed += seconds * computing
        self.now += rest


def test_who_computes_all_the_time_has_a_lot_to_do() -> None:
    work = Work()
    for _ in range(16):
        work.do(0.01, computing=1.0)
    assert work.load.is_high


def test_so_has_who_shares_the_interpreter_with_others() -> None:
    work = Work()
    for _ in range(16):
        work.do(0.01, computing=0.55)
    assert work.load.is_high


def test_a_busy_machine_makes_nobody_believe_that_there_is_much_to_do() -> None:
    work = Work()
    for _ in range(100):
        work.do(0.01, computing=0.2)
        assert not work.load.is_high


def test_neither_do_pauses_between_little_work() -> None:
    work = Work()
    for _ in range(100):
        work.do(0.005, computing=1.0, rest=0.005)
        assert not work.load.is_high


def test_what_was_long_ago_does_not_count() -> None:
    work = Work()
    work.do(0.9 * BUSY_S, computing=1.0, rest=WITHIN_S)
    work.do(0.2 * BUSY_S, computing=1.0)
    assert not work.load.is_high
