"""What has no value: counted by reason, parted with its group, and never forgotten."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spanverdict.checks.missing import Missing, Reason

REASONS = st.sampled_from(["have no stage a", "have no stage b", "never arrived"])


@given(st.lists(st.tuples(st.integers(-1, 5), REASONS), max_size=8), st.data())
def test_what_is_joined_is_counted_and_can_be_parted_again(made: list[tuple[int, str]], data: st.DataObject) -> None:
    missing = Missing.none()
    for request, text in made:
        missing = missing.also(Missing.of_requests(np.array([request]), text))
    assert missing.request.tolist() == [request for request, _ in made]
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=len(made), max_size=len(made))), np.bool_)
    left = [text for (_, text), keep in zip(made, chosen, strict=True) if keep]
    part = missing.part(chosen)
    assert {reason.text: count for count, reason in part.counted()} == {text: left.count(text) for text in left}
    assert part.note() == (left[0] if len(set(left)) == 1 else part.note())
    assert bool(part.note()) == bool(left)


def test_what_cannot_be_right_is_told_apart() -> None:
    lacking = Missing.of_requests(np.array([1, 2]), "have no stage a")
    wrong = Missing.of_members(np.array([3]), np.array([30]), Reason("lie in the future", impossible=True))
    assert lacking.impossible() == ""
    assert lacking.also(wrong).impossible() == "1 lie in the future"
    assert lacking.also(wrong).note() == "have no value: 2 have no stage a, 1 lie in the future"
    assert Missing.none().note() == ""
