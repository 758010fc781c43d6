"""Bytes that nobody meant to send: decoders, readers of rules and the masker only ever refuse them by design."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from fuzz.targets import TARGETS, examples, mutations

SECONDS = int(os.environ.get("SPANVERDICT_FUZZ_SECONDS", "900"))
COUNTS = {"decoder": 4000, "scanner": 400, "json_reader": 6000, "rule_file": 1500, "selector": 6000, "masker": 4000}


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
def test_bytes_that_follow_the_coverage_of_our_code(name: str, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, data in enumerate(examples(name)):
        (corpus / str(number)).write_bytes(data)
    program = Path(__file__).with_name("coverage_guided.py")
    options = [f"-max_total_time={SECONDS}", "-max_len=4096", "-timeout=30", "-print_final_stats=1", str(corpus)]
    done = subprocess.run(
        [sys.executable, str(program), name, *options],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        cwd=tmp_path,
    )
    executed = [line for line in done.stderr.splitlines() if "number_of_executed_units" in line]
    logging.getLogger(__name__).info("%s: %s", name, executed)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert executed
