"""TraceQL the slow way: one span at a time in plain Python, written from the documentation of the language.

It walks the same tree that the parser gives, and shares nothing else with the evaluator.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from slow_forest import Naive
from spantables import trace_bytes
from spanverdict.selectors import tree
from spanverdict.telemetry.vocabulary import SpanKind, StatusCode

LOW, HIGH = -(2**63), 2**63 - 1
NEVER = HIGH


@dataclass(frozen=True)
class Word:
    """A status or a kind, equal only to one of its own sort."""

    sort: str
    number: int


class Slow:
    """Rows as for `table_of`, the group of each, and link edges between rows."""

    def __init__(self, rows: list[dict[str, Any]], group: list[int], links: list[tuple[int, int]]) -> None:
        self.rows, self.group, self.links = rows, group, links
        self.forest = Naive(rows, group, links)

    # spansets

    def select(self, root: Any) -> set[int]:
        found: set[int] = set()
        for group in set(self.group):
            found |= self.spanset(root, {n for n, g in enumerate(self.group) if g == group})
        return found

    def spanset(self, node: Any, spans: set[int]) -> set[int]:
        match node:
            case tree.Filter(condition=None):
                return spans
            case tree.Filter(condition=condition):
                return {n for n in spans if self.truth(condition, n)}
            case tree.Combination(op=op, operands=operands):
                sides = [self.spanset(one, spans) for one in operands]
                return set().union(*sides) if op == "||" or all(sides) else set()
            case tree.Structural(op=op, left=left, right=right):
                return self.structural(op, self.spanset(left, spans), self.spanset(right, spans))
            case tree.ScalarFilter(op=op, left=left, right=right):
                return spans if compare(op, self.scalar(left, spans), self.scalar(right, spans)) else set()
            case tree.Pipeline(stages=stages):
                return self.pipeline(stages, spans)
        raise AssertionError(node)

    def pipeline(self, stages: Iterable[Any], spans: set[int]) -> set[int]:
        sets = [spans]
        for stage in stages:
            match stage:
                case tree.By(key=key):
                    sets = [part for one in sets for part in self.split(key, one)]
                case tree.Coalesce():
                    sets = [set().union(*sets)]
                case tree.Select():
                    pass
                case _:
                    sets = [self.spanset(stage, one) for one in sets]
        return set().union(*sets)

    def split(self, key: Any, spans: set[int]) -> list[set[int]]:
        parts: dict[Any, set[int]] = {}
        for number in spans:
            parts.setdefault(identity(self.value(key, number, None)), set()).add(number)
        return list(parts.values())

    def structural(self, op: str, left: set[int], right: set[int]) -> set[int]:
        kind = op.lstrip("!&")
        if op[0] == "!":
            return right - self.relation(kind, left)
        found = right & self.relation(kind, left)
        if op[0] == "&":
            back = {">": "<", ">>": "<<", "<": ">", "<<": ">>", "~": "~"}[kind]
            found |= left & self.relation(back, right)
        return found

    def relation(self, op: str, of: set[int]) -> set[int]:
        forest = self.forest
        return {
            ">": forest.children,
            "<": forest.parents,
            ">>": forest.below,
            "<<": forest.above,
            "~": forest.siblings,
        }[op](of)

    # numbers of a spanset

    def scalar(self, node: Any, spans: set[int]) -> Any:
        match node:
            case tree.Static():
                return node.value
            case tree.Unary(operand=operand):
                return arithmetic("-", 0, self.scalar(operand, spans))
            case tree.Binary(op=op, left=left, right=right):
                return arithmetic(op, self.scalar(left, spans), self.scalar(right, spans))
            case tree.Aggregate(function="count"):
                return len(spans)
            case tree.Aggregate(function=function, argument=argument):
                values = [self.value(argument, n, item) for n in sorted(spans) for item in self.items(argument, n)]
                return aggregate(function, [value for value in values if is_number(value)])
        raise AssertionError(node)

    # one span

    def items(self, node: Any, number: int) -> list[Any]:
        """The events or links that an expression looks at one by one; of the span itself, one nothing."""
        scope = many(node)
        return self.rows[number].get(scope, []) if scope else [None]

    def truth(self, node: Any, number: int) -> bool:
        match node:
            case tree.Static(value=value):
                return bool(value)
            case tree.Junction(op="&&", operands=operands):
                return all(self.truth(one, number) for one in operands)
            case tree.Junction(operands=operands):
                return any(self.truth(one, number) for one in operands)
            case tree.Unary(operand=operand):
                return not self.truth(operand, number)
            case tree.Binary(op=op, left=left, right=right):
                return self.comparison(op, left, right, number)
        return any(
            self.value(node, number, item) is True or in_array(self.value(node, number, item))
            for item in self.items(node, number)
        )

    def comparison(self, op: str, left: Any, right: Any, number: int) -> bool:
        items = self.items(left, number) if many(left) else self.items(right, number)
        for one, other in ((left, right), (right, left)):
            if isinstance(other, tree.Static) and other.type == "nil":
                present = any(self.value(one, number, item) is not None for item in items)
                return present == (op == "!=")
        sides = ((self.value(left, number, item), self.value(right, number, item)) for item in items)
        ids = any(isinstance(one, tree.Intrinsic) and one.name.lower().endswith("id") for one in (left, right))
        if ids and op in ("=", "!="):
            sides = ((same_id(a), same_id(b)) for a, b in sides)
        return any(compare(op, a, b) for a, b in sides)

    def value(self, node: Any, number: int, item: Any) -> Any:
        match node:
            case tree.Static(type=kind, value=value):
                return Word(kind, value) if kind in ("status", "kind") else value
            case tree.Attribute():
                return self.attribute(node, number, item)
            case tree.Intrinsic(name=name):
                return self.intrinsic(name, number, item)
            case tree.Unary(op="-", operand=operand):
                return arithmetic("-", 0, self.value(operand, number, item))
            case tree.Binary(op=op, left=left, right=right) if op in "+-*/%^":
                return arithmetic(op, self.value(left, number, item), self.value(right, number, item))
        return self.truth(node, number)

    def attribute(self, node: tree.Attribute, number: int, item: Any) -> Any:
        if node.of_parent:
            number = self.parent(number)
            if number < 0:
                return None
        row = self.rows[number]
        match node.scope:
            case "event" | "link":
                return item.get("attributes", {}).get(node.name)
            case "span":
                return row.get("attributes", {}).get(node.name)
            case "resource":
                return row.get("resource", {}).get(node.name)
            case "instrumentation":
                return row.get("scope", {}).get("attributes", {}).get(node.name)
        own = row.get("attributes", {}).get(node.name)
        return row.get("resource", {}).get(node.name) if own is None else own

    def parent(self, number: int) -> int:
        """The parent, or else the earliest span that this one is linked from."""
        if self.forest.parent[number] >= 0:
            return self.forest.parent[number]
        linked = [a for a, b in self.links if b == number]
        return min(linked, key=self.when, default=-1)

    def when(self, number: int) -> tuple[int, int, int]:
        return (self.rows[number].get("start", 0), self.rows[number]["id"], number)

    def intrinsic(self, name: str, number: int, item: Any) -> Any:
        row = self.rows[number]
        match name:
            case "span:duration":
                return duration(row)
            case "span:name":
                return row.get("name", "span")
            case "span:kind":
                return Word("kind", SpanKind[row.get("kind", "internal").upper()])
            case "span:status":
                return Word("status", StatusCode[row.get("status", "unset").upper()])
            case "span:statusMessage":
                return row.get("status_message", "")
            case "span:id":
                return f"{row['id']:016x}"
            case "span:parentID":
                return f"{row['parent']:016x}" if row.get("parent") else None
            case "span:childCount":
                return len(self.forest.children({number}))
            case "trace:id":
                return trace_bytes(row["trace"]).hex()
            case "event:name":
                return item.get("name", "")
            case "event:timeSinceStart":
                return (
                    None
                    if NEVER in (item.get("time", 0), row.get("start", 0))
                    else item.get("time", 0) - row.get("start", 0)
                )
            case "link:traceID":
                return trace_bytes(item["trace"]).hex()
            case "link:spanID":
                return f"{item['id']:016x}" if item["id"] else None
            case "instrumentation:name" | "instrumentation:version":
                return row.get("scope", {}).get(name.split(":")[1], "")
            case "nestedSetLeft":
                return self.forest.nested()[0][number]
            case "nestedSetRight":
                return self.forest.nested()[1][number]
            case "nestedSetParent":
                parent = self.forest.parent[number]
                return self.forest.nested()[0][parent] if parent >= 0 else (0 if row.get("parent") else -1)
        return self.of_trace(name, number)

    def of_trace(self, name: str, number: int) -> Any:
        members = [n for n, group in enumerate(self.group) if group == self.group[number]]
        if name == "trace:duration":
            ended = [self.rows[n] for n in members if duration(self.rows[n]) is not None]
            return max(map(end, ended)) - min(row.get("start", 0) for row in ended) if ended else None
        targets = {b for _, b in self.links}
        roots = [n for n in members if not self.rows[n].get("parent")]
        root = min(roots, key=lambda n: (n in targets, self.when(n)), default=None)
        if root is None:
            return None
        return (
            self.rows[root].get("name", "span")
            if name == "trace:rootName"
            else self.rows[root].get("resource", {}).get("service.name")
        )


def end(row: dict[str, Any]) -> int:
    return int(row.get("end", row.get("start", 0) + row.get("duration", 10)))


def duration(row: dict[str, Any]) -> int | None:
    if end(row) in (0, NEVER) or row.get("start", 0) == NEVER:
        return None
    return int(end(row) - row.get("start", 0))


def many(node: Any) -> str:
    """Does an expression look at the events or the links of a span, or at the span?"""
    match node:
        case tree.Attribute(scope=scope):
            return {"event": "events", "link": "links"}.get(scope, "")
        case tree.Intrinsic(name=name):
            return {"event": "events", "link": "links"}.get(name.split(":")[0], "")
        case tree.Unary(op="-", operand=operand):
            return many(operand)
        case tree.Binary(op=op, left=left, right=right) if op in "+-*/%^":
            return many(left) or many(right)
    return ""


def same_id(text: Any) -> Any:
    return text.lower().lstrip("0") if isinstance(text, str) else text


def in_array(value: Any) -> bool:
    return isinstance(value, list | tuple) and any(one is True for one in value)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def elements(value: Any) -> list[Any]:
    inside = value if isinstance(value, list | tuple) else [value]
    return [one for one in inside if isinstance(one, str | bool | int | float | Word)]


def sort_of(value: Any) -> str:
    if is_number(value):
        return "number"
    return value.sort if isinstance(value, Word) else type(value).__name__


def compare(op: str, left: Any, right: Any) -> bool:
    pairs = [(a, b) for a in elements(left) for b in elements(right) if sort_of(a) == sort_of(b)]
    if op in ("=~", "!~"):
        pairs = [(a, b) for a, b in pairs if isinstance(a, str)]
        found = [re.fullmatch(b, a) is not None for a, b in pairs]
        return any(found) if op == "=~" else bool(found) and not any(found)
    if op == "=":
        return any(a == b for a, b in pairs)
    if op == "!=":
        return bool(pairs) and not any(a == b for a, b in pairs)
    ordered = [(a, b) for a, b in pairs if sort_of(a) in ("number", "str")]
    return any({"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[op] for a, b in ordered)


def arithmetic(op: str, left: Any, right: Any) -> Any:
    if not (is_number(left) and is_number(right)):
        return None
    try:
        found = calculated(op, left, right)
    except ZeroDivisionError:
        return None
    if isinstance(found, float):
        return None if math.isnan(found) else found
    return found if LOW <= found <= HIGH else None


def calculated(op: str, a: Any, b: Any) -> Any:
    whole = isinstance(a, int) and isinstance(b, int)
    match op:
        case "+":
            return a + b if whole else float(a) + float(b)
        case "-":
            return a - b if whole else float(a) - float(b)
        case "*":
            return a * b if whole else float(a) * float(b)
        case "/":
            return a // b if whole and a % b == 0 else float(a) / float(b)
        case "%":
            if b == 0:
                raise ZeroDivisionError
            if whole:
                return int(math.copysign(1, a)) * (abs(a) % abs(b))
            return math.fmod(a, b) if not math.isinf(a) else math.nan
    if a == 0 and b < 0:
        raise ZeroDivisionError
    if whole and b >= 0:
        return a**b if b < 64 or abs(a) < 2 else 2**64
    try:
        return float(a) ** float(b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf


def aggregate(function: str, values: list[Any]) -> Any:
    if function in ("min", "max"):
        values = [value for value in values if not math.isnan(value)]
        if not values:
            return None
        return min(values) if function == "min" else max(values)
    if not values:
        return None
    floats = [value for value in values if isinstance(value, float)]
    total: Any = sum(value for value in values if isinstance(value, int))
    if floats:
        added = 0.0
        for value in floats:
            added += value
        total = float(total) + added
    if (isinstance(total, float) and math.isnan(total)) or not (isinstance(total, float) or LOW <= total <= HIGH):
        return None
    return total if function == "sum" else arithmetic("/", total, len(values))


def identity(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return ("array", tuple(map(identity, value)))
    if is_number(value):
        return ("number", "nan" if math.isnan(value) else value)
    return (type(value).__name__, value if isinstance(value, str | bool | bytes | Word | None) else repr(value))
