"""What the long tests share: how much of each the environment asks for, and how to do a part of one again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


def numbers(text: str | None, first: int, count: int) -> range:
    """Return the numbers that are asked for, each of which makes one trial: by default so many from the first one on.

    >>> numbers(None, 1000, 5)
    range(1000, 1005)
    >>> numbers("20", 1000, 5)
    range(1000, 1020)
    >>> numbers("1200:1300", 1000, 5)
    range(1200, 1300)
    """
    if text is None:
        return range(first, first + count)
    start, colon, end = text.partition(":")
    return range(int(start), int(end)) if colon else range(first, first + int(start))


def asked(name: str, first: int, count: int) -> range:
    """Return the numbers that a variable of the environment asks for: a count, or `FIRST:LAST` with the last left out."""
    return numbers(os.environ.get(name), first, count)


def again(test: str, **variables: object) -> str:
    """Return the command that does a part of a long test again.

    >>> again("tests/storage -k broken", SPANVERDICT_BROKEN="5:6")
    'SPANVERDICT_SOAK=1 SPANVERDICT_BROKEN=5:6 .venv/bin/python -m pytest tests/storage -k broken'
    """
    told = " ".join(f"{name}={value}" for name, value in {"SPANVERDICT_SOAK": 1, **variables}.items())
    return f"{told} .venv/bin/python -m pytest {test}"


@dataclass
class Progress:
    """Tells how far a long test has come, twice a minute at most."""

    tell: Callable[[str], None]
    every_s: float = 30.0
    _told_at: float = field(default_factory=time.monotonic)

    def say(self, what: str) -> None:
        """Tell it if it is time."""
        if time.monotonic() - self._told_at >= self.every_s:
            self._told_at = time.monotonic()
            self.tell(what)

    def through(self, items: Iterable[T], total: int, what: str) -> Iterator[T]:
        """Hand on items and tell how many of them were dealt with."""
        for number, item in enumerate(items):
            self.say(f"{number:,} of {total:,} {what}")
            yield item
