"""Disks that are full, broken, read-only or slow: clients are told to come again, and nothing acknowledged is lost."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest

from scenarios.stories import Server, call, free_address, serving, wait_until
from scenarios.survival import PATH, RULES, Load, batch, check

pytestmark = pytest.mark.story

OUTAGE_S = 0.5
STOPPED_S = 2.0


@dataclass(frozen=True)
class Disk:
    """The disk of a server, which fails when told to."""

    library: Path
    mode: Path
    on: str = "/store.sqlite"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(self.library),
            "DISK_FAULTS_MODE": str(self.mode),
            "DISK_FAULTS_ON": self.on,
        }

    @contextmanager
    def failing(self, how: str) -> Iterator[None]:
        self.mode.write_text(how, encoding="ascii")
        try:
            yield
        finally:
            self.mode.unlink()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler `cc`, with which a disk is made to fail")
    made = tmp_path_factory.mktemp("disk") / "diskfaults.so"
    source = Path(__file__).with_name("diskfaults.c")
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(made), str(source), "-ldl"]
    subprocess.run(command, check=True, timeout=60)
    return made


@pytest.fixture
def disk(library: Path, tmp_path: Path) -> Disk:
    return Disk(library, tmp_path / "mode")


@contextmanager
def under_load(folder: Path, disk: Disk | None = None) -> Iterator[tuple[Server, Load]]:
    """A server with clients that send until the block ends."""
    (folder / "survival.yaml").write_text(RULES, encoding="utf-8")
    load = Load(free_address(), free_address())
    options = ("--otlp-grpc", load.grpc_address, "--otlp-http", load.http_address)
    environment = disk.environment if disk is not None else None
    rules = ("--rules", str(folder / "survival.yaml"))
    with serving(folder, *options, *rules, env=environment) as server, load.going():
        load.wait_for_more(200)
        yield server, load


def is_sound(folder: Path) -> bool:
    with closing(sqlite3.connect(folder / "store.sqlite")) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def refusals(load: Load) -> tuple[httpx.Response, grpc.RpcError]:
    """Send a batch over either protocol, once, and return how it is refused."""
    payload, _ = batch(10_000_000)
    headers = {"Content-Type": "application/x-protobuf"}
    answer = httpx.post(f"http://{load.http_address}/v1/traces", content=payload, headers=headers, trust_env=False)
    with grpc.insecure_channel(load.grpc_address) as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(PATH)(payload, timeout=10)
    return answer, refused.value


@pytest.mark.parametrize("how", ["ENOSPC", "EIO", "EROFS"])
def test_while_commits_fail_clients_are_asked_to_come_again_and_lose_nothing(
    tmp_path: Path, disk: Disk, how: str
) -> None:
    with under_load(tmp_path, disk) as (server, load):
        assert server.get("/readyz").status_code == 200
        wait_until((tmp_path / "store.sqlite-segments").exists, "a commit that is large enough for a segment")
        with disk.failing(how):
            wait_until(lambda: server.get("/readyz").status_code == 503, "503 from /readyz")
            answer, refused = refusals(load)
            assert (answer.status_code, refused.code()) == (503, grpc.StatusCode.UNAVAILABLE)
            assert int(answer.headers["retry-after"]) >= 1
            assert server.get("/healthz").status_code == 200
            assert server.get("/api/v1/runs").status_code == 200, "what is stored can still be read"
            acknowledged = len(load.acknowledged)  # by now clients heard of what was kept before
            time.sleep(OUTAGE_S)
            assert len(load.acknowledged) == acknowledged, "acknowledged and not on disk"
        wait_until(lambda: server.get("/readyz").status_code == 200, "200 from /readyz")
        load.wait_for_more(200)
    # The load has ended; the server is gone, and another one takes over what it left.
    assert is_sound(tmp_path)
    with serving(tmp_path, "--rules", str(tmp_path / "survival.yaml")) as server:
        server.end("survivor")
        check(load, server.verdict("survivor"))


@pytest.mark.parametrize("how", ["ENOSPC", "EIO", "EROFS"])
def test_while_segments_alone_cannot_be_written_the_same_holds(tmp_path: Path, library: Path, how: str) -> None:
    """As on a full disk, where SQLite still finds room in its log."""
    disk = Disk(library, tmp_path / "mode", on="/store.sqlite-segments")
    with under_load(tmp_path, disk) as (server, load):
        wait_until((tmp_path / "store.sqlite-segments").exists, "a commit that is large enough for a segment")
        with disk.failing(how):
            wait_until(lambda: server.get("/readyz").status_code == 503, "503 from /readyz")
            assert server.get("/readyz").status_code == 503
            time.sleep(OUTAGE_S)
        wait_until(lambda: server.get("/readyz").status_code == 200, "200 from /readyz")
        load.wait_for_more(200)
        load.stop()
        server.end("survivor")
        check(load, server.verdict("survivor"))


@pytest.mark.parametrize("how", ["ENOSPC", "EIO", "EROFS"])
def test_a_server_to_which_nothing_comes_knows_that_its_disk_fails_too(tmp_path: Path, disk: Disk, how: str) -> None:
    with serving(tmp_path, env=disk.environment) as server:
        assert server.get("/readyz").status_code == 200
        with disk.failing(how):
            assert [server.get("/readyz").status_code for _ in range(3)] == [503, 503, 503]
            assert server.metric("store_writable") == 0
        wait_until(lambda: server.get("/readyz").status_code == 200, "200 from /readyz")
        assert server.metric("store_writable") == 1


def test_a_verdict_that_cannot_be_kept_is_kept_when_there_is_space_again(tmp_path: Path, disk: Disk) -> None:
    with under_load(tmp_path, disk) as (server, load):
        load.stop()
        assert server.end("survivor").status_code == 200
        with disk.failing("ENOSPC"):
            wait_until(lambda: "cannot be kept" in server.said(), "verdict that cannot be kept")
            found = server.get("/api/v1/runs/survivor").json()
            assert found["state"] == "ended", found
        check(load, server.verdict("survivor"))


def test_a_slow_disk_delays_clients_and_nobody_else(tmp_path: Path, disk: Disk) -> None:
    with under_load(tmp_path, disk) as (server, load):
        with disk.failing("SLOW"):
            begun = time.monotonic()
            load.wait_for_more(400)
            assert time.monotonic() - begun > 0.2, "the disk is not slow"
            begun = time.monotonic()
            assert server.get("/healthz").status_code == 200
            assert server.get("/api/v1/runs").status_code == 200
            assert time.monotonic() - begun < 5
            assert server.get("/readyz").status_code == 200
        load.stop()
        server.end("survivor")
        check(load, server.verdict("survivor"))


def test_a_server_that_is_told_to_stop_while_its_disk_fails_stops(tmp_path: Path, disk: Disk) -> None:
    with under_load(tmp_path, disk) as (server, load):
        with disk.failing("ENOSPC"):
            wait_until(lambda: server.get("/readyz").status_code == 503, "503 from /readyz")
            begun = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - begun < 10
        load.give_up()
    assert is_sound(tmp_path)
    with serving(tmp_path, "--rules", str(tmp_path / "survival.yaml")) as server:
        server.end("survivor")
        spans = server.verdict("survivor")["verdict"]["run"]["spans"]
    assert spans >= len(load.acknowledged)


@pytest.mark.parametrize("how", ["EIO", "EROFS"])
def test_a_server_whose_disk_fails_from_the_start_says_so_on_one_line(tmp_path: Path, disk: Disk, how: str) -> None:
    store = tmp_path / "store.sqlite"
    options = ("--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0", "--http", "127.0.0.1:0")
    with disk.failing(how):
        told = call("serve", *options, "--store", store, env=disk.environment)
    assert told.returncode == 5, told
    assert told.stderr.startswith(f"spanverdict: cannot use {store} as the store: "), told.stderr
    assert told.stderr.count("\n") == 1


def test_sigterm_under_load_drains_in_time_and_what_was_acknowledged_is_there(tmp_path: Path) -> None:
    with under_load(tmp_path) as (server, load):
        load.wait_for_more(2000)
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun < 10
        load.give_up()
    with serving(tmp_path, "--rules", str(tmp_path / "survival.yaml")) as server:
        server.end("survivor")
        spans = server.verdict("survivor")["verdict"]["run"]["spans"]
    # A batch that was committed when its client was cut off is there without an acknowledgement.
    assert len(load.acknowledged) <= spans <= len(load.acknowledged) + load.unanswered


def stopped_and_continued(folder: Path, seconds: float) -> None:
    with under_load(folder) as (server, load):
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)  # the very thing that is tried: a machine that stands still
        server.process.send_signal(signal.SIGCONT)
        load.wait_for_more(400)
        load.stop()
        server.end("survivor")
        check(load, server.verdict("survivor"))


def test_a_server_that_stood_still_goes_on(tmp_path: Path) -> None:
    stopped_and_continued(tmp_path, STOPPED_S)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_server_that_stood_still_for_a_minute_goes_on(tmp_path: Path) -> None:
    stopped_and_continued(tmp_path, 60)
