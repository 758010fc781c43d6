"""The real `spanverdict serve`, started as a process of its own and watched while it works."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from spanverdict.app.decodingprocess import WAYS

SAMPLE_S = 0.05
LOOK_S = 2.0
REST_S = 0.2
REST_AT_MOST_S = 5.0
ENOUGH_SAMPLES = 10
"""For a slope."""
START_S = 30.0
STOP_S = 60.0
DRAIN_S = 120.0


class CpuTime(NamedTuple):
    """Seconds, of all threads."""

    server: float
    child: float
    """The process that decodes, once there is one, its start included."""

    def since(self, before: CpuTime) -> CpuTime:
        """Return what was added."""
        return CpuTime(self.server - before.server, self.child - before.child)


def _cpu_of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@dataclass(slots=True, eq=False)
class Server:
    """A server that listens."""

    process: subprocess.Popen[bytes]
    addresses: dict[str, str]
    """By listener: otlp-grpc, otlp-http, http."""
    store: Path | None
    """None where what is received is not kept in a store of ours."""
    started_s: float
    """From the start of the process until it listened."""
    memory: list[tuple[float, int]] = field(default_factory=list)
    """Resident bytes by time, all along."""
    peak_backlog: int = 0
    """Bytes of columns that the judge had not taken in, at most; looked at every two seconds."""
    _watched: psutil.Process = field(init=False)

    def __post_init__(self) -> None:
        self._watched = psutil.Process(self.process.pid)

    def cpu_seconds(self) -> CpuTime:
        """Return the CPU time that it, and what it started, took so far."""
        return CpuTime(_cpu_of(self._watched), sum(map(_cpu_of, self._children())))

    def rss(self) -> int:
        """Return the size of the resident sets now: its own, and of what it started."""
        return sum(int(process.memory_info().rss) for process in (self._watched, *self._children()))

    @property
    def peak_rss(self) -> int:
        """The largest resident set so far."""
        return max((size for _, size in self.memory), default=0)

    def slope(self, since: float) -> float:
        """Return how many bytes a second the resident set grew, by a straight line through what was seen since a time."""
        seen = np.array([sample for sample in self.memory if sample[0] >= since]).reshape(-1, 2)
        if len(seen) < ENOUGH_SAMPLES:
            return 0.0
        return float(np.polyfit(seen[:, 0] - seen[0, 0], seen[:, 1], 1)[0])

    def _children(self) -> list[psutil.Process]:
        return self._watched.children()

    def watch_memory(self, until: threading.Event) -> None:
        """Note the resident set again and again."""
        while not until.wait(SAMPLE_S):
            try:
                self.memory.append((time.perf_counter(), self.rss()))
            except psutil.NoSuchProcess:
                return

    def _await_rest(self) -> None:
        """Wait until it takes next to no CPU any more, and so has done what it put off."""
        busy = sum(self.cpu_seconds())
        for _ in range(int(REST_AT_MOST_S / REST_S)):
            time.sleep(REST_S)
            before, busy = busy, sum(self.cpu_seconds())
            if busy - before <= REST_S / 10:
                return

    def watch_judge(self, until: threading.Event) -> None:
        """Note how far the judge is behind."""
        while self.store is not None and not until.wait(LOOK_S):
            with suppress(OSError):
                self.peak_backlog = max(self.peak_backlog, int(self.metric("judge_backlog_bytes")))

    def await_verdicts(self) -> None:
        """Wait until every run has a verdict on all of it."""
        if self.store is not None:
            _await(lambda: not self.metric("runs", '{state="fresh"}'), "there are runs without a verdict")

    def metric(self, name: str, labels: str = "{[^}]*}") -> float:
        """Return the sum of a metric's samples; `labels` is a pattern."""
        with urllib.request.urlopen(f"http://{self.addresses['http']}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        found = re.findall(rf"^spanverdict_{name}(?:{labels})? (\S+)$", text, re.MULTILINE)
        if not found:
            raise LookupError(f"the server has no metric {name}")
        return sum(map(float, found))

    def decoding(self) -> str:
        """Return how a process of its own decodes now; nothing where the server is not ours."""
        if self.store is None:
            return ""
        return next((way for way in WAYS if self.metric("decoding_process", f'{{way="{way}"}}')), "unknown")

    def drain(self) -> float:
        """Wait until all that was received is decoded, journaled and taken in by the judge; return the seconds."""
        begun = time.perf_counter()
        if self.store is None:
            self._await_rest()
            return time.perf_counter() - begun
        backlogs = "judge_backlog_bytes", "journal_backlog_bytes"
        _await(lambda: not any(map(self.metric, backlogs)), "the judge does not catch up")
        return time.perf_counter() - begun


def _await(reached: Callable[[], bool], otherwise: str) -> None:
    end = time.perf_counter() + DRAIN_S
    while not reached():
        if time.perf_counter() > end:
            raise TimeoutError(otherwise)
        time.sleep(SAMPLE_S)


@contextmanager
def watched(server: Server) -> Iterator[Server]:
    """Note a server's resident set, and how far its judge is behind, meanwhile."""
    done = threading.Event()
    watchers = [threading.Thread(target=watch, args=(done,)) for watch in (server.watch_memory, server.watch_judge)]
    for watcher in watchers:
        watcher.start()
    try:
        yield server
    finally:
        done.set()
        for watcher in watchers:
            watcher.join()


@cache
def compile_beforehand() -> None:
    """Compile what ours compiles, as an installation does it; nothing where that has been done, or numba is not there."""
    subprocess.run([sys.executable, "-m", "spanverdict.app.compiling"], stderr=subprocess.DEVNULL, check=False)


@contextmanager
def serving(folder: Path, rules: Path | None = None) -> Iterator[Server]:
    """Run `spanverdict serve` on free ports with a new store in `folder`; it is stopped with SIGTERM."""
    compile_beforehand()
    ready, store = folder / "ready", folder / "store.sqlite"
    program = Path(sys.executable).with_name("spanverdict")
    command = [str(program), "serve", "--ready-file", str(ready), "--store", str(store)]
    for listener in ("otlp-grpc", "otlp-http", "http"):
        command += [f"--{listener}", "127.0.0.1:0"]
    if rules is not None:
        command += ["--rules", str(rules)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SPANVERDICT_"))}
    with (folder / "server.log").open("wb") as log:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environ)
        try:
            addresses = _addresses(process, ready, folder / "server.log")
            with watched(Server(process, addresses, store, time.perf_counter() - begun)) as server:
                yield server
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            finally:
                process.kill()
                process.wait()


def _addresses(process: subprocess.Popen[bytes], ready: Path, log: Path) -> dict[str, str]:
    end = time.monotonic() + START_S
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.01)
    return dict(line.split(" ", 1) for line in ready.read_text().splitlines())
