"""Of a share or a count that is not what it should be, what made it so is shown: what is there, or what is not."""

from __future__ import annotations

import pytest

from ruleruns import call, only, without

THREE = [*call("a"), *without(call("b", start=500), "score"), *call("c", start=900)]


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        ("coverage: {stages: all}, expect: {ratio: '== 100%'}", ["r-b"]),
        ("coverage: {stages: all}, expect: {ratio: '>= 99%'}", ["r-b"]),
        ("coverage: {stages: all}, expect: {ratio: '== 50%'}", ["r-a", "r-c"]),
        ("coverage: {stages: all}, expect: {ratio: '< 50%'}", ["r-a", "r-c"]),
        ("coverage: {stages: all}, expect: {ratio: '!= 66.7%', count: '== 3'}", ["r-b"]),
        ("coverage: {stages: all}, expect: {count: '== 1'}", ["r-a", "r-c"]),
    ],
)
def test_too_few_show_the_false_and_too_many_the_true(rule: str, shown: list[str]) -> None:
    assert [exhibit.key for exhibit in only(THREE, f"- {{id: r, {rule}}}").exhibits] == shown
