"""How soon the verdict comes: from the acknowledgement of the last span that a run needs until it is saved.

    python tests/bench/bench_verdict_latency.py [--requests 200,500,1000] [--repeat 5] [--profile] [--json FILE]

Each measurement is a process of its own, as `spanverdict run` is one: a whole service with its receiver and store, one
run of which the number of requests is known, ten spans and ten attributes a request in two traces, ten rules. Four
services export over OTLP/HTTP in batches of up to 512 spans; the last batch that any request needs is sent when the
others are judged (`quiet`) or right behind them (`busy`). The aim is 100 ms.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status, TracesData

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.bench_judging import flow_of, large_run
from bench.goals import Goal, command, finish
from spanverdict.app.judge import Judge
from spanverdict.app.judgement import Judgement
from spanverdict.app.service import Service, ServiceConfig
from spanverdict.receiver.config import ReceiverConfig
from spanverdict.storage.records import RunDeclaration
from spanverdict.telemetry.identifiers import RUN_ID_ATTRIBUTES
from spanverdict.telemetry.spantable import SpanTable

RUN = "bench-1"
BATCH = 512
QUIET_S = 1.0
PATIENCE_S = 60.0
GOAL_MS = 100
WAYS = ("quiet", "busy")


def payloads(table: SpanTable) -> list[bytes]:
    """Write the spans as requests, in order: as many as one service sends in a row, up to a batch."""
    return [message_of(table, rows).SerializeToString() for rows in batches(table)]


def batches(table: SpanTable) -> list[list[int]]:
    """Return the rows that each request carries."""
    edges = np.flatnonzero(np.diff(table.resource)) + 1
    parts = np.split(np.arange(len(table)), edges)
    return [part[at : at + BATCH].tolist() for part in parts for at in range(0, len(part), BATCH)]


def message_of(table: SpanTable, rows: list[int]) -> TracesData:
    """Write the spans of some rows, all of one resource, as a request."""
    numbers = table.pool.resource_attributes[table.resource[rows[0]]]
    attributes = [attribute for attribute in _attributes(table, numbers) if attribute.key not in RUN_ID_ATTRIBUTES]
    scope = ScopeSpans(scope=InstrumentationScope(name="bench"), spans=[_span(table, row) for row in rows])
    return TracesData(resource_spans=[ResourceSpans(resource=Resource(attributes=attributes), scope_spans=[scope])])


def _attributes(table: SpanTable, numbers: tuple[int, ...] | list[int]) -> list[KeyValue]:
    return [KeyValue.FromString(table.pool.attributes.items_by_id[number]) for number in numbers]


def _span(table: SpanTable, row: int) -> Span:
    pool, links = table.pool, table.links
    parent = int(table.parent_span_id[row])
    return Span(
        trace_id=pool.traces.items_by_id[table.trace[row]],
        span_id=int(table.span_id[row]).to_bytes(8),
        parent_span_id=parent.to_bytes(8) if parent else b"",
        name=pool.string(int(table.name[row])),
        kind=int(table.kind[row]),
        status=Status(code=int(table.status_code[row])),
        start_time_unix_nano=int(table.start_time_unix_nano[row]),
        end_time_unix_nano=int(table.end_time_unix_nano[row]),
        attributes=_attributes(table, table.attributes.row(row).tolist()),
        links=[
            Span.Link(trace_id=pool.traces.items_by_id[links.trace[at]], span_id=int(links.span_id[at]).to_bytes(8))
            for at in range(links.offsets[row], links.offsets[row + 1])
        ],
    )


class Ear:
    """Hears the verdict."""

    def __init__(self) -> None:
        self.heard = threading.Event()
        self.at = 0.0
        self.judgement: Judgement | None = None

    def take(self, judgement: Judgement) -> None:
        self.at, self.judgement = time.perf_counter(), judgement
        self.heard.set()


def measure(n_requests: int, way: str, profile: cProfile.Profile | None = None) -> float:
    """Return the milliseconds from the last acknowledgement to the saved verdict."""
    flow, requests = flow_of(n_requests), payloads(large_run(n_requests))
    ear = Ear()
    if profile is not None:
        _profile_judge(profile)
    with tempfile.TemporaryDirectory() as folder:
        receiver = ReceiverConfig(grpc_address=None, http_address="127.0.0.1:0")
        config = ServiceConfig(store=Path(folder) / "run.sqlite", flows=(flow,), receiver=receiver, only=RUN)
        with Service(config) as service, httpx.Client(timeout=PATIENCE_S) as client:
            service.judged = ear.take
            endpoints = service.start()
            service.declare(RunDeclaration(RUN, n_requests, {}, (flow.name,), takes_untagged=True))
            acknowledged = _send(client, f"http://{endpoints.http}/v1/traces", requests, way)
            if not ear.heard.wait(PATIENCE_S):
                raise TimeoutError("no verdict came")
    assert ear.judgement is not None
    assert ear.judgement.trigger == "manifest", ear.judgement.trigger
    return max(0.0, ear.at - acknowledged) * 1000


def _send(client: httpx.Client, url: str, requests: list[bytes], way: str) -> float:
    """Send everything; return when the last request was acknowledged."""
    for at, request in enumerate(requests):
        if way == "quiet" and at == len(requests) - 1:
            time.sleep(QUIET_S)
        client.post(url, content=request, headers={"Content-Type": "application/x-protobuf"}).raise_for_status()
    return time.perf_counter()


def _profile_judge(profile: cProfile.Profile) -> None:
    """Let every judge that starts from now on work under the profile."""
    work = Judge._work
    Judge._work = lambda judge, *more: profile.runcall(work, judge, *more)  # type: ignore[method-assign]


def _apart(n_requests: int, way: str) -> float:
    """Measure in a process of its own."""
    command = [sys.executable, __file__, "--one", way, "--requests", str(n_requests)]
    return float(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)


def results(sizes: list[int], repeat: int) -> Iterator[dict[str, object]]:
    for n_requests in sizes:
        for way in WAYS:
            times = [_apart(n_requests, way) for _ in range(repeat)]
            yield {
                "requests": n_requests,
                "last batch": way,
                "median_ms": round(statistics.median(times), 1),
                "worst_ms": round(max(times), 1),
            }


def main() -> int:
    parser = command(__doc__)
    parser.add_argument("--requests", default="200,500,1000", help="sizes of runs")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="list where the judge's time goes, of the last size")
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    sizes = [int(size) for size in asked.requests.split(",")]
    if asked.one:
        print(measure(sizes[-1], asked.one))
        return 0
    found = []
    for result in results(sizes, asked.repeat):
        print("   ".join(f"{key} {value}" for key, value in result.items()), flush=True)
        found.append(result)
    if asked.profile:
        profile = cProfile.Profile()
        measure(sizes[-1], "quiet", profile)
        pstats.Stats(profile).sort_stats("cumtime").print_stats(45)
    slowest = max(float(result["median_ms"]) for result in found)
    return finish(asked, found, [Goal("verdict after its last span, median", slowest, GOAL_MS, "ms", at_most=True)])


if __name__ == "__main__":
    sys.exit(main())
