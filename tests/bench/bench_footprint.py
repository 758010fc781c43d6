"""What Spanverdict takes before there is anything to do: how long commands and `serve` take to start, and memory and CPU of an idle server.

    python tests/bench/bench_footprint.py [--repeat 5] [--idle 3] [--json FILE]

Every start is one of a new interpreter, with modules compiled as an installation has them; the fastest of some counts,
and its CPU time is printed beside it, which a busy machine changes less. A server is idle once it listens: no
connection, no span; one follows no rules, the other those of the demo.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.bench_judging import RULES
from bench.goals import Goal, command, finish
from bench.many_rules import rule_lines

ROOT: Final = Path(__file__).resolve().parents[2]
PROGRAM: Final = Path(sys.executable).with_name("spanverdict")
PATIENCE_S: Final = 60.0
MANY: Final = 300


@dataclass(frozen=True, slots=True)
class Start:
    """How long something took to start or to run, in ms; the CPU time is that of the fastest."""

    what: str
    wall_ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class Idle:
    """A server that has nothing to do."""

    what: str
    start: Start
    resident_mb: float
    private_mb: float
    """Of it, what no file backs."""
    cpu_percent: float
    """Of a core."""


def commands(folder: Path, environ: Mapping[str, str], repeat: int) -> Iterator[Start]:
    """Measure the commands that somebody waits for."""
    many = folder / "many.yaml"
    head = RULES[: RULES.index("rules:\n")].replace("REQUESTS", "100")
    many.write_text(head + "rules:\n" + "\n".join(rule_lines(MANY)) + "\n")
    yield _fastest("--help", ["--help"], environ, repeat)
    yield _fastest("lint rules/", ["lint", str(ROOT / "rules")], environ, repeat)
    yield _fastest(f"lint of {MANY} rules", ["lint", str(many)], environ, repeat)


def _fastest(what: str, arguments: Sequence[str], environ: Mapping[str, str], repeat: int) -> Start:
    found = [_run(arguments, environ) for _ in range(repeat)]
    wall, cpu = min(found)
    return Start(what, round(wall * 1000, 1), round(cpu * 1000, 1))


def _run(arguments: Sequence[str], environ: Mapping[str, str]) -> tuple[float, float]:
    before, begun = os.times(), time.perf_counter()
    subprocess.run([PROGRAM, *arguments], env=environ, stdout=subprocess.DEVNULL, check=True)
    took, after = time.perf_counter() - begun, os.times()
    return took, sum(after[2:4]) - sum(before[2:4])


def idle(what: str, rules: Sequence[str], environ: Mapping[str, str], repeat: int, seconds: float) -> Idle:
    """Start a server some times, and look at the last one when it has been idle."""
    starts = []
    for turn in range(repeat):
        with _serving(rules, environ) as (process, wall):
            cpu = _cpu(process)
            starts.append((wall, cpu))
            if turn < repeat - 1:
                continue
            time.sleep(1)
            before, begun = _cpu(process), time.perf_counter()
            time.sleep(seconds)
            busy = (_cpu(process) - before) / (time.perf_counter() - begun)
            memory = process.memory_full_info()
    wall, cpu = min(starts)
    start = Start(f"serve, {what}", round(wall * 1000, 1), round(cpu * 1000, 1))
    return Idle(
        what, start, round(memory.rss / 1e6, 1), round((memory.rss - memory.shared) / 1e6, 1), round(busy * 100, 2)
    )


@contextmanager
def _serving(rules: Sequence[str], environ: Mapping[str, str]) -> Iterator[tuple[psutil.Process, float]]:
    with tempfile.TemporaryDirectory(prefix="spanverdict-bench-") as folder:
        ready = Path(folder) / "ready"
        addresses = [f"--{name}=127.0.0.1:0" for name in ("otlp-grpc", "otlp-http", "http")]
        options = [*addresses, f"--store={folder}/store.sqlite", f"--ready-file={ready}"]
        begun = time.perf_counter()
        with subprocess.Popen([PROGRAM, "serve", *options, *rules], env=environ, stderr=subprocess.DEVNULL) as process:
            try:
                while not ready.exists():
                    if process.poll() is not None or time.perf_counter() > begun + PATIENCE_S:
                        raise RuntimeError("the server does not start")
                    time.sleep(0.002)
                yield psutil.Process(process.pid), time.perf_counter() - begun
            finally:
                process.terminate()
                process.wait(PATIENCE_S)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def goals_of(starts: Sequence[Start], servers: Sequence[Idle]) -> Iterator[Goal]:
    """Yield what is asked of them."""
    for start in starts:
        yield Goal(
            f"spanverdict {start.what}", start.wall_ms, 120 if start.what == "--help" else 200, "ms", at_most=True
        )
    for server in servers:
        yield Goal(f"start to listening, {server.what}", server.start.wall_ms / 1000, 1, "s", at_most=True)
        yield Goal(f"idle, {server.what}", server.resident_mb, 80, "MB", at_most=True)


def main() -> int:
    """Run it."""
    parser = command(__doc__)
    parser.add_argument("--repeat", type=int, default=5, help="starts of each, of which the fastest counts")
    parser.add_argument("--idle", type=float, default=3.0, help="seconds for which an idle server is watched")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spanverdict-bench-") as name:
        environ = {key: text for key, text in os.environ.items() if not key.startswith(("OTEL_", "SPANVERDICT_"))}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        environ["PYTHONPYCACHEPREFIX"] = f"{name}/compiled"
        demo = ["--rules", str(ROOT / "deploy" / "demo" / "scoring.yaml")]
        with _serving(demo, environ):
            pass  # compiles
        list(commands(Path(name), environ, 1))
        starts = list(commands(Path(name), environ, asked.repeat))
        servers = [
            idle(what, rules, environ, asked.repeat, asked.idle)
            for what, rules in (("no rules", []), ("the demo's rules", demo))
        ]
    for start in [*starts, *(server.start for server in servers)]:
        print(f"{start.what:28} {start.wall_ms:>7,.0f} ms, {start.cpu_ms:>5,.0f} ms of CPU")
    for server in servers:
        print(
            f"idle, {server.what:22} {server.resident_mb:>7.1f} MB, {server.private_mb:.1f} of them its own, {server.cpu_percent:.1f} % of a core"
        )
    return finish(
        asked,
        {"starts": [asdict(one) for one in starts], "idle": [asdict(one) for one in servers]},
        list(goals_of(starts, servers)),
    )


if __name__ == "__main__":
    sys.exit(main())
