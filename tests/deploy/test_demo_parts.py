"""The demo's parts, one at a time: what its files say of themselves, and what its services start with."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from demo_runs import DEMO

EnvironmentOf = Callable[[str, Mapping[str, str]], dict[str, str]]


@pytest.fixture(scope="module")
def environment_of() -> EnvironmentOf:
    function: EnvironmentOf = runpy.run_path(str(DEMO / "fleet.py"))["environment_of"]
    return function


@pytest.mark.parametrize("file", ["faults.py", "fleet.py", "model.py"])
def test_examples_in_the_code_hold(file: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "doctest", "-v", file], cwd=DEMO, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "Test passed." in done.stdout


def test_services_follow_the_standard_variables_where_one_endpoint_is_all_there_is(
    environment_of: EnvironmentOf,
) -> None:
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    for service in ("gateway", "features", "scorer", "ledger"):
        assert environment_of(service, given).items() >= given.items()


def test_a_shared_service_keeps_all_of_its_resource_but_the_run(environment_of: EnvironmentOf) -> None:
    given = {"OTEL_RESOURCE_ATTRIBUTES": "host.name=h,test.suite.run.id=r,cicd.pipeline.run.id=7,service.namespace=n"}
    assert environment_of("ledger", given)["OTEL_RESOURCE_ATTRIBUTES"] == "host.name=h,service.namespace=n"
    assert environment_of("scorer", given)["OTEL_RESOURCE_ATTRIBUTES"] == given["OTEL_RESOURCE_ATTRIBUTES"]


def test_calls_between_services_never_go_through_a_proxy(environment_of: EnvironmentOf) -> None:
    assert environment_of("gateway", {"NO_PROXY": "internal"})["no_proxy"] == "internal,127.0.0.1,localhost"


def scores(version: str, tmp_path: Path) -> list[float]:
    """Score three very different payments with a released model, in a process that has the demo on its path."""
    program = """
import json, model
released = model.load(%r)
payments = [(5, 0, 100, 0.0, 2000), (80, 3, 90, 0.015, 700), (900, 9, 20, 0.04, 3)]
names = "amount", "payments_last_hour", "mean_amount", "chargeback_rate", "days_active"
print(json.dumps([released.score(dict(zip(names, payment))) for payment in payments]))
"""
    environment = {**os.environ, "PYTHONPATH": str(DEMO)}
    done = subprocess.run(
        [sys.executable, "-c", program % version], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )  # fmt: skip
    found: list[float] = json.loads(done.stdout)
    return found


def test_the_model_tells_harmless_payments_from_suspicious_ones(tmp_path: Path) -> None:
    harmless, ordinary, suspicious = scores("2.4.0", tmp_path)
    assert 0 < harmless < ordinary < 0.5 < suspicious < 1


def test_the_bad_release_differs_by_its_unit_only(tmp_path: Path) -> None:
    assert scores("2.4.1", tmp_path) == pytest.approx([100 * score for score in scores("2.4.0", tmp_path)])
