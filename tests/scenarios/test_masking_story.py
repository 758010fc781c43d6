"""No secret and no masked value is ever kept or shown: not in the store, reports, logs, metrics or webhooks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

from alerting.hookserver import HookServer
from scenarios.stories import serving, tell
from spanverdict.otlp.jsonexport import protobuf_to_json

pytestmark = pytest.mark.story

CANARIES = {
    "http.request.header.authorization": "Bearer c4nary-authorization-0001",
    "db.connection_string": "Server=c4nary-connection",
    "url.full": "https://anne:c4nary-password@shop.example/?access_token=c4nary-token",
    "user.email": "c4nary.email@example.org",
    "user.id": "c4nary-user",
    "card.note": "paid with 4111 1111 1111 1111 c4nary-card",
    "session.transcript": "c4nary-transcript",
}
"""Attributes of every request. Of `card.note` only the number is masked."""
SHOWN = "c4nary-card"
NUMBER = "4111 1111 1111 1111"

RULES = """\
version: 1
flow: shop
stages:
  - stage: buy
    select: {service: shop, kind: server}
request: {key: span.user.id}
complete: {idle: 500ms, at_most: 5s}
rules:
  - id: fast
    latency: request
    expect: {max: "< 1ms"}
  - id: mail
    output: {stage: buy, value: span.user.email}
    expect: {every: "== 'nobody'"}
  - id: per-url
    count: {of: '{ }', per: request}
    per: span.url.full
    expect: {max: "< 1"}
"""
MASKING = """\
masking:
  hash: [user.id]
  hash_key_env: MASKING_KEY
  drop: [session.transcript]
  values: [email, card]
"""
ENV = {"MASKING_KEY": "a key for stories, long enough"}


def request(run: str, number: int) -> bytes:
    attributes = [
        KeyValue(key=key, value=AnyValue(string_value=value))
        for key, value in {**CANARIES, "user.id": f"c4nary-user-{number}"}.items()
    ]
    start = 1_760_000_000_000_000_000 + number * 10**7
    span = Span(
        trace_id=number.to_bytes(16, "big"), span_id=number.to_bytes(8, "big"), name="buy", kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=start, end_time_unix_nano=start + 10**7, attributes=attributes,
        events=[Span.Event(name="said", attributes=attributes)],
    )  # fmt: skip
    tags = {"service.name": "shop", "test.suite.run.id": run}
    resource = Resource(attributes=[KeyValue(key=k, value=AnyValue(string_value=v)) for k, v in tags.items()])
    return TracesData(
        resource_spans=[ResourceSpans(resource=resource, scope_spans=[ScopeSpans(spans=[span])])]
    ).SerializeToString()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "shop.yaml").write_text(RULES, encoding="utf-8")
    (tmp_path / "serve.yaml").write_text(f"rules: [{tmp_path}/shop.yaml]\n{MASKING}", encoding="utf-8")
    return tmp_path


@pytest.fixture
def hooks() -> Iterator[HookServer]:
    with HookServer() as server:
        yield server


def assert_no_canary(text: str) -> None:
    left = text.replace(SHOWN, "")
    found = [left[max(0, at - 60) : at + 60] for at in (left.find("c4nary"), left.find(NUMBER)) if at >= 0]
    assert not found, found


def test_masked_values_never_reach_the_store_or_anything_that_a_server_says(home: Path, hooks: HookServer) -> None:
    import httpx

    config = home / "serve.yaml"
    webhook = f"webhooks:\n  - name: ops\n    url: {hooks.url}\n    allow_private: true\n    group_by: [flow]\n"
    config.write_text(config.read_text() + webhook, encoding="utf-8")
    with serving(home, "--config", config, env=ENV) as server:
        for number in range(1, 4):
            answer = httpx.post(
                f"http://{server.addresses['otlp-http']}/v1/traces",
                content=request("gh-1", number),
                headers={"Content-Type": "application/x-protobuf"},
                trust_env=False,
            )
            assert answer.status_code == 200
        found = server.verdict("gh-1")
        hooks.wait_for(1)
        said = [json.dumps(found), server.get("/api/v1/runs").text, server.get("/metrics").text, server.said()]
        assert server.metric("masked_requests_total") == 3
        assert server.stop() == 0
    assert found["outcome"] == "failed"
    for text in (*said, *(hook.body.decode() for hook in hooks.hooks)):
        assert_no_canary(text)
    kept = sorted(home.glob("store.sqlite*"))
    assert kept
    for path in kept:
        assert_no_canary(path.read_bytes().decode("latin-1"))
    assert SHOWN in kept[0].read_bytes().decode("latin-1"), "what is not masked is kept"


def test_requests_are_told_apart_by_a_hashed_key(home: Path) -> None:
    (home / "traces.jsonl").write_text("".join(protobuf_to_json(request("gh-1", n)) + "\n" for n in (1, 2)))
    done = tell(
        "check", "shop.yaml", "--input", "traces.jsonl", "--config", "serve.yaml", "-o", "json", cwd=home, env=ENV
    )
    assert done.returncode == 1
    fast = next(rule for rule in json.loads(done.stdout)["rules"] if rule["id"] == "fast")
    keys = {exhibit["key"] for exhibit in fast["exhibits"]}
    assert len(keys) == 2
    assert all(key.startswith("hmac-sha256:") for key in keys)


@pytest.mark.parametrize("output", ["text", "json", "junit", "markdown", "github", "tap", "ctrf", "jsonl"])
def test_no_report_on_files_shows_what_is_masked(home: Path, output: str) -> None:
    (home / "traces.jsonl").write_text(protobuf_to_json(request("gh-1", 1)) + "\n")
    arguments = ["check", "shop.yaml", "--input", "traces.jsonl", "--config", "serve.yaml", "-o", output]
    done = tell(*arguments, cwd=home, env=ENV)
    assert done.returncode == 1
    assert "per-url" in done.stdout
    assert_no_canary(done.stdout + done.stderr)


def test_without_settings_what_is_plainly_secret_is_masked(home: Path) -> None:
    (home / "traces.jsonl").write_text(protobuf_to_json(request("gh-1", 1)) + "\n")
    done = tell("check", "shop.yaml", "--input", "traces.jsonl", cwd=home)
    assert "https://anne:[password]@shop.example/?access_token=[secret]" in done.stdout
    assert "c4nary.email@example.org" in done.stdout


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("masking: {values: [mail]}", "masking: there is no detector mail"),
        ("masking: {hash: [user.id]}", "masking: hashing needs a key"),
        ("masking: {patterns: {mine: '('}}", "masking: the pattern mine is no regular expression"),
        ("masking: {dorp: [x]}", "serve.yaml:1:11: there is no setting masking.dorp"),
        ("masking: {hash: [x], hash_key_file: none}", "masking: cannot read the key in none"),
    ],
    ids=["detector", "key", "pattern", "misspelt", "file"],
)
def test_masking_that_cannot_be_followed_is_refused_before_anything_starts(
    home: Path, settings: str, said: str
) -> None:
    (home / "serve.yaml").write_text(settings + "\n", encoding="utf-8")
    done = tell("serve", "--config", "serve.yaml", cwd=home)
    assert done.returncode == 2
    assert said in done.stderr
