"""What threads know comes to the event loop: all of it, in order, and whatever one answer does to the others."""

from __future__ import annotations

import asyncio
import threading

import pytest

from spanverdict.receiver.outcomes import Outcomes
from spanverdict.receiver.sink import Receipt


def test_outcomes_of_many_threads_are_all_told_on_the_loop_in_the_order_of_each() -> None:
    told: list[tuple[int, int]] = []
    threads: set[int] = set()

    async def gather() -> None:
        outcomes = Outcomes()
        done = asyncio.Event()

        def answered(who: int, outcome: Receipt | Exception) -> None:
            assert isinstance(outcome, Receipt)
            threads.add(threading.get_ident())
            told.append((who, outcome.accepted))
            if len(told) == 4 * 500:
                done.set()

        tell = [outcomes.teller(lambda outcome, who=who: answered(who, outcome)) for who in range(4)]
        working = [
            threading.Thread(target=lambda who=who: [tell[who](Receipt(number)) for number in range(500)])
            for who in range(4)
        ]
        for thread in working:
            thread.start()
        await asyncio.wait_for(done.wait(), 10)
        for thread in working:
            thread.join()

    asyncio.run(gather())
    assert threads == {threading.get_ident()}
    for who in range(4):
        assert [number for one, number in told if one == who] == list(range(500))


def test_an_answer_that_fails_keeps_no_other_from_being_given(caplog: pytest.LogCaptureFixture) -> None:
    async def one_fails() -> list[Receipt | Exception]:
        outcomes = Outcomes()
        told: asyncio.Queue[Receipt | Exception] = asyncio.Queue()
        fail, keep = outcomes.teller(lambda _: 1 / 0), outcomes.teller(told.put_nowait)
        both = threading.Thread(target=lambda: (fail(Receipt(1)), keep(Receipt(2))))
        both.start()
        both.join()
        return [await asyncio.wait_for(told.get(), 10)]

    assert asyncio.run(one_fails()) == [Receipt(2)]
    assert "an answer failed" in caplog.text


def test_an_outcome_behind_the_end_of_the_loop_is_told_nobody() -> None:
    async def teller() -> object:
        return Outcomes().teller(lambda _: pytest.fail("nobody waits"))

    tell = asyncio.run(teller())
    late = threading.Thread(target=tell, args=(Receipt(1),))
    late.start()
    late.join()
