"""Reading a file of rule tests: its flow, what each test judges, and how; what it expects is for `expectations`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.diagnostics.yamldoc import Mapping, Node, Reader, Scalar, Sequence, compose, text_of, wrong_type
from spanverdict.rulefiles.loader import load
from spanverdict.rulefiles.models import Flow
from spanverdict.rulefiles.sources import RuleFile, read_text
from spanverdict.ruletest.expectations import read_expected
from spanverdict.ruletest.models import RuleTest, TraceFile
from spanverdict.ruletest.notation import read_notation
from spanverdict.ruletest.payload import SpanBlock
from spanverdict.telemetry.identifiers import is_run_id

MAX_SPANS: Final = 200_000
"""Spans of one test, repetitions included."""

TEST_KEYS: Final = (
    "complete", "every", "expect", "name", "others", "repeat", "requests", "run", "spans", "traces", "verdict",
)  # fmt: skip
BLOCK_KEYS: Final = ("every", "repeat", "spans")
_LINES_KEPT: Final = re.compile(r"(?:[&!]\S*\s+)*\|")
"""How a text begins whose lines YAML leaves alone, behind an anchor or a tag."""
_FILE_KEYS: Final = ("flow", "tests")


def read_tests(file: RuleFile, problems: Problems) -> tuple[RuleTest, ...]:
    """Return the tests of a file; those with mistakes are left out, all mistakes reported."""
    text = read_text(file, problems)
    node = None if text is None else compose(text, file.name, problems)
    if node is None or file.path is None:
        return ()
    if isinstance(node, Mapping) and node.get("stages") is not None:
        message = "this is a flow, not a file of tests"
        hint = "its tests stand in a file of their own, whose name ends in _test.yaml"
        problems.error(node.position, codes.WRONG_TYPE, message, hint)
        return ()
    reader = Reader.of(node, problems, _FILE_KEYS, "a file of tests")
    if reader is None:
        return ()
    flow = _read_flow(reader, file.path.parent)
    found = [_read_test(item, flow, file.path.parent, problems) for item in _items(reader)]
    _report_taken_names(found, problems)
    return tuple(test for test in found if test is not None)


def _read_flow(reader: Reader, folder: Path) -> Flow | None:
    node = reader.require("flow")
    path = None if node is None else text_of(node, reader.problems, "flow")
    if node is None or path is None:
        return None
    file = folder / path
    if not file.is_file():
        message, hint = f"there is no flow {file}", "paths are relative to the file of the test"
        reader.problems.error(node.position, codes.FILE_UNREADABLE, message, hint, node.width)
        return None
    text = read_text(RuleFile(str(file), file), reader.problems)
    return None if text is None else load(text, str(file), reader.problems)


def _items(reader: Reader) -> tuple[Node, ...]:
    node = reader.require("tests")
    if node is None:
        return ()
    if not isinstance(node, Sequence):
        wrong_type(reader.problems, node, "tests has to be a list", "begin each test with a dash")
        return ()
    if not node.items:
        reader.problems.error(node.position, codes.EMPTY, "tests is an empty list")
    return node.items


def _report_taken_names(found: list[RuleTest | None], problems: Problems) -> None:
    first: dict[str, RuleTest] = {}
    for test in found:
        if test is not None and (earlier := first.setdefault(test.name, test)) is not test:
            message = f"there is a test `{test.name}` already"
            problems.error(test.position, codes.NAME_TAKEN, message, f"it stands in line {earlier.position.line}")


def _read_test(node: Node, flow: Flow | None, folder: Path, problems: Problems) -> RuleTest | None:
    reader = Reader.of(node, problems, TEST_KEYS, "a test")
    if reader is None:
        return None
    name_node = reader.require("name")
    name = text_of(name_node, problems, "name") if name_node else None
    traces = _read_traces(reader, folder)
    blocks = _read_blocks(reader)
    _check_input(reader, traces, blocks)
    run = _read_run(reader)
    requests = reader.integer("requests", minimum=1)
    complete = reader.boolean("complete", default=True)
    if flow is None or name is None or name_node is None:
        return None
    wanted = read_expected(reader, flow)
    return RuleTest(
        " ".join(name.split()), flow, traces, blocks, wanted.results, name_node.position,
        run, requests, complete is not False, wanted.others, wanted.verdict,
    )  # fmt: skip


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


def _check_input(reader: Reader, traces: tuple[TraceFile, ...], blocks: tuple[SpanBlock, ...]) -> None:
    """Report a test that judges nothing, or two things."""
    written = [key for key in ("traces", "spans") if reader.node(key) is not None]
    place = reader.mapping.position
    if not written:
        hint = "name OTLP files in traces, or write spans down"
        reader.problems.error(place, codes.TEST_TRACES, "the test has neither traces nor spans", hint)
    elif len(written) > 1:
        hint = "write two tests"
        reader.problems.error(place, codes.TEST_TRACES, "the test has traces and spans, one of which is meant", hint)
    for key in ("repeat", "every"):
        stray = reader.mapping.key(key)
        if stray is not None and (traces or isinstance(reader.node("spans"), Sequence)):
            message = f"{key} is for spans that the test writes down as one text"
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
