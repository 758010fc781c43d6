"""How much of the long tests the environment asks for."""

from __future__ import annotations

import doctest

import soaking


def test_the_examples_of_what_long_tests_share_are_right() -> None:
    found = doctest.testmod(soaking)
    assert found.attempted
    assert not found.failed
