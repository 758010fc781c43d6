"""The ways in which tools of this kind have passed what they should not have, each as its user meets it.

Every story has two halves: the mistake, through the command line, which may not be green; and the same
without the mistake, which is, so that no story holds of a tool that passes nothing.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from pathlib import Path

import httpx
import pytest

from scenarios import survival
from scenarios.recorded import payload
from scenarios.stories import RULES, Told, free_address, run, serving, tell
from spanverdict.ruletest.notation import read_notation
from spanverdict.ruletest.payload import SpanBlock, otlp_json

pytestmark = pytest.mark.story

HEAD = """\
version: 1
flow: scoring
stages:
  - stage: ingest
    select: {service: gateway, kind: server}
  - stage: features
    select: {service: features}
    count: ">= 0"
  - stage: score
    select: {service: scorer, name: predict}
request: {starts_at: ingest, ends_at: ingest, key: span.request.id}
"""
SPANS = """\
gateway POST /score server 0ms..100ms  request.id=r-{n}
  scorer predict 20ms..60ms  score=0.5
"""


def write(folder: Path, rules: str, spans: str = SPANS, *, repeat: int = 10, head: str = HEAD) -> None:
    """Leave a rule file and a file of traces in the folder."""
    listed = "".join(f"  - {rule}\n" for rule in rules.splitlines())
    (folder / "flow.yaml").write_text(f"{head}rules:\n{listed}", encoding="utf-8")
    written, mistakes = read_notation(spans)
    assert not mistakes, mistakes
    (folder / "traces.jsonl").write_text(otlp_json([SpanBlock(written, repeat)]) + "\n", encoding="utf-8")


def check(folder: Path, *options: str, env: dict[str, str] | None = None) -> Told:
    return tell("check", "flow.yaml", "--input", "traces.jsonl", *options, cwd=folder, env=env)


def judged(folder: Path, rules: str, spans: str = SPANS, *options: str, repeat: int = 10, head: str = HEAD) -> Told:
    write(folder, rules, spans, repeat=repeat, head=head)
    return check(folder, *options)


def refused(folder: Path, rules: str, code: str, *said: str, head: str = HEAD) -> None:
    """Neither lint nor any command that judges takes the file, and each says why, at the place."""
    write(folder, rules, head=head)
    judging = (("check", "flow.yaml", "--input", "traces.jsonl"), ("run", "--rules", "flow.yaml", "--", "touch", "ran"))
    for command in (("lint", "flow.yaml"), *judging, ("serve", "--store", "s.sqlite", "--rules", "flow.yaml")):
        told = tell(*command, cwd=folder)
        assert told.returncode == 2, told
        for words in (f"error[{code}]", "flow.yaml:", *said):
            assert words in told.stdout + told.stderr
    assert not (folder / "ran").exists()


RANGE = "{id: r, output: {stage: score, value: span.score}, expect: {EXPECT}}"


# zero matches


@pytest.mark.parametrize(
    "rule",
    [
        "{id: r, latency: {stage: features}, expect: {max: '< 1s'}}",
        "{id: r, latency: {from: features.end, to: score.start}, expect: {max: '< 1s'}}",
        "{id: r, latency: {from: {event: a}, to: {event: b}, in: score}, expect: {max: '< 1s'}}",
        "{id: r, latency: {attribute: span.took, unit: s, in: score}, expect: {max: '< 1s'}}",
        "{id: r, freshness: {stage: features, age: span.age, unit: s}, expect: {max: '< 1h'}}",
        "{id: r, output: {stage: score, value: span.label}, expect: {none: '== \"bad\"'}}",
        "{id: r, attribute: {stage: score, value: span.tokens}, expect: {p95: '<= 9'}}",
        "{id: r, ratio: {of: '{ span.hit = false }', over: '{ span.hit != nil }'}, expect: {ratio: '<= 5%'}}",
        "{id: r, throughput: {service: loader}, expect: {rate: '>= 0'}}",
        "{id: r, latency: request, where: '{ span.tier = \"gold\" }', expect: {max: '< 1s'}}",
        "{id: r, count: {of: '{ }', per: request}, where: '{ span.tier = \"gold\" }', expect: {max: '<= 9'}}",
        "{id: r, coverage: {stages: all}, where: '{ span.tier = \"gold\" }', expect: {every: '== true'}}",
        "{id: r, order: all, where: '{ span.tier = \"gold\" }', expect: {every: '== true'}}",
    ],
)
def test_zero_matches(tmp_path: Path, rule: str) -> None:
    told = judged(tmp_path, rule)
    assert told.returncode == 1
    assert "FAILED  r  nothing to judge" in told.stdout
    assert "n = 0" in told.stdout


def test_zero_matches_of_a_rule_for_a_tag_that_no_rule_has(tmp_path: Path) -> None:
    assert judged(tmp_path, RANGE.replace("EXPECT", "every: '0..1'"), SPANS, "--tags", "smok").returncode != 0


# universal meant, existential written


def test_universal_meant_existential_written(tmp_path: Path) -> None:
    """A condition needs its quantifier, `every` looks at each value, and `any` says how many held."""
    wrong = SPANS + SPANS.replace("r-{n}", "s-{n}").replace("0.5", "7")
    refused(tmp_path, "{id: r, output: {stage: score, value: span.score}, expect: '0..1'}", "SV020", "expect")
    told = judged(tmp_path, RANGE.replace("EXPECT", "every: '0..1'"), wrong)
    assert (told.returncode, "every = 10 of 20 do not hold" in told.stdout) == (1, True)
    assert judged(tmp_path, RANGE.replace("EXPECT", "none: '> 1'"), wrong).returncode == 1
    told = judged(tmp_path, RANGE.replace("EXPECT", "any: '0..1'"), wrong)
    assert (told.returncode, "any = 10 of 20 hold" in told.stdout) == (0, True)
    assert judged(tmp_path, RANGE.replace("EXPECT", "every: '0..1', none: '> 1'")).returncode == 0


def test_universal_meant_existential_written_over_arrays_and_attempts(tmp_path: Path) -> None:
    lists = SPANS.replace("score=0.5", "score=[0.5, 7]")
    for expect in ("every: '0..1'", "none: '> 1'"):
        assert judged(tmp_path, RANGE.replace("EXPECT", expect), lists).returncode == 1
    twice = SPANS + "  scorer predict 60ms..95ms  score=7\n"
    rule = "{id: r, attribute: {stage: score, value: span.score}, expect: {every: '0..1'}}"
    assert judged(tmp_path, rule, twice).returncode == 1
    assert judged(tmp_path, rule).returncode == 0


# unparsable selector


@pytest.mark.parametrize(
    ("selector", "code"),
    [
        ("'{ span.score => 1 }'", "SV060"),
        ("'{ span:nme = \"predict\" }'", "SV060"),
        ("'{ span.label == \"bad\" }'", "SV060"),
        ("'span.score > 1'", "SV060"),
        ("{ span.score > 1 }", "SV062"),
        ("{nme: predict}", "SV062"),
    ],
)
def test_unparsable_selector(tmp_path: Path, selector: str, code: str) -> None:
    refused(tmp_path, f"{{id: r, count: {selector}, expect: {{count: '== 0'}}}}", code)


def test_unparsable_selector_of_a_stage_or_a_query(tmp_path: Path) -> None:
    refused(tmp_path, RANGE.replace("EXPECT", "every: '0..1'"), "SV062", head=HEAD.replace("kind: server", "kinds: x"))
    told = tell("query", "{ span:nme = 1 }", "--input", "traces.jsonl", cwd=tmp_path)
    assert (told.returncode, told.stdout) == (2, "")


# threshold slipped under by rounding


@pytest.mark.parametrize(
    "expect", ["max: '<= 40ms'", "p91: '<= 40ms'", "mean: '<= 40ms'", "every: '<= 40ms'", "none: '> 40ms'"]
)
def test_threshold_slipped_under_by_rounding(tmp_path: Path, expect: str) -> None:
    """One nanosecond over, in one request of ten."""
    rule = f"{{id: r, latency: {{stage: score}}, expect: {{{expect}}}}}"
    assert judged(tmp_path, rule).returncode == 0
    text = (tmp_path / "traces.jsonl").read_text(encoding="utf-8")
    end = next(
        span["endTimeUnixNano"]
        for part in json.loads(text)["resourceSpans"]
        for span in part["scopeSpans"][0]["spans"]
        if span["name"] == "predict"
    )
    (tmp_path / "traces.jsonl").write_text(text.replace(end, str(int(end) + 1)), encoding="utf-8")
    assert check(tmp_path).returncode == 1


def test_threshold_slipped_under_by_rounding_a_share(tmp_path: Path) -> None:
    """199 of 200 are not 99.51 %, although both would be shown as 99.5 %."""
    rule = "{id: r, coverage: {stages: all}, expect: {ratio: '>= SHARE'}}"
    good = (SPANS.splitlines(keepends=True)[0] + "  scorer predict 20ms..60ms\n") * 199
    spans = good + "gateway POST /score server 0ms..100ms\n"
    assert judged(tmp_path, rule.replace("SHARE", "99.5%"), spans, repeat=1).returncode == 0
    assert judged(tmp_path, rule.replace("SHARE", "99.51%"), spans, repeat=1).returncode == 1


# source error


def test_source_error(tmp_path: Path) -> None:
    """Where the spans should be is nothing, half of something, something else, or nobody."""
    write(tmp_path, RANGE.replace("EXPECT", "every: '0..1'"))
    whole = (tmp_path / "traces.jsonl").read_bytes()
    sources = {
        "cut.jsonl": whole[: len(whole) // 2],
        "cut.jsonl.gz": gzip.compress(whole)[:-9],
        "cut.pb": payload(None, 1, 2)[:-3],
        "other.json": b'{"data": []}',
        "page.json": b"<html>502 Bad Gateway</html>",
    }
    for name, content in sources.items():
        (tmp_path / name).write_bytes(content)
    for name in ("gone.jsonl", *sources):
        told = tell("check", "flow.yaml", "--input", "traces.jsonl", "--input", name, cwd=tmp_path)
        assert (told.returncode, told.stdout) in ((2, ""), (4, "")), (name, told)
        assert name in told.stderr
    assert check(tmp_path).returncode == 0


def test_source_error_of_a_server_or_a_store(tmp_path: Path) -> None:
    write(tmp_path, RANGE.replace("EXPECT", "every: '0..1'"))
    (tmp_path / "broken.sqlite").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    (tmp_path / "empty.sqlite").write_bytes(b"")
    sources = [("--store", "gone.sqlite"), ("--store", "broken.sqlite"), ("--store", "empty.sqlite")]
    for source in (*sources, ("--server", f"http://{free_address()}")):
        told = tell("check", "flow.yaml", "--run", "gh-1", *source, cwd=tmp_path)
        assert told.returncode in (2, 4, 5), told
        assert told.stdout == ""


def test_a_store_that_was_copied_without_its_segments(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(survival.RULES, encoding="utf-8")
    with serving(tmp_path, "--rules", tmp_path / "flow.yaml") as server:
        for number in range(survival.LARGE + 1):
            body, _ = survival.batch(number)
            url = f"http://{server.addresses['otlp-http']}/v1/traces"
            headers = {"Content-Type": "application/x-protobuf"}
            assert httpx.post(url, content=body, headers=headers, trust_env=False).status_code == 200
        server.end("survivor")
        assert server.verdict("survivor")["outcome"] == "passed"
        assert server.stop() == 0
    (tmp_path / "alone").mkdir()
    copy = shutil.copy(tmp_path / "store.sqlite", tmp_path / "alone")
    whole = tell("check", "flow.yaml", "--run", "survivor", "--store", "store.sqlite", cwd=tmp_path)
    assert whole.returncode == 0, whole
    told = tell("check", "flow.yaml", "--run", "survivor", "--store", copy, cwd=tmp_path)
    assert (told.returncode, told.stdout) == (4, "")
    assert "its segment 00000001.seg is missing" in told.stderr
    assert "run survivor cannot be judged again: batches in which it came are damaged" in told.stderr


# empty run


def test_empty_run(tmp_path: Path) -> None:
    """A command that sends nothing, a file without spans, and a run that nobody played: whatever the rule forgives."""
    write(tmp_path, "{id: r, latency: request, on_no_data: pass, expect: {max: '< 1s'}}", head=f"{HEAD}complete: {{idle: 100ms, at_most: 200ms}}\n")  # fmt: skip
    done = run(Path("flow.yaml"), command=(sys.executable, "-c", "pass"), cwd=tmp_path)
    assert done.returncode == 4, done
    (tmp_path / "traces.jsonl").write_text('{"resourceSpans": []}\n', encoding="utf-8")
    assert check(tmp_path).returncode == 4
    (tmp_path / "traces.jsonl").write_text("", encoding="utf-8")
    assert check(tmp_path).returncode == 4


def test_empty_run_on_a_server(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(RULES, encoding="utf-8")
    with serving(tmp_path, "--rules", tmp_path / "flow.yaml") as server:
        server.declare("gh-nothing", expected_requests=1)
        server.end("gh-nothing")
        assert server.verdict("gh-nothing")["outcome"] != "passed"
        server.play("gh-something", 2)
        assert server.verdict("gh-something")["outcome"] == "passed"
        told = tell("check", tmp_path / "flow.yaml", "--server", server.url, "--run", "gh-unheard", cwd=tmp_path)
        assert told.returncode == 4


# judged before complete


def test_judged_before_complete(tmp_path: Path) -> None:
    """Ten of the twelve requests that were expected have come, and all of these are good."""
    rules = (
        "{id: a, coverage: {stages: all}, expect: {ratio: '>= 99%'}}\n{id: b, latency: request, expect: {p95: '< 1s'}}"
    )
    assert judged(tmp_path, rules, SPANS, "--requests", "10").returncode == 0
    told = judged(tmp_path, rules, SPANS, "--requests", "12")
    assert told.returncode == 1
    assert "PASSED" not in told.stdout
    told = judged(tmp_path, rules.splitlines()[1], SPANS, "--requests", "12")
    assert told.returncode == 4


def test_judged_before_complete_while_spans_are_on_their_way(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(RULES, encoding="utf-8")
    with serving(tmp_path, "--rules", tmp_path / "flow.yaml") as server:
        server.declare("gh-slow", expected_requests=4)
        server.play("gh-slow", 2)
        early = server.get("/api/v1/runs/gh-slow").json()
        assert early["state"] not in ("judged", "unjudged")
        asked = tell("check", tmp_path / "flow.yaml", "--server", server.url, "--run", "gh-slow", cwd=tmp_path)
        assert asked.returncode == 4
        server.play("gh-slow", 2, first=2, slow=1)
        assert server.verdict("gh-slow")["outcome"] == "failed"


# wrong clock for freshness


def test_wrong_clock_for_freshness(tmp_path: Path) -> None:
    """The age is that at the moment of use, and neither that of judging nor one that no clock can have shown."""
    rule = (
        "{id: r, freshness: {stage: score, updated_at: span.made, unit: rfc3339, skew: 100ms}, expect: {max: '< 1m'}}"
    )
    for made, code in (("{start-30s}", 0), ("{start-61s}", 1), ("{start+1h}", 1), ("1969-12-31T23:59:59Z", 1)):
        told = judged(tmp_path, rule, SPANS.replace("score=0.5", f'made="{made}"'))
        assert told.returncode == code, told
    mixed = SPANS + SPANS.replace("r-{n}", "s-{n}").replace("score=0.5", 'made="{start+1h}"')
    told = judged(tmp_path, rule, mixed.replace("score=0.5", 'made="{start-30s}"'))
    assert told.returncode == 4
    assert "clock" in told.stdout or "cannot be right" in told.stdout or "future" in told.stdout, told.stdout


@pytest.mark.parametrize("unit", ["ns", "us", "ms"])
def test_wrong_clock_for_freshness_by_its_unit(tmp_path: Path, unit: str) -> None:
    """Seconds since 1970, read as something smaller, are half a century old."""
    rule = f"{{id: r, freshness: {{stage: score, updated_at: span.made, unit: {unit}}}, expect: {{max: '< 1h'}}}}"
    assert judged(tmp_path, rule, SPANS.replace("score=0.5", "made=1772441990")).returncode == 1
    right = rule.replace(f"unit: {unit}", "unit: s")
    assert judged(tmp_path, right, SPANS.replace("score=0.5", "made=1772441999"), repeat=1).returncode == 0


# p0.95


def test_p0_95(tmp_path: Path) -> None:
    rule = "{id: r, latency: request, expect: {p0.95: '< 1s'}}"
    refused(tmp_path, rule, "SV042", "did you mean `p95`?")
    assert judged(tmp_path, rule.replace("p0.95", "p95")).returncode == 0


def test_p0_95_and_other_wrong_scales(tmp_path: Path) -> None:
    refused(tmp_path, "{id: r, coverage: {stages: all}, expect: {ratio: '>= 99'}}", "SV046")
    refused(tmp_path, "{id: r, latency: request, expect: {p95: '< 200'}}", "SV045")


# duplicate YAML key


def test_duplicate_yaml_key(tmp_path: Path) -> None:
    rule = "{id: r, latency: request, expect: {max: '< 1ms'}, expect: {max: '< 1h'}}"
    refused(tmp_path, rule, "SV012", "`expect`")
    refused(tmp_path, "{id: r, latency: request, expect: {max: '< 1ms', max: '< 1h'}}", "SV012")
    refused(tmp_path, RANGE.replace("EXPECT", "every: '0..1'"), "SV012", head=f"{HEAD}flow: other\n")


# structure asked where the root is missing


@pytest.mark.parametrize("lost", ["", " lost"])
@pytest.mark.parametrize("under", [">", ">>"])
def test_structure_asked_where_the_root_is_missing(tmp_path: Path, lost: str, under: str) -> None:
    """An error below scoring is found although the gateway's span never came."""
    rule = f"{{id: r, count: '{{ resource.service.name = \"scorer\" }} {under} {{ span:status = error }}', expect: {{count: '== 0'}}}}"
    failing = SPANS + "    store read client 30ms..40ms  status=error\n"
    spans = SPANS.replace("r-{n}", "whole-{n}") + failing.replace("request.id=r-{n}", f"request.id=r-{{n}}{lost}")
    told = judged(tmp_path, rule, spans)
    assert (told.returncode, "count = 10" in told.stdout) == (1, True)
    assert judged(tmp_path, rule).returncode == 0


def test_structure_asked_where_the_root_is_missing_of_every_request(tmp_path: Path) -> None:
    rules = (
        "{id: a, coverage: {stages: all}, expect: {ratio: '>= 99%'}}\n{id: b, order: all, expect: {every: '== true'}}"
    )
    told = judged(tmp_path, rules, SPANS.replace("request.id=r-{n}", "lost"))
    assert told.returncode == 1
    assert "PASSED" not in told.stdout


# golden files

GOLDEN = RANGE.replace("expect: {EXPECT}", "golden: {file: g.jsonl, tolerance: 0.01}, expect: {ratio: '>= 99%'}")


def golden(folder: Path, command: str, *more: str, **env: str) -> Told:
    return tell("golden", command, "flow.yaml", "--input", "traces.jsonl", *more, cwd=folder, env=env)


def test_golden_regenerated_in_ci(tmp_path: Path) -> None:
    write(tmp_path, GOLDEN)
    assert golden(tmp_path, "record").returncode == 0
    held = (tmp_path / "g.jsonl").read_bytes()
    assert check(tmp_path, env={"CI": "true"}).returncode == 0
    write(tmp_path, GOLDEN, SPANS.replace("0.5", "0.9"))
    for command, *more in (("record",), ("record", "--force"), ("accept",), ("accept", "--add")):
        assert golden(tmp_path, command, *more, CI="true").returncode == 2
        assert (tmp_path / "g.jsonl").read_bytes() == held
    assert check(tmp_path, env={"CI": "true"}).returncode == 1


@pytest.mark.parametrize("score", ["NaN", "Infinity", '"0.5"', "true"])
def test_nan_score(tmp_path: Path, score: str) -> None:
    """Neither in range, nor out of range as `none` asks, nor below a limit, nor equal to the golden answer."""
    (tmp_path / "g.jsonl").write_text('{"key": "r-1", "value": 0.5}\n', encoding="utf-8")
    ranges = [
        RANGE.replace("EXPECT", expect) for expect in ("every: '0..1'", "none: '> 1'", "max: '<= 1'", "p50: '!= 3'")
    ]
    for rule in (*ranges, GOLDEN):
        told = judged(tmp_path, rule, SPANS.replace("score=0.5", f"score={score}"), repeat=1)
        assert told.returncode in (1, 4), (rule, told)
        assert judged(tmp_path, rule, repeat=1).returncode == 0


def test_nan_score_among_good_ones(tmp_path: Path) -> None:
    spans = SPANS * 20 + SPANS.replace("0.5", "NaN")
    for expect in ("every: '0..1'", "max: '<= 1'", "mean: '<= 1'", "p95: '<= 1'"):
        assert judged(tmp_path, RANGE.replace("EXPECT", expect), spans, repeat=1).returncode in (1, 4)


def test_golden_with_other_keys(tmp_path: Path) -> None:
    """A file of another data set: each of its keys was promised an answer, and no request is compared."""
    (tmp_path / "g.jsonl").write_text('{"key": "q-1", "value": 0.5}\n{"key": "q-2", "value": 0.5}\n', encoding="utf-8")
    told = judged(tmp_path, GOLDEN)
    assert told.returncode == 1
    assert "q-1" in told.stdout
    (tmp_path / "g.jsonl").write_text('{"key": "r-1", "value": 0.5}\n{"key": "r-2", "value": 0.5}\n', encoding="utf-8")
    assert judged(tmp_path, GOLDEN).returncode == 0


# baseline missing


def test_baseline_missing(tmp_path: Path) -> None:
    rule = "{id: r, latency: request, expect: {p95: '<= +10% of baseline'}}"
    told = judged(tmp_path, rule)
    assert (told.returncode, "there is no baseline" in told.stdout) == (4, True)
    assert check(tmp_path, "--baseline", "traces.jsonl").returncode == 0
    assert check(tmp_path, "--baseline", "gone.jsonl").returncode == 2
    for what in ("previous", "branch:main", "gh-0"):
        assert check(tmp_path, "--store", f"{what[:4]}.sqlite", "--baseline", what).returncode == 4


# a stage renamed by a deploy

OF_STAGES = """\
{id: whole, coverage: {stages: all}, expect: {ratio: '>= 99%'}}
{id: ordered, order: all, expect: {every: '== true'}}
{id: quick, latency: {stage: score}, expect: {max: '< 1s'}}
{id: waited, latency: {from: ingest.start, to: score.start}, expect: {max: '< 1s'}}
{id: share, latency: {critical_path: score}, expect: {max: '< 90%'}}
{id: range, output: {stage: score, value: span.score}, expect: {every: '0..1'}}
{id: number, attribute: {stage: score, value: span.score}, expect: {max: '<= 1'}}"""


@pytest.mark.parametrize(
    ("before", "after"),
    [("scorer predict", "scorer predict-v2"), ("scorer predict", "scorer-eu predict"), ("gateway POST", "edge POST")],
)
def test_a_stage_renamed_by_a_deploy(tmp_path: Path, before: str, after: str) -> None:
    assert judged(tmp_path, OF_STAGES).returncode == 0
    told = judged(tmp_path, OF_STAGES, SPANS.replace(before, after))
    assert told.returncode in (1, 4)
    assert "PASSED" not in told.stdout


def test_a_stage_renamed_by_a_deploy_that_was_optional(tmp_path: Path) -> None:
    """Nobody misses the stage; whoever asks for something of it does."""
    rules = "{id: r, latency: {stage: features}, expect: {max: '< 1s'}}"
    assert judged(tmp_path, rules, SPANS + "  features get 5ms..9ms\n").returncode == 0
    assert judged(tmp_path, rules, SPANS + "  features-v2 get 5ms..9ms\n").returncode == 1
