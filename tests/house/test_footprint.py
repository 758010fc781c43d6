"""What is short stays quick: it loads nothing that it does not need, which can be counted without a clock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

JUDGING = "numpy", "re2", "spanverdict.evaluation", "spanverdict.paths"
WIRES = "grpc", "uvicorn", "starlette", "httpx", "sqlite3", "google.protobuf", "ssl", "asyncio"
OTHERS = "pydantic", "rich", "opentelemetry", "logging"


def loaded_by(*arguments: str) -> set[str]:
    """Return the modules that a command loads, from a new interpreter."""
    program = (
        "import atexit, os, sys; from spanverdict.cli import main;"
        "atexit.register(lambda: os.write(2, '\\n'.join(sys.modules).encode())); main()"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return set(done.stderr.decode().splitlines())


def test_the_help_loads_neither_what_judges_nor_what_receives_nor_what_reads_rules() -> None:
    loaded = loaded_by("--help")
    assert loaded & {*JUDGING, *WIRES, *OTHERS, "yaml", "fractions", "spanverdict.rulefiles"} == set()
    assert "click" in loaded


def test_lint_loads_neither_what_judges_nor_what_receives_nor_other_commands() -> None:
    loaded = loaded_by("lint", "deploy/demo/scoring.yaml")
    assert loaded & {*JUDGING, *WIRES, *OTHERS, "spanverdict.cli.judging", "spanverdict.cli.looking"} == set()
    assert "spanverdict.rulefiles" in loaded


@pytest.mark.parametrize(
    "case",
    ["http/slow-payments", "http/lost-spans", "messaging/backlog", "messaging/lost-messages", "genai/poor-answers"],
)
def test_judging_loads_no_masked_arrays_and_none_of_the_servers_libraries(case: str) -> None:
    pack, name = case.split("/")
    loaded = loaded_by("check", f"rules/{pack}/flow.yaml", "--input", f"rules/{pack}/traces/{name}.json")
    assert loaded & {"numpy.ma", "pydantic", "grpc", "uvicorn", "starlette", "httpx", "rich"} == set()
    assert "spanverdict.evaluation.engine" in loaded


def test_an_idle_server_has_loaded_nothing_that_only_some_servers_need(tmp_path: Path) -> None:
    """Each of these takes megabytes: settings that are right, no webhooks, and no telemetry to export need none."""
    program = (
        "import pathlib, sys, threading, time; from spanverdict.cli import main\n"
        "ready, modules = map(pathlib.Path, sys.argv[1:3]); sys.argv[1:3] = []\n"
        "def tell():\n"
        "    while not ready.exists(): time.sleep(0.01)\n"
        "    modules.write_text('\\n'.join(sys.modules)); import os, signal; os.kill(os.getpid(), signal.SIGTERM)\n"
        "threading.Thread(target=tell, daemon=True).start(); main()"
    )
    ready, modules = tmp_path / "ready", tmp_path / "modules"
    listeners = [f"--{name}=127.0.0.1:0" for name in ("otlp-grpc", "otlp-http", "http")]
    options = [*listeners, f"--store={tmp_path / 'store'}", f"--ready-file={ready}", "--rules=deploy/demo/scoring.yaml"]
    command = [sys.executable, "-c", program, str(ready), str(modules), "serve", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60)
    loaded = set(modules.read_text().splitlines())
    unneeded = {"pydantic", "numpy.ma", "numpy.random", "httpx", "rich", "opentelemetry.sdk", "tomllib", "grpc"}
    assert loaded & unneeded == set(), done.stderr
    assert {"spanverdict.receiver.grpc_server", "uvicorn", "spanverdict.app.judge"} <= loaded
