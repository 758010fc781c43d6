"""How long judging a large run takes: spans as columns in, verdict out, on one core.

    python tests/bench/bench_judging.py [--requests 100000] [--rules 10] [--profile] [--json FILE]

Each request has ten spans in two traces, joined by a queue: ten attributes a span, ids, names and times as a
scoring system would send them, in the order in which exporters of four services would deliver them. Ten rules
judge it, one of each kind, or as many others as asked for. With `--profile` the functions that took longest are listed.
"""

from __future__ import annotations

import cProfile
import pstats
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.goals import Goal, command, finish
from bench.many_rules import rule_lines
from spantables import attribute_ids
from spanverdict.app.pages import take_small_pages
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.evaluation.engine import evaluate
from spanverdict.evaluation.outcomes import RuleEvaluated, RunInfo
from spanverdict.otlp.decode import new_pool
from spanverdict.paths.association import associate
from spanverdict.rulefiles.loader import load
from spanverdict.rulefiles.models import Flow
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.spantable import Links, Ragged, SpanTable

RULES = """
version: 1
flow: scoring
stages:
  - stage: ingest
    select: {service: gateway, kind: server}
  - stage: features
    select: {service: features, name: get_online_features}
  - stage: score
    select: '{ resource.service.name = "scorer" && span:name = "predict" }'
  - stage: publish
    select: {service: gateway, kind: producer}
  - stage: notify
    select: {service: ledger, kind: consumer}
request:
  key: span.request.id
complete:
  requests: REQUESTS
rules:
  - id: end-to-end
    latency: request
    expect: {p50: "< 200ms", p95: "< 400ms", p99: "< 500ms", samples: ">= 100"}
  - id: queue-wait
    latency: {from: publish.end, to: notify.start}
    expect: {p99: "< 100ms"}
  - id: score-latency
    latency: {stage: score, of: self}
    expect: {p95: "< 90ms", max: "< 50ms"}
  - id: fresh-features
    freshness: {stage: features, age: span.feature.age, unit: s}
    per: span.feature.view
    expect: {p95: "< 60s", max: "< 5m"}
  - id: whole-path
    coverage: {stages: all, attributes: [resource.service.version]}
    expect: {ratio: ">= 99%"}
  - id: score-range
    output: {stage: score, value: span.score}
    expect: {every: "0..1"}
  - id: no-errors
    count: '{ span:status = error }'
    expect: {count: "<= 100"}
  - id: cache-hits
    ratio: {of: '{ span.cache.hit = true }', over: '{ span.cache.hit != nil }'}
    expect: {ratio: ">= 90%"}
  - id: order
    order: all
    expect: {ratio: ">= 99%"}
  - id: calls
    where: '{ span.model.version = "v1" }'
    count: {of: '{ span:kind = client }', per: request}
    expect: {max: "<= 4"}
"""

SERVICES = ("gateway", "features", "scorer", "ledger")
SPANS = (
    # service, name, kind, parent place (-1: a root), start and duration in ms
    (0, "POST /score", 2, -1, 0, 150),
    (0, "GET features", 3, 0, 5, 45),
    (1, "get_online_features", 2, 1, 8, 38),
    (1, "redis GET", 3, 2, 10, 20),
    (0, "POST predict", 3, 0, 52, 60),
    (2, "predict", 2, 4, 55, 50),
    (2, "preprocess", 1, 5, 56, 20),
    (0, "publish", 4, 0, 120, 4),
    (3, "process", 5, -1, 150, 25),
    (3, "ledger.write", 3, 8, 155, 15),
)
MS = 1_000_000
EPOCH = 1_760_000_000_000_000_000
N_ATTRIBUTES = 10
GOAL_S = 3.0
"""For a million spans and fifty rules, once it is known which spans are the run's."""


def flow_of(n_requests: int, n_rules: int = 10, rules: str = "") -> Flow:
    """Return the flow with its ten rules, with as many others, or with rules that are given."""
    text = RULES.replace("REQUESTS", str(n_requests))
    if rules or n_rules != text.count("- id:"):
        text = text.partition("rules:\n")[0] + "rules:\n" + (rules or "\n".join(rule_lines(n_rules)))
    problems = Problems()
    flow = load(text, "bench.yaml", problems)
    assert flow is not None, problems.sources
    return flow


def large_run(n_requests: int, seed: int = 1, *, hosts: bool = False) -> SpanTable:
    """Build the run, row by row in order of delivery; each service on a host of its own, if it names any."""
    random = np.random.default_rng(seed)
    width, count = len(SPANS), len(SPANS) * n_requests
    place, request = np.arange(count) % width, np.arange(count) // width
    pool = new_pool()
    columns = [np.array(column) for column in zip(*SPANS, strict=True)]
    service, parent = columns[0][place], columns[3][place].astype(np.int64)
    names = np.array([pool.strings[str(name).encode()] for name in columns[1]], np.int32)
    no_text = pool.strings[b""]
    begin = EPOCH + request * 300_000 + columns[4][place].astype(np.int64) * MS
    start = begin + random.integers(0, 2 * MS, count)
    end = start + (columns[5][place].astype(np.int64) * MS * random.gamma(20, 0.05, count)).astype(np.int64)
    span_id = random.integers(1, 2**63, count, np.uint64)
    row_of_parent = np.arange(count) - place + np.maximum(parent, 0)
    trace = (2 * request + (place >= 8)).astype(np.int32)
    for number in range(2 * n_requests):
        assert pool.traces[random.bytes(16)] == number
    resources = _resources(pool, hosts=hosts)
    scope = _scope(pool)
    publish = np.flatnonzero(place == 7)
    process = place == 8
    links = Links(
        np.concatenate([[0], np.cumsum(process)]).astype(np.int64), trace[publish], span_id[publish],
        np.full(len(publish), no_text, np.int32), np.zeros(len(publish), np.uint32), Ragged.empty(len(publish)),
    )  # fmt: skip
    zeros = np.zeros(count)
    table = replace(
        SpanTable.empty(pool),
        trace=trace,
        span_id=span_id,
        parent_span_id=np.where(parent >= 0, span_id[row_of_parent], 0).astype(np.uint64),
        resource=resources[service],
        scope=np.full(count, scope, np.int32),
        name=names[place],
        kind=columns[2][place].astype(np.int8),
        status_code=np.where(random.random(count) < 1e-5, 2, 0).astype(np.int8),
        status_message=np.full(count, no_text, np.int32),
        trace_state=np.full(count, no_text, np.int32),
        flags=zeros.astype(np.uint32),
        start_time_unix_nano=start,
        end_time_unix_nano=end,
        dropped_attributes=zeros.astype(np.uint32),
        dropped_events=zeros.astype(np.uint32),
        dropped_links=zeros.astype(np.uint32),
        attributes=_attributes(pool, n_requests, random),
        events=replace(SpanTable.empty(pool).events, offsets=np.zeros(count + 1, np.int64)),
        links=links,
        _columns={},
    )
    return table.take(np.lexsort((end, service, end // 500_000_000)))


def _resources(pool: Pool, *, hosts: bool) -> np.ndarray:
    for number, name in enumerate(SERVICES):
        assert pool.resources[name.encode()] == number
        attributes = {"service.name": name, **({"host.name": f"{name}-1"} if hosts else {})}
        tagged = {"service.version": "1.2", "test.suite.run.id": "bench-1"} if number < 3 else {}
        pool.resource_attributes.append(attribute_ids(pool, attributes | tagged))
    return np.arange(len(SERVICES), dtype=np.int32)


def _scope(pool: Pool) -> int:
    pool.scope_attributes.append(())
    pool.scope_names.append((pool.strings[b"bench"], pool.strings[b"1"]))
    return pool.scopes[b"bench"]


def _attributes(pool: Pool, n_requests: int, random: np.random.Generator) -> Ragged:
    """Ten attributes a span; the request's id, the score and a query differ from request to request."""
    width = len(SPANS)
    ids = np.empty((n_requests, width, N_ATTRIBUTES), np.int32)

    def some(key: str, values: list[object]) -> np.ndarray:
        known = np.array([attribute_ids(pool, {key: value})[0] for value in values], np.int32)
        return known[random.integers(0, len(values), n_requests)]

    def each(key: str, values: list[object]) -> np.ndarray:
        return np.array([attribute_ids(pool, {key: value})[0] for value in values], np.int32)

    for number in range(N_ATTRIBUTES):
        for at in range(width):
            ids[:, at, number] = some(f"key.{number}", [f"value {at % 3} {n}" for n in range(20)])
    ids[:, 0, 0] = ids[:, 8, 0] = each("request.id", [f"r{n:08x}" for n in range(n_requests)])
    ids[:, 5, 0] = each("score", random.random(n_requests).tolist())
    ids[:, 3, 0] = each("db.query.text", [f"GET card:{n}" for n in range(n_requests)])
    ids[:, 3, 1] = some("cache.hit", [True] * 19 + [False])
    ids[:, 2, 0] = some("feature.age", [round(age, 3) for age in random.gamma(5, 4, 5000).tolist()])
    ids[:, 2, 1] = some("feature.view", ["card", "merchant", "device"])
    ids[:, 5, 1] = some("model.version", ["v1", "v1", "v2"])
    return Ragged(np.arange(0, ids.size + 1, N_ATTRIBUTES), ids.reshape(-1))


def fresh(table: SpanTable) -> SpanTable:
    """Return the table without any column that was read before."""
    return replace(table, _columns={})


def main() -> int:
    parser = command(__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--rules", type=int, default=10)
    parser.add_argument("--profile", action="store_true", help="list where the time goes")
    asked = parser.parse_args()
    take_small_pages()  # as every command does that judges
    flow, table = flow_of(asked.requests, asked.rules), large_run(asked.requests)
    begun = time.perf_counter()
    found = associate(table)
    associated = time.perf_counter() - begun
    assert len(found.rows_of("bench-1")) == len(table), (
        "all spans belong to the run, those of the ledger by their links"
    )
    profile = cProfile.Profile()
    table = fresh(table)
    run = RunInfo("bench-1")
    cpu, wall = time.process_time(), time.perf_counter()
    if asked.profile:
        profile.enable()
    events = list(evaluate([flow], table, run))
    profile.disable()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    results = [event.result for event in events if isinstance(event, RuleEvaluated)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    result = {"spans": len(table), "requests": asked.requests, "rules": len(flow.rules), "associate_s": round(associated, 3),
              "evaluate_s": round(wall, 3), "cpu_us_per_span": round(cpu / len(table) * 1e6, 3), "peak_mib": peak}  # fmt: skip
    print("\n".join(f"{key:16} {value:>12,}" for key, value in result.items()))
    if asked.profile:
        for found in results:
            print(f"{found.outcome:12} {found.id}: {found.message}")
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
    what = f"{len(table):,} spans judged by {len(flow.rules)} rules"
    return finish(asked, result, [Goal(what, wall, GOAL_S * len(table) / 1e6, "s", at_most=True)])


if __name__ == "__main__":
    sys.exit(main())
