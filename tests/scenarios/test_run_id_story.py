"""Whatever a run is called, it is a name and never a place: nothing is read, made or overwritten by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from otlppayloads import payload_of
from scenarios.stories import RULES, Server, serving, wait_until

pytestmark = pytest.mark.story

NAMES = (
    "../../victim",
    "/victim",
    "a/../../victim",
    "..",
    "../..",
    "C:/victim",
    "victim/",
    "file:///victim",
)


def seen(folder: Path) -> dict[str, bytes]:
    """All files but those of the store, with what they hold."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): path.read_bytes() for path in files if not path.name.startswith("store.sqlite")}


def listed(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.get("/api/v1/runs").json()["runs"]
    return found


def test_no_run_id_becomes_a_path(tmp_path: Path) -> None:
    home = tmp_path / "a" / "home"
    home.mkdir(parents=True)
    for place in (tmp_path, tmp_path / "a", home):
        (place / "victim").write_text("untouched", encoding="utf-8")
    (home / "rules.yaml").write_text(RULES, encoding="utf-8")
    with serving(home, "--rules", home / "rules.yaml") as server:
        before = seen(tmp_path)
        for number, name in enumerate(NAMES, 1):
            row = {
                "trace": f"t{number}",
                "id": number,
                "name": "in",
                "kind": "server",
                "start": 10**18,
                "end": 10**18 + 1000,
            }
            resource = {"service.name": "gateway", "test.suite.run.id": name}
            url = f"http://{server.addresses['otlp-http']}/v1/traces"
            headers = {"Content-Type": "application/x-protobuf"}
            httpx.post(
                url, content=payload_of([row | {"resource": resource}]), headers=headers, trust_env=False
            ).raise_for_status()
        for name in [name for name in NAMES if set(name) != {"."}]:  # clients take `..` out of an address themselves
            found = server.verdict(quote(name, safe=""))
            assert (found["id"], found["verdict"]["run"]["id"]) == (name, name)
            assert found["verdict"]["run"]["spans"] == 1
        wait_until(lambda: [run["state"] for run in listed(server)] == ["judged"] * len(NAMES), "verdicts")
        assert {run["id"] for run in listed(server)} == set(NAMES)
        after = seen(tmp_path)
        logs = {path for path in after if path.endswith(".log")}
        assert after.keys() == before.keys()
        assert {path: after[path] for path in after.keys() - logs} == {
            path: before[path] for path in before.keys() - logs
        }
