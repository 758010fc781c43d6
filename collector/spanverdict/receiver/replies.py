"""What an accepted export request is answered with, in both encodings."""

from __future__ import annotations

import json

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from spanverdict.receiver.sink import Receipt

_MESSAGE_LIMIT = 4096
"""Characters of an error message; far below the response limit that the specification recommends (4 MiB)."""


def export_response(receipt: Receipt) -> bytes:
    r"""The binary `Export…ServiceResponse`: empty on full success, else with `partial_success` (alike for all signals).

    >>> export_response(Receipt(accepted=3))
    b''
    >>> export_response(Receipt(accepted=2, rejected=1, message="bad id"))
    b'\n\n\x08\x01\x12\x06bad id'
    """
    if not receipt.rejected and not receipt.message:
        return b""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = receipt.rejected
    response.partial_success.error_message = _valid(receipt.message)
    return response.SerializeToString()


def export_response_json(receipt: Receipt) -> bytes:
    """The same in OTLP/JSON, where 64-bit integers are strings.

    >>> export_response_json(Receipt(accepted=3))
    b'{}'
    >>> export_response_json(Receipt(accepted=2, rejected=1, message="bad id"))
    b'{"partialSuccess": {"rejectedSpans": "1", "errorMessage": "bad id"}}'
    """
    if not receipt.rejected and not receipt.message:
        return b"{}"
    rejected = {"rejectedSpans": str(receipt.rejected)} if receipt.rejected else {}
    return json.dumps({"partialSuccess": {**rejected, "errorMessage": _valid(receipt.message)}}).encode()


def _valid(message: str) -> str:
    return message.encode(errors="replace").decode()[:_MESSAGE_LIMIT]
