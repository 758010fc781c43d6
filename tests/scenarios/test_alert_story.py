"""Alerts of a server: one signed message a receiver and group, at least once, whatever crashes in between."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from alerting.hookserver import HookServer, answer
from scenarios.stories import RULES, serving, wait_until

pytestmark = pytest.mark.story

SECRETS = {name: "whsec_" + base64.b64encode(name.encode() * 8).decode() for name in ("ops", "chat")}


@pytest.fixture
def hooks() -> Iterator[HookServer]:
    with HookServer() as server:
        yield server


def configured(folder: Path, hooks: HookServer) -> Path:
    """Two receivers; one secret stands in a file, the other in the environment, an address in a file."""
    (folder / "scoring.yaml").write_text(RULES, encoding="utf-8")
    (folder / "ops.secret").write_text(SECRETS["ops"] + "\n", encoding="utf-8")
    (folder / "chat.url").write_text(f"{hooks.url}&to=chat\n", encoding="utf-8")
    path = folder / "serve.yaml"
    path.write_text(
        f"""
rules: [{folder}/scoring.yaml]
external_url: https://verdicts.example/
webhooks:
  - name: ops
    url: {hooks.url}&to=ops
    secret_file: {folder}/ops.secret
    allow_private: true
  - name: chat
    url_file: {folder}/chat.url
    secret_env: CHAT_SECRET
    allow_private: true
    group_by: [alertname]
    send_resolved: false
""",
        encoding="utf-8",
    )
    return path


ENV = {"CHAT_SECRET": SECRETS["chat"]}


def messages(hooks: HookServer, receiver: str) -> list[dict[str, Any]]:
    """What a receiver got, each message verified as Standard Webhooks says."""
    own = [hook for hook in list(hooks.hooks) if hook.path.endswith(f"to={receiver}")]
    return [Webhook(SECRETS[receiver]).verify(hook.body, hook.headers) for hook in own]


def names(message: dict[str, Any]) -> list[str]:
    return sorted(alert["labels"]["alertname"] for alert in message["alerts"])


def test_a_failure_is_told_once_a_receiver_and_group_and_resolved_by_a_later_run(
    tmp_path: Path, hooks: HookServer
) -> None:
    main = {"branch": "main", "environment": "test"}
    with serving(tmp_path, "--config", str(configured(tmp_path, hooks)), env=ENV) as server:

        def play(run: str, labels: dict[str, str], **faults: int) -> None:
            assert server.declare(run, expected_requests=3, labels=labels).status_code == 201
            server.play(run, 3, first=len(run) * 1000, **faults)
            server.verdict(run)

        play("bad", main, slow=1, outside=1)
        hooks.wait_for(3)
        (firing,) = messages(hooks, "ops")
        assert (firing["version"], firing["status"], names(firing)) == ("4", "firing", ["fast", "range"])
        assert {alert["labels"]["branch"] for alert in firing["alerts"]} == {"main"}
        assert {alert["annotations"]["run_id"] for alert in firing["alerts"]} == {"bad"}
        assert {alert["generatorURL"] for alert in firing["alerts"]} == {"https://verdicts.example/api/v1/runs/bad"}
        assert sorted(map(names, messages(hooks, "chat"))) == [["fast"], ["range"]]

        play("elsewhere", {**main, "branch": "feature"})
        play("good-again", main)
        hooks.wait_for(4)
        assert len(messages(hooks, "chat")) == 2, "it wants no resolved ones"
        resolved = messages(hooks, "ops")[-1]
        assert (resolved["status"], names(resolved)) == ("resolved", ["fast", "range"])
        assert resolved["groupKey"] == firing["groupKey"]
        fingerprints = [{alert["fingerprint"] for alert in told["alerts"]} for told in (firing, resolved)]
        assert fingerprints[0] == fingerprints[1]

        play("and-still-good", main)
        assert server.metric("webhook_deliveries", state="pending") == 0
        assert len(hooks.hooks) == 4
        said = server.said()
    ids = [hook.headers["webhook-id"] for hook in hooks.hooks]
    assert len(set(ids)) == 4
    assert not any(secret in said for secret in SECRETS.values())
    assert "canary-in-url" not in said


def test_a_decided_alert_survives_kill_9_and_is_delivered_after_the_restart(tmp_path: Path, hooks: HookServer) -> None:
    hooks.script = [answer(503)] * 2
    config = str(configured(tmp_path, hooks))
    with serving(tmp_path, "--config", config, env=ENV) as server:
        server.declare("bad", expected_requests=1, labels={"branch": "main"})
        server.play("bad", 1, slow=1)
        server.verdict("bad")
        hooks.wait_for(1)
        server.kill()
    first = json.loads(hooks.hooks[0].body)
    with serving(tmp_path, "--config", config, env=ENV) as server:
        wait_until(lambda: server.metric("webhook_deliveries", state="delivered") == 2, "delivery")
        assert server.metric("webhook_deliveries", state="pending") == 0
    (told,) = {json.dumps(message, sort_keys=True) for message in messages(hooks, "ops")}
    assert json.loads(told)["alerts"] == first["alerts"]
    by_receiver = {hook.path: hook.headers["webhook-id"] for hook in hooks.hooks}
    assert len({hook.headers["webhook-id"] for hook in hooks.hooks}) == len(by_receiver) == 2


def test_a_reopened_run_is_told_only_what_is_new(tmp_path: Path, hooks: HookServer) -> None:
    with serving(tmp_path, "--config", str(configured(tmp_path, hooks)), env=ENV) as server:
        server.play("late", 2, slow=1)
        assert server.verdict("late")["revision"] == 1
        hooks.wait_for(2)
        server.play("late", 2, first=1000)
        assert server.verdict("late")["revision"] == 2
        assert len(hooks.hooks) == 2
        server.play("late", 1, first=2000, outside=1)
        assert server.verdict("late")["revision"] == 3
        hooks.wait_for(4)
    last = messages(hooks, "ops")[-1]
    assert names(last) == ["fast", "range"]
    assert {alert["annotations"]["revision"] for alert in last["alerts"]} == {"3"}
    assert "rule range of flow scoring was passed and is failed now" in last["alerts"][0]["annotations"]["changes"]
