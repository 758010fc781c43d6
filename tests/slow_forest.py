"""The forest of a few spans the slow way, one span at a time, to hold the fast one against."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Naive:
    """One span at a time: parents by dictionary, reachability by walking."""

    rows: list[dict[str, Any]]
    group: list[int]
    links: list[tuple[int, int]]
    parent: list[int] = field(default_factory=list)
    orphan: list[bool] = field(default_factory=list)
    cyclic: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        first: dict[tuple[int, int], int] = {}
        for number, row in enumerate(self.rows):
            first.setdefault((self.group[number], row["id"]), number)
        wanted = [row.get("parent", 0) for row in self.rows]
        self.parent = [first.get((g, p), -1) if p else -1 for g, p in zip(self.group, wanted, strict=True)]
        self.orphan = [bool(p) and found < 0 for p, found in zip(wanted, self.parent, strict=True)]
        self.cyclic = [self._returns(number) for number in range(len(self.rows))]
        for number in range(len(self.rows)):
            cycle = self._cycle(number)
            if cycle:
                self.parent[min(cycle, key=lambda n: (self.rows[n]["start"], self.rows[n]["id"]))] = -1

    def _cycle(self, number: int) -> list[int]:
        members, at = [number], self.parent[number]
        while at >= 0 and at != number and len(members) <= len(self.rows):
            members.append(at)
            at = self.parent[at]
        return members if at == number else []

    def _returns(self, number: int) -> bool:
        return bool(self._cycle(number))

    def path(self, number: int) -> list[int]:
        found = []
        while (number := self.parent[number]) >= 0:
            found.append(number)
        return found

    def edges(self) -> set[tuple[int, int]]:
        return {(p, n) for n, p in enumerate(self.parent) if p >= 0} | set(self.links)

    def children(self, of: set[int]) -> set[int]:
        return {child for parent, child in self.edges() if parent in of}

    def parents(self, of: set[int]) -> set[int]:
        return {parent for parent, child in self.edges() if child in of}

    def siblings(self, of: set[int]) -> set[int]:
        edges = self.edges()
        return {a for p, a in edges for q, b in edges if p == q and a != b and b in of}

    def below(self, of: set[int]) -> set[int]:
        return self._reach(of, self.edges())

    def above(self, of: set[int]) -> set[int]:
        return self._reach(of, {(child, parent) for parent, child in self.edges()})

    @staticmethod
    def _reach(of: set[int], edges: set[tuple[int, int]]) -> set[int]:
        found: set[int] = set()
        edge = set(of)
        while edge:
            edge = {b for a, b in edges if a in edge} - found
            found |= edge
        return found

    def nested(self) -> tuple[dict[int, int], dict[int, int]]:
        """Left and right numbers, counted from 1 in each group."""
        left: dict[int, int] = {}
        right: dict[int, int] = {}
        for group in set(self.group):
            order = [number for number in self.preorder() if self.group[number] == group]
            clock, open_spans = 0, []
            for number in [*order, None]:
                while open_spans and (number is None or self.parent[number] != open_spans[-1]):
                    right[open_spans.pop()] = clock = clock + 1
                if number is not None:
                    left[number] = clock = clock + 1
                    open_spans.append(number)
        return left, right

    def preorder(self) -> list[int]:
        def key(number: int) -> tuple[int, int, int]:
            return (self.rows[number]["start"], self.rows[number]["id"], number)

        order: list[int] = []
        roots = [n for n, p in enumerate(self.parent) if p < 0]
        stack = sorted(roots, key=lambda n: (self.group[n], *key(n)), reverse=True)
        while stack:
            order.append(at := stack.pop())
            stack += sorted((n for n, p in enumerate(self.parent) if p == at), key=key, reverse=True)
        return order
