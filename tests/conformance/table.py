"""Results as a table that reads well in a terminal and is Markdown, too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from conformance.item import ALL, Item, Level
from conformance.lab import Result

HEAD = ("item", "level", "requirement", "gRPC", "HTTP/protobuf", "HTTP/JSON")
LEVELS = "M: must, S: should, O: may, -: not of the specification, promised by Spanverdict's receiver"

Results = Mapping[tuple[Item, str], Result]


def table(items: Sequence[Item], results: Results) -> str:
    """One row an item; a form of OTLP that an item is not asked of stays empty."""
    rows = [HEAD, *((i.number, i.level, i.says, *(results[i, wire].outcome for wire in ALL)) for i in items)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *body = (_line(row, widths) for row in rows)
    return "\n".join([head, _line(["-" * width for width in widths], widths), *body])


def reasons(items: Sequence[Item], results: Results) -> str:
    """What did not pass and why, a line each; forms of OTLP with the same reason share one."""
    lines = []
    for item in items:
        found: dict[Result, list[str]] = {}
        for wire in ALL:
            result = results[item, wire]
            if result.reason:
                found.setdefault(result, []).append(wire)
        lines += [
            f"- {item.number} {item.says} ({', '.join(wires)}): **{result.outcome}**, {_one_line(result.reason)}"
            for result, wires in found.items()
        ]
    return "\n".join(lines)


def summary(results: Results) -> str:
    """How many checks came out how."""
    counts = Counter(result.outcome for result in results.values() if result.outcome)
    musts = sum(result.outcome == "fail" for (item, _), result in results.items() if item.level is Level.MUST)
    return f"{counts['pass']} pass, {counts['fail']} fail ({musts} of a MUST), {counts['n.a.']} not applicable"


def breaks_a_must(results: Results) -> bool:
    """Whether something fails that every receiver must do."""
    return any(result.outcome == "fail" for (item, _), result in results.items() if item.level is Level.MUST)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"


def _one_line(reason: str) -> str:
    return " ".join(reason.split())[:200]
