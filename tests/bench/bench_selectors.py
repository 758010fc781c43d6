"""Speed of selectors: how many are read a second, and how long one takes over a million spans.

    python tests/bench/bench_selectors.py [--spans 1000000] [--check] [--json FILE]

With `--check` the exit code is 1 when a goal is missed: 10,000 selectors read a second, none of them seen
before, and 100 ms for the structural selector over a million spans on one core, columns loaded.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.goals import Goal, command, finish
from spantables import attribute_ids, new_pool
from spanverdict.paths.forest import grow
from spanverdict.selectors import Spans, parse
from spanverdict.telemetry.spantable import Ragged, SpanTable

STRUCTURAL = '{ resource.service.name = "a" && span.http.response.status_code >= 500 } >> { span:duration > 100ms }'
OTHERS = (
    "{ span:status = error } | by(resource.service.name) | count() > 1",
    "{ } | avg(span:duration) > 20ms",
    "{ span.http.response.status_code * 2 > 800 || span:name =~ `op-[0-4]` }",
    "{ span:duration > 100ms } && { span:status = error }",
    "{ parent.resource.service.name != resource.service.name }",
)
SPANS_A_TRACE = 20
PARSE_TARGET = 10_000
MASK_TARGET = 0.1


def million(count: int) -> SpanTable:
    """Build traces of 20 spans: random trees, 5 services, 8 status codes, durations up to 200 ms, rows in no order."""
    random = np.random.default_rng(7)
    pool = new_pool()
    for name in "abcde":
        number = pool.resources[name.encode()]
        pool.resource_attributes.append(attribute_ids(pool, {"service.name": name}))
        assert number == len(pool.resource_attributes) - 1
    names = [pool.strings[f"op-{n}".encode()] for n in range(10)]
    codes = [
        attribute_ids(pool, {"http.response.status_code": code})[0] for code in (200, 201, 301, 400, 404, 500, 502, 503)
    ]
    for n in range(count // SPANS_A_TRACE + 1):
        assert pool.traces[n.to_bytes(16, "big")] == n
    place = np.arange(count) % SPANS_A_TRACE
    above = np.arange(count) - place + (random.random(count) * np.maximum(place, 1)).astype(np.int64)
    start = place * 1_000_000
    zeros = np.zeros(count)
    table = replace(
        SpanTable.empty(pool),
        trace=(np.arange(count) // SPANS_A_TRACE).astype(np.int32),
        span_id=np.arange(1, count + 1).astype(np.uint64),
        parent_span_id=np.where(place > 0, above + 1, 0).astype(np.uint64),
        resource=random.integers(0, 5, count).astype(np.int32),
        scope=zeros.astype(np.int32),
        name=np.array(names, np.int32)[random.integers(0, 10, count)],
        kind=random.integers(1, 6, count).astype(np.int8),
        status_code=(random.random(count) < 0.02).astype(np.int8) * np.int8(2),
        start_time_unix_nano=start,
        end_time_unix_nano=start + random.integers(1, 200_000_000, count),
        attributes=Ragged(np.arange(count + 1), np.array(codes, np.int32)[random.integers(0, 8, count)]),
    )
    order = random.permutation(count)
    plain = ("trace", "span_id", "parent_span_id", "resource", "scope", "name", "kind", "status_code")
    times = ("start_time_unix_nano", "end_time_unix_nano")
    empty = Ragged.empty(count)
    return replace(
        table,
        **{column: getattr(table, column)[order] for column in (*plain, *times)},
        attributes=table.attributes.take(order),
        events=replace(table.events, offsets=empty.offsets),
        links=replace(table.links, offsets=empty.offsets),
        _columns={},
    )


def seconds(run: Callable[[], object], times: int = 7) -> float:
    """Return the median time of some runs, after one that warms up."""
    run()
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def parse_rate(count: int = 5000) -> float:
    """Return selectors read a second, every text a new one."""
    texts = [
        f'{{ resource.service.name = "s{n}" && span.http.response.status_code >= {n} }} >> {{ span:duration > {n}ms }}'
        for n in range(count)
    ]
    begun = time.perf_counter()
    for text in texts:
        parse(text)
    return count / (time.perf_counter() - begun)


def main() -> int:
    options = command(__doc__)
    options.add_argument("--spans", type=int, default=1_000_000)
    asked = options.parse_args()
    rate = parse_rate()
    print(f"read       {rate:10,.0f} selectors/s")
    table = million(asked.spans)
    print(f"grow       {seconds(lambda: grow(table), 1) * 1e3:10.1f} ms for {asked.spans:,} spans")
    spans = Spans.of(table)
    took: dict[str, float] = {}
    for text in itertools.chain([STRUCTURAL], OTHERS):
        selector = parse(text)
        matched = int(selector.mask(spans).sum())
        each = seconds(lambda selector=selector: selector.mask(spans))  # type: ignore[misc]
        took[text] = each
        print(f"mask       {each * 1e3:10.1f} ms, {matched:,} spans   {text}")
    goals = [
        Goal("selectors read", rate, PARSE_TARGET, "/s"),
        Goal(f"structural selector, {asked.spans:,} spans", took[STRUCTURAL], MASK_TARGET, "s", at_most=True),
    ]
    return finish(asked, {"read_per_second": round(rate), "mask_s": took}, goals)


if __name__ == "__main__":
    sys.exit(main())
