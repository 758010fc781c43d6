"""How clients get into a receiver that asks for TLS, a certificate or a token."""

from __future__ import annotations

import argparse
import os
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from receiver.wires import PROTOBUF, GrpcWire, HttpWire
from spanverdict.receiver.addresses import Address
from spanverdict.receiver.listen import Endpoints

Options = Sequence[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Access:
    """What a client shows, and whom it believes. Without anything it speaks plainly and shows nothing."""

    token: str | None = field(default=None, repr=False)
    authority: Path | None = None
    """Who signed the receiver's certificate (PEM)."""
    unverified: bool = False
    """Take whatever certificate the receiver shows."""
    certificate: Path | None = None
    """The client's own chain (PEM), and its key."""
    key: Path | None = None

    @property
    def over_tls(self) -> bool:
        """Whether the receiver is spoken to over TLS."""
        return self.unverified or self.authority is not None or self.certificate is not None

    def grpc_wire(self, endpoints: Endpoints) -> GrpcWire:
        """Open a client of OTLP/gRPC."""
        wire = GrpcWire(endpoints)
        if self.over_tls or self.token:
            wire.close()
            wire.channel = self.channel(endpoints.grpc, (("grpc.max_send_message_length", -1),))
        return wire

    def channel(self, address: Address | None, options: Options) -> grpc.Channel:
        """Open a channel of gRPC that shows the token with each call."""
        options = [("grpc.use_local_subchannel_pool", 1), *options]
        if self.over_tls:
            assert address is not None
            credentials, more = self._credentials(address)
            channel = grpc.secure_channel(str(address), credentials, [*options, *more])
        else:
            channel = grpc.insecure_channel(str(address), options)
        return grpc.intercept_channel(channel, _Shown(self.token)) if self.token else channel

    def http_wire(self, endpoints: Endpoints, content_type: str = PROTOBUF) -> HttpWire:
        """Open a client of OTLP/HTTP."""
        options: dict[str, Any] = {"verify": self._context()} if self.over_tls else {}
        if self.token:
            options["headers"] = {"authorization": f"Bearer {self.token}"}
        return HttpWire(endpoints, content_type, **options)

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.authority)
        if self.unverified:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context

    def _credentials(self, address: Address) -> tuple[grpc.ChannelCredentials, Options]:
        """Return credentials; gRPC verifies always, so what is not to be verified is believed by name instead."""
        roots, options = self.authority.read_bytes() if self.authority else None, []
        if self.unverified:
            roots, name = self._shown_certificate(address)
            options = [("grpc.ssl_target_name_override", name)]
        chain = self.certificate.read_bytes() if self.certificate else None
        key = (self.key or self.certificate).read_bytes() if self.certificate else None
        return grpc.ssl_channel_credentials(roots, key, chain), options

    def _shown_certificate(self, address: Address) -> tuple[bytes, str]:
        """Return the certificate that the receiver shows, as PEM, and a name that it is for."""
        with self._connected(address, self._context()) as connection:
            pem = ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True) or b"")
        believing = ssl.create_default_context(cadata=pem)
        believing.check_hostname = False
        believing.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if self.certificate is not None:
            believing.load_cert_chain(self.certificate, self.key)
        with self._connected(address, believing) as connection:
            names = (connection.getpeercert() or {}).get("subjectAltName", ())
        return pem.encode(), str(next(iter(names), ("DNS", address.host))[1])  # type: ignore[index] # pairs, as documented

    def _connected(self, address: Address, context: ssl.SSLContext) -> ssl.SSLSocket:
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection((address.host, address.port), timeout=5)
        return context.wrap_socket(plain, server_hostname=address.host)


class _Shown(grpc.UnaryUnaryClientInterceptor):
    """Adds the token to each call."""

    def __init__(self, token: str) -> None:
        self._metadata = (("authorization", f"Bearer {token}"),)

    def intercept_unary_unary(self, continuation: Any, details: grpc.ClientCallDetails, request: Any) -> Any:
        metadata = (*(details.metadata or ()), *self._metadata)
        return continuation(_Details(metadata, details), request)


class _Details(grpc.ClientCallDetails):
    """Those of a call, with other metadata."""

    def __init__(self, metadata: Sequence[tuple[str, str]], details: Any) -> None:
        self.metadata = metadata
        for name in ("method", "timeout", "credentials", "wait_for_ready", "compression"):
            setattr(self, name, getattr(details, name))


def add_options(parser: argparse.ArgumentParser) -> None:
    """Let people say how to get in."""
    asked = parser.add_argument_group("getting in")
    asked.add_argument("--ca", type=Path, metavar="PEM", help="speak TLS, and believe who this authority signed")
    asked.add_argument("--insecure", action="store_true", help="speak TLS, and believe whatever certificate is shown")
    asked.add_argument("--cert", type=Path, metavar="PEM", help="the client certificate to show")
    asked.add_argument("--key", type=Path, metavar="PEM", help="its key, where it is in a file of its own")
    parser.epilog = f"{parser.epilog or ''}A bearer token is taken from the environment variable TOKEN."


def access_of(chosen: argparse.Namespace) -> Access:
    """Return what was said.

    Raises:
        OSError: a file cannot be read.
    """
    for path in (chosen.ca, chosen.cert, chosen.key):
        if path is not None:
            path.read_bytes()
    return Access(os.environ.get("TOKEN") or None, chosen.ca, chosen.insecure, chosen.cert, chosen.key)
