"""The in-flight budget: never exceeded, never leaking."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.receiver.errors import Overloaded
from spanverdict.receiver.limits import ByteBudget


@given(sizes=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), max_size=50))
def test_the_sum_of_all_leases_is_known_and_within_the_capacity(sizes):
    budget = ByteBudget(capacity=100)
    leases = [budget.lease() for _ in range(4)]
    for which, size in sizes:
        others = sum(lease.size for lease in leases) - leases[which].size
        if others + size <= 100 or size <= leases[which].size:
            leases[which].resize(size)
        else:
            with pytest.raises(Overloaded):
                leases[which].resize(size)
        assert budget.in_use == sum(lease.size for lease in leases) <= 100
    for lease in leases:
        lease.release()
    assert budget.in_use == 0


def test_many_threads_leave_nothing_behind():
    budget = ByteBudget(capacity=1000)

    def work(number: int) -> None:
        for size in range(50):
            try:
                lease = budget.lease(size)
                lease.grow(number)
            except Overloaded:
                continue
            assert budget.in_use <= budget.capacity
            lease.release()
            lease.release()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert budget.in_use == 0


def test_an_overload_says_when_to_come_back():
    with pytest.raises(Overloaded) as overload:
        ByteBudget(capacity=10, retry_after_s=3.5).lease(11)
    assert overload.value.retry_after_s == 3.5
