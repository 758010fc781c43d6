"""The ways in which the demo can be broken, and how often a fault strikes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from enum import StrEnum


class Fault(StrEnum):
    """What is broken in this run of the demo."""

    NONE = "none"
    SLOW_SCORER = "slow-scorer"
    STALE_FEATURES = "stale-features"
    LOST_MESSAGES = "lost-messages"
    WRONG_OUTPUT = "wrong-output"
    LOST_SPANS = "lost-spans"


class UnknownFaultError(ValueError):
    """FAULT names nothing that the demo can break."""


def chosen(environment: Mapping[str, str]) -> Fault:
    """Return the fault that the environment asks for; an empty or missing FAULT is none.

    >>> chosen({"FAULT": "slow-scorer"})
    <Fault.SLOW_SCORER: 'slow-scorer'>
    >>> chosen({})
    <Fault.NONE: 'none'>
    """
    wanted = environment.get("FAULT") or Fault.NONE
    try:
        return Fault(wanted)
    except ValueError:
        raise UnknownFaultError(f"unknown FAULT {wanted!r}: choose one of {', '.join(Fault)}") from None


def every(nth: int) -> Callable[[], bool]:
    """Return a question that is answered yes at every nth time of asking; threads may share it.

    >>> strikes = every(3)
    >>> [strikes() for _ in range(6)]
    [False, False, True, False, False, True]
    """
    turns = itertools.count(1)
    return lambda: next(turns) % nth == 0


def never() -> bool:
    """Answer no, as a fault does that is not there."""
    return False


def strikes(fault: Fault, active: Fault, nth: int) -> Callable[[], bool]:
    """Return `every(nth)` when `fault` is the active one, else `never`."""
    return every(nth) if active is fault else never
