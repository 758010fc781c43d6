"""Looking into a run through the command line: exact output, exit codes, and a store that is being written."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import TypeAlias

import pytest

from scoring_traces import document, resource, scoring, span, write_files
from spanverdict.cli import main

PROGRAM = (sys.executable, "-c", "from spanverdict.cli import main; main()")

pytestmark = pytest.mark.story


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPANVERDICT_STORE", raising=False)
    return tmp_path


Ask: TypeAlias = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ask(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run a command line in this process, in the folder; give exit code, standard output and standard error."""

    def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["spanverdict", *arguments])
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(stdin.encode())))
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return int(code), captured.out, captured.err

    return run


def test_spans_that_match_are_printed_as_a_table(ask: Ask) -> None:
    selector = '{ span:status = error || span:name = "notify" } | select(span.score)'
    assert ask("query", selector, "--input", "traces.jsonl") == (
        0,
        """\
START                     DURATION  SERVICE  NAME     KIND      STATUS  span.score  TRACE                             SPAN
2026-03-02T09:00:00.170Z  5ms       ledger   notify   consumer  unset   -           0000000000000000000000000000000b  0000000000000012
2026-03-02T09:00:00.270Z  5ms       ledger   notify   internal  unset   -           0000000000000000000000000000000c  0000000000000022
2026-03-02T09:00:00.410Z  20ms      scorer   predict  internal  error   0.4         00000000000000000000000000000004  0000000000000041
2026-03-02T09:00:00.470Z  5ms       ledger   notify   consumer  unset   -           0000000000000000000000000000000e  0000000000000042

4 of 11 spans matched, in 4 of 7 traces
""",
        "",
    )


def test_structure_across_traces_needs_the_requests_of_a_flow(ask: Ask) -> None:
    selector = '{ span:name = "POST /score" } >> { span:name = "notify" && span:kind = consumer }'
    assert ask("query", selector, "--input", "traces.jsonl") == (
        1,
        """\
nothing matched: 0 of 11 spans in 7 traces
  2 spans match all but `{ span:name = "POST /score" } >> { }`
""",
        "",
    )
    assert ask("query", selector, "--input", "traces.jsonl", "--rules", "flow.yaml") == (
        0,
        """\
START                     DURATION  SERVICE  NAME    KIND      STATUS  REQUEST  TRACE                             SPAN
2026-03-02T09:00:00.170Z  5ms       ledger   notify  consumer  unset   order-1  0000000000000000000000000000000b  0000000000000012
2026-03-02T09:00:00.470Z  5ms       ledger   notify  consumer  unset   order-4  0000000000000000000000000000000e  0000000000000042

2 of 11 spans matched, in 2 of 4 requests
""",
        "",
    )


def test_a_mistake_in_a_selector_has_a_caret_under_it(ask: Ask) -> None:
    assert ask("query", "{ span:kind == server }", "--input", "traces.jsonl") == (
        2,
        "",
        """\
selector:1:13: error[SV060]: TraceQL compares with =
  { span:kind == server }
              ^^
  hint: write `=`
spanverdict: the selector cannot be used
""",
    )


def test_a_mistake_in_a_file_is_shown_on_its_line(folder: Path, ask: Ask) -> None:
    (folder / "long.traceql").write_text('{ span:kind = server }\n>> {\n  span:nmae = "x"\n}\n', encoding="utf-8")
    code, out, err = ask("query", "@long.traceql", "--input", "traces.jsonl")
    assert (code, out) == (2, "")
    assert err.startswith("long.traceql:3:3: error[SV060]: ")
    assert '\n    span:nmae = "x"\n    ^^^^^^^^^\n' in err


def test_a_selector_comes_from_a_file_or_from_standard_input(folder: Path, ask: Ask) -> None:
    selector = '{ span:name = "predict" }\n  && { true }\n'
    (folder / "s.traceql").write_text(selector, encoding="utf-8")
    from_file = ask("query", "@s.traceql", "--input", "traces.jsonl")
    assert from_file[0] == 0
    assert ask("query", "-", "--input", "traces.jsonl", stdin=selector) == from_file
    spans = (folder / "traces.jsonl").read_text(encoding="utf-8")
    assert ask("query", "@s.traceql", "--input", "-", stdin=spans) == from_file


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("query", "{ }"), 2, "give --input FILE, or --run ID of a run in a store"),
        (("query", "{ }", "--input", "traces.jsonl", "--store", "s"), 2, "not both"),
        (("query", "-", "--input", "-"), 2, "cannot both come from standard input"),
        (("query", "@no", "--input", "traces.jsonl"), 2, "cannot read the selector file no: No such file"),
        (("query", "@.", "--input", "traces.jsonl"), 2, "cannot read the selector file .: Is a directory"),
        (("query", "@/dev/zero", "--input", "traces.jsonl"), 2, "the selector cannot be used"),
        (("query", "{ }", "--input", "none.jsonl"), 2, "none.jsonl"),
        (("query", "{ }", "--run", "r"), 5, "cannot use spanverdict.sqlite as the store: there is no such file"),
        (("query", "{ }", "--run", "no spaces", "--store", "s"), 2, "a run id has 1 to 128 letters"),
        (("query", "{ }", "--input", "traces.jsonl", "--limit", "-1"), 2, "--limit"),
        (("query", "{ }", "--input", "traces.jsonl", "--rules", "none.yaml"), 2, "none.yaml"),
        (("explain", "whole-path", "--rules", "flow.yaml"), 2, "give --input FILE, or --run ID"),
        (("explain", "no-such", "--rules", "flow.yaml", "--input", "traces.jsonl"), 2, "there is no rule no-such"),
        (("explain", "whole-path"), 2, "for a rule give --rules PATH"),
        (("explain", "SV999"), 2, "SV999 is not the code of a diagnostic"),
    ],
)
def test_what_cannot_be_answered_is_one_clear_line(ask: Ask, arguments: tuple[str, ...], code: int, said: str) -> None:
    found, out, err = ask(*arguments)
    assert (found, out) == (code, "")
    assert said in err.splitlines()[-1] or said in err
    assert len(err.splitlines()) < 8


def test_json_can_be_read_by_a_program(ask: Ask) -> None:
    code, out, err = ask("query", "{ span:kind = consumer }", "--input", "traces.jsonl", "--json", "--limit", "1")
    data = json.loads(out)
    assert (code, err) == (0, "")
    assert (data["schema_version"], data["over"], data["matches"], len(data["spans"])) == (1, "traces", 2, 1)
    assert data["spans"][0]["start"] == "2026-03-02T09:00:00.170000000Z"


def test_no_spans_are_no_answer(folder: Path, ask: Ask) -> None:
    (folder / "empty.jsonl").write_text("", encoding="utf-8")
    assert ask("query", "{ }", "--input", "empty.jsonl") == (4, "nothing matched: there are no spans\n", "")
    code, out, _ = ask("explain", "whole-path", "--rules", "flow.yaml", "--input", "empty.jsonl")
    assert code == 4
    assert "0 spans, 0 requests" in out


def test_a_rule_is_explained(ask: Ask) -> None:
    assert ask("explain", "scoring/whole-path", "--rules", "flow.yaml", "--input", "traces.jsonl") == (
        0,
        """\
rule      scoring/whole-path   flow.yaml:13:5
          Every order reaches the ledger
measure   coverage
expect    ratio >= 99%
run       demo-1: 11 spans, 4 requests
outcome   FAILED  ratio = 50 %, expected >= 99% (n = 4 requests): missing: notify in 2

stage ingest   requests start here, >= 1 in each request   flow.yaml:4:5
  { resource.service.name = "gateway" && span:kind = server }
  matched   4 spans, in 4 of 4 requests
            e.g. POST /score of gateway, 51ms (trace 00000000000000000000000000000001, span 0000000000000010)
            e.g. POST /score of gateway, 52ms (trace 00000000000000000000000000000002, span 0000000000000020)
            e.g. POST /score of gateway, 53ms (trace 00000000000000000000000000000003, span 0000000000000030)
  missed    0 of 4 requests

stage score   >= 1 in each request   flow.yaml:6:5
  { resource.service.name = "scorer" && span:name = "predict" }
  matched   4 spans, in 4 of 4 requests
            e.g. predict of scorer, 20ms (trace 00000000000000000000000000000001, span 0000000000000011)
            e.g. predict of scorer, 20ms (trace 00000000000000000000000000000002, span 0000000000000021)
            e.g. predict of scorer, 20ms (trace 00000000000000000000000000000003, span 0000000000000031)
  missed    0 of 4 requests

stage notify   requests end here, >= 1 in each request   flow.yaml:8:5
  { resource.service.name = "ledger" && span:name = "notify" && span:kind = consumer }
  matched   2 spans, in 2 of 4 requests
            e.g. notify of ledger, 5ms (trace 0000000000000000000000000000000b, span 0000000000000012)
            e.g. notify of ledger, 5ms (trace 0000000000000000000000000000000e, span 0000000000000042)
  missed    2 of 4 requests, e.g. order-2 (trace 00000000000000000000000000000002), order-3 (trace 00000000000000000000000000000003)
  nearest   1 span matches all but `span:kind = consumer`: span:kind is internal in 1; 1 in requests without a match
            e.g. notify of ledger, 5ms (trace 0000000000000000000000000000000c, span 0000000000000022)

measured
  samples   4 requests
  missing   0
  values    2 true, 2 false
  note      missing: notify in 2
  worst     order-2 (trace 00000000000000000000000000000002) missing: notify
            order-3 (trace 00000000000000000000000000000003) missing: notify
""",
        "",
    )


def test_a_flow_whose_first_stage_matches_nothing_is_judged_and_explained(folder: Path, ask: Ask) -> None:
    text = (folder / "flow.yaml").read_text(encoding="utf-8").replace("kind: server", "kind: client")
    (folder / "flow.yaml").write_text(text, encoding="utf-8")
    code, out, _ = ask("explain", "whole-path", "--rules", "flow.yaml", "--input", "traces.jsonl")
    assert code == 0
    assert "nearest   4 spans match all but `span:kind = client`: span:kind is server in 4" in out
    assert ask("check", "flow.yaml", "--input", "traces.jsonl")[0] == 1


def test_a_diagnostic_is_explained(ask: Ask) -> None:
    code, out, err = ask("explain", "sv060")
    assert (code, err) == (0, "")
    assert out.startswith("SV060: ")


def test_nobody_needs_to_read_to_the_end(folder: Path) -> None:
    many = [span((n, n), f"s{n}", "server", n, 1) for n in range(1, 20_000)]
    write_files(folder, [document([resource("x", many)])])
    with subprocess.Popen(
        [*PROGRAM, "query", "{ }", "--input", "traces.jsonl", "--limit", "0"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"START")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def post(url: str, text: str) -> None:
    request = urllib.request.Request(f"{url}/v1/traces", text.encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.status == 200


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve with a store `kept.sqlite`; give the address for OTLP/HTTP."""
    ready = folder / "ready"
    address = "127.0.0.1:0"
    flags = ("--otlp-grpc", address, "--otlp-http", address, "--http", address, "--store", "kept.sqlite")
    with subprocess.Popen(
        [*PROGRAM, "serve", *flags, "--rules", "flow.yaml", "--ready-file", str(ready)],
        cwd=folder,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            deadline = time.monotonic() + 30
            while not ready.exists():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            lines = dict(line.split() for line in ready.read_text(encoding="utf-8").splitlines())
            yield f"http://{next(value for name, value in lines.items() if 'http' in name and 'otlp' in name)}"
        finally:
            process.terminate()
            assert process.wait(30) == 0


def test_a_run_is_looked_into_while_the_server_receives_it_and_afterwards(folder: Path, ask: Ask) -> None:
    arguments = ("query", '{ span:name = "notify" }', "--run", "demo-1", "--store", "kept.sqlite")
    with serving(folder) as url:
        post(url, document(scoring()))
        deadline = time.monotonic() + 30
        while (found := ask(*arguments))[0] != 0:
            assert time.monotonic() < deadline, found
        assert "3 of 11 spans matched, in 3 of 7 traces" in found[1]
        post(url, document([resource("ledger", [span((20, 20), "notify", "consumer", 600, 5)], "demo-1")]))
        while "4 of 12" not in (found := ask(*arguments))[1]:
            assert time.monotonic() < deadline, found
        explained = ask("explain", "whole-path", "--rules", "flow.yaml", *arguments[2:])
        assert "1 span matches all but `span:kind = consumer`" in explained[1]
    assert ask(*arguments) == found
    code, _, err = ask("query", "{ }", "--run", "demo-2", "--store", "kept.sqlite")
    assert (code, err) == (4, "spanverdict: kept.sqlite knows no run demo-2; the latest are demo-1\n")


def test_the_run_of_a_command_is_looked_into_with_the_spans_that_nobody_tagged(folder: Path, ask: Ask) -> None:
    untagged = document(scoring(run=None))
    script = folder / "system.py"
    script.write_text(
        "import os, urllib.request\n"
        f"body = {untagged!r}.encode()\n"
        "url = os.environ['SPANVERDICT_ENDPOINT_HTTP'] + '/v1/traces'\n"
        "urllib.request.urlopen(urllib.request.Request(url, body, {'Content-Type': 'application/json'})).read()\n",
        encoding="utf-8",
    )
    command = (
        "run",
        "--rules",
        "flow.yaml",
        "--run-id",
        "mine",
        "--store",
        "kept.sqlite",
        "--",
        sys.executable,
        "system.py",
    )
    assert (
        subprocess.run([*PROGRAM, *command], cwd=folder, capture_output=True, timeout=60, check=False).returncode == 1
    )
    code, out, _ = ask("query", "{ }", "--run", "mine", "--store", "kept.sqlite")
    assert code == 0
    assert "11 of 11 spans matched, in 7 of 7 traces" in out
