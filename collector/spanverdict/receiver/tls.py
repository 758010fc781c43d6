"""What listeners show to clients and ask of them, and how it is replaced while they listen."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from spanverdict.receiver.errors import BadConfiguration


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the certificate chain, its key, and the authorities of clients are; PEM."""

    certificate: Path
    key: Path
    client_ca: Path | None = None
    """With it, clients must present a certificate that one of these signed (mutual TLS)."""


class TlsIdentity:
    """The identity of a listener. Those on the standard library take `context`, gRPC takes `pem`.

    Connections that are there go on; those that come after `adopt` meet the new certificate and authorities.
    """

    def __init__(self, files: TlsFiles, current: ssl.SSLContext, pem: tuple[bytes, bytes, bytes | None]) -> None:
        self.files = files
        self.pem = pem
        """Key, certificate chain, and the authorities of clients."""
        self._current = current

    @classmethod
    def load(cls, files: TlsFiles) -> Self:
        """Read the files; raises `BadConfiguration` where they are not usable."""
        return cls(files, *_loaded(files))

    def adopt(self, other: TlsIdentity) -> None:
        """Show what another identity shows, from now on. Both ask for client certificates, or neither does."""
        self.files, self.pem, self._current = other.files, other.pem, other._current

    def context(self) -> ssl.SSLContext:
        """Return a context whose connections meet what is current when they begin."""
        first, _ = _loaded(self.files)
        first.num_tickets = 0  # a resumed session would skip the authorities that are new since
        first.sni_callback = self._choose
        return first

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _first: ssl.SSLContext) -> None:
        connection.context = self._current


def _loaded(files: TlsFiles) -> tuple[ssl.SSLContext, tuple[bytes, bytes, bytes | None]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(files.certificate, files.key)
        if files.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(files.client_ca)
        authorities = files.client_ca.read_bytes() if files.client_ca is not None else None
        return context, (files.key.read_bytes(), files.certificate.read_bytes(), authorities)
    except (OSError, ValueError) as error:
        raise BadConfiguration(f"cannot use the TLS files: {error}") from None
