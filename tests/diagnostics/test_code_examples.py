"""Every code has an example: the wrong half is told of with this code, the right half is not."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from spanverdict.diagnostics.codes import CODES
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.diagnostics.examples import EXAMPLES, Example
from spanverdict.diagnostics.explanations import explain
from spanverdict.rulefiles.lint import lint
from spanverdict.rulefiles.sources import RuleFile
from spanverdict.ruletest.reading import read_tests

FLOW = {
    "version": "version: 1",
    "flow": "flow: shop",
    "stages": "stages:\n  - {stage: ingest, select: {service: gateway}}\n  - {stage: score, select: {service: scorer}}",
    "request": "request: {key: span.request.id}",
    "rules": 'rules:\n  - id: r\n    latency: request\n    expect: {p95: "< 1s"}',
}
GOLDEN = '{"key": "a", "value": 0.5}\n'
TO_READ = {code: example for code, example in EXAMPLES.items() if example.where != "do"}


def flow_with(text: str) -> str:
    """The flow with some of its keys written otherwise."""
    keys = {line.partition(":")[0] for line in text.splitlines() if not line.startswith(" ")}
    return "\n".join([*(part for key, part in FLOW.items() if key not in keys), text, ""])


def rules_of(text: str) -> str:
    return "rules:\n  - id: r\n" + textwrap.indent(text, "    ")


def found(where: str, text: str, folder: Path) -> set[str]:
    """Return the codes of all that is said of one half of an example, in its place."""
    flow, golden = flow_with(""), GOLDEN
    match where:
        case "file":
            flow = text
        case "flow":
            flow = flow_with(text)
        case "rule":
            flow = flow_with(rules_of(text))
        case "golden":
            rule = "output: {stage: score, value: span.score}\ngolden: {file: golden.jsonl}\nexpect: {ratio: '>= 99%'}"
            flow, golden = flow_with(rules_of(rule)), text
    (folder / "golden.jsonl").write_text(golden, encoding="utf-8")
    (folder / "flow.yaml").write_text(flow, encoding="utf-8")
    if where in ("lines", "test"):
        return of_test(where, text, folder)
    return {one.code for one in lint([str(folder / "flow.yaml")])}


def of_test(where: str, text: str, folder: Path) -> set[str]:
    if where == "lines":
        text = f"name: t\nverdict: failed\nspans: |\n{textwrap.indent(text, '  ')}"
    test = f"flow: flow.yaml\ntests:\n  -\n{textwrap.indent(text, '    ')}\n"
    path, problems = folder / "flow_test.yaml", Problems()
    path.write_text(test, encoding="utf-8")
    read_tests(RuleFile(str(path), path), problems)
    return {one.code for one in problems.sorted()}


def test_every_code_has_an_example_that_explain_shows() -> None:
    assert list(EXAMPLES) == list(CODES)
    for code, example in EXAMPLES.items():
        assert example.wrong != example.right
        assert str(explain(code)).endswith(f"\n{example}\n")


@pytest.mark.parametrize(("code", "example"), TO_READ.items(), ids=list(TO_READ))
def test_the_wrong_half_is_told_of_and_the_right_half_is_not(code: str, example: Example, tmp_path: Path) -> None:
    assert code in found(example.where, example.wrong, tmp_path)
    assert code not in found(example.where, example.right, tmp_path)


@pytest.mark.parametrize(
    "code", [code for code, example in TO_READ.items() if example.where in ("rule", "flow", "test", "lines", "golden")]
)
def test_the_right_half_is_right_altogether(code: str, tmp_path: Path) -> None:
    assert found(EXAMPLES[code].where, EXAMPLES[code].right, tmp_path) == set()
