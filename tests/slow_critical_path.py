"""The critical path of one request, walked one span at a time, to hold the fast one against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SENDERS = {"PRODUCER", "CLIENT"}

Found = list[tuple[int, int, int]]
"""(span id or -1, start, end), in order."""


@dataclass(frozen=True)
class Span:
    id: int
    start: int
    end: int
    parent: int = 0
    kind: str = "INTERNAL"
    service: str = "a"
    links: tuple[int, ...] = ()


@dataclass
class Walk:
    """`first` and `last` are the ids of the spans that begin and end the request."""

    spans: Mapping[int, Span]
    first: int
    last: int
    found: Found = field(default_factory=list)

    def __post_init__(self) -> None:
        self.low, self.high = self.spans[self.first].start, self.spans[self.last].end
        self.chain = self._chain()
        cursor = self.high
        for place, number in enumerate(self.chain):
            bottom = max(self._clip(self.spans[above].start) for above in self.chain[place:])
            entered = max(bottom, min(cursor, self._clip(self.spans[number].end)))
            self._emit(-1, entered, cursor)
            self._descend(number, bottom, self._clip(self.spans[number].end), entered)
            cursor = bottom
        self._emit(-1, self.low, cursor)
        self.found.sort(key=lambda section: section[1])

    def _clip(self, instant: int) -> int:
        return min(max(instant, self.low), self.high)

    def _emit(self, number: int, start: int, end: int) -> None:
        if end > start:
            self.found.append((number, start, end))

    def sync_parent(self, number: int) -> int:
        span = self.spans[number]
        parent = self.spans.get(span.parent)
        if parent is None:
            return 0
        taken = span.kind == "CONSUMER" and (parent.kind in SENDERS or parent.service != span.service)
        return 0 if taken else parent.id

    def _top(self, number: int) -> int:
        while above := self.cause(number):
            number = above
        return number

    def after(self, number: int) -> int:
        """What began after the first span follows from the last that ended in its process, if any is known."""
        begun, first = self.spans[number], self.spans[self.first]
        before = [
            span
            for span in self.spans.values()
            if span.service == begun.service and span.end <= begun.start and self._top(span.id) == self._top(self.first)
        ]
        if begun.start < first.end or not before:
            return self.first
        return max(before, key=lambda span: (span.end, span.start, span.id)).id

    def called_by(self, number: int) -> int:
        """What is joined to the request by nothing known is taken for a call of its first span."""
        loose = not self.cause(number) and number != self._top(self.first) and self.spans[number].kind != "CONSUMER"
        return self.first if loose else self.sync_parent(number)

    def _tree(self, number: int) -> int:
        while self.sync_parent(number):
            number = self.sync_parent(number)
        return number

    def cause(self, number: int) -> int:
        span = self.spans[number]
        senders = [self.spans[link] for link in span.links if link in self.spans]
        senders = [sender for sender in senders if self._tree(sender.id) != self._tree(number)]
        if senders:
            return max(senders, key=lambda s: (min(s.end, span.start), s.start, s.id)).id
        return span.parent if span.parent in self.spans else 0

    def _chain(self) -> list[int]:
        from_first = [self.first]
        while above := self.cause(from_first[-1]):
            from_first.append(above)
        chain = [self.last]
        while True:
            above = self.cause(chain[-1])
            if not above and chain[-1] != from_first[-1]:
                above = self.after(chain[-1])
            if not above:
                return chain
            chain.append(above)

    def _descend(self, number: int, low: int, high: int, cursor: int) -> None:
        children = []
        for child in self.spans.values():
            if self.called_by(child.id) != number or child.id in self.chain:
                continue
            start, end = max(self._clip(child.start), low), min(self._clip(child.end), high)
            if end > start:
                children.append((end, start, child.id))
        while ended := [child for child in children if child[0] <= cursor]:
            end, start, child_id = max(ended)
            self._emit(number, end, cursor)
            self._descend(child_id, start, end, end)
            cursor = start
        self._emit(number, low, cursor)
