"""`healthcheck`: ask the server on this machine how it is."""

from __future__ import annotations

import http.client
import ssl
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.config.settings import Settings
from spanverdict.receiver.addresses import parse_address
from spanverdict.receiver.errors import BadAddress

TLS: Final = "tls"
"""What a ready file names beside addresses where they speak TLS."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where the API of a server is, and what it takes to come in."""

    address: str
    tls: bool
    identity: tuple[Path, Path | None] | None
    """A certificate and its key to show where the API asks for one."""


def door_of(settings: Settings, ready_file: Path | None, certificate: Path | None) -> Door:
    """Return what a server's ready file says, or else its settings."""
    address, tls = _written(ready_file) or (settings.http, settings.tls_certificate is not None)
    if certificate is not None:
        return Door(address, tls, (certificate, None))
    if settings.api_client_ca is not None and settings.tls_certificate is not None:
        return Door(address, tls, (settings.tls_certificate, settings.tls_key))
    return Door(address, tls, None)


def _written(ready_file: Path | None) -> tuple[str, bool] | None:
    try:
        lines = ready_file.read_text(encoding="utf-8").splitlines() if ready_file is not None else []
    except (OSError, UnicodeDecodeError):
        return None
    said = dict(line.split(maxsplit=1) for line in lines if len(line.split()) > 1)
    return (said["http"], TLS in said) if "http" in said else None


def check_health(door: Door, *, ready: bool, timeout_s: float) -> str:
    """Return what a server says.

    Its certificate is not checked: names and authorities are for those who come from elsewhere.

    Raises:
        CommandError: it does not answer in time, or says that it is not well.
    """
    path = "/readyz" if ready else "/healthz"
    try:
        with closing(_connection(door, timeout_s)) as connection:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            said = answer.read(1000).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException, BadAddress) as error:
        raise CommandError(f"{door.address}{path}: {error or type(error).__name__}", ExitCode.FAILED) from None
    if answer.status != http.client.OK:
        raise CommandError(f"{door.address}{path}: {answer.status}, {said}", ExitCode.FAILED)
    return said


def _connection(door: Door, timeout_s: float) -> http.client.HTTPConnection:
    address = parse_address(door.address).reachable
    if not door.tls:
        return http.client.HTTPConnection(address.host, address.port, timeout=timeout_s)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if door.identity is not None:
        context.load_cert_chain(*door.identity)
    return http.client.HTTPSConnection(address.host, address.port, timeout=timeout_s, context=context)
