"""Spanverdict watched by OpenTelemetry: its own spans go where OTEL_* points, unless that is itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo_runs import Collector, collecting
from scenarios.stories import SCORER, call, free_address, serving, wait_until

pytestmark = pytest.mark.story


def own(collector: Collector) -> set[str]:
    return {span.name for span in list(collector.spans) if span.service == "spanverdict"}


STEPS = {"receive", "decode", "journal", "associate", "judge"}


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_servers_own_spans_are_exported_elsewhere(tmp_path: Path, rules: Path, protocol: str) -> None:
    with collecting() as collector:
        url = collector.grpc_url if protocol == "grpc" else collector.http_url
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        with serving(tmp_path, "--rules", str(rules), env=env) as server:
            server.play("r", 2)
            assert server.verdict("r")["outcome"] == "passed"
            wait_until(lambda: own(collector) >= STEPS, f"{STEPS - own(collector)}")
            assert server.stop() == 0
    assert {span.transport for span in collector.spans} == {protocol.split("/", maxsplit=1)[0]}
    (judged,) = [span for span in collector.spans if span.name == "judge"]
    assert judged.attributes["test.suite.run.id"] == "r"
    parents = {span.id: span.name for span in collector.spans}
    assert {parents.get(span.parent) for span in collector.spans if span.name == "decode"} == {"receive"}


def test_another_spanverdict_can_be_who_watches(tmp_path: Path, rules: Path) -> None:
    watching, watched = tmp_path / "watching", tmp_path / "watched"
    watching.mkdir()
    watched.mkdir()
    with serving(watching) as watcher:
        endpoint = f"http://{watcher.addresses['otlp-http']}"
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
        with serving(watched, "--rules", str(rules), env=env) as server:
            server.play("r", 1)
            server.verdict("r")
            assert server.stop() == 0
        wait_until(lambda: watcher.metric("untagged_spans") >= len(STEPS), "spans of the other server")
        assert watcher.metric("discarded_total", signal="metrics") > 0


def test_what_it_says_of_itself_never_becomes_what_it_judges(tmp_path: Path, rules: Path) -> None:
    address = free_address()
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://localhost:{address.split(':')[1]}", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with serving(tmp_path, "--rules", str(rules), "--otlp-grpc", address, env=env) as server:
        server.play("r", 1, protocol="grpc")
        server.verdict("r")
        assert server.metric("spans_accepted_total") == 2
        assert server.stop() == 0


def test_a_run_exports_its_own_spans_where_the_environment_pointed_before(rules: Path) -> None:
    """The command exports to the private receiver, Spanverdict itself to the team's collector."""
    with collecting() as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.http_url, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
        done = call(
            "run", "--rules", rules, "--", *SCORER, "--requests", "2", env=env | {"OTEL_METRICS_EXPORTER": "none"}
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert own(collector) >= STEPS
    assert {span.service for span in collector.spans} == {"spanverdict"}


def test_a_collector_that_is_not_there_costs_a_moment_and_no_verdict(rules: Path) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{free_address()}", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    done = call("run", "--rules", rules, "--", *SCORER, "--requests", "2", env=env)
    assert done.returncode == 0
    assert "PASSED  scoring" in done.stdout
