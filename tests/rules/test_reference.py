"""The reference of the rule language is true: all its examples load, and its selectors select what it says."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from rules.reference import README, Block, Example, blocks, examples, whole_flow, with_part, with_rules
from rules.reference_spans import ids, selected, view
from spantables import table_of
from spanverdict.app.errors import ExitCode
from spanverdict.app.testcommand import SuiteOptions, run_tests
from spanverdict.app.verdicts import targets
from spanverdict.checks.catalogue import CHECKS
from spanverdict.checks.latency import EXTENTS
from spanverdict.checks.runview import RunView
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.diagnostics.durations import NS_PER_UNIT
from spanverdict.diagnostics.render import render_all
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.outcomes import Outcome, RunInfo
from spanverdict.reporting.reporter import ReportOptions
from spanverdict.reporting.text import reporter
from spanverdict.rulefiles import drift, flowreader, rulereader
from spanverdict.rulefiles.conditions import Operator
from spanverdict.rulefiles.including import INCLUDE_KEYS
from spanverdict.rulefiles.loader import load
from spanverdict.rulefiles.models import Flow
from spanverdict.rulefiles.parameters import PARAMETER_KEYS, TYPES
from spanverdict.rulefiles.statistic import Kind
from spanverdict.ruletest import reading
from spanverdict.ruletest.expectations import VERDICT_KEYS
from spanverdict.ruletest.given import EARLIER_KEYS
from spanverdict.ruletest.notation import LOST, WORDS
from spanverdict.ruletest.reports import TEST_REPORTERS
from spanverdict.selectors import SelectorError, parse
from spanverdict.selectors.expressions import ARITHMETIC, COMPARISONS
from spanverdict.selectors.mapping import KEYS
from spanverdict.selectors.parser import STRUCTURAL
from spanverdict.selectors.words import (
    AGGREGATES,
    INTRINSICS,
    KEYWORDS,
    KINDS,
    METRICS,
    OLD_NAMES,
    SCOPES,
    STAGES,
    STATUSES,
)
from spanverdict.telemetry.identifiers import RUN_ID_ATTRIBUTES

TEXT = README.read_text(encoding="utf-8")
KINDS_OF_BLOCKS = ("yaml flow", "yaml part", "yaml rule", "yaml mapping", "yaml spans", "yaml wrong", "yaml test")
SELECTED = [each for each in examples() if each.matches is not None]
REFUSED = [each for each in examples() if each.matches is None]


def golden_file(_rule_file: str, name: str) -> bytes:
    """Return the golden file that the reference shows."""
    (block,) = blocks(f"jsonl {name}")
    return block.text.encode()


def clean(text: str) -> Flow:
    """Load a flow that nothing is to be said of."""
    problems = Problems()
    flow = load(text, "example.yaml", problems, golden_file)
    assert not problems.sorted(), render_all(problems.sorted())
    assert flow is not None
    return flow


@pytest.fixture(scope="module")
def run() -> RunView:
    return view()


def params(kind: str) -> list[object]:
    return [pytest.param(block, id=block.name) for block in blocks(kind)]


@pytest.mark.parametrize("block", params("yaml flow"))
def test_a_flow_of_the_reference_lints_clean(block: Block) -> None:
    clean(block.text)


@pytest.mark.parametrize("block", params("yaml part"))
def test_a_part_of_a_flow_lints_clean_in_its_place(block: Block) -> None:
    clean(with_part(block.text))


@pytest.mark.parametrize("block", params("yaml rule"))
def test_a_rule_lints_clean_in_the_first_flow(block: Block) -> None:
    flow = clean(with_rules(block.text))
    assert len(flow.rules) == 1
    assert flow.stages == clean(whole_flow()).stages


@pytest.mark.parametrize("line", [line for block in blocks("yaml mapping") for line in block.text.splitlines()])
def test_a_mapping_is_short_for_the_traceql_beside_it(line: str) -> None:
    mapping, _, traceql = line.partition(" # ")
    flow = clean(with_part(f"stages:\n  - stage: any\n    select: {mapping}\n"))
    assert str(flow.stages[0].selector) == traceql.strip()


@pytest.mark.parametrize("example", [pytest.param(each, id=each.name) for each in SELECTED])
def test_a_selector_selects_what_the_reference_says(example: Example, run: RunView) -> None:
    """Proves each example on the stitched requests, as a rule sees them, and as read back from its printed form."""
    selector = parse(example.text)
    assert selected(selector, run) == example.matches
    assert selected(parse(str(selector)), run) == example.matches


@pytest.mark.parametrize("example", [pytest.param(each, id=each.name) for each in REFUSED])
def test_a_selector_is_refused_with_what_the_reference_says(example: Example) -> None:
    with pytest.raises(SelectorError) as caught:
        parse(example.text)
    assert caught.value.message == example.message


def test_the_mistakes_are_answered_as_shown() -> None:
    (block,) = blocks("yaml wrong")
    (answer,) = (block for block in blocks("text") if block.kind == "text")
    problems = Problems()
    assert load(block.text, block.kind.removeprefix("yaml wrong "), problems) is None
    assert answer.text == render_all(problems.sorted())


@pytest.mark.parametrize("block", params("yaml test"))
def test_a_file_of_tests_passes_for_the_flow_it_names(
    block: Block, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fraud.yaml").write_text(whole_flow(), encoding="utf-8")
    for flow in blocks("yaml flow"):
        if name := flow.kind.removeprefix("yaml flow").strip():
            (tmp_path / name).write_text(flow.text, encoding="utf-8")
    (tmp_path / "any_test.yaml").write_text(block.text, encoding="utf-8")
    options = SuiteOptions(targets((), {}, TEST_REPORTERS), ReportOptions())
    assert run_tests([str(tmp_path)], options) is ExitCode.PASSED, capsys.readouterr().out


def test_a_verdict_with_confidence_reads_as_shown() -> None:
    """Proves it on 200 spans, five of which are not within the tolerance of the first rule of the section."""
    (shown,) = blocks("text verdict")
    flow = clean(with_rules(next(block.text for block in blocks("yaml rule") if "confidence: 95%" in block.text)))
    rows = [
        {"trace": f"{n + 1:032x}", "id": 1, "start": n, "end": n + 1, "attributes": {"score.error": n % 40 // 39 * 0.1}}
        for n in range(200)
    ]
    stream = io.StringIO()
    report = reporter(stream, ReportOptions())
    for event in evaluate([flow], table_of(rows), RunInfo("run")):
        report.consume(event)
    assert shown.text in stream.getvalue()


def test_no_block_goes_unchecked() -> None:
    """Proves that every fenced block is of a kind that a test reads, and that there is something of each."""
    everything = [block for kind in ("yaml", "traceql", "text", "console", "jsonl") for block in blocks(kind)]
    assert all(
        block.kind.startswith((*KINDS_OF_BLOCKS, "traceql", "text", "console", "jsonl ")) for block in everything
    )
    assert all(blocks(kind) for kind in KINDS_OF_BLOCKS)
    assert TEXT.count("\n```") == 2 * len(everything)


def test_every_span_of_the_examples_is_told_apart_by_some_selector() -> None:
    """Proves that the examples could fail: none of the spans is always selected or never."""
    for name in ids():
        assert {name in (each.matches or ()) for each in SELECTED} == {True, False}


def tail(word: str) -> str:
    """Return what must not follow a word for it to be whole."""
    return r"\w" if word[-1].isalnum() else r"$^"


def quoted(*words: str) -> set[str]:
    """Return those of the words that the reference never shows as code."""
    inside = " ".join(re.findall(r"`([^`\n]+)`", TEXT)) + " ".join(block.text for block in blocks("yaml"))
    inside += " ".join(each.text for each in examples())
    return {word for word in words if not re.search(rf"(?<!\w){re.escape(word)}(?!{tail(word)})", inside)}


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(flowreader._KEYS, id="keys of a flow"),
        pytest.param(flowreader._REQUEST_KEYS, id="keys of request"),
        pytest.param(rulereader._KEYS, id="keys of a rule"),
        pytest.param(rulereader.ANNOTATIONS, id="annotations"),
        pytest.param(rulereader.ON_NO_DATA, id="on_no_data"),
        pytest.param([check.key for check in CHECKS], id="measures"),
        pytest.param(EXTENTS, id="times of a stage"),
        pytest.param([kind.value for kind in Kind if kind is not Kind.PERCENTILE], id="statistics"),
        pytest.param(drift.MEASURES, id="measures of drift"),
        pytest.param([outcome.value for outcome in Outcome], id="outcomes"),
        pytest.param([unit for unit in NS_PER_UNIT if unit != "μs"], id="units of time"),
        pytest.param(RUN_ID_ATTRIBUTES, id="run ids"),
        pytest.param(KEYS, id="keys of a mapping"),
        pytest.param(INTRINSICS, id="intrinsics"),
        pytest.param(OLD_NAMES, id="older intrinsics"),
        pytest.param([f"{scope}." for scope in SCOPES], id="scopes"),
        pytest.param(KEYWORDS, id="keywords"),
        pytest.param([*KINDS, *STATUSES], id="kinds and statuses"),
        pytest.param(METRICS, id="metrics functions"),
        pytest.param([*INCLUDE_KEYS, *PARAMETER_KEYS, *TYPES], id="includes and parameters"),
        pytest.param([*reading.TEST_KEYS, *EARLIER_KEYS, *VERDICT_KEYS], id="keys of a test"),
        pytest.param([*(word for word in WORDS if "." not in word), LOST], id="words of the trace notation"),
    ],
)
def test_nothing_of_the_language_is_left_out(words: list[str]) -> None:
    """Proves that whatever may be written is in the reference."""
    assert quoted(*words) == set()


def test_every_operator_has_an_example_that_is_run() -> None:
    text = " ".join(each.text for each in SELECTED)
    operators = {*COMPARISONS, *ARITHMETIC, *STRUCTURAL, "&&", "||", "!", "|"}
    assert {op for op in operators if not re.search(rf"(?<![\w=<>!~&|]){re.escape(op)}(?![=<>!~&|])", text)} == set()
    functions = {*AGGREGATES, *STAGES}
    assert {name for name in functions if f"{name}(" not in text} == set()
    assert {name for name in (*INTRINSICS, *OLD_NAMES) if not re.search(rf"(?<![\w:]){name}\b", text)} == set()


def test_every_comparison_of_expect_has_an_example() -> None:
    conditions = {
        expectation.condition.operator
        for block in blocks("yaml rule")
        for rule in clean(with_rules(block.text)).rules
        for expectation in rule.expect
    }
    assert conditions == set(Operator)


def test_links_lead_somewhere() -> None:
    """Proves that links inside the page name a heading, and links to files a file."""
    headings = {
        re.sub(r"[^\w\- ]", "", found).strip().lower().replace(" ", "-")
        for found in re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL), re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        if target.startswith("#"):
            assert target[1:] in headings, target
        elif not target.startswith("https://"):
            assert (README.parent / target).exists(), target


def test_the_index_leads_to_every_section() -> None:
    """Proves that a section that is added is found from the top: all headings of the second level and below."""
    index, _, rest = TEXT.partition("## A whole flow")
    headings = re.findall(
        r"^##+ (.*)$", re.sub(r"```.*?```", "", "## A whole flow" + rest, flags=re.DOTALL), re.MULTILINE
    )
    grouping = {"stages-requests-and-the-end-of-a-run", "measures", "expectations", "spansets"}
    anchors = {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
    assert anchors - set(re.findall(r"\]\(#([^)]+)\)", index)) == grouping
