"""`run -- CMD`: a private receiver, a run id, CMD, and the verdict."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from spanverdict.alerting.config import ReceiverSettings
from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.judge import Judgement
from spanverdict.app.progress import progress_of
from spanverdict.app.service import Service, ServiceConfig
from spanverdict.app.verdicts import report
from spanverdict.receiver.addresses import Address
from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.listen import Endpoints
from spanverdict.reporting.catalogue import Target
from spanverdict.reporting.progress import Progress, ProgressState
from spanverdict.reporting.reporter import ReportOptions
from spanverdict.rulefiles.models import Flow
from spanverdict.storage.records import RunDeclaration

_DRAIN_S = 20.0
_GLANCE_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What `run` is told."""

    flows: tuple[Flow, ...]
    command: tuple[str, ...]
    targets: tuple[Target, ...]
    report: ReportOptions
    run_id: str | None = None
    expected: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    otlp_grpc: str = "127.0.0.1:0"
    otlp_http: str = "127.0.0.1:0"
    allow_public: bool = False
    store: Path | None = None
    webhooks: tuple[ReceiverSettings, ...] = ()


def run(options: RunOptions, environ: Mapping[str, str] = os.environ) -> int:
    """Run the command and judge what it and its services sent; return the exit code.

    Raises:
        CommandError: an address is taken, the store cannot be used, or the command cannot start.
    """
    run_id = options.run_id or new_run_id()
    with tempfile.TemporaryDirectory(prefix="spanverdict-") as folder:
        config = ServiceConfig(
            store=options.store or Path(folder) / "run.sqlite",
            flows=options.flows,
            receiver=ReceiverConfig(
                grpc_address=options.otlp_grpc, http_address=options.otlp_http, allow_public=options.allow_public
            ),
            webhooks=options.webhooks,
            window_run=run_id,
        )
        with Service(config) as service:
            watch = _Watch(service, options, run_id, Progress.on(sys.stderr, environ))
            service.judged = watch.take
            endpoints = service.start()
            names = tuple(flow.name for flow in options.flows)
            declared = RunDeclaration(run_id, options.expected, options.labels, names, takes_untagged=True)
            service.declare(declared)
            code = _command(options.command, environment(environ, endpoints, run_id))
            service.end(run_id)
            judgement = watch.wait()
            verdict = report(judgement.events, options.targets, options.report)
            _deliver(service)
    return code if code != 0 else int(verdict)


def new_run_id() -> str:
    """Return an id that no other run has: the time, for people, and chance."""
    return f"run-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"


def environment(environ: Mapping[str, str], endpoints: Endpoints, run_id: str) -> dict[str, str]:
    """Return the environment of the command: it exports here, tagged, and without long delays."""
    grpc, http = _url(endpoints.grpc), _url(endpoints.http)
    protocol = environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf" if http else "grpc")
    tag = f"test.suite.run.id={quote(run_id, safe='')}"
    added = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": (grpc if protocol == "grpc" else http) or grpc or http,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_RESOURCE_ATTRIBUTES": _joined(environ.get("OTEL_RESOURCE_ATTRIBUTES"), tag),
        "BAGGAGE": _joined(environ.get("BAGGAGE"), tag),
        "OTEL_BSP_SCHEDULE_DELAY": environ.get("OTEL_BSP_SCHEDULE_DELAY", "200"),
        "OTEL_TRACES_EXPORTER": environ.get("OTEL_TRACES_EXPORTER", "otlp"),
        "SPANVERDICT_RUN_ID": run_id,
        "SPANVERDICT_OTLP_GRPC": grpc,
        "SPANVERDICT_OTLP_HTTP": http,
    }
    overridden = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"}
    kept = {name: value for name, value in environ.items() if name not in overridden}
    return kept | {name: value for name, value in added.items() if value}


def _url(address: Address | None) -> str:
    return f"http://{address.reachable}" if address is not None else ""


def _joined(present: str | None, tag: str) -> str:
    """Add our tag to what is there; a run id that is there already gives way to this run's."""
    kept = [
        part
        for part in (present or "").split(",")
        if part.strip() and not part.strip().startswith("test.suite.run.id=")
    ]
    return ",".join([*kept, tag])


def _command(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command to its end; signals reach it as they reach us."""
    try:
        process = subprocess.Popen(command, env=dict(environ))  # noqa: S603 - the user's own command
    except OSError as error:
        raise CommandError(f"cannot start {command[0]}: {error.strerror}") from None
    previous = {number: signal.signal(number, lambda n, _f: process.send_signal(n)) for number in (signal.SIGTERM,)}
    try:
        code = process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


@dataclass(slots=True, eq=False)
class _Watch:
    """Waits for the verdict of the run, and shows what is still missing meanwhile."""

    service: Service
    options: RunOptions
    run_id: str
    screen: Progress
    judgement: Judgement | None = None

    def take(self, judgement: Judgement) -> None:
        """Keep the latest judgement."""
        if judgement.run.id == self.run_id:
            self.judgement = judgement

    def wait(self) -> Judgement:
        """Return the verdict on all that came until the run had ended."""
        patience = _GLANCE_S if self.screen.active else None
        while not self.service.settling.wait_for(self._is_settled, patience):
            self.screen.show(self._state())
        self.screen.clear()
        if self.judgement is None:
            raise CommandError("the run could not be judged; the log says why", ExitCode.INTERNAL)
        return self.judgement

    def _is_settled(self) -> bool:
        live = self.service.judge.runs.get(self.run_id)
        return live is not None and live.ended is not None and not live.fresh

    def _state(self) -> ProgressState:
        return progress_of(self.service.judge.runs.get(self.run_id), self.options.flows)


def _deliver(service: Service) -> None:
    """Try to deliver the alerts before we are gone, and say what could not be delivered."""
    if service.courier is None:
        return
    for lost in service.courier.drain(_DRAIN_S).undelivered:
        print(f"spanverdict: webhook {lost.receiver} was not delivered: {lost.error}", file=sys.stderr)  # noqa: T201 - a warning
