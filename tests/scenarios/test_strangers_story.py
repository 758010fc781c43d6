"""A mistyped variable of the environment is told, once, and changes nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.stories import RULES, run, serving
from spanverdict.app.errors import ExitCode

pytestmark = pytest.mark.story

MISTYPED = {"SPANVERDICT_MASKING_SECRET": "false", "SPANVERDICT_HOOK": "whsec_x"}
LINE = "SPANVERDICT_MASKING_SECRET sets nothing; did you mean SPANVERDICT_MASKING_SECRETS?"


def told(tmp_path: Path, *options: str, env: dict[str, str]) -> list[str]:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    done = run(rules, *options, command=("true",), env=env)
    assert done.returncode == ExitCode.NO_VERDICT, done.stderr
    return [line for line in done.stderr.splitlines() if "sets nothing" in line]


def test_run_tells_it_and_goes_on(tmp_path: Path) -> None:
    assert told(tmp_path, env=MISTYPED) == ["spanverdict: SPANVERDICT_HOOK sets nothing", f"spanverdict: {LINE}"]


def test_what_an_option_names_is_none(tmp_path: Path) -> None:
    hook = ("--webhook", "http://127.0.0.1:1/x", "--webhook-secret-env", "SPANVERDICT_HOOK")
    assert not told(tmp_path, *hook, env={"SPANVERDICT_HOOK": "whsec_" + "QUJD" * 11})


def test_serve_tells_it_and_listens(tmp_path: Path) -> None:
    with serving(tmp_path, env=MISTYPED) as server:
        assert server.get("/readyz").status_code == 200
        assert server.said().count(LINE) == 1
