"""How far clocks differ, found slowly: call by call, and by trying every end of every interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
Interval = tuple[int, int]
BEGIN = 1_772_442_000_000_000_007
"""Neither a whole millisecond nor a whole microsecond, so that no clock looks coarser than it is."""
US = 1_000


@dataclass(frozen=True)
class Call:
    """A call as it was: in true time, in microseconds."""

    client: str
    server: str
    start: int
    there: int
    """How long it took to get to the server …"""
    work: int
    back: int

    def allows(self, offsets: dict[str, int]) -> Interval:
        """Return between what lies what is to be added to the server's times, in ns, as seen from the sent times."""
        apart = (offsets[self.client] - offsets[self.server]) * US
        return apart - self.there * US, apart + self.back * US


def rows_of(calls: Iterable[Call], offsets: dict[str, int]) -> list[Row]:
    """Return the spans of calls as their hosts send them, each call a trace of its own."""
    rows = []
    for number, call in enumerate(calls):
        begun, ended = call.start + call.there, call.start + call.there + call.work
        client = span(number, 1, call.client, (call.start, ended + call.back), offsets)
        server = span(number, 2, call.server, (begun, ended), offsets)
        rows += [{**client, "kind": "client"}, {**server, "kind": "server", "parent": 1}]
    return rows


def span(trace: int | str, number: int, host: str, times: tuple[int, int], offsets: dict[str, int]) -> Row:
    """Return a span of a host; `times` are true, in microseconds."""
    start, end = (BEGIN + (time + offsets[host]) * US for time in times)
    return {"trace": str(trace), "id": number, "resource": {"host.name": host}, "start": start, "end": end}


def slow_meeting(intervals: Sequence[Interval], strays: int) -> Interval | None:
    """Return where all intervals overlap; else where all but some do, from the first such place to the last."""
    places = sorted({end for interval in intervals for end in interval})
    for needed in (len(intervals), len(intervals) - strays):
        good = [place for place in places if sum(low <= place <= high for low, high in intervals) >= needed]
        if good:
            return good[0], good[-1]
    return None


def slow_chain(known: dict[tuple[str, str], Interval], first: str, second: str, most: int) -> int | None:
    """Return how much the narrowest chain of at most so many pairs leaves in doubt; None where there is none."""
    widths = {first: 0}
    for _ in range(most):
        steps = {**widths}
        for (one, other), (low, high) in known.items():
            for here, there in ((one, other), (other, one)):
                if here in widths:
                    steps[there] = min(steps.get(there, widths[here] + high - low), widths[here] + high - low)
        widths = steps
    return widths.get(second)
