"""`spanverdict check`: recorded traces with no server, and the verdicts of a server."""

from __future__ import annotations

import gzip
import json
import os
import pty
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scenarios.recorded import payload
from scenarios.stories import (
    PROGRAM,
    RULES,
    Server,
    as_expected,
    call,
    environment,
    free_address,
    read_all,
    serving,
    tell,
)
from spanverdict.otlp.jsonexport import protobuf_to_json

pytestmark = pytest.mark.story


@pytest.fixture
def folder(rules: Path) -> Path:
    return rules.parent


def write(folder: Path, name: str, *payloads: bytes) -> Path:
    """Write payloads in the format that the name tells."""
    path = folder / name
    plain = name.removesuffix(".gz")
    if plain.endswith(".pb"):
        data = payloads[0] if len(payloads) == 1 else b"".join(len(p).to_bytes(4, "big") + p for p in payloads)
    else:
        data = "".join(protobuf_to_json(one) + "\n" for one in payloads).encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


FORMATS = ["traces.json", "traces.jsonl", "traces.pb", "traces.json.gz", "traces.jsonl.gz", "traces.pb.gz"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_of_any_format_gives_the_same_verdict(folder: Path, name: str) -> None:
    pieces = (payload("gh-1", 1, 2), payload("gh-1", 3, slow=3))
    write(folder, name, *(pieces if "jsonl" in name or ".pb" in name else (b"".join(pieces),)))
    done = tell("check", "scoring.yaml", "--input", name, cwd=folder)
    assert (done.returncode, done.stderr) == (1, "")
    as_expected("check-failed.txt", done.stdout)


def test_standard_input_is_read(folder: Path) -> None:
    text = protobuf_to_json(payload("gh-1", 1, 2)).encode()
    done = tell("check", folder / "scoring.yaml", "--input", "-", given=text)
    assert done.returncode == 0
    assert "4 in 2 traces" in done.stdout


def test_several_files_are_one_input_and_resends_count_once(folder: Path) -> None:
    one, two = write(folder, "a.pb", payload("gh-1", 1)), write(folder, "b.jsonl", payload("gh-1", 1, 2))
    done = tell("check", folder / "scoring.yaml", "-i", one, "-i", two)
    assert done.returncode == 0
    assert "4 in 2 traces" in done.stdout


def test_of_several_runs_one_has_to_be_named(folder: Path) -> None:
    path = write(folder, "traces.jsonl", payload("gh-1", 1), payload("gh-2", 2, 3))
    done = tell("check", folder / "scoring.yaml", "--input", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "spanverdict: the input holds 2 runs: gh-1, gh-2; choose one with --run\n"
    chosen = tell("check", folder / "scoring.yaml", "--input", path, "--run", "gh-2")
    assert chosen.returncode == 0
    assert "4 in 2 traces" in chosen.stdout
    gone = tell("check", folder / "scoring.yaml", "--input", path, "--run", "gh-3")
    assert (gone.returncode, gone.stdout) == (4, "")
    assert gone.stderr == "spanverdict: the input holds no span of run gh-3; it holds gh-1, gh-2\n"


def test_spans_without_any_run_id_are_one_run(folder: Path) -> None:
    path = write(folder, "traces.jsonl", payload(None, 1), payload(None, 2))
    done = tell("check", folder / "scoring.yaml", "--input", path)
    assert done.returncode == 0
    assert "run        input" in done.stdout


def test_an_expected_number_of_requests_is_held_against_the_file(folder: Path) -> None:
    path = write(folder, "traces.jsonl", payload("gh-1", 1, 2))
    done = tell("check", folder / "scoring.yaml", "--input", path, "--requests", "3")
    assert done.returncode == 1
    assert "2 of 3 expected" in done.stdout


def test_a_broken_line_is_named(folder: Path) -> None:
    path = write(folder, "traces.jsonl", payload("gh-1", 1), payload("gh-1", 2))
    path.write_text(path.read_text(encoding="utf-8") + '{"resourceSpans": [oops]}\n', encoding="utf-8")
    done = tell("check", "scoring.yaml", "--input", "traces.jsonl", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("spanverdict: traces.jsonl:3: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("missing.jsonl", None),
        ("metrics-only.json", b'{"something": 1}'),
        ("cut.pb.gz", gzip.compress(b"x" * 1000, mtime=0)[:-9]),
        ("noise.pb", b"\x0a\xff\xff"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(folder: Path, name: str, data: bytes | None) -> None:
    if data is not None:
        (folder / name).write_bytes(data)
    done = tell("check", "scoring.yaml", "--input", name, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"spanverdict: {name}")


@pytest.mark.parametrize("data", [b"", b'{"resourceSpans": []}'])
def test_a_file_without_spans_has_no_verdict(folder: Path, data: bytes) -> None:
    (folder / "empty.json").write_bytes(data)
    done = tell("check", "scoring.yaml", "--input", "empty.json", cwd=folder)
    assert done.returncode == 4
    assert done.stderr == "spanverdict: there are no spans in empty.json\n"


def test_a_reader_that_goes_away_is_no_error(folder: Path) -> None:
    write(folder, "traces.jsonl", payload("gh-1", *range(1, 200)))
    command = (
        f"{PROGRAM} check scoring.yaml --input traces.jsonl -o json | head -c 10 >/dev/null; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout.strip(), done.stderr) == ("0", "")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "give --input FILE, --server URL, or --store PATH, one of them"),
        (["--input", "x", "--server", "http://x", "--run", "r"], "one of them"),
        (["--server", "http://x"], "--server needs --run ID"),
        (["--server", "http://x", "--run", "not an id"], "a run id has 1 to 128 letters"),
        (["--server", "http://x", "--run", "r", "--wait", "60"], "--wait"),
        (["--input", "x", "-o", "yaml"], "there is no report format 'yaml'"),
        (["--input", "x", "-o", "junit="], "names no file"),
        (["--input", "x", "-o", "json", "-o", "tap"], "only one report can go to standard output"),
        (["--input", "x", "-o", "junit=a", "-o", "tap=a"], "two reports cannot go to the same file a"),
        (["--input", "x", "-o", "junit=nowhere/report.xml"], "report file nowhere/report.xml cannot be written"),
        (["--input", "x", "-o", "junit=."], "report file . is a directory"),
        (["--input", "x", "--tags", "nobody"], "no rule carries the tag nobody"),
        (["--input", "x", "--requests", "0"], "--requests"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_done(folder: Path, options: list[str], words: str) -> None:
    done = tell("check", "scoring.yaml", *options, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checked")
    (folder / "scoring.yaml").write_text(RULES, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    with serving(home, "--rules", str(home / "scoring.yaml")) as server:
        yield server


def check(server: Server, home: Path, run: str, *options: str | Path) -> object:
    return tell("check", home / "scoring.yaml", "--server", server.url, "--run", run, *options)


def test_the_verdict_of_a_server_is_waited_for_and_exited_by(server: Server, home: Path) -> None:
    server.play("gh/1:good", 3)
    server.play("gh-bad", 3, first=1000, slow=1)
    good = tell("check", home / "scoring.yaml", "--server", server.url + "/", "--run", "gh/1:good", "--wait", "30s")
    assert (good.returncode, good.stderr) == (0, "")
    assert "PASSED  scoring  run gh/1:good  3 passed" in good.stdout
    bad = call("check", home / "scoring.yaml", "--server", server.url, "--run", "gh-bad", "--wait", "30s", "-o", "json")
    assert bad.returncode == 1
    assert json.loads(bad.stdout) == server.verdict("gh-bad")["verdict"]


def test_the_wait_ends_the_moment_there_is_a_verdict(server: Server, home: Path) -> None:
    """It is one long request: the check hears of the verdict in the middle of its wait."""
    server.declare("gh-waited", expected_requests=2)
    done: list[object] = []
    options = ("--server", server.url, "--run", "gh-waited", "--wait", "50s")
    waiter = threading.Thread(target=lambda: done.append(call("check", home / "scoring.yaml", *options)))
    waiter.start()
    server.play("gh-waited", 2, first=2000)
    waiter.join(30)
    assert not waiter.is_alive()
    assert [told.returncode for told in done] == [0]  # type: ignore[attr-defined]


def test_a_run_without_verdict_or_without_anything_is_no_data(server: Server, home: Path) -> None:
    unknown = tell("check", home / "scoring.yaml", "--server", server.url, "--run", "nobody", "--wait", "100ms")
    assert (unknown.returncode, unknown.stdout) == (4, "")
    url = f"{server.url}/api/v1/runs/nobody"
    assert unknown.stderr == f"spanverdict: the server knows no such run: {url}\n"
    server.declare("gh-open")
    still_open = tell("check", home / "scoring.yaml", "--server", server.url, "--run", "gh-open", "--wait", "100ms")
    assert (still_open.returncode, still_open.stderr) == (4, "spanverdict: run gh-open has no verdict within 0.1s\n")
    at_once = tell("check", home / "scoring.yaml", "--server", server.url, "--run", "gh-open")
    assert at_once.stderr == "spanverdict: run gh-open has no verdict yet\n"


def test_on_a_terminal_the_wait_for_a_server_shows_how_far_the_run_is(tmp_path: Path) -> None:
    rules = tmp_path / "patient.yaml"
    rules.write_text(RULES.replace("at_most: 3s", "at_most: 5m"), encoding="utf-8")
    with serving(tmp_path, "--rules", rules) as server:
        server.declare("gh-watched", expected_requests=5)
        server.play("gh-watched", 2, first=5000)
        ours, theirs = pty.openpty()
        env = environment({"TERM": "xterm", "COLUMNS": "120"})
        options = ("--server", server.url, "--run", "gh-watched", "--wait", "1500ms")
        process = subprocess.Popen([PROGRAM, "check", rules, *options], stderr=theirs, env=env)
        os.close(theirs)
        shown = read_all(ours)
        assert process.wait(30) == 4
    assert "waiting: 2 of 5 requests, 4 spans, 2 of 2 stages, missing ingest (3) score (3), " in shown
    assert shown.endswith("\r\x1b[Kspanverdict: run gh-watched has no verdict within 1.5s\r\n")


def test_a_server_that_is_not_there_is_tried_until_the_time_is_over(home: Path) -> None:
    url = f"http://{free_address()}"
    done = tell("check", home / "scoring.yaml", "--server", url, "--run", "r", "--wait", "600ms")
    assert done.returncode == 4
    assert done.stderr.startswith(f"spanverdict: {url}/api/v1/runs/r cannot be reached: ")


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://x", "http://[", "http://"])
def test_what_is_no_address_of_a_server_is_said_at_once(home: Path, url: str) -> None:
    done = tell("check", home / "scoring.yaml", "--server", url, "--run", "r", "--wait", "30s")
    assert done.returncode == 2
    assert "no address of a server" in done.stderr


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"state": "judged", "verdict": null}', b'{"state": "judged"}'])
def test_something_that_is_no_spanverdict_is_said(home: Path, body: bytes) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as foreign:
        thread = threading.Thread(target=foreign.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{foreign.server_port}"
        done = tell("check", home / "scoring.yaml", "--server", url, "--run", "r")
        foreign.shutdown()
        thread.join()
    assert done.returncode in (4, 5)
    assert url in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_tags_choose_among_the_rules_that_the_server_judged(server: Server, home: Path) -> None:
    server.play("gh-tags", 4, first=3000, outside=1)
    server.verdict("gh-tags")
    tagged = tell("check", home / "scoring.yaml", "--server", server.url, "--run", "gh-tags", "--tags", "speed")
    assert tagged.returncode == 0
    assert "1 passed" in tagged.stdout
    whole = tell("check", home / "scoring.yaml", "--server", server.url, "--run", "gh-tags")
    assert whole.returncode == 1


def test_another_version_of_the_rule_file_is_told_and_rules_that_the_server_lacks_are_no_pass(
    server: Server, home: Path, tmp_path: Path
) -> None:
    server.play("gh-version", 2, first=4000)
    server.verdict("gh-version")
    newer = tmp_path / "scoring.yaml"
    newer.write_text(RULES.replace("< 200ms", "< 1ms"), encoding="utf-8")
    done = tell("check", newer, "--server", server.url, "--run", "gh-version")
    assert done.returncode == 0
    assert done.stderr == f"spanverdict: {server.url} judged with another version of {newer}\n"
    newer.write_text(RULES.replace("id: range", "id: new-rule"), encoding="utf-8")
    lacking = tell("check", newer, "--server", server.url, "--run", "gh-version")
    assert lacking.returncode == 4
    assert lacking.stderr == (f"spanverdict: {server.url} judged with another version of {newer}, without: new-rule\n")
    newer.write_text(RULES.replace("flow: scoring", "flow: elsewhere"), encoding="utf-8")
    other = tell("check", newer, "--server", server.url, "--run", "gh-version")
    assert other.returncode == 4
    assert "flow elsewhere did not judge this run" in other.stderr
    assert "judged by: scoring" in other.stderr
