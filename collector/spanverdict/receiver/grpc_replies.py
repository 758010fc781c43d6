"""gRPC's answers as header blocks: a status in trailers, or alone in the head."""

from __future__ import annotations

import binascii
from typing import Final
from urllib.parse import quote

from spanverdict.receiver.http2.hpack import literal
from spanverdict.receiver.status import Refusal, retry_info, status_message

_OK: Final = b"\x88"
"""`:status: 200`, from HPACK's static table."""
_CONTENT_TYPE: Final = literal(b"content-type", b"application/grpc")
_AS_THEY_ARE: Final = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"

HEAD: Final = _OK + _CONTENT_TYPE
TRAILERS: Final = literal(b"grpc-status", b"0")


def message_of(payload: bytes) -> bytes:
    r"""Write an uncompressed message.

    >>> message_of(b"ab")
    b'\x00\x00\x00\x00\x02ab'
    """
    return b"\x00" + len(payload).to_bytes(4) + payload


def refusal_head(refusal: Refusal) -> bytes:
    """Write an answer that is a status alone.

    Details are as gRPC's richer error model has them, and RetryInfo is also where OpenTelemetry Python looks for it.
    """
    fields = [
        (b"grpc-status", str(int(refusal.code)).encode()),
        (b"grpc-message", quote(refusal.message, safe=_AS_THEY_ARE).encode()),
        (b"grpc-status-details-bin", _base64(status_message(refusal))),
    ]
    retry = retry_info(refusal)
    if retry is not None:
        fields.append((b"google.rpc.retryinfo-bin", _base64(retry)))
    if refusal.reason == "unsupported_encoding":
        fields.append((b"grpc-accept-encoding", b"identity,gzip"))
    return HEAD + b"".join(literal(*field) for field in fields)


def http_head(status: int) -> bytes:
    """Write an answer to what is no call of gRPC.

    >>> http_head(415).hex()
    '0803343135'
    """
    return b"\x08\x03%d" % status


def _base64(content: bytes) -> bytes:
    return binascii.b2a_base64(content, newline=False).rstrip(b"=")
