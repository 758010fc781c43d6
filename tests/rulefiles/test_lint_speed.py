"""Reading rules stays cheap: a large file takes little time, and what judging needs is not imported."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from spanverdict.rulefiles.lint import lint

RULE = """\
  - id: rule-{number}
    latency: {{from: score.end, to: notify.start}}
    where: '{{ span.smoke = true && resource.service.name =~ "score.*" }}'
    expect: {{p95: "< {number}ms", p99: "< 5s", samples: ">= 100"}}
    tags: [smoke]
    annotations: {{summary: "Slow", runbook_url: "https://runbooks.example/{number}"}}
"""
HEAD = """\
version: 1
flow: large
stages:
  - {stage: score, select: {service: scorer}}
  - {stage: notify, select: '{ resource.service.name = "ledger" && span:kind = consumer }'}
rules:
"""
NOT_NEEDED = ("numpy", "pydantic", "rich", "grpc", "starlette", "httpx", "opentelemetry", "google.protobuf", "sqlite3")


def large_file(directory: Path, rules: int = 300) -> Path:
    path = directory / "large.yaml"
    path.write_text(HEAD + "".join(RULE.format(number=number) for number in range(1, rules + 1)))
    return path


def test_three_hundred_rules_are_linted_from_a_cold_start(tmp_path: Path) -> None:
    """Bounds the processor time of a whole new interpreter; a loaded machine does not change it much."""
    program = (
        "import sys, time; from spanverdict.rulefiles.lint import lint; found = lint([sys.argv[1]]);"
        "print(len(found), time.process_time(), *(name for name in sys.argv[2:] if name in sys.modules))"
    )
    spent = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", program, str(large_file(tmp_path)), *NOT_NEEDED],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        mistakes, seconds, *imported = done.stdout.split()
        assert (mistakes, imported) == ("0", [])
        spent.append(float(seconds))
    assert min(spent) < 0.4


def test_a_hostile_file_of_nothing_but_mistakes_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_text(HEAD + "".join(f"  - {{ltency{number}: 1}}\n" for number in range(20_000)))
    before = time.process_time()
    assert lint([str(path)])
    assert time.process_time() - before < 15
