"""`run -- CMD`: a private receiver, a run id, CMD, and the verdict."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import quote

from spanverdict.alerting.config import ReceiverSettings
from spanverdict.app import selftelemetry
from spanverdict.app.baselinechoice import BaselineChoice
from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.judgement import Judgement
from spanverdict.app.liverun import LiveRun
from spanverdict.app.progress import progress_of
from spanverdict.app.runids import new_run_id
from spanverdict.app.service import Service, ServiceConfig
from spanverdict.app.subcommand import run_command
from spanverdict.app.verdicts import report, spans_in
from spanverdict.masking.rules import MaskingRules
from spanverdict.otlp.limiting import AttributeLimits
from spanverdict.receiver.addresses import Address
from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.listen import Endpoints
from spanverdict.reporting.catalogue import Target
from spanverdict.reporting.progress import Progress, ProgressState
from spanverdict.reporting.reporter import ReportOptions
from spanverdict.rulefiles.models import Flow
from spanverdict.storage.records import RunDeclaration

PRIVATE: Final = "127.0.0.1:0"
"""A listener that only the command is told of."""

_DRAIN_S: Final = 20.0
_GLANCE_S: Final = 0.2
_NAMED: Final = 5


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
    otlp_grpc: str = PRIVATE
    otlp_http: str = PRIVATE
    allow_public: bool = False
    store: Path | None = None
    webhooks: tuple[ReceiverSettings, ...] = ()
    baseline: BaselineChoice | None = None
    masking: MaskingRules = field(default_factory=MaskingRules)
    limits: AttributeLimits = field(default_factory=AttributeLimits)


def run(options: RunOptions, environ: Mapping[str, str] = os.environ) -> int:
    """Run the command and judge what it and its services sent; return the exit code.

    Raises:
        CommandError: an address is taken, the store cannot be used, or the command cannot start.
        Interrupted: somebody asked to stop.
    """
    if options.baseline is not None and options.baseline.stored and options.store is None:
        raise CommandError(f"--baseline {options.baseline.asked} is looked for in a store; name it with --store")
    run_id = options.run_id or new_run_id()
    with tempfile.TemporaryDirectory(prefix="spanverdict-") as folder, ExitStack() as stack:
        service = stack.enter_context(Service(_config(options, run_id, Path(folder))))
        watch = _Watch(service, options, run_id, Progress.on(sys.stderr, environ))
        service.judged = watch.take
        endpoints = service.start()
        ports = [address.port for address in (endpoints.grpc, endpoints.http) if address is not None]
        stack.callback(selftelemetry.start(ports, environ))
        if service.store.runs.get(run_id) is not None:
            raise CommandError(f"{options.store} holds a run {run_id} already; choose another --run-id")
        names = tuple(flow.name for flow in options.flows)
        service.declare(RunDeclaration(run_id, options.expected, options.labels, names, takes_untagged=True))
        given = environment(environ, endpoints, run_id)
        code = run_command(options.command, given)
        service.end(run_id)
        verdict = _report(watch.wait(), options, given, service.judge.docket.others())
        _deliver(service)
    return code if code != 0 else int(verdict)


def _config(options: RunOptions, run_id: str, folder: Path) -> ServiceConfig:
    """A receiver on addresses of the user's choice is one that services know which export at their own pace."""
    receiver = ReceiverConfig(
        grpc_address=options.otlp_grpc, http_address=options.otlp_http, allow_public=options.allow_public
    )
    return ServiceConfig(
        store=options.store or folder / "run.sqlite",
        flows=options.flows,
        receiver=receiver,
        webhooks=options.webhooks,
        masking=options.masking,
        limits=options.limits,
        baseline=options.baseline,
        only=run_id,
        patient=(options.otlp_grpc, options.otlp_http) != (PRIVATE, PRIVATE),
    )


def _report(judgement: Judgement, options: RunOptions, given: Mapping[str, str], others: Collection[str]) -> ExitCode:
    if others:
        names = ", ".join(sorted(others)[:_NAMED]) + (" …" if len(others) > _NAMED else "")
        _warn(f"spans of other runs came and were not judged: {names}")
    verdict = report(judgement.events, options.targets, options.report)
    if spans_in(judgement.events) == 0:
        _warn(
            "no spans came; does the command, or what it calls, export to OTEL_EXPORTER_OTLP_ENDPOINT"
            f" ({given['OTEL_EXPORTER_OTLP_ENDPOINT']}, {given['OTEL_EXPORTER_OTLP_PROTOCOL']})?"
        )
    return verdict


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
        "SPANVERDICT_ENDPOINT_GRPC": grpc,
        "SPANVERDICT_ENDPOINT_HTTP": http,
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
        live = self._live()
        if self.judgement is None or live is None or live.trouble:
            raise CommandError(f"the run could not be judged: {live.trouble if live else ''}", ExitCode.INTERNAL)
        return self.judgement

    def _live(self) -> LiveRun | None:
        return self.service.judge.docket.runs.get(self.run_id)

    def _is_settled(self) -> bool:
        live = self._live()
        return live is not None and live.ended is not None and (not live.fresh or bool(live.trouble))

    def _state(self) -> ProgressState:
        live = self._live()
        state = progress_of(live, self.options.flows)
        if live is None or live.due is None:
            return state
        return replace(state, seconds_left=max(0.0, live.due - time.monotonic()))


def _deliver(service: Service) -> None:
    """Try to deliver the alerts before we are gone, and say what could not be delivered."""
    if service.courier is None:
        return
    for lost in service.courier.drain(_DRAIN_S).undelivered:
        _warn(f"webhook {lost.receiver} was not delivered: {lost.error}")


def _warn(message: str) -> None:
    print(f"spanverdict: {message}", file=sys.stderr)  # noqa: T201 - a warning
