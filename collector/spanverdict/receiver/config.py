"""The receiver's settings, with defaults that are safe on a shared machine."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

from spanverdict.receiver.errors import BadConfiguration
from spanverdict.receiver.tls import TlsFiles

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverConfig:
    """Where the receiver listens, whom it lets in and how much it takes. Nothing is checked before `check_config`.

    An address of None turns that listener off; port 0 picks a free port. Limits are bytes, times are seconds.
    """

    grpc_address: str | None = "127.0.0.1:4317"
    http_address: str | None = "127.0.0.1:4318"
    allow_public: bool = False
    """Listen beyond loopback even where anybody may send."""

    bearer_tokens: tuple[str, ...] = field(default=(), repr=False)
    """Any one of these admits a request; several allow rotation. Empty: no token is asked for."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    """Clients must present a certificate signed by one of these authorities (mutual TLS)."""

    max_message_bytes: int = 64 * MIB
    """The longest request, before and after decompression."""
    in_flight_bytes: int = 256 * MIB
    """Received and not yet acknowledged, over both servers and all connections; more is refused as retryable."""
    inflate_ratio: int = 100
    inflate_floor_bytes: int = 4 * MIB
    """A compressed body may inflate to this size, or to `inflate_ratio` times what was read of it if that is more."""
    max_header_bytes: int = 16 * KIB
    max_concurrent_streams: int = 128
    """gRPC calls at a time on one connection; more wait at the client."""
    max_connections: int = 4096
    """Open connections of one listener; more are closed."""
    head_timeout_s: float = 20.0
    """From the start of a connection or a request to its complete headers (or handshake, or answer to a ping)."""
    body_timeout_s: float = 30.0
    idle_timeout_s: float = 60.0
    """An HTTP/1.1 connection without a request is closed; a silent one of gRPC is asked whether anybody is there."""
    commit_timeout_s: float = 30.0
    """When the sink has not answered by then, the client is told to send again."""
    retry_after_s: float = 1.0
    """What an overloaded receiver asks its clients to wait."""

    client_bytes_per_s: int | None = None
    """Inflated bytes that one client (a token, else an address) may send a second; None for as many as it likes."""

    lenient_enums: bool = False
    """Accept enum names in OTLP/JSON, which the specification forbids, and warn."""
    worker_threads: int = 2
    """For requests whose decoding would hold up the others: long ones, and OTLP/JSON."""

    @property
    def tls(self) -> TlsFiles | None:
        """The TLS files of both listeners; None where they speak plainly."""
        if self.tls_certificate is None or self.tls_key is None:
            return None
        return TlsFiles(self.tls_certificate, self.tls_key, self.tls_client_ca)


def check_config(config: ReceiverConfig) -> None:
    """Raise `BadConfiguration` with everything that is wrong with the settings (addresses are checked where bound)."""
    mistakes = [*_limit_mistakes(config), *_credential_mistakes(config)]
    if mistakes:
        raise BadConfiguration("; ".join(mistakes))


def _limit_mistakes(config: ReceiverConfig) -> list[str]:
    numbers = {f.name: getattr(config, f.name) for f in fields(config)}
    mistakes = [
        f"{name} must be positive, not {value}"
        for name, value in numbers.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and value <= 0
    ]
    if config.in_flight_bytes < config.max_message_bytes:
        mistakes.append("in_flight_bytes must not be less than max_message_bytes, or no long request ever fits")
    return mistakes


def _credential_mistakes(config: ReceiverConfig) -> list[str]:
    mistakes = []
    if (config.tls_certificate is None) != (config.tls_key is None):
        mistakes.append("TLS needs both a certificate and its key")
    if config.tls_client_ca is not None and config.tls_certificate is None:
        mistakes.append("a client CA needs TLS: set a certificate and its key")
    if any(not token.strip() for token in config.bearer_tokens):
        mistakes.append("a bearer token is empty")
    mistakes += [
        f"cannot read {path}"
        for path in (config.tls_certificate, config.tls_key, config.tls_client_ca)
        if path is not None and not path.is_file()
    ]
    return mistakes
