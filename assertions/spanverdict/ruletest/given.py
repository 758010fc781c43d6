"""What a rule test judges, and what came before it: files of traces, or spans that the test writes down."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import Position, Problems
from spanverdict.diagnostics.yamldoc import Reader, Scalar, Sequence, text_of, wrong_type
from spanverdict.ruletest.notation import read_notation
from spanverdict.ruletest.payload import SpanBlock
from spanverdict.telemetry.identifiers import is_run_id

MAX_SPANS: Final = 200_000
"""Spans of one test, repetitions included."""
GIVEN_KEYS: Final = ("every", "repeat", "requests", "run", "spans", "traces")
BLOCK_KEYS: Final = ("every", "repeat", "spans")
EARLIER_KEYS: Final = (*GIVEN_KEYS, "apart", "runs")
MAX_RUNS: Final = 1_000
"""Earlier runs of one test."""

_LINES_KEPT: Final = re.compile(r"(?:[&!]\S*\s+)*\|")
"""How a text begins whose lines YAML leaves alone, behind an anchor or a tag."""
_APART_NS: Final = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class TraceFile:
    """A file of traces and where a test names it."""

    path: Path
    position: Position
    width: int


@dataclass(frozen=True, slots=True)
class Given:
    """One run of a test: files of traces, or written spans."""

    traces: tuple[TraceFile, ...]
    blocks: tuple[SpanBlock, ...]
    """Spans that the test writes down; where it has none there are `traces`."""
    run: str | None = None
    """Which run is meant, of several in the traces."""
    requests: int | None = None
    """How many requests the run is told to expect."""


@dataclass(frozen=True, slots=True)
class EarlierRuns:
    """Runs before the one that is judged, all of them alike."""

    given: Given
    runs: int
    apart_ns: int
    """From the end of each to the end of the next, the last one's next being what follows in the test."""


def read_given(reader: Reader, folder: Path, what: str) -> Given:
    """Read the traces or the spans of a run; one that has neither or both is reported as `what`."""
    traces = _read_traces(reader, folder)
    blocks = _read_blocks(reader)
    _check_given(reader, traces, blocks, what)
    return Given(traces, blocks, _read_run(reader), reader.integer("requests", minimum=1))


def read_baseline(reader: Reader, folder: Path) -> Given | None:
    """Read `baseline` of a test: the run that the judged one is compared with."""
    node = reader.node("baseline")
    inner = None if node is None else Reader.of(node, reader.problems, GIVEN_KEYS, "the baseline of a test")
    return None if inner is None else read_given(inner, folder, "the baseline")


def read_earlier(reader: Reader, folder: Path) -> tuple[EarlierRuns, ...]:
    """Read `earlier` of a test: runs that rules over several runs look back at, the oldest first."""
    node = reader.node("earlier")
    if node is None:
        return ()
    if not isinstance(node, Sequence) or not node.items:
        wrong_type(reader.problems, node, "earlier has to be a list of runs", "begin each with a dash")
        return ()
    readers = [Reader.of(item, reader.problems, EARLIER_KEYS, "an earlier run") for item in node.items]
    found = [_read_earlier(each, folder) for each in readers if each is not None]
    if sum(each.runs for each in found) > MAX_RUNS:
        message = f"a test may have {MAX_RUNS:,} earlier runs"
        reader.problems.error(node.position, codes.OUT_OF_RANGE, message, "", node.width)
    return tuple(found)


def _read_earlier(reader: Reader, folder: Path) -> EarlierRuns:
    given = read_given(reader, folder, "an earlier run")
    runs, apart = reader.integer("runs", 1, minimum=1), reader.duration("apart", _APART_NS)
    return EarlierRuns(given, runs or 1, apart or 0)


def _read_run(reader: Reader) -> str | None:
    node = reader.node("run")
    if node is None:
        return None
    text = node.text if isinstance(node, Scalar) else ""
    if is_run_id(text):
        return text
    hint = "use up to 128 of A-Z a-z 0-9 . _ : / -"
    reader.problems.error(node.position, codes.BAD_NAME, "run does not name a run", hint, node.width)
    return None


def _check_given(reader: Reader, traces: tuple[TraceFile, ...], blocks: tuple[SpanBlock, ...], what: str) -> None:
    """Report a run that holds nothing, or two things."""
    written = [key for key in ("traces", "spans") if reader.node(key) is not None]
    place = reader.mapping.position
    if not written:
        hint = "name OTLP files in traces, or write spans down"
        reader.problems.error(place, codes.TEST_TRACES, f"{what} has neither traces nor spans", hint)
    elif len(written) > 1:
        hint = f"write two {'tests' if what == 'the test' else 'runs'}"
        reader.problems.error(place, codes.TEST_TRACES, f"{what} has traces and spans, one of which is meant", hint)
    for key in ("repeat", "every"):
        stray = reader.mapping.key(key)
        if stray is not None and (traces or isinstance(reader.node("spans"), Sequence)):
            message = f"{key} is for spans that {what} writes down as one text"
            hint = "" if traces else "write it beside the spans that are meant"
            reader.problems.error(stray.position, codes.CONFLICTING_KEYS, message, hint, stray.width)
    total = sum(len(block.spans) * block.repeat for block in blocks)
    if total > MAX_SPANS:
        message = f"these are {total:,} spans with all repetitions; a test may have {MAX_SPANS:,}"
        reader.problems.error(place, codes.OUT_OF_RANGE, message)


def _read_traces(reader: Reader, folder: Path) -> tuple[TraceFile, ...]:
    found = []
    for node in reader.text_nodes("traces"):
        path = folder / node.text
        if path.is_file():
            found.append(TraceFile(path, node.position, node.width))
        else:
            message, hint = f"there is no file {path}", "paths are relative to the file of the test"
            reader.problems.error(node.position, codes.TEST_TRACES, message, hint, node.width)
    return tuple(found)


def _read_blocks(reader: Reader) -> tuple[SpanBlock, ...]:
    node = reader.node("spans")
    if node is None:
        return ()
    if isinstance(node, Sequence):
        inner = (Reader.of(item, reader.problems, BLOCK_KEYS, "a part of spans") for item in node.items)
        found = [_read_block(part) for part in inner if part is not None and part.require("spans") is not None]
    else:
        found = [_read_block(reader)]
    return tuple(block for block in found if block is not None)


def _read_block(reader: Reader) -> SpanBlock | None:
    node = reader.node("spans")
    repeat = reader.integer("repeat", 1, minimum=1)
    every = reader.duration("every", SpanBlock(()).every_ns)
    text = None if node is None else text_of(node, reader.problems, "spans")
    if text is None or not isinstance(node, Scalar) or repeat is None or every is None:
        return None
    if "\n" in node.raw and not _LINES_KEPT.match(node.raw):
        message, hint = "YAML joins the lines of this text, and every line is a span", "write spans: |"
        reader.problems.error(node.position, codes.SPAN_NOTATION, message, hint)
        return None
    spans, mistakes = read_notation(text)
    for mistake in mistakes:
        mistake.report(node, reader.problems)
    return None if mistakes else SpanBlock(spans, repeat, every)


def refuse_stray_baseline(reader: Reader, *, inside: bool, problems: Problems) -> None:
    """Report a baseline given to a flow that finds its own inside each run."""
    name = reader.mapping.key("baseline")
    if inside and name is not None:
        message = "the flow names requests of the run itself as its baseline"
        hint = "write their spans among those that are judged"
        problems.error(name.position, codes.CONFLICTING_KEYS, message, hint, name.width)
