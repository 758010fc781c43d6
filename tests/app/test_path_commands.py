"""`show` and `path`: exact output, what names stand for, JSON for machines, and texts that mean harm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from scoring_traces import document, resource, scoring, span, write_files
from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.cli.program import cli

TRACE = f"{1:032x}"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def ask(*arguments: str) -> str:
    """Run a command that succeeds and return what it printed."""
    done = CliRunner().invoke(cli, [*arguments, "--input", "traces.jsonl"], catch_exceptions=False)
    assert done.exit_code == ExitCode.PASSED
    return done.output


def refused(*arguments: str) -> CommandError:
    done = CliRunner().invoke(cli, [*arguments, "--input", "traces.jsonl"])
    assert isinstance(done.exception, CommandError)
    return done.exception


def test_a_request_is_shown_from_end_to_end() -> None:
    assert ask("show", "order-1", "--rules", "flow.yaml") == (
        """\
request order-1   flow scoring   trace 00000000000000000000000000000001
lasted 75ms: ingest 31ms (41 %), score 20ms (27 %), queue 19ms (25 %), notify 5ms (7 %)
3 spans, 2 traces, 3 services
in run demo-1 by resource attribute test.suite.run.id (1 span); same trace as a tagged span (1 span); \
span link to 00000000…/0000000000000010 (1 span)

       START  DURATION   ON PATH  SPAN
*          0      51ms      31ms  POST /score  gateway  server  [ingest]  the request begins here
*      +10ms      20ms      20ms    predict    scorer  [score]
*      +51ms      19ms      19ms    (queue)
*      +70ms       5ms       5ms    notify     ledger  consumer  [notify]  link to 00000000…/0000000000000010
"""
    )


def test_what_a_request_lacks_is_said() -> None:
    shown = ask("show", "order-3", "--rules", "flow.yaml")
    assert "\nlacks stage notify\n" in shown
    assert "(queue)" not in shown


def test_without_rules_a_trace_is_followed_along_its_links() -> None:
    shown = ask("show", TRACE)
    assert "lasted 75ms: work 56ms (75 %), queue 19ms (25 %)\n3 spans, 2 traces, 3 services\n" in shown
    assert "[" not in shown
    assert ask("show", f"{11:032x}") == shown


def test_a_trace_that_lost_its_root_is_shown_all_the_same(folder: Path) -> None:
    lost = [span((7, 2), "left", "internal", 0, 5, parent=1), span((7, 3), "below", "internal", 1, 2, parent=2)]
    write_files(folder, [document([resource("x", lost)])])
    shown = ask("show", f"{7:032x}")
    assert "left" in shown
    assert "!" + 35 * " " + "parent 0000000000000001 never came" in shown


def test_several_requests_of_one_name_are_all_shown(folder: Path) -> None:
    twice = [span((n, n), "POST /score", "server", n, 5, order__id="order-7") for n in (1, 2)]
    write_files(folder, [document([resource("gateway", twice)])])
    assert ask("show", "order-7", "--rules", "flow.yaml").count("request order-7") == 2


def test_a_trace_of_many_requests_asks_for_one(folder: Path) -> None:
    starts = [span((n, n), "POST /score", "server", n, 5, order__id=f"order-{n}") for n in range(1, 8)]
    batch = span((99, 99), "notify", "consumer", 20, 5, links=[(n, n) for n in range(1, 8)])
    write_files(folder, [document([resource("gateway", starts), resource("ledger", [batch])])])
    error = refused("show", f"{99:032x}", "--rules", "flow.yaml")
    assert str(error).startswith("7 requests have spans in trace")
    assert "order-1, order-2" in str(error)
    assert "in 7 requests" in ask("show", "order-3", "--rules", "flow.yaml")


@pytest.mark.parametrize("rules", [(), ("--rules", "flow.yaml")])
def test_an_unknown_request_is_answered_with_those_there_are(rules: tuple[str, ...]) -> None:
    error = refused("show", "order-17", *rules)
    assert (error.code, str(error).split(";")[0]) == (
        ExitCode.NO_VERDICT,
        "run demo-1 has no request or trace order-17",
    )


def test_many_spans_are_cut_at_the_limit_and_counted() -> None:
    assert ask("show", "order-1", "--rules", "flow.yaml", "--limit", "1").endswith(
        "the request begins here\n2 more spans are not shown; --limit 0 shows all\n"
    )


def test_machines_get_all_of_a_request() -> None:
    found = json.loads(ask("show", "order-1", "--rules", "flow.yaml", "--json"))
    (request,) = found["requests"]
    assert (found["run"], request["request"], request["duration_ns"]) == ("demo-1", "order-1", 75_000_000)
    assert sum(part["end_ns"] - part["start_ns"] for part in request["critical_path"]) == 75_000_000
    assert [(s["name"], s["stage"], s["joined_by"], s["queued_ns"]) for s in request["spans"]] == [
        ("POST /score", "ingest", "start", 0),
        ("predict", "score", "parent", 0),
        ("notify", "notify", "link", 19_000_000),
    ]
    assert [part["kind"] for part in request["critical_path"]] == ["work", "work", "work", "queue", "work"]


def test_the_path_of_all_requests_together() -> None:
    assert ask("path", "--rules", "flow.yaml") == (
        """\
flow scoring   4 requests
lasted p50 75ms, p95 75ms, max 75ms
spent on ingest 47 %, score 29 %, queue 19 %, notify 4 %, other 2 %

STAGE   REQUESTS  SHARE  SPANS   P50   P95   MAX  ON PATH
ingest         4  100 %      4  52ms  54ms  54ms     47 %
score          4  100 %      4  20ms  20ms  20ms     29 %
notify         2   50 %      2   5ms   5ms   5ms      4 %

WAY              BY     REQUESTS  SHARE  SPANS   P50   P95   MAX
ingest > score   call          4  100 %      4  10ms  10ms  10ms
ingest > notify  queue         2   50 %      2  16ms  19ms  19ms
"""
    )


def test_machines_get_the_path_of_all_requests() -> None:
    found = json.loads(ask("path", "--rules", "flow.yaml", "--json"))
    assert (found["flow"], found["requests"], found["timed_requests"]) == ("scoring", 4, 4)
    assert [(way["from"], way["to"], way["by"], way["share_of_requests"]) for way in found["ways"]] == [
        ("ingest", "score", "call", 1.0),
        ("ingest", "notify", "queue", 0.5),
    ]
    assert sum(part["share"] for part in found["spent"]) == pytest.approx(1)


def test_no_requests_are_no_path_and_no_success(folder: Path) -> None:
    write_files(folder, [document([resource("x", [span((1, 1), "stray", "internal", 0, 1)])])])
    done = CliRunner().invoke(cli, ["path", "--rules", "flow.yaml", "--input", "traces.jsonl"])
    assert (done.exit_code, done.output) == (ExitCode.NO_VERDICT, "flow scoring   0 requests\n")


@pytest.mark.parametrize("command", [("show", "order-1"), ("path",)])
def test_one_flow_is_asked_for(command: tuple[str, ...], folder: Path) -> None:
    other = (folder / "flow.yaml").read_text().replace("flow: scoring", "flow: other")
    (folder / "other.yaml").write_text(other)
    assert "the rule files have several" in str(refused(*command, "--rules", "flow.yaml", "--rules", "other.yaml"))


def test_nothing_that_came_with_spans_can_command_a_terminal(folder: Path) -> None:
    evil = "\x1b[2J\r::error::\u202e"
    spans: list[dict[str, Any]] = [
        span((1, 1), evil, "server", 0, 9, order__id=evil),
        span((1, 2), evil, "internal", 1, 2, parent=9),
        span((1, 3), evil, "consumer", 3, 2, messaging__message__id=evil),
    ]
    write_files(folder, [document([resource("gateway", spans), resource(evil, spans[1:])])])
    for shown in (ask("show", TRACE), ask("show", evil, "--rules", "flow.yaml"), ask("path", "--rules", "flow.yaml")):
        assert not set(shown) & set("\x1b\r\u202e")
        assert "\n::" not in shown


def test_a_terminal_gets_colour_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = ask("show", "order-1", "--rules", "flow.yaml")
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = CliRunner().invoke(
        cli, ["show", "order-1", "--rules", "flow.yaml", "--input", "traces.jsonl"], color=True
    )
    assert "\x1b[" in coloured.output
    assert "\x1b[" not in plain


def test_a_run_is_found_by_its_id_when_files_hold_several(folder: Path) -> None:
    write_files(
        folder, [document(scoring("one")), document([resource("x", [span((77, 77), "y", "server", 0, 1)], "two")])]
    )
    assert "POST /score" in ask("show", "order-1", "--rules", "flow.yaml", "--run", "one")
    assert "no request or trace order-1" in str(refused("show", "order-1", "--rules", "flow.yaml", "--run", "two"))
