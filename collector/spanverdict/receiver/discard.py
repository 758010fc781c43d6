"""Metrics and logs: read far enough to count them and to refuse what is malformed, then thrown away.

An SDK that exports all its signals to one endpoint must not log errors because we only judge traces.
"""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from spanverdict.otlp.errors import Undecodable
from spanverdict.receiver.counters import Signal


def count_items(signal: Signal, payload: bytes) -> int:
    """Count the metrics or log records of a binary export request.

    Raises:
        Undecodable: the payload is no such request.
    """
    if signal is Signal.METRICS:
        metrics = _parsed(ExportMetricsServiceRequest(), payload)
        return sum(len(scope.metrics) for resource in metrics.resource_metrics for scope in resource.scope_metrics)
    logs = _parsed(ExportLogsServiceRequest(), payload)
    return sum(len(scope.log_records) for resource in logs.resource_logs for scope in resource.scope_logs)


_JSON_KEYS = {
    Signal.METRICS: ("resourceMetrics", "scopeMetrics", "metrics"),
    Signal.LOGS: ("resourceLogs", "scopeLogs", "logRecords"),
}


def count_json_items(signal: Signal, text: bytes) -> int:
    """Count the metrics or log records of an OTLP/JSON export request.

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
