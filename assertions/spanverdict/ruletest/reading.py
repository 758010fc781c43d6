"""Reading a file of rule tests: its flow, what each test judges, and how; what it expects is for `expectations`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.diagnostics.yamldoc import Mapping, Node, Reader, Sequence, compose, text_of, wrong_type
from spanverdict.rulefiles.loader import load
from spanverdict.rulefiles.models import Flow
from spanverdict.rulefiles.sources import RuleFile, read_text
from spanverdict.ruletest.expectations import read_expected
from spanverdict.ruletest.given import GIVEN_KEYS, read_baseline, read_earlier, read_given, refuse_stray_baseline
from spanverdict.ruletest.models import RuleTest

TEST_KEYS: Final = (
    *GIVEN_KEYS, "baseline", "complete", "earlier", "expect", "name", "others", "verdict",
)  # fmt: skip
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
    given = read_given(reader, folder, "the test")
    baseline, earlier = read_baseline(reader, folder), read_earlier(reader, folder)
    complete = reader.boolean("complete", default=True)
    if flow is None or name is None or name_node is None:
        return None
    refuse_stray_baseline(reader, inside=flow.baseline is not None, problems=problems)
    wanted = read_expected(reader, flow)
    return RuleTest(
        " ".join(name.split()), flow, given, wanted.results, name_node.position,
        complete is not False, wanted.others, wanted.verdict, baseline, earlier,
    )  # fmt: skip
