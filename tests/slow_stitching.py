"""Request paths the slow way, span by span with sets, to hold the fast ones against.

A span is in the requests that its own joins (links, messages) lead to, and in those of its parent;
but where it has joins of its own, a parent that several requests share does not count. Evaluated in
an order in which every span comes after all that leads to it, which exists where nothing runs in a
circle.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from spantables import trace_bytes

Key = tuple[str, int]
MAX_HOPS = 64
OPERATION = "messaging.operation.type"


def takes(row: dict[str, Any]) -> bool:
    """A span of another kind has to say what it does."""
    if row.get("kind") in ("consumer", "producer"):
        return bool(row["kind"] == "consumer")
    return row.get("attributes", {}).get(OPERATION) in ("receive", "process", "settle")


def sends(row: dict[str, Any]) -> int:
    """Return 0 for what sends nothing, else a number that is the lower the more certain it is."""
    if row.get("kind") == "producer":
        return 1
    if row.get("kind") == "consumer" or takes(row):
        return 0
    if row.get("attributes", {}).get(OPERATION) in ("send", "create"):
        return 2
    return 3 if row.get("kind") == "client" else 0


@dataclass
class SlowPaths:
    """`rows` as for `table_of`; an ingest span is named `in`. Ids are not zero and not repeated in a trace."""

    rows: list[dict[str, Any]]
    by_key: dict[Key, dict[str, Any]] = field(default_factory=dict)
    parent: dict[Key, Key | None] = field(default_factory=dict)
    orphans: set[Key] = field(default_factory=set)
    joins: dict[Key, set[Key]] = field(default_factory=dict)
    """For each span those that its own joins come from."""

    def __post_init__(self) -> None:
        self.by_key = {(row["trace"], row["id"]): row for row in self.rows}
        for key, row in self.by_key.items():
            above = (row["trace"], row.get("parent", 0))
            self.parent[key] = above if above in self.by_key else None
            if row.get("parent", 0) and above not in self.by_key:
                self.orphans.add(key)
        self._cut_cycles()
        for key, row in self.by_key.items():
            linked = {(link["trace"], link["id"]) for link in row.get("links", ())}
            self.joins[key] = {one for one in linked if one in self.by_key and one != key}
        for key, row in self.by_key.items():
            if takes(row) and not self.joins[key]:
                self.joins[key] = self._senders(row)

    def _cut_cycles(self) -> None:
        for key in self.by_key:
            seen = [key]
            while (above := self.parent[seen[-1]]) is not None and above not in seen:
                seen.append(above)
            if above is not None:
                cycle = seen[seen.index(above) :]
                self.parent[min(cycle, key=lambda k: (self.by_key[k]["start"], k[1]))] = None

    def _senders(self, row: dict[str, Any]) -> set[Key]:
        wanted = row.get("attributes", {}).get("messaging.message.id")
        senders = [
            (rank, other["start"], trace_bytes(other["trace"]), other["id"], other["trace"])
            for other in self.rows
            if wanted and (rank := sends(other)) and other.get("attributes", {}).get("messaging.message.id") == wanted
        ]
        first = min(senders, default=None)
        return set() if first is None else {(first[4], first[3])}

    def above(self, key: Key) -> list[Key]:
        """Return the ancestors, the nearest first."""
        found: list[Key] = []
        at = self.parent[key]
        while at is not None:
            found.append(at)
            at = self.parent[at]
        return found

    def starts(self) -> set[Key]:
        marked = {key for key, row in self.by_key.items() if row.get("name") == "in"}
        return {key for key in marked if not marked & set(self.above(key))}

    def order(self) -> list[Key] | None:
        """Return the spans so that each comes after all that leads to it; None where that cannot be."""
        done: list[Key] = []
        rest = set(self.by_key)
        while rest:
            ready = sorted(k for k in rest if not ({self.parent[k], *self.joins[k]} & rest))
            if not ready:
                return None
            done += ready
            rest -= set(ready)
        return done

    def members(self) -> dict[Key, set[Key]]:
        """Return the spans of each request, known by its ingest span."""
        order = self.order()
        assert order is not None
        seeds = {key: {key} for key in self.starts()}
        self._adopt(seeds, {key[0]: {s for s in self.starts() if s[0] == key[0]} for key in self.by_key})
        while True:
            requests = self._flow(order, seeds)
            of_trace: dict[str, set[Key]] = {}
            for key, held in requests.items():
                of_trace.setdefault(key[0], set()).update(held)
            started = {key[0] for key in self.starts()}
            lost = {o for o in self.orphans if not requests[o] and o[0] not in started and len(of_trace[o[0]]) == 1}
            if not lost:
                break
            for orphan in lost:
                seeds[orphan] = set(of_trace[orphan[0]])
        found: dict[Key, set[Key]] = {start: set() for start in self.starts()}
        for key, held in requests.items():
            for start in held:
                found[start].add(key)
        for start in found:
            found[start] |= set(self.above(start)[:MAX_HOPS])
        return found

    def _adopt(self, seeds: dict[Key, set[Key]], starts_of_trace: dict[str, set[Key]]) -> None:
        """Orphans in the trace of a single request belong to it, but for what it stands below itself."""
        for orphan in self.orphans:
            starts = starts_of_trace[orphan[0]]
            if len(starts) == 1 and orphan not in {*self.above(next(iter(starts))), *starts}:
                seeds.setdefault(orphan, set()).update(starts)

    def _flow(self, order: list[Key], seeds: dict[Key, set[Key]]) -> dict[Key, set[Key]]:
        held: dict[Key, set[Key]] = {}
        for key in order:
            own = set(seeds.get(key, ())).union(*(held[source] for source in self.joins[key]))
            above = self.parent[key]
            inherited = held[above] if above is not None else set()
            if self.joins[key] and len(inherited) > 1:
                inherited = set()
            held[key] = own | inherited
        return held
