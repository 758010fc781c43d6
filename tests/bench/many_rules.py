"""As many rules as asked for over the run of `bench_judging.py`: every measure, every kind of selector.

The first fifty are all different in what they look at. After these they come again with other limits, other values
and other names, as in a file that grew over years.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, islice, pairwise
from typing import Final

_STAGES: Final = ("ingest", "features", "score", "publish", "notify")
_TIMES: Final = ("extent", "each", "sum", "busy", "self")
_MOMENTS: Final = ("ingest.start", "features.end", "score.start", "score.end", "publish.end", "notify.start")


def rule_lines(number: int) -> Iterator[str]:
    """Yield rules as YAML, without end: `number` of them is what a bench takes."""
    yield from islice(_all_rules(), number)


def _all_rules() -> Iterator[str]:
    for turn in count():
        for place, rule in enumerate(_fifty(turn)):
            yield f"  - id: rule-{turn}-{place}\n    " + rule


def _fifty(turn: int) -> Sequence[str]:
    return [*_latencies(turn), *_counts(turn), *_ratios(turn), *_structures(turn), *_values(turn), *_wholes(turn)]


def _latencies(turn: int) -> list[str]:
    """Sixteen: every stage in a way of its own, between moments, whole requests, and the critical path."""
    limit = 400 + turn
    stages = [f"latency: {{stage: {stage}, of: {of}}}" for stage, of in zip(_STAGES, _TIMES, strict=True)]
    between = [f"latency: {{from: {a}, to: {b}}}" for a, b in pairwise(_MOMENTS)]
    whole = [
        f"latency: request\n    where: '{{ span.key.{n} = \"value {n % 3} {(n + turn) % 20}\" }}'" for n in range(2, 6)
    ]
    timed = [f'{what}\n    expect: {{p95: "< {limit}ms", max: "< 60s"}}' for what in (*stages, *between, *whole)]
    paths = [
        f'latency: {{critical_path: {of}}}\n    expect: {{p95: "<= {80 + turn % 20}%"}}' for of in ("score", "queue")
    ]
    return [*timed, *paths]


def _counts(turn: int) -> list[str]:
    """Nine: of the run and per request, by strings, numbers, patterns and durations."""
    selectors = (
        "span:status = error",
        f'span.key.3 = "value 0 {turn % 20}"',
        f'span.key.4 =~ "value 1 1{turn % 10}?"',
        f"span:duration > {200 + turn}ms",
        'resource.service.name = "gateway" && span:kind = client',
        f'span.score > 0.{900 + turn % 90} || span:name = "redis GET"',
    )
    run = [f"count: '{{ {text} }}'\n    expect: {{count: \"<= 9999999\"}}" for text in selectors]
    per = [
        f"count: {{of: '{{ {text} }}', per: request}}\n    expect: {{max: \"<= 4\"}}"
        for text in ("span:kind = client", 'span:name = "predict"', f'span.key.5 = "value 2 {turn % 20}"')
    ]
    return [*run, *per]


def _ratios(turn: int) -> list[str]:
    pairs = (
        ("span.cache.hit = true", "span.cache.hit != nil"),
        (f'span.model.version = "v{1 + turn % 2}"', "span.model.version != nil"),
        ("span:status != error", "span:duration > 1ms"),
        (f'span.key.6 != "value 0 {turn % 20}"', "span.key.6 != nil"),
    )
    return [
        f"ratio: {{of: '{{ {of} }}', over: '{{ {over} }}'}}\n    expect: {{ratio: \">= 10%\"}}" for of, over in pairs
    ]


def _structures(turn: int) -> list[str]:
    selectors = (
        '{ resource.service.name = "gateway" } >> { span:name = "redis GET" }',
        '{ span:name = "POST predict" } > { resource.service.name = "scorer" }',
        f'{{ span:name = "predict" }} ~ {{ span.key.7 = "value 1 {turn % 20}" }}',
        f"{{ span:kind = client }} | count() > {1 + turn % 2}",
    )
    return [f"count: '{text}'\n    expect: {{count: \"<= 9999999\"}}" for text in selectors]


def _values(turn: int) -> list[str]:
    """Nine: what spans carry."""
    return [
        f'output: {{stage: score, value: span.score}}\n    expect: {{every: "0..{1 + turn}"}}',
        f'attribute: {{stage: score, value: span.score}}\n    expect: {{p50: "< {0.9 + turn}"}}',
        f'attribute: {{stage: score, value: span.score}}\n    per: span.model.version\n    expect: {{max: "< {1 + turn}"}}',
        f'freshness: {{stage: features, age: span.feature.age, unit: s}}\n    expect: {{p95: "< {60 + turn}s"}}',
        f'freshness: {{stage: features, age: span.feature.age, unit: s}}\n    per: span.feature.view\n    expect: {{max: "< {5 + turn}m"}}',
        f'coverage: {{stages: [score], attributes: [span.score]}}\n    expect: {{ratio: ">= {90 + turn % 10}%"}}',
        f'coverage: {{stages: [ingest, notify], attributes: [span.request.id]}}\n    expect: {{ratio: ">= {90 + turn % 10}%"}}',
        'coverage: {stages: all, attributes: [resource.service.name]}\n    expect: {ratio: ">= 99%"}',
        f'latency: {{stage: score, of: extent}}\n    confidence: 9{turn % 9}%\n    expect: {{p99: "< 300ms"}}',
    ]


def _wholes(turn: int) -> list[str]:
    """Eight: the run as a whole, order, and statistics of every kind."""
    return [
        'order: all\n    expect: {ratio: ">= 99%"}',
        'order: [ingest, score, notify]\n    expect: {ratio: ">= 99%"}',
        f"throughput: '{{ span:kind = consumer }}'\n    expect: {{rate: \">= {1 + turn}\"}}",
        f'throughput: \'{{ span:name = "predict" }}\'\n    expect: {{rate: ">= {1 + turn}"}}',
        f'latency: request\n    expect: {{p50: "< 200ms", p95: "< 400ms", p99: "< {500 + turn}ms", mean: "< 1s", stddev: "< 1s"}}',
        f'latency: request\n    where: \'{{ span.model.version = "v1" }}\'\n    expect: {{p99: "< {500 + turn}ms"}}',
        f'latency: request\n    per: span.key.1\n    expect: {{p99: "< {500 + turn}ms"}}',
        f"count: {{of: '{{ span:kind = client }}', per: request}}\n    where: '{{ span.model.version = \"v2\" }}'\n    expect: {{max: \"<= {4 + turn}\"}}",
    ]
