"""SIGHUP to `serve`: rules, tokens, certificates, webhooks and masking read anew, all of it or nothing."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerting.hookserver import HookServer
from scenarios import scorer
from scenarios.stories import RULES, Server, serving, wait_until

pytestmark = pytest.mark.story

STRICT = RULES.replace('"< 200ms"', '"< 1ms"')


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "scoring.yaml").write_text(RULES, encoding="utf-8")
    (tmp_path / "serve.yaml").write_text(f"rules: [{tmp_path}/scoring.yaml]\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def server(home: Path) -> Iterator[Server]:
    with serving(home, "--config", home / "serve.yaml", "--log-format", "json") as server:
        yield server


def reloaded(server: Server) -> float:
    """Send SIGHUP, wait until that was acted upon, and return whether it succeeded."""
    before = len(logged(server))

    def told() -> bool:
        return any("configuration" in one["message"] for one in logged(server)[before:])

    server.process.send_signal(signal.SIGHUP)
    wait_until(told, "word of the reload")
    return wait_until(lambda: [server.metric("config_last_reload_successful")], "metric")[0]


def logged(server: Server) -> list[dict[str, str]]:
    return [json.loads(line) for line in server.said().splitlines()]


def test_other_rules_judge_what_comes_and_what_was_open(home: Path, server: Server) -> None:
    server.play("before", 2)
    assert server.verdict("before")["outcome"] == "passed"
    server.declare("open", expected_requests=4)
    server.play("open", 2, first=1000)
    (home / "scoring.yaml").write_text(STRICT, encoding="utf-8")
    assert reloaded(server) == 1
    server.play("open", 2, first=2000)
    found = server.verdict("open")
    assert (found["outcome"], found["verdict"]["run"]["spans"]) == ("failed", 8)
    server.play("after", 2, first=3000)
    assert server.verdict("after")["outcome"] == "failed"
    again = server.get("/api/v1/runs/before").json()
    assert (again["outcome"], again["revision"]) == ("passed", 1)
    assert abs(server.metric("config_last_reload_success_timestamp_seconds") - time.time()) < 60


BAD = {
    "rules": ("scoring.yaml", RULES.replace("latency: request", "latencey: request"), "scoring.yaml:"),
    "an unknown setting": ("serve.yaml", "rulez: [x]\n", "serve.yaml:1:1: there is no setting rulez"),
    "broken YAML": ("serve.yaml", "rules: [", "serve.yaml:1:"),
    "rules that are gone": ("serve.yaml", "rules: [/nowhere/rules.yaml]\n", "/nowhere/rules.yaml"),
    "a webhook without its secret": (
        "serve.yaml",
        "webhooks: [{name: ops, url: 'https://x.example', secret_env: GONE}]\n",
        "GONE",
    ),
    "a masking pattern": ("serve.yaml", "masking: {patterns: {x: '('}}\n", "masking"),
}


def test_a_mistake_anywhere_changes_nothing_and_is_said(home: Path, server: Server) -> None:
    good = {name: (home / name).read_text(encoding="utf-8") for name in ("scoring.yaml", "serve.yaml")}
    for what, (name, text, words) in BAD.items():
        seen = len(logged(server))
        for other, right in good.items():
            (home / other).write_text(right.replace('"< 200ms"', '"< 1ms"'), encoding="utf-8")
        (home / name).write_text(text, encoding="utf-8")
        assert reloaded(server) == 0, what
        said = [one for one in logged(server)[seen:] if one["level"] == "error"]
        assert any(words in one["message"] for one in said), (what, said)
    server.play("after", 2)
    assert server.verdict("after")["outcome"] == "passed", "the rules are still those from the start"
    for name, text in good.items():
        (home / name).write_text(text, encoding="utf-8")
    assert reloaded(server) == 1


def test_what_only_a_restart_changes_is_named_and_the_rest_followed(home: Path, server: Server) -> None:
    tokens = home / "tokens"
    tokens.write_text("secret\n", encoding="utf-8")
    (home / "scoring.yaml").write_text(STRICT, encoding="utf-8")
    config = home / "serve.yaml"
    config.write_text(f"{config.read_text('utf-8')}token_file: {tokens}\nallow_public: true\n", encoding="utf-8")
    assert reloaded(server) == 1
    said = [one["message"] for one in logged(server) if one["level"] == "warning"]
    assert {"allow_public has changed; that takes a restart", "token_file has changed; that takes a restart"} <= {*said}
    server.play("after", 2)
    assert server.verdict("after")["outcome"] == "failed"


def test_webhooks_are_replaced_and_masking_too(home: Path, server: Server) -> None:
    with HookServer() as hooks:
        config = home / "serve.yaml"
        hook = f"webhooks: [{{name: ops, url: '{hooks.url}', allow_private: true}}]\n"
        config.write_text(f"{config.read_text('utf-8')}{hook}masking: {{redact: [request.id]}}\n", encoding="utf-8")
        assert reloaded(server) == 1
        server.play("alerting", 2, slow=1)
        assert server.verdict("alerting")["outcome"] == "failed"
        (first, *_) = hooks.wait_for(1)
        assert json.loads(first.body)["alerts"]
        assert server.metric("masked_requests_total") > 0
        assert b"canary-in-url" not in server.log.read_bytes()


def test_tokens_rotate_without_losing_a_request(home: Path) -> None:
    tokens = home / "tokens"
    tokens.write_text("old\n", encoding="utf-8")
    options = ("--config", home / "serve.yaml", "--log-format", "json", "--token-file", tokens)
    with serving(home, *options) as server:
        assert [sent(server, token) for token in ("old", "new")] == [200, 401]
        tokens.write_text("old\nnew\n", encoding="utf-8")
        assert reloaded(server) == 1
        assert [sent(server, token) for token in ("old", "new")] == [200, 200]
        tokens.write_text("new\n", encoding="utf-8")
        assert reloaded(server) == 1
        assert [sent(server, token) for token in ("old", "new")] == [401, 200]
        tokens.write_text("", encoding="utf-8")
        assert reloaded(server) == 0
        assert [sent(server, token) for token in ("old", "new")] == [401, 200]


def sent(server: Server, token: str) -> int:
    import httpx

    return httpx.post(
        f"http://{server.addresses['otlp-http']}/v1/traces",
        content=b"",
        headers={"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {token}"},
        trust_env=False,
    ).status_code


def test_logs_in_json_are_json_from_the_first_line_to_the_last(home: Path, server: Server) -> None:
    hostile = "run\x1b[31m"
    with scorer.services(server.exporter("http"), 0, **{"test.suite.run.id": hostile}) as made:
        scorer.score(1, made=made)
    reloaded(server)
    assert server.stop() == 0
    records = logged(server)
    assert {"listening: http " + server.addresses["http"]} <= {one["message"] for one in records}
    assert records[-1]["message"].startswith("stopping")
    assert all({"time", "level", "logger", "message"} <= one.keys() for one in records)
    assert "\x1b" not in server.said()
