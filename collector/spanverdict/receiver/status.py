"""The only place where our errors become gRPC and HTTP statuses.

Codes and retryability follow the OTLP specification: UNAVAILABLE with RetryInfo, 429 and 503 mean *send it again*;
so does RESOURCE_EXHAUSTED with RetryInfo;
RESOURCE_EXHAUSTED without it, 413, 400 and the rest mean *never send this again*.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from spanverdict.otlp.errors import Undecodable
from spanverdict.receiver import errors

_MESSAGE_LIMIT = 512
"""Characters of a message that go out; gRPC carries it in a header."""


class Code(IntEnum):
    """The numbers of google.rpc.Code that we use."""

    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused request in the words of both protocols. `reason` is the operator's word for it, used for counting."""

    reason: str
    code: Code
    http_status: int
    message: str
    retry_after_s: float | None = None

    @property
    def retry_after_seconds(self) -> int | None:
        """What Retry-After says: whole seconds, never too few; None where a retry is in vain."""
        return None if self.retry_after_s is None else max(1, math.ceil(self.retry_after_s))


_STATUSES: tuple[tuple[type[Exception], str, Code, int], ...] = (
    (Undecodable, "undecodable", Code.INVALID_ARGUMENT, 400),
    (errors.MissingMessage, "undecodable", Code.INVALID_ARGUMENT, 400),
    (errors.Overloaded, "overloaded", Code.UNAVAILABLE, 429),
    (errors.RateLimited, "rate_limited", Code.RESOURCE_EXHAUSTED, 429),
    (errors.Unavailable, "unavailable", Code.UNAVAILABLE, 503),
    (errors.Unauthenticated, "unauthenticated", Code.UNAUTHENTICATED, 401),
    (errors.TooLarge, "too_large", Code.RESOURCE_EXHAUSTED, 413),
    (errors.BodyTimeout, "body_timeout", Code.DEADLINE_EXCEEDED, 408),
    (errors.DeadlineExceeded, "deadline", Code.DEADLINE_EXCEEDED, 504),
    (errors.UnknownPath, "unknown_path", Code.UNIMPLEMENTED, 404),
    (errors.UnknownMethod, "unknown_method", Code.UNIMPLEMENTED, 404),
    (errors.MethodNotAllowed, "method_not_allowed", Code.UNIMPLEMENTED, 405),
    (errors.UnsupportedMediaType, "unsupported_media_type", Code.INVALID_ARGUMENT, 415),
    (errors.UnsupportedEncoding, "unsupported_encoding", Code.UNIMPLEMENTED, 415),
    (errors.HeadTooLarge, "head_too_large", Code.RESOURCE_EXHAUSTED, 431),
)


def refusal_of(error: Exception) -> Refusal:
    """Translate an error; one that we do not know is our own fault and says nothing about itself.

    >>> refusal_of(errors.TooLarge("too long")).http_status
    413
    >>> refusal_of(KeyError("secret"))
    Refusal(reason='internal', code=<Code.INTERNAL: 13>, http_status=500, message='internal error', retry_after_s=None)
    """
    for kind, reason, code, http_status in _STATUSES:
        if isinstance(error, kind):
            retry_after_s = error.retry_after_s if isinstance(error, errors.Retryable) else None
            return Refusal(reason, code, http_status, _printable(str(error)), retry_after_s)
    return Refusal("internal", Code.INTERNAL, 500, "internal error")


def status_message(refusal: Refusal) -> bytes:
    """The refusal as a binary google.rpc.Status, with RetryInfo or BadRequest where they apply."""
    from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # noqa: PLC0415 - only what is refused pays for it

    status = status_pb2.Status(code=int(refusal.code), message=refusal.message)
    if refusal.retry_after_s is not None:
        status.details.add().Pack(_retry_info(refusal.retry_after_s))
    if refusal.code is Code.INVALID_ARGUMENT:
        violation = error_details_pb2.BadRequest.FieldViolation(field="", description=refusal.message)
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    message: bytes = status.SerializeToString()
    return message


def retry_info(refusal: Refusal) -> bytes | None:
    """The refusal's binary google.rpc.RetryInfo; None where a retry is in vain."""
    if refusal.retry_after_s is None:
        return None
    message: bytes = _retry_info(refusal.retry_after_s).SerializeToString()
    return message


def status_json(refusal: Refusal) -> bytes:
    """The refusal as a google.rpc.Status in protobuf's JSON form."""
    details: list[dict[str, Any]] = []
    if refusal.retry_after_s is not None:
        details.append(
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{refusal.retry_after_s:.3f}s"}
        )
    if refusal.code is Code.INVALID_ARGUMENT:
        violations = [{"field": "", "description": refusal.message}]
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations})
    status: dict[str, Any] = {"code": int(refusal.code), "message": refusal.message}
    return json.dumps(status | ({"details": details} if details else {})).encode()


def _retry_info(seconds: float) -> Any:
    from google.rpc import error_details_pb2  # noqa: PLC0415 - only what is refused pays for it

    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromNanoseconds(round(seconds * 1e9))
    return info


def _printable(message: str) -> str:
    """One line of valid text, with whatever a client smuggled into it made harmless."""
    one_line = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in message)
    return one_line[:_MESSAGE_LIMIT]
