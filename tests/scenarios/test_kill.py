"""`kill -9` under load, again and again: what was acknowledged is in the verdict, once."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from scenarios.stories import Server, free_address, start
from scenarios.survival import RULES, Load, check
from soaking import Progress, again, asked

pytestmark = pytest.mark.story

KILLS = 20


def killed(folder: Path, kills: Iterable[int], seed: int) -> tuple[Load, dict[str, Any], list[float]]:
    """Kill a server so often under load; return the load, the final verdict and how long each start took."""
    rng = random.Random(seed)
    (folder / "survival.yaml").write_text(RULES, encoding="utf-8")
    load = Load(free_address(), free_address())
    listening = ("--otlp-grpc", load.grpc_address, "--otlp-http", load.http_address)
    starts = []

    def restarted() -> Server:
        begun = time.monotonic()
        server = start(folder, *listening, "--rules", str(folder / "survival.yaml"))
        starts.append(time.monotonic() - begun)
        return server

    server = restarted()
    try:
        with load.going():
            for _ in kills:
                load.wait_for_more(rng.randrange(1, 3000))
                time.sleep(rng.random() * 0.02)  # so that the kill falls anywhere in the work on a batch
                server.kill()
                server.close()
                server = restarted()
            load.wait_for_more(1)
        server.end("survivor")
        found = server.verdict("survivor", times=10)  # the last start reads all of it again
        assert "Traceback" not in server.said(), server.said()
    finally:
        server.close()
    return load, found, starts


def test_every_acknowledged_span_is_in_the_verdict_once_after_20_kills(tmp_path: Path) -> None:
    begun = time.monotonic()
    load, found, starts = killed(tmp_path, range(KILLS), seed=os.getpid())
    check(load, found)
    assert list((tmp_path / "store.sqlite-segments").iterdir()), "kills fell into commits of either kind"
    print(
        f"{KILLS} kills, {len(load.acknowledged):,} spans, {load.resent} resends, seed {os.getpid()}, "
        f"{time.monotonic() - begun:.0f} s, starts {min(starts):.1f} to {max(starts):.1f} s"
    )
    assert load.resent > 0, "no kill fell into a request"


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_every_acknowledged_span_is_in_the_verdict_once_after_200_kills(tmp_path: Path, progress: Progress) -> None:
    kills, seed = asked("SPANVERDICT_KILLS", 0, 200), int(os.environ.get("SPANVERDICT_SEED", os.getpid()))
    print("again:", again("tests/scenarios/test_kill.py -k 200", SPANVERDICT_SEED=seed, SPANVERDICT_KILLS=len(kills)))
    load, found, _ = killed(tmp_path, progress.through(kills, len(kills), "kills"), seed)
    check(load, found)
