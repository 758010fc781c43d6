"""Asking for reports, what they load, and the order they insist on."""

from __future__ import annotations

import subprocess
import sys

import pytest

from reporting.streams import STREAMS
from spanverdict.reporting.catalogue import REPORTERS, Target, UnknownFormatError, ci_targets, parse_target
from spanverdict.reporting.verdict import BrokenStreamError, gather


@pytest.mark.parametrize(
    ("asked", "target"),
    [
        ("text", Target("text", None)),
        ("text=-", Target("text", None)),
        ("junit=report.xml", Target("junit", "report.xml")),
        ("json=a=b.json", Target("json", "a=b.json")),
    ],
)
def test_a_target_is_a_format_and_perhaps_a_file(asked, target):
    """Proves how `-o` is read, `-` and a further `=` included."""
    assert parse_target(asked) == target


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("junt=report.xml", "did you mean 'junit'"),
        ("zzz", "formats: text, json, jsonl"),
        ("junit=", "names no file"),
        ("", "formats: text"),
    ],
)
def test_a_wrong_target_says_what_would_be_right(asked, said):
    """Proves that a mistake on the command line is one clear line."""
    with pytest.raises(UnknownFormatError, match=said):
        parse_target(asked)


def test_github_gets_its_formats_unasked():
    """Proves that annotations and the step summary come by themselves on GitHub, and nowhere else."""
    assert ci_targets({"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "/tmp/s.md"}) == (
        Target("github", None),
        Target("markdown", "/tmp/s.md", append=True),
    )
    assert ci_targets({"GITHUB_ACTIONS": "true"}) == (Target("github", None),)
    assert ci_targets({"CI": "true"}) == ()


def test_loading_the_formats_loads_nothing_slow():
    """Proves that neither rich nor numpy is imported until somebody looks at a terminal."""
    script = (
        "import sys, spanverdict.reporting.catalogue, spanverdict.reporting.progress;"
        "print([m for m in ('rich', 'numpy', 'jsonschema', 'grpc', 'httpx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", REPORTERS)
def test_no_format_knows_another(name):
    """Proves that a format can be changed or removed without the others."""
    factory = REPORTERS[name]
    others = {other.__module__ for other in REPORTERS.values()} - {factory.__module__}
    loaded = {
        getattr(value, "__module__", None) or getattr(value, "__name__", "") for value in factory.__globals__.values()
    }
    assert not loaded & others


@pytest.mark.parametrize(
    "spoil",
    [
        lambda events: events[1:],
        lambda events: events[:-1],
        lambda events: [*events, events[-1]],
        lambda events: [events[0], *events],
        lambda events: [events[0], events[2], *events[3:]],
        lambda events: [*events[:-2], events[-1]],
        lambda events: [*events[:2], *events[1:]],
    ],
)
def test_events_out_of_order_are_not_made_into_a_verdict(spoil):
    """Proves that a missing or repeated event is noticed and not reported as a whole run."""
    with pytest.raises(BrokenStreamError):
        gather(spoil(list(STREAMS["passed"])))
