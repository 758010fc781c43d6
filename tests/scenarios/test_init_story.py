"""`spanverdict init`: a first flow, written from what was seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.stories import as_expected, tell

pytestmark = pytest.mark.story

TRACES = Path(__file__).parents[2] / "rules" / "messaging" / "traces"


def test_a_flow_is_written_lints_clean_and_is_passed(tmp_path: Path) -> None:
    traces = TRACES / "healthy.json"
    done = tell("init", "--input", traces, "-o", "flow.yaml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "flow.yaml is written: read it, and change what it got wrong\n"
    as_expected("init.yaml", (tmp_path / "flow.yaml").read_text(encoding="utf-8"))
    assert tell("lint", "flow.yaml", cwd=tmp_path).returncode == 0
    assert tell("check", "flow.yaml", "--input", traces, cwd=tmp_path).returncode == 0
    slower = tell("check", "flow.yaml", "--input", TRACES / "backlog.json", cwd=tmp_path)
    assert slower.returncode == 1
    assert "FAILED        wait-" in slower.stdout or "FAILED  wait-" in slower.stdout


def test_without_a_file_it_is_printed(tmp_path: Path) -> None:
    done = tell("init", "--input", TRACES / "healthy.json", "--name", "parcels", cwd=tmp_path)
    assert done.returncode == 0
    assert "\nflow: parcels\n" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text("mine", encoding="utf-8")
    done = tell("init", "--input", TRACES / "healthy.json", "-o", "flow.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "spanverdict: flow.yaml is there already; nothing was written\n"
    assert (tmp_path / "flow.yaml").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--input", "empty.json"), 4, "there are no spans to learn from"),
        (("--input", "nowhere.json"), 2, "nowhere.json"),
        ((), 2, "give --input FILE, or --run ID"),
        (("--input", "empty.json", "-o", "nowhere/flow.yaml"), 4, "there are no spans to learn from"),
    ],
)
def test_nothing_seen_is_nothing_written(tmp_path: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    (tmp_path / "empty.json").write_text('{"resourceSpans": []}', encoding="utf-8")
    done = tell("init", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
