"""Run the demo once: start the scoring system, send payments, let it settle, stop it.

    spanverdict run --rules deploy/demo/scoring.yaml -- python deploy/demo/run.py

FAULT=slow-scorer|stale-features|lost-messages|wrong-output|lost-spans breaks it for real. Everything that is
said goes to standard error. Exit codes: 0 every payment was answered, 1 some were not or a service failed,
2 wrong usage or a missing package.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import book
import client
import store
from faults import Fault, UnknownFaultError, chosen
from fleet import DemoError, Fleet

NEEDED = (
    "flask",
    "kombu",
    "opentelemetry.exporter.otlp.proto.grpc",
    "opentelemetry.exporter.otlp.proto.http",
    "opentelemetry.instrumentation.flask",
    "opentelemetry.instrumentation.requests",
    "opentelemetry.sdk.trace",
    "requests",
    "sqlalchemy",
)
"""Imported by the services only: this file and what it imports runs on the standard library."""


class UsageError(Exception):
    """The demo cannot run as it was started; the message is one line for people."""


def main() -> int:
    """Run the demo and return its exit code; a mistake or a failure is one line on standard error."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    count = payments_wanted()
    try:
        fault = checked(os.environ)
        with tempfile.TemporaryDirectory(prefix="spanverdict-demo-") as folder:
            return play(count, fault, Path(folder), os.environ)
    except (UsageError, UnknownFaultError) as mistake:
        say(str(mistake))
        return 2
    except DemoError as failure:
        say(str(failure))
        return 1
    except KeyboardInterrupt:
        return 130


def payments_wanted() -> int:
    """Return how many payments the command line asks for."""
    parser = argparse.ArgumentParser(description="Run the demo scoring system once.")
    parser.add_argument("--requests", type=int, default=300, help="payments to send (default: 300)")
    count: int = parser.parse_args().requests
    if count < 1:
        parser.error("--requests must be at least 1")
    return count


def checked(environment: Mapping[str, str]) -> Fault:
    """Return the fault to play; a `UsageError` when the demo cannot run in this environment."""
    fault = chosen(environment)
    if missing := [name for name in NEEDED if not installed(name)]:
        raise UsageError(f"missing {', '.join(missing)}: pip install --group demo")
    if not environment.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        raise UsageError("OTEL_EXPORTER_OTLP_ENDPOINT is not set: start the demo with spanverdict run")
    return fault


def installed(module: str) -> bool:
    """Say whether a module is there, without running it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def play(count: int, fault: Fault, folder: Path, environment: Mapping[str, str]) -> int:
    """Start the services with their files in `folder`, send the payments, stop everything, say what came of it."""
    features, queue, ledger = (str(folder / name) for name in ("features.sqlite", "queue.sqlite", "ledger.sqlite"))
    store.fill(Path(features), stale_merchants=fault is Fault.STALE_FEATURES)
    with Fleet(environment) as fleet:
        fleet.start("features", features)
        fleet.start("scorer")
        fleet.start("ledger", queue, ledger)
        urls = [fleet.ready("features"), fleet.ready("scorer")]
        fleet.ready("ledger")
        fleet.start("gateway", *urls, queue)
        gateway = fleet.ready("gateway")
        say(f"sending {count} payments (fault: {fault})")
        started = time.monotonic()
        answered = client.send_all(gateway, count)
        took = time.monotonic() - started
        fleet.stop()
    booked = book.count(Path(ledger))
    say(f"{answered} of {count} payments were answered in {took:.1f} s, the ledger booked {booked}")
    return 0 if answered == count else 1


def say(line: str) -> None:
    """Say something to whoever started the demo, out of the way of a report on standard output."""
    print(f"demo: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
