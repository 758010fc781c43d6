"""One run of the demo for each fault, shared by all tests that look at it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from demo_runs import Played, play_demo


@pytest.fixture(scope="session")
def play() -> Callable[[str], Played]:
    """Return a function that plays the demo with a fault, once a fault and session."""
    played: dict[str, Played] = {}

    def once(fault: str) -> Played:
        if fault not in played:
            played[fault] = play_demo(fault)
        return played[fault]

    return once
