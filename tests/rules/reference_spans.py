"""The spans of the reference's examples as a table, stitched into requests as a rule sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
import yaml

from rules.reference import blocks
from spantables import table_of
from spanverdict.checks.runview import RunView
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.evaluation.preparing import prepare, view_of
from spanverdict.rulefiles.loader import load
from spanverdict.selectors import Selector
from spanverdict.telemetry.spantable import SpanTable

MS = 1_000_000
BEGIN = 1_772_442_000_000 * MS

FLOW = """
version: 1
flow: reference
stages: [{stage: serve, select: {service: gateway, kind: server}}]
rules: [{id: any, latency: request, expect: {max: "< 1s"}}]
"""
SCORER: dict[str, dict[str, Any]] = {
    "scope": {"name": "scorer.tracing", "version": "2.1", "attributes": {"vendor": "acme"}},
    "resource": {"service.version": "7"},
}


def entries() -> list[dict[str, Any]]:
    (block,) = blocks("yaml spans")
    found: list[dict[str, Any]] = yaml.safe_load(block.text)
    return found


def ids() -> dict[str, int]:
    """Return the span id that each `id` of the reference stands for: its position, from 1."""
    return {entry["id"]: number for number, entry in enumerate(entries(), start=1)}


def table() -> SpanTable:
    return table_of([_row(entry, ids(), {each["id"]: each for each in entries()}) for entry in entries()])


def _row(entry: dict[str, Any], number: dict[str, int], known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    own: dict[str, dict[str, Any]] = SCORER if entry["service"] == "scorer" else {}
    start = BEGIN + entry["at"] * MS
    return {
        "trace": entry["trace"],
        "id": number[entry["id"]],
        "parent": number[entry["in"]] if "in" in entry else 0,
        "name": entry["name"],
        "kind": entry["kind"],
        "start": start,
        "end": start + entry["took"] * MS,
        "status": entry.get("status", "unset"),
        "status_message": entry.get("message", ""),
        "attributes": entry.get("attributes", {}),
        "resource": {"service.name": entry["service"], **own.get("resource", {})},
        "scope": own.get("scope", {}),
        "events": [{**event, "time": BEGIN + event["at"] * MS} for event in entry.get("events", ())],
        "links": [
            {"trace": known[link["to"]]["trace"], "id": number[link["to"]], "attributes": link.get("attributes", {})}
            for link in entry.get("links", ())
        ],
    }


def view() -> RunView:
    flow = load(FLOW, "reference.yaml", Problems())
    assert flow is not None
    return view_of(flow, prepare(table()), None)[0]


def selected(selector: Selector, run: RunView) -> frozenset[str]:
    """Return the `id`s of the spans that a selector yields in a rule."""
    names = {number: name for name, number in ids().items()}
    found: Any = run.spans.table.span_id[np.flatnonzero(selector.mask(run.spans))]
    return frozenset(names[int(number)] for number in found)
