"""Bytes that nobody meant to send: decoders, readers of rules and the masker only ever refuse them by design."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from fuzz.targets import TARGETS, examples, mutations
from soaking import Progress

SECONDS = int(os.environ.get("SPANVERDICT_FUZZ_SECONDS", "600"))
ONE_PROCESS_S = 180
"""Atheris never lets go of what instrumented code has compared, arrays too: 15 KB an execution where spans are scanned."""
COUNTS = {
    "decoder": 4000,
    "scanner": 400,
    "json_reader": 6000,
    "rule_file": 1500,
    "selector": 6000,
    "masker": 4000,
    "limiter": 4000,
    "http1": 4000,
    "http2": 4000,
    "header_blocks": 6000,
    "gzip_body": 6000,
    "segment": 100,
    "walker": 150,
}


@pytest.mark.parametrize("name", TARGETS)
def test_changed_bytes_are_read_right_or_refused_by_design(name: str) -> None:
    for number, data in enumerate(mutations(name, 1, COUNTS[name])):
        try:
            TARGETS[name](data)
        except Exception as error:
            raise AssertionError(f"{name}, number {number}: {data!r}") from error


@pytest.mark.parametrize("name", TARGETS)
def test_what_fuzzing_starts_from_is_right(name: str) -> None:
    for data in examples(name):
        TARGETS[name](data)


@pytest.mark.soak
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not installed: pip install --group fuzz")
@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize("name", TARGETS)
def test_bytes_that_follow_the_coverage_of_our_code(name: str, tmp_path: Path, progress: Progress) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, data in enumerate(examples(name)):
        (corpus / str(number)).write_bytes(data)
    executed = 0
    for began in range(0, SECONDS, ONE_PROCESS_S):
        executed += _fuzz_for(name, min(ONE_PROCESS_S, SECONDS - began), corpus, progress)
    print(name, executed)
    assert executed


def _fuzz_for(name: str, seconds: int, corpus: Path, progress: Progress) -> int:
    """Go on from a corpus, which grows, and return how often the target was executed."""
    folder = corpus.parent
    program = Path(__file__).with_name("coverage_guided.py")
    options = [f"-max_total_time={seconds}", "-max_len=4096", "-timeout=30", "-print_final_stats=1", str(corpus)]
    said = folder / "said"
    with said.open("wb") as stream:
        fuzzing = subprocess.Popen(
            [sys.executable, str(program), name, *options], stdout=stream, stderr=stream, cwd=folder
        )
        while fuzzing.poll() is None:
            progress.say(_last_line(said))
            with suppress(subprocess.TimeoutExpired):
                fuzzing.wait(5)
    log = said.read_text("utf-8", "replace")
    found = [path.read_bytes() for path in folder.glob("*-*") if path.is_file()]  # crash-…, timeout-…, oom-…
    assert fuzzing.returncode == 0, f"{name}: {found}\n{log[-8000:]}"
    counts = [line.split()[-1] for line in log.splitlines() if "number_of_executed_units" in line]
    return sum(map(int, counts))


def _last_line(said: Path) -> str:
    """Return the last line that says something of a log that is being written."""
    return next((line for line in reversed(said.read_text("utf-8", "replace").splitlines()) if line.strip()), "begun")
