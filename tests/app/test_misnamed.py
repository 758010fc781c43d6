"""Ids that cannot name a run are counted each time, and logged once each, not without end."""

from __future__ import annotations

import pytest

from spanverdict.app.misnamed import MOST_TOLD, Misnamed


def test_each_is_told_once_and_counted_always(caplog: pytest.LogCaptureFixture) -> None:
    misnamed = Misnamed()
    for _ in range(3):
        misnamed.met(["no name", 7, ""])
    assert misnamed.times == 9
    assert [message.partition(" cannot")[0] for message in caplog.messages] == ["'no name'", "'7'", "''"]


def test_ever_new_ones_fill_neither_the_log_nor_the_memory(caplog: pytest.LogCaptureFixture) -> None:
    misnamed = Misnamed()
    misnamed.met(f"no name {number}" for number in range(10 * MOST_TOLD))
    misnamed.met(["x" * 1_000_000])
    assert len(caplog.messages) == MOST_TOLD + 1
    assert caplog.messages[-1] == "there are more ids that cannot name a run; no others are told"
    assert misnamed.times == 10 * MOST_TOLD + 1


def test_a_long_one_is_told_by_its_beginning(caplog: pytest.LogCaptureFixture) -> None:
    Misnamed().met(["x" * 1_000_000])
    (message,) = caplog.messages
    assert len(message) < 300
    assert "x" * 70 in message
