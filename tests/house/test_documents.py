"""What the documents say is true: their commands exist and run, their rule files are right."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from spanverdict.app.errors import ExitCode
from spanverdict.app.testcommand import SuiteOptions, run_tests
from spanverdict.app.verdicts import targets
from spanverdict.checks.catalogue import CHECKS
from spanverdict.cli.program import COMMANDS, cli
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.otlp.jsonexport import protobuf_to_json
from spanverdict.reporting.catalogue import REPORTERS
from spanverdict.reporting.reporter import ReportOptions
from spanverdict.rulefiles.loader import load
from spanverdict.ruletest.reports import TEST_REPORTERS

TOP = Path(__file__).parents[2]
README = (TOP / "README.md").read_text(encoding="utf-8")
REFERENCE = (TOP / "rules" / "README.md").read_text(encoding="utf-8")
DOCUMENTS = {
    name: (TOP / name).read_text(encoding="utf-8") for name in ("README.md", "deploy/README.md", "rules/README.md")
}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(text: str) -> list[str]:
    lines = [line for block in blocks(text, "console") for line in block.splitlines()]
    return [line[2:].split("  #")[0].strip() for line in lines if line.startswith("$ ")]


SPANVERDICT = sorted(
    {
        (name, command)
        for name, text in DOCUMENTS.items()
        for command in commands(text)
        if command.startswith("spanverdict ")
    }
)


def command_named(name: str) -> click.Command:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    return command


@pytest.mark.parametrize(("document", "command"), SPANVERDICT)
def test_every_command_line_is_one_that_the_program_accepts(document: str, command: str) -> None:
    words = shlex.split(command)
    _, name, *arguments = words[: words.index(">")] if ">" in words else words
    if name.startswith("-"):
        return
    assert name in COMMANDS, f"{document}: {command}"
    command_named(name).make_context(name, arguments, parent=click.Context(cli))


def test_the_documents_have_commands() -> None:
    assert len(SPANVERDICT) >= 8


@pytest.mark.parametrize("command", [c for c in commands(README) if c.startswith("make ")])
def test_every_make_target_exists(command: str) -> None:
    target = command.split()[1]
    assert re.search(rf"^{target}:", (TOP / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_rule_file_of_the_readme_is_right() -> None:
    flows = [block for block in blocks(README, "yaml") if block.startswith("version: 1")]
    assert flows
    for text in flows:
        problems = Problems()
        assert load(text, "README.md", problems) is not None, problems.sorted()
        assert not problems.sorted()


def test_the_rule_test_of_the_readme_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flow = next(block for block in blocks(README, "yaml") if block.startswith("version: 1"))
    (test,) = (block for block in blocks(README, "yaml") if block.startswith("# flow_test.yaml"))
    (tmp_path / "flow.yaml").write_text(flow, encoding="utf-8")
    (tmp_path / "flow_test.yaml").write_text(test, encoding="utf-8")
    options = SuiteOptions(targets((), {}, TEST_REPORTERS), ReportOptions())
    assert run_tests([str(tmp_path)], options) is ExitCode.PASSED, capsys.readouterr().out


def test_the_readme_names_its_commands_every_one() -> None:
    missing = [name for name in COMMANDS if f"spanverdict {name}" not in README]
    assert not missing


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.key)
def test_every_measure_has_a_section_in_the_reference(check: type) -> None:
    assert re.search(rf"^#+ .*`{check.key}`", REFERENCE, re.MULTILINE)


def test_the_help_of_output_names_every_format() -> None:
    option = next(p for p in command_named("check").params if p.name == "outputs")
    assert isinstance(option, click.Option)
    for name in REPORTERS:
        assert re.search(rf"\b{name}\b", option.help or "")


@pytest.mark.story
@pytest.mark.parametrize(
    "command", [c for c in commands(README) if ("--input traces.jsonl" in c and " show " not in c) or "explain SV" in c]
)
def test_the_commands_of_the_readme_that_need_no_server_run(command: str, tmp_path: Path) -> None:
    flow = next(block for block in blocks(README, "yaml") if block.startswith("version: 1"))
    (tmp_path / "flow.yaml").write_text(flow, encoding="utf-8")
    for name in ("traces.jsonl", "base.jsonl"):
        (tmp_path / name).write_text(protobuf_to_json(_payload()) + "\n", encoding="utf-8")
    program = [sys.executable, "-c", "from spanverdict.cli import main; main()", *shlex.split(command)[1:]]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1, 4), done.stderr
    assert done.stdout


def _payload() -> bytes:
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

    from spanverdict.otlp.values import encode_attribute

    start = 1_700_000_000_000_000_000
    span = Span(
        trace_id=b"t" * 16,
        span_id=b"s" * 8,
        name="POST /score",
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=start,
        end_time_unix_nano=start + 5_000_000,
    )
    resource = ResourceSpans(scope_spans=[ScopeSpans(spans=[span])])
    resource.resource.attributes.add().ParseFromString(encode_attribute("service.name", "gateway"))
    return TracesData(resource_spans=[resource]).SerializeToString()


NAMED_TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", README)))


@pytest.mark.parametrize(("path", "name"), NAMED_TESTS)
def test_every_test_that_a_promise_names_is_there(path: str, name: str) -> None:
    assert f"def {name}(" in (TOP / path).read_text(encoding="utf-8")


def test_every_promise_names_a_test() -> None:
    table = README.split("## What it promises")[1].split("## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    assert len(rows) == 6
    assert all("::test_" in row for row in rows)
