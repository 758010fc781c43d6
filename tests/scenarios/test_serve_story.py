"""`spanverdict serve`: many runs at once, over real sockets, across restarts."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from scenarios import scorer
from scenarios.stories import PROGRAM, RULES, Server, environment, free_address, ports, serving, start, tell, wait_until

pytestmark = pytest.mark.story

OTHER = RULES.replace("flow: scoring", "flow: billing").replace("gateway", "till").replace("scorer", "ledger")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    (folder / "rules").mkdir()
    (folder / "rules" / "scoring.yaml").write_text(RULES, encoding="utf-8")
    (folder / "rules" / "billing.yaml").write_text(OTHER, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    with serving(home, "--rules", str(home / "rules")) as server:
        yield server


def outcomes(found: dict[str, Any]) -> dict[str, str]:
    return {rule["id"]: rule["outcome"] for rule in found["verdict"]["rules"]}


def test_a_run_is_judged_by_the_flows_that_it_begins(server: Server) -> None:
    server.play("gh-1", 3, protocol="grpc", lost=1)
    found = server.verdict("gh-1")
    assert (found["state"], found["outcome"], found["complete"]) == ("judged", "failed", True)
    assert (found["revision"], found["judged_by"]) == (1, ["scoring"])
    assert outcomes(found)["whole"] == "failed"
    assert found["verdict"]["schema_version"] == 1
    assert found["verdict"]["run"]["id"] == "gh-1"


def test_many_runs_at_once_are_kept_apart(server: Server) -> None:
    names = [f"many-{number}" for number in range(8)]

    def play(number: int) -> None:
        protocol = ("grpc", "http")[number % 2]
        server.play(names[number], number + 1, protocol=protocol, first=100_000 * (number + 1), slow=number % 2)

    with ThreadPoolExecutor(4) as clients:
        list(clients.map(play, range(8)))
    for number, name in enumerate(names):
        found = server.verdict(name)
        assert found["verdict"]["run"]["spans"] == 2 * (number + 1)
        assert found["outcome"] == ("failed" if number % 2 else "passed")


def test_a_declared_run_waits_for_its_requests_and_carries_its_labels(server: Server) -> None:
    labels = {"branch": "main", "vcs.ref.head.revision": "abc123", "model.version": "7"}
    answer = server.declare("declared", expected_requests=4, labels=labels, flows=["scoring"])
    assert answer.status_code == 201
    said = answer.json()
    assert (said["state"], said["declared"], said["expected_requests"]) == ("open", True, 4)
    assert (said["labels"], said["flows"], said["outcome"]) == (labels, ["scoring"], None)
    server.play("declared", 2, first=10_000)
    assert server.get("/api/v1/runs/declared", wait="1500ms").json()["state"] == "open", "not judged for silence"
    progress = server.get("/api/v1/runs/declared").json()["progress"]
    assert (progress["requests"], progress["expected_requests"], progress["spans"]) == (2, 4, 4)
    server.play("declared", 2, first=20_000)
    found = server.verdict("declared")
    assert (found["outcome"], found["verdict"]["run"]["labels"]) == ("passed", labels)
    (flow,) = found["verdict"]["flows"]
    assert flow["completeness"]["trigger"] == "manifest"


def test_a_run_that_stays_incomplete_is_given_up_and_says_what_is_missing(server: Server) -> None:
    server.declare("never-whole", expected_requests=3)
    server.play("never-whole", 2, first=30_000, lost=1)
    found = server.verdict("never-whole")
    assert (found["complete"], found["outcome"]) == (False, "failed")
    (flow,) = found["verdict"]["flows"]
    assert flow["completeness"]["trigger"] == "cap"
    assert {m["stage"]: m["requests"] for m in flow["completeness"]["missing_stages"]} == {"ingest": 1, "score": 2}


def test_the_end_of_a_run_brings_its_verdict_and_late_spans_bring_the_next(server: Server) -> None:
    server.declare("ended", labels={"branch": "x"})
    server.play("ended", 2, first=40_000)
    assert server.end("ended").json()["state"] == "ended"
    first = server.verdict("ended")
    assert (first["revision"], first["outcome"]) == (1, "passed")
    assert first["verdict"]["flows"][0]["completeness"]["trigger"] == "run end"
    server.play("ended", 1, first=50_000, slow=1)
    second = server.verdict("ended")
    assert (second["revision"], second["outcome"], second["verdict"]["run"]["spans"]) == (2, "failed", 6)
    assert second["verdict"]["run"]["revision"] == 2


def test_what_is_sent_again_is_no_news(server: Server) -> None:
    server.play("resent", 2, first=60_000)
    assert server.verdict("resent")["revision"] == 1
    server.play("resent", 2, first=60_000)
    assert server.verdict("resent")["revision"] == 1


def test_more_requests_expected_after_a_verdict_are_missed(server: Server) -> None:
    """The number comes last, as from a client that counts what it sends: nothing stays green by that."""
    server.play("late-word", 2, first=70_000)
    assert server.verdict("late-word")["outcome"] == "passed"
    assert server.declare("late-word", expected_requests=3).json()["state"] == "open"
    again = server.verdict("late-word")
    assert (again["revision"], again["outcome"], again["complete"]) == (2, "failed", False)


def test_untagged_traces_belong_to_the_run_that_was_declared_with_them(server: Server) -> None:
    trace = f"{(0xFACE << 112) + 80_001:032x}"
    server.declare("by-trace", traces=[trace.upper()])
    server.play(None, 2, first=80_000)
    found = server.verdict("by-trace")
    assert found["verdict"]["run"]["spans"] == 2
    assert found["verdict"]["association"]["spans_by_reason"] == {"registered": 2}
    assert found["verdict"]["association"]["untagged_spans"] >= 2
    assert server.metric("untagged_spans") >= 2
    assert server.metric("judged_spans_total", reason="registered") >= 2


def test_a_run_that_no_flow_matches_is_unjudged_and_never_passed(server: Server) -> None:
    before = server.metric("unjudged_runs_total")
    with scorer.services(server.exporter("http"), 90_000, **{"test.suite.run.id": "foreign"}) as made:
        span = made[1].get_tracer("x").start_span("something else", start_time=scorer.START)
        span.end(scorer.START + 1)
    wait_until(lambda: server.end("foreign").status_code == 200, "run")
    found = server.verdict("foreign")
    assert (found["state"], found["outcome"], found["judged_by"]) == ("unjudged", "inconclusive", [])
    assert server.metric("unjudged_runs_total") == before + 1
    listed = {run["id"]: run["state"] for run in server.get("/api/v1/runs", limit="500").json()["runs"]}
    assert listed["foreign"] == "unjudged"


def test_runs_are_listed_newest_first_page_by_page(server: Server) -> None:
    for number in range(5):
        server.declare(f"page-{number}")
    first = server.get("/api/v1/runs", limit="3").json()
    assert [run["id"] for run in first["runs"]] == ["page-4", "page-3", "page-2"]
    second = server.get("/api/v1/runs", limit="2", before=first["next"]).json()
    assert [run["id"] for run in second["runs"]] == ["page-1", "page-0"]


def test_an_id_that_can_name_no_run_is_told(server: Server) -> None:
    before = server.metric("invalid_run_ids_total")
    server.play("nightly run 7", 1, first=120_000)
    assert server.metric("invalid_run_ids_total") > before
    assert server.said().count("'nightly run 7' cannot name a run") == 1


SAMPLE = re.compile(r'^spanverdict_[a-z_]+(\{[a-z_]+="[^"\n]*"(,[a-z_]+="[^"\n]*")*\})? -?[0-9.e+-]+$')


def test_metrics_are_what_prometheus_reads(server: Server) -> None:
    server.play("measured", 1, first=110_000)
    server.verdict("measured")
    answer = server.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families: dict[str, str] = {}
    for line in answer.text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            families[name] = kind
        elif not line.startswith("# HELP "):
            assert SAMPLE.match(line), line
            assert re.split(r"[{ ]", line)[0] in families
    assert families["spanverdict_spans_accepted_total"] == "counter"
    assert server.metric("spans_accepted_total") > 0
    assert server.metric("verdicts_total", outcome="passed") > 0
    assert server.metric("store_writable") == 1
    assert [server.metric("decoding_process", way=way) for way in ("none", "interpreted", "compiled")] == [1, 0, 0]
    assert server.metric("journal_bytes") > 0
    assert server.metric("stored_runs", state="judged") > 0
    assert 10_000_000 < server.metric("process_resident_memory_bytes") < 2_000_000_000
    assert server.metric("process_open_fds") > 3


def test_health_and_readiness(server: Server) -> None:
    assert (server.get("/healthz").status_code, server.get("/healthz").text) == (200, "ok\n")
    assert (server.get("/readyz").status_code, server.get("/readyz").text) == (200, "ready\n")


def test_a_flag_beats_the_environment_which_beats_the_file(tmp_path: Path, rules: Path) -> None:
    in_file, in_environment, in_flag = free_address(), free_address(), free_address()
    config = tmp_path / "serve.yaml"
    config.write_text(
        f"rules: [{rules}]\notlp_grpc: {in_file}\notlp_http: {in_file}\nhttp: {in_file}\nstore: {tmp_path}/file.sqlite\n",
        encoding="utf-8",
    )
    env = {"SPANVERDICT_OTLP_HTTP": in_environment, "SPANVERDICT_HTTP": in_environment, "SPANVERDICT_OTLP_GRPC": ""}
    ready = tmp_path / "ready"
    command = [PROGRAM, "serve", "--config", str(config), "--http", in_flag, "--ready-file", str(ready)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment(env))
    try:
        wait_until(ready.exists, "ready file")
        assert ready.read_text(encoding="utf-8") == f"otlp-http {in_environment}\nhttp {in_flag}\n"
        assert (tmp_path / "file.sqlite").exists()
    finally:
        process.terminate()
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert f"spanverdict: listening: http {in_flag}\n".encode() in said
    assert not ready.exists()


def test_a_restart_keeps_runs_and_verdicts_and_finishes_what_was_not_judged(tmp_path: Path, rules: Path) -> None:
    with serving(tmp_path, "--rules", str(rules)) as server:
        server.play("finished", 2, slow=1)
        before = server.verdict("finished")
        server.declare("unfinished", expected_requests=3, labels={"branch": "main"})
        server.play("unfinished", 2, first=1000)
        server.play(None, 1, first=5000)
        assert server.stop() == 0
    with serving(tmp_path, "--rules", str(rules)) as server:
        again = server.get("/api/v1/runs/finished").json()
        assert {**again, "progress": None} == {**before, "progress": None}
        server.play("unfinished", 1, first=2000)
        found = server.verdict("unfinished")
        assert (found["outcome"], found["verdict"]["run"]["spans"]) == ("passed", 6)
        assert found["labels"] == {"branch": "main"}
        assert server.verdict("finished")["revision"] == 1
        with scorer.services(server.exporter("http"), 9000, **{"test.suite.run.id": "adopts"}) as made:
            link = made[0].get_tracer("x").start_span("POST /score", links=[_linked(5001)])
            link.end()
        assert server.verdict("adopts")["verdict"]["run"]["spans"] == 3, "what waited untagged is still there"


def _linked(number: int) -> Any:
    from opentelemetry.trace import Link, SpanContext

    return Link(SpanContext((0xFACE << 112) + number, number + 1, is_remote=True))


def test_sigterm_drains_what_was_accepted_and_lets_nobody_wait(tmp_path: Path, rules: Path) -> None:
    with serving(tmp_path, "--rules", str(rules)) as server:
        server.declare("waited", expected_requests=9)
        host, port = server.addresses["http"].split(":")
        with socket.create_connection((host, int(port)), timeout=20) as waiting:
            waiting.sendall(b"GET /api/v1/runs/waited?wait=200s HTTP/1.1\r\nHost: x\r\n\r\n")
            assert server.get("/healthz").status_code == 200
            server.play("waited", 1)
            begun = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - begun < 10
            assert waiting.recv(100).startswith(b"HTTP/1.1 200 ")
    with serving(tmp_path, "--rules", str(rules)) as server:
        wait_until(lambda: (server.get("/api/v1/runs/waited").json()["progress"] or {}).get("spans") == 2, "its spans")


@pytest.mark.parametrize("after", [0.0, 0.1, 0.25])
def test_sigterm_while_it_starts_ends_it(tmp_path: Path, rules: Path, after: float) -> None:
    """At whatever point it comes: it ends soon, and quietly."""
    command = [PROGRAM, "serve", *ports(), "--store", str(tmp_path / "s.sqlite"), "--rules", str(rules)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment())
    threading.Event().wait(after)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode in (0, -signal.SIGTERM)
    assert b"Traceback" not in said


def test_without_rules_it_receives_and_keeps(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.declare("kept")
        server.play("kept", 1)
        server.end("kept")
        assert server.verdict("kept")["state"] == "unjudged"
        assert server.declare("x", flows=["scoring"]).json() == {
            "error": "there is no flow 'scoring'; the flows are none"
        }


def test_what_a_store_holds_is_judged_when_rules_come(tmp_path: Path, rules: Path) -> None:
    with serving(tmp_path, "--rules", str(rules)) as server:
        server.declare("r", expected_requests=5)
        server.play("r", 2)
        server.kill()
    with serving(tmp_path, "--rules", str(rules)) as server:
        assert server.get("/api/v1/runs/r").json()["expected_requests"] == 5
        server.end("r")
        found = server.verdict("r")
        assert (found["outcome"], found["verdict"]["run"]["spans"]) == ("failed", 4)


BAD = {
    "a port in use": (["--http", "{taken}"], 5, "{taken}"),
    "an OTLP port in use": (["--otlp-http", "{taken}"], 5, "{taken}"),
    "a gRPC port in use": (["--otlp-grpc", "{taken}"], 5, "{taken}"),
    "an address of another machine": (["--http", "192.0.2.1:80", "--allow-public"], 5, "192.0.2.1:80"),
    "no address": (["--http", "8080"], 2, "'8080' is no address"),
    "a public address": (["--http", "0.0.0.0:0"], 2, "0.0.0.0:0"),
    "a public receiver": (["--otlp-grpc", "0.0.0.0:0"], 2, "0.0.0.0:0"),
    "a store that is a directory": (["--store", "{tmp}"], 5, "{tmp} as the store: it is a directory"),
    "a store that cannot be written": (
        ["--store", "/sys/s.sqlite"],
        5,
        "/sys/s.sqlite as the store: Permission denied",
    ),
    "a store nowhere": (["--store", "{tmp}/no/s.db"], 5, "{tmp}/no/s.db as the store"),
    "a store that is none": (["--store", "{text}"], 5, "{text} as the store: file is not a database"),
    "a store of a later release": (["--store", "{newer}"], 5, "{newer} as the store: its schema version is 999"),
    "a store of something else": (["--store", "{foreign}"], 5, "it is a database of another program"),
    "rules that are not there": (["--rules", "{tmp}/none.yaml"], 2, "{tmp}/none.yaml"),
    "no configuration": (["--config", "{tmp}/none.yaml"], 2, "cannot read the configuration {tmp}/none.yaml"),
    "an unknown setting": (["--config", "{unknown}"], 2, "{unknown}:2:1: there is no setting htpp"),
    "a wrong setting": (["--config", "{wrong}"], 2, "{wrong}:1:"),
    "broken YAML": (["--config", "{broken}"], 2, "{broken}:1:"),
    "a webhook without address": (["--config", "{hook}"], 2, "{hook}:2:5: "),
    "a secret that is not there": (["--config", "{secret}"], 2, "cannot read the secret file /nowhere/secret"),
    "a malformed secret": (["--config", "{malformed}"], 2, "SECRET"),
    "a token file that is not there": (["--config", "{tokens}"], 2, "/nowhere/tokens"),
    "a ready file nowhere": (["--ready-file", "{tmp}/no/ready"], 2, "cannot write the ready file {tmp}/no/ready"),
}
"""Arguments, exit code, and what the message says."""

CONFIGS = {
    "unknown": "store: x\nhtpp: 127.0.0.1:0\n",
    "wrong": "allow_public: [maybe]\n",
    "broken": "rules: [a\n",
    "hook": "webhooks:\n  - name: ops\n",
    "secret": "webhooks:\n  - {name: ops, url: https://x.example, secret_file: /nowhere/secret}\n",
    "malformed": "webhooks:\n  - {name: ops, url: https://x.example, secret_env: SECRET}\n",
    "tokens": "token_file: /nowhere/tokens\n",
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    import sqlite3

    tmp = tmp_path_factory.mktemp("bad")
    found = {name: str(tmp / f"{name}.yaml") for name in CONFIGS}
    for name, text in CONFIGS.items():
        Path(found[name]).write_text(text, encoding="utf-8")
    (tmp / "text.db").write_text("no database at all, however one looks at it\n" * 99, encoding="utf-8")
    for name, pragma in (
        ("newer", f"application_id={0x53505644}; PRAGMA user_version=999"),
        ("foreign", "user_version=1"),
    ):
        with sqlite3.connect(tmp / f"{name}.db") as connection:
            connection.executescript(f"CREATE TABLE t (x); PRAGMA {pragma};")
        connection.close()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        more = {"text": str(tmp / "text.db"), "newer": str(tmp / "newer.db"), "foreign": str(tmp / "foreign.db")}
        yield found | more | {"tmp": str(tmp), "taken": address}


@pytest.mark.parametrize("case", BAD)
def test_a_server_that_cannot_start_says_so_on_one_line(case: str, places: dict[str, str], tmp_path: Path) -> None:
    options, code, words = BAD[case]
    given = [option.format(**places) for option in options]
    env = {"SECRET": "whsec_not-base64!"}
    done = tell("serve", *ports(), "--store", tmp_path / "s.sqlite", *given, env=env)
    assert done.returncode == code, done.stderr
    assert words.format(**places) in done.stderr
    said = [line for line in done.stderr.splitlines() if not line.startswith("spanverdict: listening:")]
    assert len(said) == 1 or "  hint" in done.stderr or "error[" in done.stderr, done.stderr
    assert "not-base64" not in done.stderr


@pytest.mark.parametrize(
    "case",
    [
        "a port in use",
        "no address",
        "a store that is none",
        "rules that are not there",
        "an unknown setting",
        "broken YAML",
    ],
)
def test_where_logs_are_json_so_is_why_a_server_cannot_start(case: str, places: dict[str, str], tmp_path: Path) -> None:
    options, code, words = BAD[case]
    given = [option.format(**places) for option in options]
    done = tell("serve", *ports(), "--store", tmp_path / "s.sqlite", *given, env={"SPANVERDICT_LOG_FORMAT": "json"})
    assert done.returncode == code, done.stderr
    records = [json.loads(line) for line in done.stderr.splitlines()]
    assert words.format(**places) in "\n".join(record["message"] for record in records)
    assert records[-1]["level"] == "error"


def test_where_logs_are_json_so_are_mistakes_in_rule_files(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("version: 1\nflow: f\nstage: []\n", encoding="utf-8")
    done = tell("serve", *ports(), "--store", tmp_path / "s.sqlite", "--rules", wrong, "--log-format", "json")
    assert done.returncode == 2
    told = [json.loads(line)["message"] for line in done.stderr.splitlines()]
    assert any(text.startswith(f"{wrong}:3:1: ") and text.endswith("]") for text in told)
    assert told[-1] == "the rule files have mistakes; nothing was judged"


def test_a_second_server_on_the_same_ports_does_not_disturb_the_first(server: Server, tmp_path: Path) -> None:
    address = server.addresses["otlp-grpc"]
    done = tell("serve", *ports(), "--otlp-grpc", address, "--store", tmp_path / "s.sqlite")
    assert (done.returncode, address in done.stderr) == (5, True)
    server.play("undisturbed", 1, protocol="grpc", first=120_000)
    assert server.verdict("undisturbed")["outcome"] == "passed"


def test_it_listens_within_a_second_of_processor_time(tmp_path: Path, rules: Path) -> None:
    server = start(tmp_path, "--rules", str(rules))
    try:
        import psutil

        times = psutil.Process(server.process.pid).cpu_times()
        assert times.user + times.system < 1.5
    finally:
        server.close()


def test_the_verdict_in_the_api_is_the_json_report(server: Server, home: Path) -> None:
    server.play("same", 2, first=130_000)
    found = server.verdict("same")
    options = ("--server", server.url, "--run", "same", "-o", "json")
    done = tell("check", home / "rules" / "scoring.yaml", *options)
    assert json.loads(done.stdout) == found["verdict"]
