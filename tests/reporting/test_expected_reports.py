"""Every format on every story, against the exact output kept in `expected/`.

`UPDATE_EXPECTED=1 pytest tests/reporting/test_expected_reports.py` writes the files anew; look at
the difference before keeping it. In CI nothing is written.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from reporting.streams import STREAMS
from spanverdict.reporting.catalogue import REPORTERS
from spanverdict.reporting.reporter import ReportOptions

EXPECTED = Path(__file__).parent / "expected"
ENDINGS = {
    "text": "txt",
    "json": "json",
    "jsonl": "jsonl",
    "junit": "xml",
    "github": "github.txt",
    "markdown": "md",
    "tap": "tap",
    "ctrf": "ctrf.json",
}
# whole stories in the formats people gate on; the others show one good, one bad and one cut-off run
STORIES = [
    (name, story)
    for name in ENDINGS
    for story in STREAMS
    if name in {"text", "json", "junit"} or story in {"passed", "failed", "incomplete"}
]
UPDATING = bool(os.environ.get("UPDATE_EXPECTED")) and os.environ.get("CI") != "true"


def written(name, events, options=None):
    out = io.StringIO()
    reporter = REPORTERS[name](out, options or ReportOptions(version="0.1.0"))
    for event in events:
        reporter.consume(event)
    return out.getvalue()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for variable in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize(("name", "story"), STORIES)
def test_a_report_reads_exactly_as_kept(name, story):
    """Proves that no report changes its wording or shape unnoticed."""
    path = EXPECTED / f"{story}.{ENDINGS[name]}"
    report = written(name, STREAMS[story])
    if UPDATING:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(report.encode())
    assert report.encode() == path.read_bytes()


def test_every_format_has_kept_output():
    """Proves that a new format cannot be registered without a story that shows it."""
    assert set(ENDINGS) == set(REPORTERS)


def test_no_kept_file_is_left_over():
    """Proves that every kept file is still compared with something."""
    assert {path.name for path in EXPECTED.iterdir()} == {f"{story}.{ENDINGS[name]}" for name, story in STORIES}


def test_quiet_shows_only_what_is_not_passed():
    """Proves that --quiet keeps failures and the closing line and drops the rest."""
    lines = written("text", STREAMS["failed"], ReportOptions(quiet=True)).splitlines()
    assert not [line for line in lines if line.startswith("PASSED")]
    assert sum(line.startswith("FAILED") for line in lines) == 4 + 1


def test_quiet_on_a_good_run_is_only_the_closing_block():
    """Proves that a flow with nothing to say is not even named in a heading."""
    report = written("text", STREAMS["passed"], ReportOptions(quiet=True))
    assert report.startswith("run        gh-123\n")
    assert report.endswith("PASSED  fraud-scoring  run gh-123  7 passed  (200 requests, 1,640 spans)\n")
