"""Rules with `confidence` through `check`: sure, surely not, and how many more requests would tell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scenarios.recorded import payload
from scenarios.stories import tell
from spanverdict.otlp.jsonexport import protobuf_to_json

pytestmark = pytest.mark.story

FLOW = """
version: 1
flow: sure
stages:
  - stage: ingest
    select: {service: gateway}
rules:
  - id: fast
    latency: {stage: ingest}
    confidence: 95%
    expect: {p90: "< 200ms"}
  - id: nearly-all
    ratio: {of: '{ resource.service.name = "gateway" && span:duration < 200ms }', over: {service: gateway}}
    confidence: 95%
    expect: {ratio: ">= 98%"}
"""


@pytest.mark.parametrize(
    ("requests", "slow", "code", "said"),
    [
        (200, 0, 0, "ratio = 100 % (>= 98%, 95 % CI 98.17–100 %)"),  # noqa: RUF001 - as it is written
        (100, 0, 4, "95 % CI 96.37–100 %, about 190 spans would decide it"),  # noqa: RUF001
        (10, 0, 4, "95 % CI 80ms and more, about 36 requests would decide it"),
        (200, 30, 1, "p90 = 400ms, expected < 200ms"),
    ],
)
def test_the_exit_code_tells_sure_from_perhaps(tmp_path: Path, requests: int, slow: int, code: int, said: str) -> None:
    (tmp_path / "sure.yaml").write_text(FLOW)
    batches = [payload("gh-1", n, slow=n if n <= slow else 0) for n in range(1, requests + 1)]
    (tmp_path / "traces.jsonl").write_text("".join(protobuf_to_json(batch) + "\n" for batch in batches))
    done = tell("check", "sure.yaml", "--input", "traces.jsonl", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (code, "")
    assert said in done.stdout


def test_machines_read_the_interval(tmp_path: Path) -> None:
    (tmp_path / "sure.yaml").write_text(FLOW)
    (tmp_path / "traces.jsonl").write_text(protobuf_to_json(payload("gh-1", *range(1, 201), slow=7)) + "\n")
    done = tell("check", "sure.yaml", "--input", "traces.jsonl", "-o", "json", cwd=tmp_path)
    fast, nearly = (rule["conditions"][0] for rule in json.loads(done.stdout)["rules"])
    assert (fast["observed_low"], fast["observed_high"], fast["level"]) == (80_000_000, 80_000_000, 0.95)
    assert (nearly["observed_value"], nearly["level"]) == (0.995, 0.95)
    assert (nearly["observed_low"], nearly["observed_high"]) == pytest.approx((0.97246, 0.99987), abs=1e-5)
