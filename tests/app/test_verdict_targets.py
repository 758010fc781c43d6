"""From `-o` options to reports, and from verdicts to exit codes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from app.followed import flow, requests
from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.verdicts import exit_code, report, spans_in, targets
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.outcomes import Outcome, RunFinished, RunInfo
from spanverdict.reporting.catalogue import Target
from spanverdict.reporting.reporter import ReportOptions

GITHUB = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "summary.md"}
ON_GITHUB = (Target("github", None), Target("markdown", "summary.md", append=True))


@pytest.mark.parametrize(
    ("asked", "environ", "wanted"),
    [
        ([], {}, (Target("text", None),)),
        (["text"], {}, (Target("text", None),)),
        (["json"], {}, (Target("json", None),)),
        (["junit=r.xml"], {}, (Target("text", None), Target("junit", "r.xml"))),
        (["json", "junit=r.xml"], {}, (Target("json", None), Target("junit", "r.xml"))),
        (["text=r.txt"], {}, (Target("text", None), Target("text", "r.txt"))),
        (["text=-"], {}, (Target("text", None),)),
        ([], GITHUB, (Target("text", None), *ON_GITHUB)),
        (["text", "junit=r.xml"], GITHUB, (Target("text", None), Target("junit", "r.xml"), *ON_GITHUB)),
        (["json"], GITHUB, (Target("json", None),)),
    ],
)
def test_what_is_asked_for_and_what_the_surroundings_want(asked, environ, wanted, tmp_path, monkeypatch) -> None:
    """Only text leaves standard output free for annotations: everything else is read by programs."""
    monkeypatch.chdir(tmp_path)
    assert targets(asked, environ) == wanted


@pytest.mark.parametrize(
    "asked",
    [["yaml"], ["json="], ["json", "text"], ["json", "json"], ["a=x"], ["json=x", "tap=x"], ["json=no/x"], ["tap=."]],
)
def test_what_cannot_be_done_is_refused_before_anything_is_done(asked, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError) as error:
        targets(asked, {})
    assert error.value.code is ExitCode.USAGE
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("outcome", "complete", "code"),
    [
        (Outcome.PASSED, True, 0),
        (Outcome.PASSED, False, 4),
        (Outcome.FAILED, True, 1),
        (Outcome.FAILED, False, 1),
        (Outcome.INCONCLUSIVE, True, 4),
        (Outcome.SKIPPED, True, 4),
        (Outcome.ERRORED, True, 5),
    ],
)
def test_the_exit_code_of_a_verdict(outcome, complete, code) -> None:
    assert int(exit_code(RunFinished(outcome, complete))) == code


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_a_code_and_only_a_complete_pass_is_nought(outcome) -> None:
    for complete in (True, False):
        assert (exit_code(RunFinished(outcome, complete)) == 0) == (outcome is Outcome.PASSED and complete)


def test_all_reports_get_all_events(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = list(evaluate([flow()], requests(1, 2), RunInfo("r")))
    summary = tmp_path / "summary.md"
    summary.write_text("before\n", encoding="utf-8")
    wanted = (
        Target("text", None),
        Target("json", str(tmp_path / "r.json")),
        Target("markdown", str(summary), append=True),
    )
    assert report(events, wanted, ReportOptions()) is ExitCode.PASSED
    assert "PASSED  scoring  run r" in capsys.readouterr().out
    assert (tmp_path / "r.json").read_text(encoding="utf-8").startswith("{")
    assert summary.read_text(encoding="utf-8").startswith("before\n")
    assert spans_in(events) == 4


def test_a_report_that_cannot_be_written_after_all_is_one_line(tmp_path: Path) -> None:
    events = list(evaluate([flow()], requests(1), RunInfo("r")))
    with pytest.raises(CommandError, match="a report cannot be written") as error:
        report(events, (Target("json", str(tmp_path / "gone" / "r.json")),), ReportOptions())
    assert error.value.code is ExitCode.INTERNAL


def test_a_full_disk_is_one_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    events = list(evaluate([flow()], requests(1), RunInfo("r")))
    full = io.TextIOWrapper(open("/dev/full", "wb", buffering=0))  # noqa: PTH123, SIM115 - closed with the stream
    monkeypatch.setattr("sys.stdout", full)
    with pytest.raises(CommandError, match="No space left on device"):
        report(events, (Target("text", None),), ReportOptions())
    monkeypatch.undo()
    full.detach().close()
