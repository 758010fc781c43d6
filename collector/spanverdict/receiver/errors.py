"""What can go wrong with an address, a configuration or a request. `status` translates the latter for the wire."""

from __future__ import annotations


class ReceiverError(Exception):
    """Anything that the receiver refuses."""


class BadConfiguration(ReceiverError):  # noqa: N818 - it says what is wrong, as its subclasses do
    """The receiver cannot start with these settings."""


class BadAddress(BadConfiguration):
    """Text that is no `host:port`, or a host that does not resolve."""


class PublicWithoutAuthentication(BadConfiguration):
    """Listening beyond this machine with neither bearer tokens nor client certificates, and not told to."""

    def __init__(self, address: str, credentials: str = "token_file or tls_client_ca") -> None:
        super().__init__(
            f"refusing to listen on {address} without authentication: set {credentials}, "
            "listen on a loopback address, or allow it with --allow-public"
        )


class CannotListen(ReceiverError):  # noqa: N818 - likewise
    """The operating system does not give us the address."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"cannot listen on {address}: {reason}")
        self.address = address


class AddressInUse(CannotListen):
    """Another process, or another listener of this one, has the address."""

    def __init__(self, address: str) -> None:
        super().__init__(address, "the address is in use")


class RequestRefused(ReceiverError):  # noqa: N818 - likewise
    """One request is not accepted; the connection and all other requests are unharmed."""


class Retryable(RequestRefused):
    """A refusal after which the client shall send the same request again, not before `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(Retryable):
    """There is no room for the request now."""

    def __init__(self, retry_after_s: float = 1.0, message: str = "too much is in flight; send it again later") -> None:
        super().__init__(message, retry_after_s)


class RateLimited(Retryable):
    """The client sends more a second than one client may."""

    def __init__(self, bytes_per_s: int, retry_after_s: float) -> None:
        super().__init__(f"more than {bytes_per_s} bytes a second; send it again later", max(retry_after_s, 0.001))


class Unavailable(Retryable):
    """The request cannot be committed now."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message, retry_after_s)


class Unauthenticated(RequestRefused):
    """The bearer token is missing or not one of ours."""

    def __init__(self) -> None:
        super().__init__("a valid bearer token is required")


class TooLarge(RequestRefused):
    """The request is longer, compressed or inflated, than one request may be."""


class BodyTimeout(RequestRefused):
    """The body did not arrive in time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the request body did not arrive within {seconds:g} seconds")


class DeadlineExceeded(RequestRefused):
    """The time is over that the caller gave a call."""

    def __init__(self) -> None:
        super().__init__("the time that the caller gave this call is over")


class MissingMessage(RequestRefused):
    """A call that ended without its one message."""

    def __init__(self) -> None:
        super().__init__("the call carries no request message")


class UnknownPath(RequestRefused):
    """An HTTP path that is no signal's."""

    def __init__(self, path: str) -> None:
        super().__init__(f"no such path: {path[:100]}; traces go to /v1/traces")


class UnknownMethod(RequestRefused):
    """A gRPC method that is none of OTLP's."""

    def __init__(self, method: str) -> None:
        super().__init__(
            f"no such method: {method[:100]}; traces go to opentelemetry.proto.collector.trace.v1.TraceService/Export"
        )


class MethodNotAllowed(RequestRefused):
    """An HTTP method other than POST."""

    def __init__(self, method: str) -> None:
        super().__init__(f"{method[:20]} is not allowed here, POST is")


class UnsupportedMediaType(RequestRefused):
    """A Content-Type that is neither of OTLP's."""

    def __init__(self, content_type: str) -> None:
        super().__init__(
            f"Content-Type {content_type[:100]!r} is not supported; application/x-protobuf and application/json are"
        )


class UnsupportedEncoding(RequestRefused):
    """An encoding of the body other than gzip."""

    def __init__(self, encoding: str, header: str = "Content-Encoding") -> None:
        super().__init__(f"{header} {encoding[:100]!r} is not supported; gzip and identity are")


class HeadTooLarge(RequestRefused):
    """More bytes of HTTP headers than a request may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the request's headers are longer than {limit} bytes")
