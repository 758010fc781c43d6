"""Whatever is done to a valid file, only diagnostics come of it, and each has a place in the file."""

from __future__ import annotations

import random
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from spanverdict.diagnostics.diagnostic import LINE_BREAK, Problems
from spanverdict.diagnostics.render import render_all
from spanverdict.rulefiles.loader import load

CASES = Path(__file__).parent / "cases"
FILES = [path.read_text(encoding="utf-8") for path in sorted(CASES.glob("*.yaml"))]
VALID = (CASES / "full.yaml").read_text(encoding="utf-8")
PIECES = [
    *'{}[]()<>=!&|*%@`~#:,.-/"\' \n\t\r\\0129aé日', "\x00", "\u2028", "\ufeff", "- ", ": ", "? ", "|\n", ">\n", "<<: ", "&a ", "*a ",
    "!!int ", "---\n", "true", "null", "~", "1e99", "p0.95", "200", "200ms", "99%", ">= ", "in [", "matches /(/", "{ span.x = 1 }",
    "latency", "expect: {}", "stage", "of baseline",
]  # fmt: skip


def check(text: str) -> None:
    problems = Problems()
    flow = load(text, "f.yaml", problems)
    found = problems.sorted()
    assert (flow is None) == problems.fatal
    lines = LINE_BREAK.split(text.removeprefix("\ufeff"))
    for diagnostic in found:
        place = diagnostic.position
        assert place.file == "f.yaml"
        assert 1 <= place.line <= len(lines)
        assert 1 <= place.column <= len(lines[place.line - 1]) + 1
    assert render_all(found).isascii() or render_all(found)


@settings(max_examples=400, deadline=None)
@given(
    base=st.sampled_from(FILES),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(PIECES)), min_size=1, max_size=4),
)
def test_pieces_put_in_anywhere(base: str, edits: list[tuple[float, int, str]]) -> None:
    text = base
    for where, cut, piece in edits:
        at = int(where * len(text))
        text = text[:at] + piece + text[at + cut :]
    check(text)


@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=False))
def test_lines_moved_doubled_and_dropped(chance: random.Random) -> None:
    lines = VALID.split("\n")
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(lines))
        action = chance.choice(["drop", "double", "swap", "indent"])
        if action == "drop":
            del lines[at]
        elif action == "double":
            lines.insert(at, lines[at])
        elif action == "swap":
            other = chance.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        else:
            lines[at] = " " * chance.randint(1, 3) + lines[at]
    check("\n".join(lines))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(VALID)))
def test_files_cut_off_anywhere(end: int) -> None:
    check(VALID[:end])
