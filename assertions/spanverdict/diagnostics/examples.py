"""For every code a mistake and what mends it: `explain` shows them, and tests make sure that they are true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from spanverdict.diagnostics import codes


@dataclass(frozen=True, slots=True)
class Example:
    """A mistake and its mending, in as few words as show it."""

    where: str
    """What the two are: a `rule` without its id, keys of a `flow`, a whole `file`, `lines` of spans, keys of a
    `test`, lines of a `golden` file, or something to `do`."""
    wrong: str
    right: str

    def __str__(self) -> str:
        return f"wrong\n{_indented(self.wrong)}\nright\n{_indented(self.right)}"


def _indented(text: str) -> str:
    return "\n".join(f"  {_visible(line)}" for line in text.rstrip("\n").split("\n"))


def _visible(line: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def _rule(wrong: str, right: str) -> Example:
    return Example("rule", wrong, right)


def _flow(wrong: str, right: str) -> Example:
    return Example("flow", wrong, right)


def _file(wrong: str, right: str) -> Example:
    return Example("file", wrong, right)


def _do(wrong: str, right: str) -> Example:
    return Example("do", wrong, right)


_OUTPUT: Final = "output: {stage: score, value: span.score}\n"
_COVERAGE: Final = "coverage: {stages: all}\n"
_GOLDEN: Final = _OUTPUT + 'expect: {ratio: ">= 99%"}\ngolden: {file: golden.jsonl, '
_LIMIT: Final = "parameters:\n  p95: {type: duration, default: 1s}\n"
_TEST: Final = "name: a slow scorer fails\n"
_SPANS: Final = 'spans: "gateway POST server 0ms..5ms"\n'

EXAMPLES: Final[Mapping[str, Example]] = MappingProxyType(
    {
        codes.FILE_UNREADABLE: _do("spanverdict lint flows.yaml", "spanverdict lint rules/flow.yaml"),
        codes.NOT_UTF8: _do("a file saved as Latin-1", "iconv -f latin1 -t utf-8 flow.yaml > new.yaml"),
        codes.FORBIDDEN_CHARACTER: _file('flow: "a\x07b"', 'flow: "a\\ab"'),
        codes.FILE_TOO_LARGE: _do("one file of 2 MiB", "several files, one a flow"),
        codes.FILE_EMPTY: _file("# to be written", "version: 1\nflow: shop"),
        codes.NO_FILES: _do("spanverdict lint traces/", "spanverdict lint rules/"),
        codes.YAML_SYNTAX: _file('flow: "shop', 'flow: "shop"'),
        codes.TAB_INDENT: _file("labels:\n\tteam: risk", "labels:\n  team: risk"),
        codes.DUPLICATE_KEY: _rule(
            'latency: request\nexpect: {p95: "< 1s", p95: "< 9s"}', 'latency: request\nexpect: {p95: "< 1s"}'
        ),
        codes.TAG: _rule("latency: request\nexpect: {max: !seconds 3}", 'latency: request\nexpect: {max: "< 3s"}'),
        codes.MERGE_KEY: _rule(
            '<<: {severity: info}\nlatency: request\nexpect: {max: "< 3s"}',
            'severity: info\nlatency: request\nexpect: {max: "< 3s"}',
        ),
        codes.ALIAS: _rule("latency: request\nexpect: *limits", 'latency: request\nexpect: {max: "< 3s"}'),
        codes.TOO_COMPLEX: _file(f"flow: {'[' * 40}{']' * 40}", "flow: shop"),
        codes.SEVERAL_DOCUMENTS: _file("flow: a\n---\nflow: b", "flow: a"),
        codes.KEY_NOT_TEXT: _file("? [a, b]\n: c", "a: c"),
        codes.DIRECTIVE: _file("%TAG ! tag:a,2000:\n---\nflow: a", "flow: a"),
        codes.WRONG_TYPE: _rule("latency: request\nexpect: [p95]", 'latency: request\nexpect: {p95: "< 1s"}'),
        codes.UNKNOWN_KEY: _rule('latncy: request\nexpect: {p95: "< 1s"}', 'latency: request\nexpect: {p95: "< 1s"}'),
        codes.MISSING_KEY: _rule("latency: request", 'latency: request\nexpect: {p95: "< 1s"}'),
        codes.NOT_A_CHOICE: _rule(
            'latency: request\nexpect: {p95: "< 1s"}\nseverity: high',
            'latency: request\nexpect: {p95: "< 1s"}\nseverity: critical',
        ),
        codes.BAD_DURATION: _flow("complete: {idle: 6}", "complete: {idle: 6s}"),
        codes.EMPTY: _rule("latency: request\nexpect: {}", 'latency: request\nexpect: {p95: "< 1s"}'),
        codes.OUT_OF_RANGE: _flow("complete: {requests: 0}", "complete: {requests: 200}"),
        codes.CONFLICTING_KEYS: _rule(
            'latency: {stage: score, from: score.start}\nexpect: {p95: "< 1s"}',
            'latency: {stage: score}\nexpect: {p95: "< 1s"}',
        ),
        codes.VERSION: _flow("version: 2", "version: 1"),
        codes.BAD_NAME: _flow("flow: fraud scoring", "flow: fraud-scoring"),
        codes.NAME_TAKEN: _flow(
            "stages:\n  - {stage: ingest, select: {name: a}}\n  - {stage: ingest, select: {name: b}}\n"
            "  - {stage: score, select: {name: c}}",
            "stages:\n  - {stage: ingest, select: {name: [a, b]}}\n  - {stage: score, select: {name: c}}",
        ),
        codes.UNKNOWN_STAGE: _rule(
            'latency: {stage: scoer}\nexpect: {p95: "< 1s"}', 'latency: {stage: score}\nexpect: {p95: "< 1s"}'
        ),
        codes.STAGE_ORDER: _flow(
            "request: {starts_at: score, ends_at: ingest}", "request: {starts_at: ingest, ends_at: score}"
        ),
        codes.STAGE_COUNT: _flow(
            'stages:\n  - {stage: ingest, select: {name: a}, count: "!= 1"}\n  - {stage: score, select: {name: b}}',
            'stages:\n  - {stage: ingest, select: {name: a}, count: ">= 2"}\n  - {stage: score, select: {name: b}}',
        ),
        codes.WAITING_TIMES: _flow("complete: {idle: 1m, at_most: 30s}", "complete: {idle: 6s, at_most: 30s}"),
        codes.MEASURE: _rule('expect: {p95: "< 1s"}', 'latency: request\nexpect: {p95: "< 1s"}'),
        codes.UNKNOWN_STATISTIC: _rule(
            'latency: request\nexpect: {average: "< 1s"}', 'latency: request\nexpect: {mean: "< 1s"}'
        ),
        codes.PERCENTILE_SCALE: _rule(
            'latency: request\nexpect: {p0.95: "< 1s"}', 'latency: request\nexpect: {p95: "< 1s"}'
        ),
        codes.STATISTIC_MISMATCH: _rule(_COVERAGE + 'expect: {p95: ">= 99%"}', _COVERAGE + 'expect: {ratio: ">= 99%"}'),
        codes.CONDITION_SYNTAX: _rule(
            'latency: request\nexpect: {p95: "200ms"}', 'latency: request\nexpect: {p95: "< 200ms"}'
        ),
        codes.UNIT_NEEDED: _rule(
            'latency: request\nexpect: {p95: "< 200"}', 'latency: request\nexpect: {p95: "< 200ms"}'
        ),
        codes.SHARE_RANGE: _rule(_COVERAGE + 'expect: {ratio: ">= 99"}', _COVERAGE + 'expect: {ratio: ">= 99%"}'),
        codes.NOT_INTEGER: _rule(
            'latency: request\nexpect: {max: "< 1s", samples: ">= 99.5"}',
            'latency: request\nexpect: {max: "< 1s", samples: ">= 100"}',
        ),
        codes.BAD_REGEX: _rule(
            _OUTPUT + 'expect: {every: "matches /(?!bad).*/"}', _OUTPUT + 'expect: {none: "matches /bad.*/"}'
        ),
        codes.RELATIVE_CONDITION: _rule(
            'latency: request\nexpect: {p95: "<= 10% of baseline"}',
            'latency: request\nexpect: {p95: "<= +10% of baseline"}',
        ),
        codes.CONDITION_MISMATCH: _rule(
            'latency: request\nexpect: {every: "matches /fast/"}', 'latency: request\nexpect: {every: "< 1s"}'
        ),
        codes.CONTRADICTION: _rule(
            'latency: request\nexpect: {min: "> 2s", max: "< 1s"}',
            'latency: request\nexpect: {min: "> 1ms", max: "< 1s"}',
        ),
        codes.ALWAYS_HOLDS: _rule(_COVERAGE + 'expect: {ratio: ">= 0%"}', _COVERAGE + 'expect: {ratio: ">= 99%"}'),
        codes.ONLY_SAMPLES: _rule(
            'latency: request\nexpect: {samples: ">= 100"}',
            'latency: request\nexpect: {p95: "< 1s", samples: ">= 100"}',
        ),
        codes.CONFIDENCE: _rule(
            _COVERAGE + 'expect: {ratio: ">= 100%"}\nconfidence: 95%',
            _COVERAGE + 'expect: {ratio: ">= 99%"}\nconfidence: 95%',
        ),
        codes.DRIFT: _rule(_OUTPUT + 'expect: {drift: "<= 0.1"}', _OUTPUT + 'expect: {drift: "ks <= 0.1"}'),
        codes.UNKNOWN_RULE: _rule(
            'pass_rate: {of: rr, window: 7d}\nexpect: {ratio: ">= 98%"}',
            'pass_rate: {window: 7d}\nexpect: {ratio: ">= 98%"}',
        ),
        codes.OVER_RUNS: _rule(
            'pass_rate: {window: 7d}\nwhere: {service: gateway}\nexpect: {ratio: ">= 98%"}',
            'pass_rate: {window: 7d}\nexpect: {ratio: ">= 98%"}',
        ),
        codes.SELECTOR: _rule(
            'count: \'{ span.label == "bad" }\'\nexpect: {count: "== 0"}',
            'count: \'{ span.label = "bad" }\'\nexpect: {count: "== 0"}',
        ),
        codes.FIELD: _rule(
            'output: {stage: score, value: score}\nexpect: {every: "0..1"}', _OUTPUT + 'expect: {every: "0..1"}'
        ),
        codes.SELECTOR_MAPPING: _rule(
            'count: {service: scorer, knd: server}\nexpect: {count: "> 0"}',
            'count: {service: scorer, kind: server}\nexpect: {count: "> 0"}',
        ),
        codes.SPAN_NOTATION: Example("lines", "gateway POST /score 0ms-5ms", "gateway POST /score 0ms..5ms"),
        codes.SPAN_LINK: Example(
            "lines",
            "gateway send producer 0ms..5ms\nledger take consumer 6ms..9ms  link=sent",
            "gateway send producer 0ms..5ms  @sent\nledger take consumer 6ms..9ms  link=@sent",
        ),
        codes.TEST_TRACES: Example("test", f"{_TEST}verdict: failed", f"{_TEST}{_SPANS}verdict: failed"),
        codes.TEST_RULE: Example(
            "test", f"{_TEST}{_SPANS}expect: {{fst: failed}}", f"{_TEST}{_SPANS}expect: {{r: failed}}"
        ),
        codes.TEST_GROUP: Example(
            "test", f"{_TEST}{_SPANS}expect: {{'r[eu]': failed}}", f"{_TEST}{_SPANS}expect: {{r: failed}}"
        ),
        codes.TEST_VALUE: Example(
            "test",
            f'{_TEST}{_SPANS}expect: {{r: {{p50: "> 1s"}}}}',
            f'{_TEST}{_SPANS}expect: {{r: {{p95: "> 1s"}}}}',
        ),
        codes.TEST_EMPTY: Example("test", f"{_TEST}{_SPANS}", f"{_TEST}{_SPANS}verdict: failed"),
        codes.GOLDEN_FILE: _rule(
            _OUTPUT + 'expect: {ratio: ">= 99%"}\ngolden: {file: ../golden.jsonl}',
            _OUTPUT + 'expect: {ratio: ">= 99%"}\ngolden: {file: golden.jsonl}',
        ),
        codes.GOLDEN_LINE: Example("golden", '{"key": "a", "value": NaN}', '{"key": "a", "value": 0.5}'),
        codes.GOLDEN_KEY: Example(
            "golden",
            '{"key": "a", "value": 0.5}\n{"key": "a", "value": 0.7}',
            '{"key": "a", "value": 0.5}\n{"key": "b", "value": 0.7}',
        ),
        codes.GOLDEN_USE: _rule(
            'latency: request\nexpect: {max: "< 1s"}\ngolden: {file: golden.jsonl}',
            _OUTPUT + 'expect: {ratio: ">= 99%"}\ngolden: {file: golden.jsonl}',
        ),
        codes.TOLERANCE: _rule(_GOLDEN + 'tolerance: "<= 0.01"}', _GOLDEN + "tolerance: 0.01}"),
        codes.INCLUDE: _flow("include: [{pack: htpp}]", "include: [{pack: http, with: {serve: ingest, call: score}}]"),
        codes.INCLUDE_RULE: _flow(
            "include: [{pack: http, with: {serve: ingest, call: score}, rules: [latncy]}]",
            "include: [{pack: http, with: {serve: ingest, call: score}, rules: [latency]}]",
        ),
        codes.PARAMETER: _flow(
            "parameters:\n  P95: {type: duration, default: 1s}", "parameters:\n  p95: {type: duration, default: 1s}"
        ),
        codes.PARAMETER_VALUE: _flow(
            "parameters:\n  p95: {type: duration, default: 1}", "parameters:\n  p95: {type: duration, default: 1s}"
        ),
        codes.PARAMETER_USE: _flow(
            _LIMIT + 'rules:\n  - id: r\n    latency: request\n    expect: {p95: "< ${p59}"}',
            _LIMIT + 'rules:\n  - id: r\n    latency: request\n    expect: {p95: "< ${p95}"}',
        ),
    }
)
"""Code → example."""
