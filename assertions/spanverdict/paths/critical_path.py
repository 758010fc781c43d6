"""Where the time of a request went: the chain of work and waits that led to its end.

The walk goes backwards from the end of the request. In a span it follows the child that finished
last, then the sibling that had finished when that one began, and so on; what no child covers is the
span's own. Above the span that ended the request it climbs along *causes*: the parent, or the sender
whose message or link led here, and the time between the two is a wait. Written as a walk this takes
one step a span; here every step of every request is taken at once, because a child's predecessor does not
depend on how the walk came by. The idea of the walk is that of Jaeger's trace view; unlike there,
a sibling that ended in the very instant another began is followed, and queues are crossed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Final

import numpy as np

from spanverdict.paths.chains import far, folded, reached, roots, roots_of
from spanverdict.telemetry.ordering import order_of, sorted_by
from spanverdict.telemetry.spantable import Bools, Int8s, Int32s, Int64s, Ints, Rows, UInt64s
from spanverdict.telemetry.vectors import is_constant
from spanverdict.telemetry.vocabulary import SpanKind

_STEPS: Final = 8
_PIECE: Final = 1 << 17
"""Of so many members is looked at a time what ended before them."""
_SENDERS: Final = (SpanKind.PRODUCER, SpanKind.CLIENT)


class SectionKind(IntEnum):
    """What a section of a critical path is."""

    WORK = 0
    QUEUE = 1
    """A wait: nothing that is known of ran for the request."""


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """The spans of requests, one row a member; a span that requests share is a member of each.

    `start`, `end` in ns, only looked at where `usable`. `parent` is -1 where there is none in the
    request. A link leads from member `link_from` to member `link_to` of the same request.
    """

    request: Int64s
    parent: Rows
    start: Int64s
    end: Int64s
    usable: Bools
    kind: Int8s
    span_id: UInt64s
    resource: Int32s
    link_from: Rows
    link_to: Rows

    def __len__(self) -> int:
        return len(self.request)


@dataclass(frozen=True, slots=True, eq=False)
class Extents:
    """From where to where requests last, (n_requests,); those with `first` -1 have no extent."""

    start: Int64s
    end: Int64s
    """Not before `start`."""
    first: Rows
    """The usable member that begins the request …"""
    last: Rows
    """… and the one that ends it."""


@dataclass(frozen=True, slots=True, eq=False)
class Sections:
    """The critical paths of requests, cut into sections, (n_sections,) each.

    Sections of a request are disjoint, ascend, none is empty, and together they last exactly as
    long as the request.
    """

    request: Int64s
    """Ascending."""
    member: Rows
    """Whose own time it is, -1 for a wait."""
    start: Int64s
    end: Int64s
    until: Rows
    """The member that a wait ended with; of work the member itself."""

    def __len__(self) -> int:
        return len(self.request)

    @property
    def kind(self) -> Int8s:
        """Return the `SectionKind` of each."""
        return np.where(self.member < 0, SectionKind.QUEUE, SectionKind.WORK).astype(np.int8)

    def duration(self) -> Int64s:
        """Return how long each section lasts, in ns."""
        return self.end - self.start

    def taken(self, places: Rows) -> Sections:
        """Return some of them, in the order given."""
        return Sections(*(getattr(self, name)[places] for name in _COLUMNS))


_COLUMNS: Final = tuple(column.name for column in fields(Sections))


def critical_paths(members: Members, extents: Extents) -> Sections:
    """Cut the extent of every request into the sections of its critical path.

    A child counts as far as it lies inside its parent and inside its request. Takes
    O(n log n) time, however deep or wide the requests are.
    """
    found = pieces(members, extents)
    return found.taken(order_of(found.request, found.start))


def pieces(members: Members, extents: Extents) -> Sections:
    """Return the sections that `critical_paths` does, in no order."""
    parent, cause = parents_and_causes(members, extents.first)
    spine = np.flatnonzero(reached(_chosen(extents.last, len(members)), cause))
    cause = cause[spine]
    begin, finish = _clipped(members, extents)
    parent[spine] = cause
    folded(begin, parent, np.maximum)
    parent[spine] = -1
    folded(finish, parent, np.minimum)
    entered, waits = _climb(members, extents, (spine, cause), (begin, finish))
    work = _work(members, parent, (spine, entered), (begin, finish))
    return _joined(work, waits)


def sync_parents(members: Members) -> Rows:
    """Return the nearest usable span above each member that may be waiting for it, -1 for none.

    A message does not keep its sender waiting, so a CONSUMER does not count as work of a span that
    sends, or of one in another process.
    """
    return _waited_for(members, _usable_parents(members))


def _waited_for(members: Members, parent: Rows) -> Rows:
    """Return the nearest usable spans above as far as they may be waiting."""
    takers = np.flatnonzero((members.kind == SpanKind.CONSUMER) & (parent >= 0))
    above = parent[takers]
    elsewhere = members.resource[above] != members.resource[takers]
    parent = parent.copy()
    parent[takers[np.isin(members.kind[above], _SENDERS) | elsewhere]] = -1
    return parent


def parents_and_causes(members: Members, first: Rows) -> tuple[Rows, Rows]:
    """Return which span may wait for each member, and what led to it, -1 where there is none.

    What led to a member is the sender whose link it carries, else its parent, else the start of its
    request (`first`, (n_requests,)). Members that are not usable are passed over.
    """
    above = _usable_parents(members)
    parent = _waited_for(members, above)
    return _attached(members, parent, _causes(members, above, parent), first)


def _usable_parents(members: Members) -> Rows:
    """Return the nearest usable ancestor, -1 for none; members that are not usable have none."""
    if members.usable.all():
        return members.parent
    own = np.arange(len(members))
    nearest = np.where(members.usable | (members.parent < 0), own, members.parent)
    while not np.array_equal(farther := nearest[nearest], nearest):
        nearest = farther
    above = nearest[np.maximum(members.parent, 0)]
    found = (members.parent >= 0) & members.usable & members.usable[above]
    return np.where(found, above, -1)


def _causes(members: Members, above: Rows, sync: Rows) -> Rows:
    """Return what led to each member: the linked sender, else the parent; -1 where nothing is known."""
    cause = above.copy()
    source, target = _leading_links(members, sync)
    cause[target] = source
    return _acyclic(members, cause, linked=target)


def _leading_links(members: Members, sync: Rows) -> tuple[Rows, Rows]:
    """Return (from, to), one a target: the last message to be sent before it was taken.

    A link inside one tree of synchronous work adds nothing to what parents say.
    """
    source, target = members.link_from, members.link_to
    apart = roots_of(sync, source) != roots_of(sync, target)
    use = members.usable[source] & members.usable[target] & apart
    source, target = source[use], target[use]
    sent = np.minimum(members.end[source], members.start[target])
    order = order_of(target, sent, members.start[source], members.span_id[source])
    source, target = source[order], target[order]
    final = np.diff(target, append=-1) != 0
    return source[final], target[final]


def _acyclic(members: Members, cause: Rows, linked: Rows) -> Rows:
    """Forget, on every cycle of causes, the link that leads to its earliest linked member; there is one on each."""
    distant = far(cause, linked)
    if not len(distant):
        return cause
    cyclic = _chosen(distant, len(cause))
    follows_link = np.zeros(len(cause), np.bool_)
    follows_link[linked] = True
    for start in np.flatnonzero(cyclic).tolist():
        if not cyclic[start]:
            continue
        around = [row := start]
        while (row := int(cause[row])) != start:
            around.append(row)
        cyclic[around] = False
        links = [row for row in around if follows_link[row]]
        cause[min(links, key=lambda row: (members.start[row], members.span_id[row]))] = -1
    return cause


def _attached(members: Members, parent: Rows, cause: Rows, first: Rows) -> tuple[Rows, Rows]:
    """Put what nothing is known to lead to behind the start of its request; return parents and causes.

    Orphans, and traces that only a key joins, may be calls whose context was lost; a CONSUMER is none.
    What began when the start was over follows from the last thing known to have ended in its process.
    """
    known = np.flatnonzero(first >= 0)
    start_of = np.full(int(members.request.max(initial=-1)) + 1, -1, np.intp)
    start_of[known] = first[known]
    top_of = np.where(start_of >= 0, roots_of(cause, np.maximum(start_of, 0)), -1)
    loose = np.flatnonzero((cause < 0) & members.usable)
    loose = loose[loose != top_of[members.request[loose]]]
    begins = start_of[members.request[loose]]
    called = members.kind[loose] != SpanKind.CONSUMER
    parent[loose[called]] = begins[called]
    late = loose[(begins >= 0) & (members.start[loose] >= members.end[begins])]
    last = _last_in_process(members, _connected(members, cause, top_of), late) if len(late) else late
    cause[loose] = begins
    cause[late[last >= 0]] = last[last >= 0]
    return parent, cause


def _connected(members: Members, cause: Rows, top_of: Rows) -> Bools:
    """Tell which members have a chain of causes that ends where that of their request's start does."""
    connected: Bools = members.usable & (roots(cause) == top_of[members.request])
    return connected


def _last_in_process(members: Members, known: Bools, late: Rows) -> Rows:
    """Return the last of the known members to end in the process of each late one before it began, -1 for none."""
    process = members.request * (int(members.resource.max(initial=0)) + 1) + members.resource
    before = _Ended.of(members, process, np.flatnonzero(known), (members.start, members.end))
    return before.by(process[late], members.start[late])


def _clipped(members: Members, extents: Extents) -> tuple[Int64s, Int64s]:
    """Return start and end of each member as far as they lie inside its request."""
    one = slice(0, 1) if is_constant(members.request) else slice(None)
    request = members.request[one]
    low, high = extents.start[request], extents.end[request]
    return np.clip(members.start, low, high), np.clip(members.end, low, high)


def _climb(
    members: Members, extents: Extents, climbed: tuple[Rows, Rows], times: tuple[Int64s, Int64s]
) -> tuple[Int64s, Sections]:
    """Return when the climb enters each member of the spine from below, and the waits on the way.

    `climbed` are the spine, which is each request's last member and its causes, ascending, and what led to each.
    """
    (begin, finish), (spine, cause) = times, climbed
    entered = finish[spine]  # so the last of each request; all others:
    below, above = spine[cause >= 0], cause[cause >= 0]
    places = np.searchsorted(spine, above)
    entered[places] = np.maximum(begin[above], np.minimum(begin[below], finish[above]))
    top = spine[cause < 0]
    request = members.request
    waits = Sections(
        np.concatenate([request[below], request[top]]),
        np.full(len(below) + len(top), -1, np.intp),
        np.concatenate([entered[places], extents.start[request[top]]]),
        np.concatenate([begin[below], begin[top]]),
        np.concatenate([below, top]),
    )
    return entered, waits


def _work(members: Members, parent: Rows, climbed: tuple[Rows, Int64s], times: tuple[Int64s, Int64s]) -> Sections:
    """Return the own time of every member on a critical path.

    `climbed` are the spine, and when the walk enters each member of it, backwards in time; the others it enters when
    they finish. `times` are when members begin and finish.
    """
    (begin, finish), (spine, entered) = times, climbed
    child = np.flatnonzero((parent >= 0) & (finish > begin))
    siblings = _Ended.of(members, parent, child, (begin, finish))
    newest = siblings.last(len(members))  # nothing below lasts longer, so this is what the walk enters first …
    newest[spine] = siblings.by(spine, entered)  # … but where it comes in from beside
    older = siblings.before(begin, len(members))
    del child, siblings
    followed = reached(_chosen(newest, len(members)), older)
    followed[spine] = True
    outer = np.flatnonzero(folded(followed, parent, np.logical_and))
    on_spine = np.searchsorted(outer, spine)
    inner = np.delete(outer, on_spine)
    owner = np.concatenate([outer, parent[inner]])
    before = np.concatenate([newest[outer], older[inner]])
    left = finish[outer]
    left[on_spine] = entered
    return Sections(
        members.request[owner],
        owner,
        np.where(before >= 0, finish[before], begin[owner]),
        np.concatenate([left, begin[inner]]),
        owner,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Ended:
    """Some members in groups, by (end, start, id) in each."""

    rows: Rows
    """Group after group …"""
    finish: Int64s
    """… and when each ends."""
    groups: Int64s | Rows
    """Ascending …"""
    edges: Rows
    """… with the places where they begin, and behind the last."""

    @staticmethod
    def of(members: Members, group: Int64s | Rows, rows: Rows, times: tuple[Int64s, Int64s]) -> _Ended:
        """Sort some members."""
        begin, finish = times
        rows = sorted_by(rows, group, finish, begin, members.span_id)
        groups = group[rows]
        heads = np.flatnonzero(np.diff(groups, prepend=-1))
        return _Ended(rows, finish[rows], groups[heads], np.append(heads, len(rows)))

    def last(self, size: int) -> Int32s:
        """Return the last of each group to end, -1 for none; groups are numbers below `size`."""
        found = np.full(size, -1, np.int32)
        found[self.groups] = self.rows[self.edges[1:] - 1]
        return found

    def by(self, group: Int64s | Rows, instant: Int64s) -> Rows:
        """Return the last member of each group to end at or before an instant, -1 for none."""
        found = np.full(len(group), -1, np.intp)
        if len(self.groups):
            number = np.minimum(np.searchsorted(self.groups, group), len(self.groups) - 1)
            some = np.flatnonzero(self.groups[number] == group)
            number = number[some]
            found[some] = self._at_or_before(self.edges[number + 1] - 1, self.edges[number], instant[some])
        return found

    def before(self, begin: Int64s, size: int) -> Int32s:
        """Return for each member the last of its group to end when it began or before, -1 for none; of others -1.

        Each of them lasts, so it ends after that.
        """
        found = np.full(size, -1, np.int32)
        for start in range(0, len(self.rows), _PIECE):
            rows = self.rows[start : start + _PIECE]
            end = start + len(rows)
            groups = slice(int(np.searchsorted(self.edges, start, "right")) - 1, int(np.searchsorted(self.edges, end)))
            inside = np.clip(self.edges[groups.start : groups.stop + 1], start, end)
            first = np.repeat(self.edges[groups], np.diff(inside))
            found[rows] = self._at_or_before(np.arange(start, end) - 1, first, begin[rows])
        return found

    def _at_or_before(self, place: Rows, first: Rows, instant: Int64s) -> Rows:
        """Return the last member from `first` to `place` to end at or before an instant, -1 for none.

        Mostly that is one of the last few; it is searched for where it is not.
        """
        place = place.copy()
        rest = np.flatnonzero(place >= first)
        for _ in range(_STEPS):
            rest = rest[self.finish[place[rest]] > instant[rest]]
            place[rest] -= 1
            rest = rest[place[rest] >= first[rest]]
            if not len(rest):
                break
        low, high = first[rest] - 1, place[rest]
        while (apart := low < high).any():
            middle = (low + high + 1) // 2
            early = self.finish[np.maximum(middle, 0)] <= instant[rest]
            low, high = np.where(apart & early, middle, low), np.where(apart & ~early, middle - 1, high)
        place[rest] = low
        return np.where(place >= first, self.rows[place], -1) if len(self.rows) else place


def _joined(work: Sections, waits: Sections) -> Sections:
    """Put sections together and leave out the empty ones."""
    lasting = [part.taken(np.flatnonzero(part.end > part.start)) for part in (work, waits)]
    return Sections(*(np.concatenate([getattr(part, name) for part in lasting]) for name in _COLUMNS))


def _chosen(rows: Ints, size: int) -> Bools:
    chosen = np.zeros(size, np.bool_)
    chosen[rows[rows >= 0]] = True
    return chosen
