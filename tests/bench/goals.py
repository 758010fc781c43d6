"""How a benchmark ends: its goals with what was found beside them, its JSON, its exit code.

    def main() -> int:
        asked = command(__doc__).parse_args()
        seconds = measure()
        return finish(asked, {"seconds": seconds}, [Goal("1,000 requests judged", seconds, 3, "s", at_most=True)])

`run.py` starts every benchmark with `--json FILE` and puts all goals into one table.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bench.machine import machine

MET: Final = "met"


@dataclass(frozen=True, slots=True)
class Goal:
    """What has to be reached at least; or at most, for a cost. Of what is only told, nothing is wanted."""

    what: str
    found: float
    wanted: float | None
    unit: str = ""
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether it is reached."""
        if self.wanted is None:
            return True
        return self.found <= self.wanted if self.at_most else self.found >= self.wanted

    def row(self) -> tuple[str, str, str, str]:
        """Return what it is, the number found, the one wanted, and whether it is met.

        >>> Goal("idle", 71.52, 80, "MB", at_most=True).row()
        ('idle', '71.5 MB', '<= 80 MB', 'met')
        """
        if self.wanted is None:
            return self.what, _number(self.found, self.unit), "no goal", ""
        relation = "<=" if self.at_most else ">="
        wanted = f"{relation} {_number(self.wanted, self.unit)}"
        return self.what, _number(self.found, self.unit), wanted, MET if self.met else "MISSED"


def _number(number: float, unit: str) -> str:
    return f"{number:,.0f} {unit}".strip() if abs(number) >= 100 else f"{number:,.3g} {unit}".strip()


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield lines in which all columns stand below each other.

    >>> list(table([("a", "1 s"), ("long", "2 s")]))
    ['a     1 s', 'long  2 s']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def command(text: str | None) -> argparse.ArgumentParser:
    """Begin the command line of a benchmark: every one takes `--json FILE` and `--check`."""
    parser = argparse.ArgumentParser(description=(text or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write results, goals and the machine there")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a goal is missed")
    return parser


def finish(asked: argparse.Namespace, results: Any, goals: Sequence[Goal]) -> int:
    """Print the goals, write the JSON when asked for, and return the exit code."""
    for line in table([goal.row() for goal in goals]):
        print(line)
    if asked.json is not None:
        document = {"machine": machine(), "results": results, "goals": [asdict(goal) for goal in goals]}
        asked.json.write_text(json.dumps(document, indent=1) + "\n")
    return int(asked.check and not all(goal.met for goal in goals))
