"""Takes the reference of the rule language apart: its fenced blocks, and the flows that they stand for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).parents[2] / "rules" / "README.md"
_BLOCK = re.compile(r"^```(?P<info>[^\n`]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_KEY = re.compile(r"^(\w+):", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block; what stands after its language says what it is."""

    kind: str
    text: str
    line: int

    @property
    def name(self) -> str:
        return f"line {self.line}"


def blocks(kind: str) -> list[Block]:
    text = README.read_text(encoding="utf-8")
    found = [
        Block(match["info"].strip(), match["text"], text.count("\n", 0, match.start()) + 1)
        for match in _BLOCK.finditer(text)
    ]
    return [block for block in found if block.kind == kind or block.kind.startswith(f"{kind} ")]


def whole_flow() -> str:
    """Return the flow that the reference begins with."""
    return blocks("yaml flow")[0].text


def sections(flow: str) -> dict[str, str]:
    """Return the lines of each top-level key."""
    starts = [match.start() for match in _KEY.finditer(flow)]
    parts = [flow[start:end] for start, end in zip(starts, [*starts[1:], len(flow)], strict=True)]
    return {part.partition(":")[0]: part for part in parts}


def with_part(part: str) -> str:
    """Return the whole flow with some of its keys replaced."""
    replaced = {**sections(whole_flow()), **sections(part)}
    if "rules" not in sections(part):
        replaced["rules"] = "rules:\n  - id: any\n    latency: request\n    expect: {max: '< 1s'}\n"
    return "".join(replaced.values())


def with_rules(rules: str) -> str:
    """Return the whole flow with other rules, given as a list."""
    return with_part("rules:\n" + "".join(f"  {line}\n" for line in rules.splitlines()))


@dataclass(frozen=True)
class Example:
    """One line of a block of TraceQL: a selector, and what is said of it after `→` or `✗`."""

    text: str
    matches: frozenset[str] | None
    message: str

    @property
    def name(self) -> str:
        return self.text


def examples() -> list[Example]:
    return [_example(line) for block in blocks("traceql") for line in block.text.splitlines()]


def _example(line: str) -> Example:
    text, refused, message = line.rpartition("✗")
    if refused:
        return Example(text.strip(), None, message.strip())
    text, _, said = line.rpartition("→")
    names = frozenset(said.replace(",", " ").split()) - {"nothing"}
    return Example(text.strip(), names, "")
