"""`serve`: receive and judge many runs until told to stop."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from spanverdict.app import selftelemetry
from spanverdict.app.allocation import keep_freed_memory
from spanverdict.app.apidoors import ApiDoors, api_doors
from spanverdict.app.backend import ServiceBackend
from spanverdict.app.baselinechoice import parse_choice
from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.flows import load_flows, print_diagnostics
from spanverdict.app.keeping import keeping_of
from spanverdict.app.logs import configure_logging, log_diagnostics
from spanverdict.app.reload import Reloader
from spanverdict.app.service import Service, ServiceConfig
from spanverdict.config.bytesizes import parse_bytes
from spanverdict.config.limits import read_limits
from spanverdict.config.masking import read_masking
from spanverdict.config.settings import Settings
from spanverdict.config.strangers import named_by, strangers
from spanverdict.config.tokens import read_tokens
from spanverdict.config.webhooks import read_webhooks
from spanverdict.receiver.addresses import Address, bind, parse_address
from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.errors import CannotListen, PublicWithoutAuthentication, ReceiverError
from spanverdict.receiver.listen import port_of

TURN_S: Final = 0.0005
"""For how long a thread may keep the interpreter lock from another that wants it, a tenth of what Python has by itself.
Each call of numpy lets it go, so who judges a large run asks for it thousands of times, while others receive."""

_log = logging.getLogger(__name__)


def serve(
    read: Callable[[], Settings], environ: Mapping[str, str] = os.environ, ready_file: Path | None = None
) -> ExitCode:
    """Serve until SIGTERM or SIGINT; SIGHUP reads the settings anew. Raises `CommandError` when it cannot start."""
    _collect_seldom()
    sys.setswitchinterval(TURN_S)
    keep_freed_memory()
    told: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: told.put(number))
    settings = read()
    configure_logging(settings.log_format, logging.getLogger("spanverdict").getEffectiveLevel())
    if settings.log_format == "json":
        _log.setLevel(logging.INFO)  # where it listens is printed otherwise, and that would be no JSON
    for line in strangers(environ, named_by(settings)):
        _log.warning("%s", line)
    tell = log_diagnostics if settings.log_format == "json" else print_diagnostics
    flows = load_flows(settings.rules, tell=tell) if settings.rules else ()
    config = ServiceConfig(
        store=settings.store,
        flows=flows,
        receiver=receiver_config(settings),
        webhooks=read_webhooks(settings.webhooks, environ, settings.webhook_hosts),
        external_url=settings.external_url.rstrip("/"),
        masking=read_masking(settings.masking, environ),
        limits=read_limits(settings),
        window_bytes=parse_bytes(settings.window),
        keeping=keeping_of(settings.retention),
        baseline=parse_choice(settings.baseline) if settings.baseline is not None else None,
        decode_apart=len(os.sched_getaffinity(0)) > 1,
    )
    doors = api_doors(settings)
    if ready_file is not None:
        _remove(ready_file)  # one from before a crash would tell of addresses that nobody listens on
    with ExitStack() as last, ExitStack() as parts:
        service = parts.enter_context(Service(config))
        listener, address = _take_web_address(settings)
        parts.callback(listener.close)
        endpoints = service.start()
        _serve_web(service, doors, listener, parts)
        taken = {"otlp-grpc": endpoints.grpc, "otlp-http": endpoints.http, "http": address}
        last.callback(selftelemetry.start([one.port for one in taken.values() if one is not None], environ))
        _announce(taken, ready_file, parts, tls=config.receiver.tls is not None)
        reloader = Reloader(service, doors, settings, read, environ)
        while told.get() == signal.SIGHUP:
            reloader.reload()
        _log.info("stopping: finishing what was acknowledged")
    return ExitCode.PASSED


def _serve_web(service: Service, doors: ApiDoors, listener: socket.socket, parts: ExitStack) -> None:
    from spanverdict.app.apiconnections import connection_class  # noqa: PLC0415 - as below
    from spanverdict.web.api import application  # noqa: PLC0415 - heavy, and not needed to refuse to start
    from spanverdict.web.server import WebServer  # noqa: PLC0415 - as above

    app = application(ServiceBackend(service), doors.tokens.admits)
    tls = doors.identity.context() if doors.identity is not None else None
    server = WebServer(app, listener, connection_class(ReceiverConfig()), tls)
    server.start()
    parts.callback(server.stop)
    parts.callback(service.settling.close)


def _collect_seldom() -> None:
    """Look for cyclic garbage less often, and not among what is there to stay: we make next to none."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def receiver_config(settings: Settings) -> ReceiverConfig:
    """Return the receiver's part of the settings; raises `ConfigError` for a token file that cannot be used."""
    return ReceiverConfig(
        grpc_address=settings.otlp_grpc,
        http_address=settings.otlp_http,
        allow_public=settings.allow_public,
        bearer_tokens=read_tokens(settings.token_file),
        tls_certificate=settings.tls_certificate,
        tls_key=settings.tls_key,
        tls_client_ca=settings.tls_client_ca,
        max_message_bytes=parse_bytes(settings.max_message),
        in_flight_bytes=parse_bytes(settings.in_flight),
        client_bytes_per_s=settings.client_bytes_per_s,
    )


def _take_web_address(settings: Settings) -> tuple[socket.socket, Address]:
    """Take the address of the API before anything else is opened."""
    try:
        address = parse_address(settings.http)
        guarded = settings.api_token_file is not None or settings.api_client_ca is not None
        if not (address.is_loopback or guarded or settings.allow_public):
            raise PublicWithoutAuthentication(str(address), "api_token_file or api_client_ca")
        listener = bind(address)
        listener.listen()
    except ReceiverError as error:
        code = ExitCode.INTERNAL if isinstance(error, CannotListen) else ExitCode.USAGE
        raise CommandError(str(error), code) from None
    return listener, Address(address.host, port_of(listener))


def _announce(taken: Mapping[str, Address | None], ready_file: Path | None, parts: ExitStack, *, tls: bool) -> None:
    """Say where it listens, on standard error and in the ready file, one `name address` a line."""
    lines = [f"{name} {address}" for name, address in taken.items() if address is not None]
    for line in lines:
        if _log.level == logging.INFO:
            _log.info("listening: %s", line)
        else:
            print(f"spanverdict: listening: {line}", file=sys.stderr, flush=True)  # noqa: T201 - for people and scripts
    if ready_file is None:
        return
    partial = ready_file.with_name(f"{ready_file.name}.partial")
    try:
        partial.write_text("\n".join(lines + ["tls on"] * tls) + "\n", encoding="utf-8")
        partial.replace(ready_file)
    except OSError as error:
        raise CommandError(f"cannot write the ready file {ready_file}: {error.strerror}") from None
    parts.callback(_remove, ready_file)


def _remove(ready_file: Path) -> None:
    with contextlib.suppress(OSError):
        ready_file.unlink(missing_ok=True)
