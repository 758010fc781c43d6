"""Metrics, logs and profiles: read far enough to count them and to refuse what is malformed, then thrown away.

An SDK that exports all its signals to one endpoint must not log errors because we only judge traces.
"""

from __future__ import annotations

import json
from typing import Any, Final

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from spanverdict.otlp.errors import Undecodable
from spanverdict.otlp.shallow_pb2 import TracesData
from spanverdict.receiver.counters import Signal

_REQUESTS: Final = {
    Signal.METRICS: (ExportMetricsServiceRequest, "resource_metrics", "scope_metrics", "metrics"),
    Signal.LOGS: (ExportLogsServiceRequest, "resource_logs", "scope_logs", "log_records"),
    # Profiles are in development: their messages change, their envelopes are those of spans.
    Signal.PROFILES: (TracesData, "resource_spans", "scope_spans", "spans"),
}
_JSON_KEYS: Final = {
    Signal.METRICS: ("resourceMetrics", "scopeMetrics", "metrics"),
    Signal.LOGS: ("resourceLogs", "scopeLogs", "logRecords"),
    Signal.PROFILES: ("resourceProfiles", "scopeProfiles", "profiles"),
}


def count_items(signal: Signal, payload: bytes) -> int:
    """Count the metrics, log records or profiles of a binary export request.

    Raises:
        Undecodable: the payload is no such request.

    >>> count_items(Signal.METRICS, b"")
    0
    """
    kind, outer, inner, items = _REQUESTS[signal]
    request = _parsed(kind(), payload)
    return sum(len(getattr(scope, items)) for resource in getattr(request, outer) for scope in getattr(resource, inner))


def count_json_items(signal: Signal, text: bytes) -> int:
    """Count the metrics, log records or profiles of an OTLP/JSON export request.

    Raises:
        Undecodable: the text is not JSON, or not of a request's shape.

    >>> count_json_items(Signal.LOGS, b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{}, {}]}]}]}')
    2
    """
    try:
        parents: list[Any] = [json.loads(text)]
        for key in _JSON_KEYS[signal]:
            parents = [child for parent in parents for child in parent.get(key) or ()]
    except (ValueError, RecursionError, AttributeError, TypeError):
        raise Undecodable(f"the body is no OTLP/JSON export request for {signal}") from None
    return len(parents)


def _parsed(message: Any, payload: bytes) -> Any:
    assert isinstance(message, Message)
    try:
        message.ParseFromString(payload)
    except DecodeError:
        raise Undecodable("the body is no valid export request") from None
    return message
