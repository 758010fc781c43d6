"""A request, and the path of a whole flow, as JSON for machines. Times are int ns, shares 0..1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from spanverdict.evaluation.flowpath import EdgeUse, FlowPath, Spread, StageUse
from spanverdict.evaluation.outcomes import StageShare
from spanverdict.evaluation.requestpath import PathSpan, RequestPath
from spanverdict.reporting.escaping import strict_json
from spanverdict.reporting.quantities import rfc3339
from spanverdict.telemetry.vocabulary import SpanKind, StatusCode

SCHEMA_VERSION: Final = 1
_KINDS: Final[Mapping[int, str]] = MappingProxyType({int(kind): kind.name.lower() for kind in SpanKind})
_STATUSES: Final[Mapping[int, str]] = MappingProxyType({int(code): code.name.lower() for code in StatusCode})


def requests_json(paths: Iterable[RequestPath], run: str) -> str:
    """Write requests as one JSON document with sorted keys."""
    document = {"schema_version": SCHEMA_VERSION, "run": run, "requests": [_request(path) for path in paths]}
    return f"{strict_json(document, indent=2)}\n"


def _request(path: RequestPath) -> dict[str, Any]:
    return {
        "request": path.name,
        "trace_id": path.trace_id,
        "flow": path.flow or None,
        "start": rfc3339(path.start_unix_nano),
        "duration_ns": path.duration,
        "spent": _shares(path.shares),
        "missing_stages": list(path.missing),
        "clocks": list(path.clocks),
        "critical_path": [
            {"span_id": span_id or None, "start_ns": start, "end_ns": end, "kind": "work" if span_id else "queue"}
            for span_id, start, end in path.sections
        ],
        "spans": [_span(span) for span in path.spans],
    }


def _span(span: PathSpan) -> dict[str, Any]:
    return {
        "depth": span.depth,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id or None,
        "name": span.name,
        "service": span.service or None,
        "kind": _KINDS.get(span.kind, str(span.kind)),
        "status": _STATUSES.get(span.status, str(span.status)),
        "stage": span.stage or None,
        "attempt": span.attempt or None,
        "attempts": span.attempts or None,
        "start_ns": span.start,
        "duration_ns": span.duration,
        "queued_ns": span.wait,
        "queued_on_path_ns": span.wait_on_path,
        "on_critical_path": span.on_path,
        "own_time_on_path_ns": span.own_time_on_path,
        "joined_by": span.join.name.lower(),
        "reason": span.reason,
        "in_run_by": span.in_run_by or None,
        "requests": span.requests,
        "defects": list(span.defects),
    }


def _shares(shares: Sequence[StageShare]) -> list[dict[str, Any]]:
    return [{"on": share.stage, "duration_ns": share.duration_ns, "share": share.share} for share in shares]


def flow_json(path: FlowPath, run: str) -> str:
    """Write the path of a flow as one JSON document with sorted keys."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "run": run,
        "flow": path.flow,
        "requests": path.requests,
        "expected_requests": path.expected,
        "timed_requests": path.timed,
        "clocks": list(path.clocks),
        "duration_ns": _spread(path.time),
        "spent": _shares(path.shares),
        "stages": [{"stage": use.stage, "share_of_path": use.path_share, **_use(use, path)} for use in path.stages],
        "ways": [
            {"from": use.source, "to": use.target, "by": "queue" if use.queued else "call", **_use(use, path)}
            for use in path.edges
        ],
    }
    return f"{strict_json(document, indent=2)}\n"


def _use(use: StageUse | EdgeUse, path: FlowPath) -> dict[str, Any]:
    share = use.requests / path.requests if path.requests else None
    return {
        "requests": use.requests,
        "share_of_requests": share,
        "spans": use.spans,
        "duration_ns": _spread(use.time),
    }


def _spread(time: Spread) -> dict[str, int | None]:
    return {"p50": time.p50, "p95": time.p95, "max": time.most}
