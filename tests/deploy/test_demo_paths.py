"""The demo's traces, read back: every span finds its run, every request its whole path and nobody else's spans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from demo_runs import REQUESTS, RUN_ID, Played, Seen
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.paths.association import Reason, associate
from spanverdict.paths.duplicates import settle
from spanverdict.paths.forest import grow
from spanverdict.paths.stitching import resolve_links, stitch
from spanverdict.telemetry.spantable import SpanTable

Play = Callable[[str], Played]
PATH = {
    "POST /payments": 1,
    "GET": 1,
    "GET /features/<card>/<merchant>": 1,
    "get_online_features": 2,
    "POST": 1,
    "POST /predict": 1,
    "predict": 1,
    "publish decisions": 1,
    "receive decisions": 1,
    "process decisions": 1,
}


def table_of(run: Played) -> SpanTable:
    decoded = decode(run.payload, new_pool())
    assert (decoded.rejected, len(decoded.table)) == (0, len(run.spans))
    table, defects = settle(decoded.table)
    assert defects == ()
    return table


def requests_of(run: Played) -> list[list[Seen]]:
    """Return the spans of each request, as stitched from the wire."""
    table = table_of(run)
    by_id = {span.id: span for span in run.spans}
    rows = [by_id[int(span_id).to_bytes(8, "big")] for span_id in table.span_id]
    starts = np.array([span.name == "POST /payments" for span in rows])
    found = stitch(table, grow(table), starts, links=resolve_links(table))
    return [[rows[row] for row in found.row[found.request == number]] for number in range(len(found))]


def test_services_that_do_not_know_the_run_are_adopted(play: Play) -> None:
    """The feature service's spans by their trace, the ledger's by their links."""
    run = play("none")
    known = associate(table_of(run))
    why = Counter(known.reason.tolist())
    services = Counter(span.service for span in run.spans)
    assert known.runs == (RUN_ID,)
    assert (len(known.untagged), known.conflicts) == (0, 0)
    assert why == {
        Reason.RESOURCE: services["gateway"] + services["scorer"],
        Reason.TRACE: services["features"],
        Reason.LINK: services["ledger"],
    }


def test_every_request_is_whole(play: Play) -> None:
    requests = requests_of(play("none"))
    assert len(requests) == REQUESTS
    assert all(Counter(span.name for span in request) == PATH for request in requests)


def test_a_batch_brings_nobody_elses_messages_into_a_request(play: Play) -> None:
    for request in requests_of(play("none")):
        assert len({span.attributes["request.id"] for span in request if "request.id" in span.attributes}) == 1


def test_a_lost_message_ends_the_path_at_the_publisher(play: Play) -> None:
    short = {name: count for name, count in PATH.items() if name not in {"receive decisions", "process decisions"}}
    seen = Counter(Counter(span.name for span in request) == short for request in requests_of(play("lost-messages")))
    assert seen == {True: REQUESTS // 25, False: REQUESTS - REQUESTS // 25}


def test_a_lost_span_is_all_that_is_missing_of_its_request(play: Play) -> None:
    short = {name: count for name, count in PATH.items() if name != "predict"}
    seen = Counter(Counter(span.name for span in request) == short for request in requests_of(play("lost-spans")))
    assert seen == {True: REQUESTS // 25, False: REQUESTS - REQUESTS // 25}
