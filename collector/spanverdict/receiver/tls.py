"""What listeners show to clients and ask of them, and how it is replaced while they listen."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from spanverdict.receiver.errors import BadConfiguration

_PROTOCOLS: Final = (None, "h2")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the certificate chain, its key, and the authorities of clients are; PEM."""

    certificate: Path
    key: Path
    client_ca: Path | None = None
    """With it, clients must present a certificate that one of these signed (mutual TLS)."""


class TlsIdentity:
    """The identity of all listeners. Connections that are there go on; those that begin after `adopt` meet the new."""

    def __init__(self, files: TlsFiles, current: Mapping[str | None, ssl.SSLContext]) -> None:
        self.files = files
        self._current = current
        """By what is spoken over TLS."""

    @classmethod
    def load(cls, files: TlsFiles) -> Self:
        """Read the files; raises `BadConfiguration` where they are not usable."""
        return cls(files, {protocol: _loaded(files, protocol) for protocol in _PROTOCOLS})

    def adopt(self, other: TlsIdentity) -> None:
        """Show what another identity shows, from now on. Both ask for client certificates, or neither does."""
        self.files, self._current = other.files, other._current

    def context(self, protocol: str | None = None) -> ssl.SSLContext:
        """Return a context whose connections meet what is current when they begin.

        `protocol` is what a listener speaks alone, and tells its clients (ALPN): `h2`, or None for HTTP/1.1.
        """
        first = _loaded(self.files, protocol)
        first.num_tickets = 0  # a resumed session would skip the authorities that are new since

        def choose(connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _first: ssl.SSLContext) -> None:
            connection.context = self._current[protocol]

        first.sni_callback = choose
        return first


def _loaded(files: TlsFiles, protocol: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if protocol is not None:
        context.set_alpn_protocols([protocol])
    try:
        context.load_cert_chain(files.certificate, files.key)
        if files.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(files.client_ca)
    except (OSError, ValueError) as error:
        raise BadConfiguration(f"cannot use the TLS files: {error}") from None
    return context
