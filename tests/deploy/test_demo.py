"""The demo runs as separate processes, its traces have the shapes it promises, and each fault is really in them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable

import pytest

from demo_runs import DEMO, REQUESTS, RUN_ID, Played, collecting, demo_environment

LOST = REQUESTS // 25

Play = Callable[[str], Played]


def processed(run: Played) -> set[str]:
    return {span.attributes["request.id"] for span in run.of("process decisions")}


def test_every_payment_is_answered_and_booked(play: Play) -> None:
    run = play("none")
    assert run.code == 0, run.said
    assert f"{REQUESTS} of {REQUESTS} payments were answered" in run.said
    assert f"the ledger booked {REQUESTS}" in run.said
    assert len(run.said.splitlines()) == 2, "two lines and no warnings"


def test_each_stage_has_its_spans(play: Play) -> None:
    counts = Counter((span.service, span.name, span.kind) for span in play("none").spans)
    assert counts["gateway", "POST /payments", "SERVER"] == REQUESTS
    assert counts["features", "get_online_features", "INTERNAL"] == 2 * REQUESTS
    assert counts["scorer", "predict", "INTERNAL"] == REQUESTS
    assert counts["gateway", "publish decisions", "PRODUCER"] == REQUESTS
    assert counts["ledger", "process decisions", "CONSUMER"] == REQUESTS


def test_a_stage_selector_matches_nothing_but_its_stage(play: Play) -> None:
    """`{service, kind}` is all that the rules say of ingest, publish and notify."""
    of = Counter((span.service, span.kind) for span in play("none").spans)
    assert of["gateway", "SERVER"] == of["gateway", "PRODUCER"] == of["ledger", "CONSUMER"] == REQUESTS


def test_both_protocols_are_spoken(play: Play) -> None:
    spoken = {(span.service, span.transport) for span in play("none").spans}
    assert spoken == {("gateway", "grpc"), ("ledger", "grpc"), ("features", "http"), ("scorer", "http")}


def test_the_run_id_is_known_to_some_services_only(play: Play) -> None:
    known = {(span.service, span.run_id) for span in play("none").spans}
    assert known == {("gateway", RUN_ID), ("scorer", RUN_ID), ("features", None), ("ledger", None)}


def test_http_calls_carry_the_trace_from_gateway_to_both_services(play: Play) -> None:
    services = defaultdict(set)
    for span in play("none").spans:
        services[span.trace].add(span.service)
    assert Counter(map(frozenset, services.values()))[frozenset({"gateway", "features", "scorer"})] == REQUESTS


def test_the_queue_ends_the_trace_and_links_lead_back(play: Play) -> None:
    """Each message's span links to the span that published that very request, in another trace."""
    run = play("none")
    producers = {(span.trace, span.id): span for span in run.of("publish decisions")}
    for span in run.of("process decisions"):
        (link,) = span.links
        assert producers[link].trace != span.trace
        assert producers[link].attributes["request.id"] == span.attributes["request.id"]
        assert producers[link].attributes["messaging.message.id"] == span.attributes["messaging.message.id"]


def test_a_batch_is_a_root_that_links_to_each_of_its_producers(play: Play) -> None:
    run = play("none")
    messages = defaultdict(set)
    for span in run.of("process decisions"):
        messages[span.trace, span.parent].update(span.links)
    for batch in run.of("receive decisions"):
        assert batch.parent == b""
        assert set(batch.links) == messages.pop((batch.trace, batch.id))
        assert batch.attributes["messaging.batch.message_count"] == len(batch.links)
    assert not messages, "every message came in some batch"


def test_batches_hold_several_messages(play: Play) -> None:
    assert max(len(batch.links) for batch in play("none").of("receive decisions")) > 1


def test_health_checks_leave_no_spans(play: Play) -> None:
    assert not [span for span in play("none").spans if "healthz" in str(span.attributes)]


def test_a_healthy_run_is_fresh_and_scores_are_probabilities(play: Play) -> None:
    run = play("none")
    assert all(0 <= span.attributes["score"] <= 1 for span in run.of("predict"))
    assert {span.attributes["label"] for span in run.of("predict")} == {"fraud", "legitimate"}
    assert all(0 < span.attributes["feature_store.feature.age"] < 100 for span in run.of("get_online_features"))


def test_slow_scorer_stalls_one_prediction_in_five(play: Play) -> None:
    run = play("slow-scorer")
    slow = [span for span in run.of("predict") if span.end - span.start > 1_000_000_000]
    assert (run.code, len(slow)) == (0, REQUESTS // 5)


def test_stale_features_are_old_in_one_feature_view_only(play: Play) -> None:
    run = play("stale-features")
    ages = defaultdict(list)
    for span in run.of("get_online_features"):
        ages[span.attributes["feature_store.feature_view.name"]].append(span.attributes["feature_store.feature.age"])
    assert run.code == 0
    assert max(ages["card_activity"]) < 100
    assert min(ages["merchant_profile"]) > 7000


def test_lost_messages_are_published_and_never_booked(play: Play) -> None:
    run = play("lost-messages")
    assert run.code == 0
    assert len(run.of("publish decisions")) == REQUESTS
    assert len(processed(run)) == REQUESTS - LOST
    assert f"the ledger booked {REQUESTS - LOST}" in run.said


def test_wrong_output_leaves_the_range_of_a_probability(play: Play) -> None:
    run = play("wrong-output")
    assert run.code == 0
    assert max(span.attributes["score"] for span in run.of("predict")) > 1
    assert {span.attributes["ml.model.version"] for span in run.of("predict")} == {"2.4.1"}


def test_lost_spans_lose_the_span_and_not_the_work(play: Play) -> None:
    run = play("lost-spans")
    assert run.code == 0
    assert len(run.of("predict")) == REQUESTS - LOST
    assert len(run.of("POST /predict")) == len(processed(run)) == REQUESTS


def refused(**changes: str | None) -> tuple[int, list[str]]:
    """Start the demo in a changed environment; return its exit code and what it said."""
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    for name, value in changes.items():
        environment[name] = value or ""
    done = subprocess.run(
        [sys.executable, str(DEMO / "run.py")], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


def test_an_unknown_fault_is_one_clear_line() -> None:
    code, said = refused(FAULT="slow-scroer")
    assert code == 2
    faults = "none, slow-scorer, stale-features, lost-messages, wrong-output, lost-spans"
    assert said == [f"demo: unknown FAULT 'slow-scroer': choose one of {faults}"]


def test_a_missing_endpoint_is_one_clear_line() -> None:
    code, said = refused(OTEL_EXPORTER_OTLP_ENDPOINT=None)
    assert code == 2
    assert said == ["demo: OTEL_EXPORTER_OTLP_ENDPOINT is not set: start the demo with spanverdict run"]


def test_missing_packages_are_one_clear_line() -> None:
    """An interpreter without site-packages has none of what the services need."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(DEMO)!r}); import run; sys.exit(run.main())"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("demo: missing flask, kombu, ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_service_outlives_the_demo(how: signal.Signals) -> None:
    """However it ends: its services see that it is gone, and go."""
    psutil = pytest.importorskip("psutil")
    with collecting() as collector:
        demo = subprocess.Popen(
            [sys.executable, str(DEMO / "run.py"), "--requests", "100000"],
            env=demo_environment(collector, "none"), stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert demo.stderr is not None
        assert "sending" in demo.stderr.readline()
        services = psutil.Process(demo.pid).children(recursive=True)
        assert len(services) == 4
        demo.send_signal(how)
        demo.wait(timeout=30)
        gone, alive = psutil.wait_procs(services, timeout=30)
        demo.stderr.close()
    assert (len(gone), alive) == (4, [])
