"""`spanverdict run`: around a real command whose spans come through the SDK's own exporters."""

from __future__ import annotations

import base64
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from standardwebhooks import Webhook

from alerting.hookserver import HookServer
from scenarios.stories import (
    PROGRAM,
    RULES,
    SCORER,
    as_expected,
    call,
    environment,
    free_address,
    read_all,
    run,
    tell,
    wait_until,
)
from spanverdict.storage.errors import StoreUnavailable
from spanverdict.storage.store import Store

pytestmark = pytest.mark.story


def scoring(*faults: str) -> tuple[str, ...]:
    return (*SCORER, "--requests", "4", *faults)


@pytest.fixture
def folder(rules: Path) -> Path:
    return rules.parent


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_sound_system_passes_over_either_protocol(folder: Path, protocol: str) -> None:
    env = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    done = run(Path("scoring.yaml"), "--run-id", "gh-1", command=scoring(), cwd=folder, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    as_expected("run-passed.txt", done.stdout)


def test_a_broken_system_fails_and_is_told_what_and_where(folder: Path) -> None:
    faults = scoring("--slow", "2", "--lost", "1", "--outside", "1")
    done = call("run", "--rules", "scoring.yaml", "--run-id", "gh-1", "--", *faults, cwd=folder)
    assert (done.returncode, done.stderr) == (1, "")
    as_expected("run-failed.txt", done.stdout)


def test_the_commands_own_failure_is_passed_on_and_the_verdict_printed_all_the_same(folder: Path) -> None:
    done = run(folder / "scoring.yaml", command=scoring("--exit", "7"))
    assert done.returncode == 7
    assert "PASSED  scoring  run run-" in done.stdout


def test_a_failing_command_and_a_failing_rule_give_the_commands_code(folder: Path) -> None:
    done = run(folder / "scoring.yaml", command=scoring("--slow", "1", "--exit", "9"))
    assert done.returncode == 9
    assert "FAILED  scoring" in done.stdout


def test_a_command_that_a_signal_ends_gives_what_a_shell_would(folder: Path) -> None:
    command = (sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert run(folder / "scoring.yaml", command=command).returncode == 137


def test_the_environment_of_the_command(folder: Path) -> None:
    """Everything standard is set, what is there is kept, and a run id of somebody else's gives way."""
    written = folder / "environment.json"
    env = {
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,test.suite.run.id=older,service.version=3",
        "BAGGAGE": "user=anne",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://elsewhere:4318/v1/traces",
        "KEPT": "as it is",
    }
    command = scoring("--environment", str(written))
    done = call("run", "--rules", "scoring.yaml", "--run-id", "gh/1:a", "--", *command, cwd=folder, env=env)
    assert done.returncode == 0
    given = json.loads(written.read_text(encoding="utf-8"))
    assert given["OTEL_EXPORTER_OTLP_ENDPOINT"] == given["SPANVERDICT_ENDPOINT_HTTP"]
    assert given["OTEL_EXPORTER_OTLP_ENDPOINT"].startswith("http://127.0.0.1:")
    assert given["SPANVERDICT_ENDPOINT_GRPC"].startswith("http://127.0.0.1:")
    assert given["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
    tag = "test.suite.run.id=gh%2F1%3Aa"
    assert given["OTEL_RESOURCE_ATTRIBUTES"] == f"deployment.environment.name=test,service.version=3,{tag}"
    assert given["BAGGAGE"] == f"user=anne,{tag}"
    assert int(given["OTEL_BSP_SCHEDULE_DELAY"]) < 1000
    assert given["SPANVERDICT_RUN_ID"] == "gh/1:a"
    assert given["KEPT"] == "as it is"
    assert "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" not in given
    assert "run gh/1:a" in done.stdout


def test_a_protocol_and_a_delay_that_the_user_chose_are_kept(folder: Path) -> None:
    written = folder / "environment.json"
    env = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    command = scoring("--environment", str(written))
    assert run(folder / "scoring.yaml", command=command, env=env).returncode == 0
    given = json.loads(written.read_text(encoding="utf-8"))
    assert given["OTEL_EXPORTER_OTLP_ENDPOINT"] == given["SPANVERDICT_ENDPOINT_GRPC"]
    assert (given["OTEL_EXPORTER_OTLP_PROTOCOL"], given["OTEL_BSP_SCHEDULE_DELAY"]) == ("grpc", "50")


def test_reports_go_to_files_and_one_to_standard_output(folder: Path) -> None:
    reports = [
        f"{name}={folder / name}.out" for name in ("text", "junit", "jsonl", "markdown", "tap", "ctrf", "github")
    ]
    options = [part for report in reports for part in ("-o", report)]
    done = run(folder / "scoring.yaml", "--run-id", "gh-1", "-o", "json", *options, command=scoring("--slow", "1"))
    assert done.returncode == 1
    verdict = json.loads(done.stdout)
    assert (verdict["schema_version"], verdict["run"]["id"], verdict["flow"]) == (1, "gh-1", "scoring")
    assert (verdict["outcome"], verdict["complete"]) == ("failed", True)
    assert [(rule["id"], rule["outcome"]) for rule in verdict["rules"]] == [
        ("fast", "failed"),
        ("whole", "passed"),
        ("range", "passed"),
    ]
    assert "FAILED  scoring" in (folder / "text.out").read_text(encoding="utf-8")
    suite = ET.fromstring((folder / "junit.out").read_bytes())
    assert [case.get("name") for case in suite.iter("testcase")] == ["fast", "whole", "range"]
    for name in ("jsonl", "markdown", "tap", "ctrf", "github"):
        assert (folder / f"{name}.out").stat().st_size > 0


def test_on_github_annotations_and_a_summary_are_written_unasked(folder: Path) -> None:
    summary = folder / "summary.md"
    summary.write_text("# before\n", encoding="utf-8")
    env = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary), "CI": "true"}
    done = run(Path("scoring.yaml"), command=scoring("--slow", "1"), cwd=folder, env=env)
    assert done.returncode == 1
    assert "::error file=scoring.yaml,line=" in done.stdout
    assert summary.read_text(encoding="utf-8").startswith("# before\n")
    assert "fast" in summary.read_text(encoding="utf-8")


def test_only_rules_with_a_tag_are_judged(folder: Path) -> None:
    done = run(folder / "scoring.yaml", "--tags", "speed", command=scoring("--lost", "1"))
    assert done.returncode == 0
    assert "fast" in done.stdout
    assert "whole" not in done.stdout


def test_quiet_shows_only_what_did_not_pass(folder: Path) -> None:
    done = run(folder / "scoring.yaml", "--quiet", command=scoring("--outside", "1"))
    assert done.returncode == 1
    assert "FAILED  range" in done.stdout
    assert "whole" not in done.stdout


def test_several_rule_files_judge_and_the_worst_decides(folder: Path) -> None:
    stricter = RULES.replace("flow: scoring", "flow: strict").replace("< 200ms", "< 1ms")
    (folder / "strict.yaml").write_text(stricter, encoding="utf-8")
    done = run(folder / "scoring.yaml", "-r", folder / "strict.yaml", command=scoring())
    assert done.returncode == 1
    assert re.findall(r"^(PASSED|FAILED)  fast", done.stdout, re.MULTILINE) == ["PASSED", "FAILED"]


def test_a_flow_that_sees_nothing_is_no_data_and_never_passes(folder: Path) -> None:
    other = RULES.replace("flow: scoring", "flow: other").replace("gateway", "elsewhere")
    (folder / "other.yaml").write_text(other, encoding="utf-8")
    done = run(folder, command=scoring())
    assert done.returncode in (1, 4)
    assert "PASSED  2 flows" not in done.stdout


def test_a_known_number_of_requests_is_waited_for_and_what_never_came_is_missed(folder: Path) -> None:
    done = run(folder / "scoring.yaml", "--requests", "5", command=scoring())
    assert done.returncode == 1
    assert "4 of 5 expected" in done.stdout
    assert run(folder / "scoring.yaml", "--requests", "4", command=scoring()).returncode == 0


def test_an_empty_run_has_no_verdict_and_says_what_to_look_at(folder: Path) -> None:
    done = run(folder / "scoring.yaml", command=("true",))
    assert done.returncode == 4
    assert "INCONCLUSIVE  scoring" in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("spanverdict: no spans came; does the command, or what it calls, export to OTEL_")
    assert "(http://127.0.0.1:" in line


def test_an_empty_run_is_not_passed_by_rules_that_nothing_breaks(folder: Path) -> None:
    """Counting no errors among no spans is no proof."""
    head = RULES[: RULES.index("rules:")]
    lenient = "rules:\n  - id: no-errors\n    count: '{ span:status = error }'\n    expect: {count: \"== 0\"}\n"
    (folder / "lenient.yaml").write_text(head + lenient, encoding="utf-8")
    assert run(folder / "lenient.yaml", command=("true",)).returncode == 4
    assert run(folder / "lenient.yaml", command=scoring()).returncode == 0


@pytest.mark.parametrize(
    ("command", "why"),
    [(("no-such-command",), "No such file or directory"), (("/dev/null",), "Permission denied")],
)
def test_a_command_that_cannot_start_is_one_line(folder: Path, command: tuple[str, ...], why: str) -> None:
    done = run(folder / "scoring.yaml", command=command)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"spanverdict: cannot start {command[0]}: {why}\n"


def test_services_that_run_already_send_to_addresses_that_they_know(folder: Path) -> None:
    """They carry no run id, export at their own pace, and are judged all the same."""
    grpc = free_address()
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{grpc}", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    host, port = grpc.split(":")
    sent = folder / "sent"
    waiting = f"import pathlib, time\nwhile not pathlib.Path({str(sent)!r}).exists(): time.sleep(0.02)"
    addresses = ("--otlp-grpc", grpc, "--otlp-http", free_address())
    command = [PROGRAM, "run", "-r", folder / "scoring.yaml", *addresses, "--", sys.executable, "-c", waiting]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment())
    wait_until(lambda: connects((host, int(port))), "listener")
    subprocess.run(scoring(), env=environment(env), check=True, timeout=30)
    sent.touch()
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0, out
    assert b"8 in 4 traces" in out


def connects(address: tuple[str, int]) -> bool:
    with socket.socket() as client:
        return client.connect_ex(address) == 0


def test_spans_of_a_service_that_outlives_the_command_are_waited_for(folder: Path) -> None:
    """The command starts a service and ends; the service is done a moment after the quiet time."""
    later = f"import subprocess, time; time.sleep(0.8); subprocess.run({list(scoring())!r})"
    detach = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {later!r}], start_new_session=True)"
    text = RULES.replace("idle: 1s, at_most: 3s", "idle: 3s")
    (folder / "patient.yaml").write_text(text, encoding="utf-8")
    done = run(folder / "patient.yaml", command=(sys.executable, "-c", detach))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 in 4 traces" in done.stdout


def test_spans_of_other_runs_are_left_out_and_named(folder: Path) -> None:
    command = f"""
import sys; sys.path[:0] = {sys.path!r}
from scenarios import scorer
with scorer.services(**{{"test.suite.run.id": "somebody-elses"}}) as made:
    scorer.score(2, slow=2, made=made)
with scorer.services(first=1000) as made:
    scorer.score(3, made=made)
"""
    done = run(
        folder / "scoring.yaml", command=(sys.executable, "-c", command), env={"OTEL_TRACES_SAMPLER": "always_on"}
    )
    assert done.returncode == 0, done.stdout
    assert "6 in 3 traces" in done.stdout
    assert done.stderr == "spanverdict: spans of other runs came and were not judged: somebody-elses\n"


def test_a_verdict_that_cannot_be_kept_ends_the_run_and_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> bool:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(Store, "conclude_all", full)
    done = run(folder / "scoring.yaml", command=scoring())
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.splitlines()[-1] == "spanverdict: the run could not be judged: the disk is full"


SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def test_a_failure_is_sent_signed_and_a_pass_is_not(folder: Path) -> None:
    with HookServer() as hooks:
        options = ("--webhook", hooks.url, "--webhook-secret-env", "SECRET", "--label", "branch=main")
        run(folder / "scoring.yaml", *options, command=scoring(), env={"SECRET": SECRET})
        assert hooks.hooks == []
        done = run(folder / "scoring.yaml", *options, command=scoring("--slow", "1"), env={"SECRET": SECRET})
        assert (done.returncode, done.stderr) == (1, "")
        (hook,) = hooks.hooks
    message = Webhook(SECRET).verify(hook.body, hook.headers)
    assert (message["version"], message["status"]) == ("4", "firing")
    (alert,) = message["alerts"]
    assert alert["labels"]["alertname"] == "fast"
    assert alert["labels"]["branch"] == "main"
    assert SECRET not in done.stdout + done.stderr


def test_a_webhook_that_cannot_be_delivered_is_said_and_changes_no_exit_code(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spanverdict.app.runcommand._DRAIN_S", 1.0)
    gone = f"http://{free_address()}/hook"
    done = run(folder / "scoring.yaml", "--webhook", gone, command=scoring("--slow", "1"))
    assert done.returncode == 1
    assert "spanverdict: webhook webhook-1 was not delivered:" in done.stderr


@pytest.fixture
def waiting(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run whose command waits for a signal, and says when it does."""
    command = (sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()")
    process = subprocess.Popen(
        [PROGRAM, "run", "-r", folder / "scoring.yaml", "--", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_an_interrupt_ends_the_command_and_gives_130(waiting: subprocess.Popen[bytes]) -> None:
    waiting.send_signal(signal.SIGINT)
    out, err = waiting.communicate(timeout=20)
    assert (waiting.returncode, out) == (130, b"")
    assert err.splitlines()[-1] == b"spanverdict: interrupted"


def test_sigterm_is_passed_on_to_the_command(waiting: subprocess.Popen[bytes]) -> None:
    waiting.send_signal(signal.SIGTERM)
    out, err = waiting.communicate(timeout=20)
    assert waiting.returncode == 143, err
    assert b"scoring" in out


def test_the_store_that_was_asked_for_keeps_the_run_and_no_run_is_mixed_with_another(folder: Path) -> None:
    store = folder / "runs.sqlite"
    options = ("--store", store, "-o", "json")
    first = json.loads(run(folder / "scoring.yaml", *options, "--run-id", "first", command=scoring()).stdout)
    again = json.loads(run(folder / "scoring.yaml", *options, "--run-id", "second", command=scoring()).stdout)
    assert (first["run"]["spans"], again["run"]["spans"]) == (8, 8)
    done = run(folder / "scoring.yaml", "--store", store, "--run-id", "first", command=scoring())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"spanverdict: {store} holds a run first already; choose another --run-id\n"


def test_on_a_terminal_the_wait_shows_how_far_it_is_and_leaves_no_trace(folder: Path) -> None:
    ours, theirs = pty.openpty()
    env = environment({"TERM": "xterm", "COLUMNS": "120"})
    command = [PROGRAM, "run", "-r", folder / "scoring.yaml", "--requests", "5", "--", *scoring("--lost", "1")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=env)
    os.close(theirs)
    shown = read_all(ours)
    assert process.wait(30) == 1
    line = r"waiting: 4 of 5 requests, 7 spans, 2 of 2 stages, missing ingest \(1\) score \(2\), \ds left"
    assert re.search(line, shown)
    assert shown.endswith("\r\x1b[K")


def test_in_ci_the_wait_is_silent(folder: Path) -> None:
    ours, theirs = pty.openpty()
    command = [PROGRAM, "run", "-r", folder / "scoring.yaml", "--", *scoring("--lost", "1")]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=theirs, env=environment({"TERM": "xterm", "CI": "true"})
    )
    os.close(theirs)
    assert read_all(ours) == ""
    assert process.wait(30) == 1


def test_help_teaches() -> None:
    text = tell("run", "--help").stdout
    assert "spanverdict run --rules rules/flow.yaml -o text -o junit=report.xml -- pytest tests/e2e" in text
    whole = tell("--help").stdout
    for line in ("0  passed", "1  a rule failed", "4  no data, incomplete or inconclusive", "130  interrupted"):
        assert line in whole
