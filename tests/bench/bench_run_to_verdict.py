"""How soon the verdict on a large run comes: from the last acknowledged span until it can be asked for.

    python tests/bench/bench_run_to_verdict.py [--requests 100000] [--rules 50] [--json FILE]

A real `spanverdict serve` with its store on disk and fifty rules (those of `bench_judging.py`); the flow says how many
requests there are. Each has ten spans in two traces, ten attributes a span. Four services export over gRPC in batches
of up to 512 spans, as fast as they are acknowledged. All is serialised beforehand: a thousand requests by protobuf,
and of these as many copies as are needed, with ids, times and values of their own written over in place. At the
end the ids of all acknowledged spans are held against the store, and the verdict against what was sent.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.bench_judging import RULES, large_run
from bench.bench_verdict_latency import RUN, batches, message_of
from bench.goals import Goal, command, finish
from bench.ledger import ACKNOWLEDGED, REFUSED, stored_span_ids
from bench.many_rules import rule_lines
from bench.sender import CONNECT, PAUSE_S, Send
from bench.server import Server, serving
from spanverdict.telemetry.spantable import SpanTable

COPIED: Final = 1000
"""Requests that are serialised; the others are copies of these."""
COPY_NS: Final = COPIED * 300_000
"""How much later each copy is: the rate of `large_run`."""
STREAMS: Final = 4
TAG: Final = "test.suite.run.id"
PATIENCE_S: Final = 120
GOAL_S: Final = 3.0
"""For a million spans."""
SPANS_A_REQUEST: Final = 10
EXACT: Final = "exact"

Places = npt.NDArray[np.intp]
Ids = npt.NDArray[np.uint64]

_SIZES: Final = {"own": 8, "trace": 8, "span": 8, "time": 8, "text": 8, "double": 5}
"""What differs between copies, and how many bytes of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A request as it was serialised, and the places in it that are another's in a copy."""

    data: bytes
    places: dict[str, Places]
    """(n, size) each. `own`: ids of its spans; `trace`: first halves of trace ids; `span`: span ids wherever they stand."""

    @staticmethod
    def of(table: SpanTable, rows: Sequence[int]) -> Template:
        """Serialise the spans of some rows, which are of one resource."""
        message = message_of(table, list(rows))
        resource = message.resource_spans[0].resource
        if table.resource_attribute(TAG)[rows[0]] is not None:
            resource.attributes.add(key=TAG).value.string_value = RUN
        spans = message.resource_spans[0].scope_spans[0].spans
        for span in spans:
            for attribute in span.attributes:
                if attribute.key == "db.query.text":
                    card = int(attribute.value.string_value.partition(":")[2])
                    attribute.value.string_value = f"GET card:{card:08x}"
        finder = _Finder(message.SerializeToString())
        for span in spans:
            finder.add(span)
        return Template(finder.data, finder.places())

    def copy(self, number: int) -> bytes:
        """Return copy `number`: other ids, names and values, and later."""
        random = np.random.default_rng(number)
        data, places = np.frombuffer(self.data, np.uint8).copy(), self.places
        # The same for all requests of a copy, so that its spans still find each other.
        data[places["trace"]] ^= random.integers(0, 256, 8, np.uint8)
        data[places["span"]] ^= random.integers(0, 128, 8, np.uint8)
        data[places["double"]] ^= random.integers(0, 256, 5, np.uint8)
        later = data[places["time"]].view("<u8") + np.uint64(number * COPY_NS)
        data[places["time"]] = later.view(np.uint8)
        data[places["text"][:, :5]] = np.frombuffer(f"{number:05x}".encode(), np.uint8)
        return data.tobytes()

    def ids(self, copy: bytes) -> Ids:
        """Return the ids of the spans of a copy."""
        return np.frombuffer(copy, np.uint8)[self.places["own"]].copy().view(">u8").ravel().astype(np.uint64)


class _Finder:
    """Walks a serialised request span by span, noting where the values that are known to be in it stand."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._found: dict[str, list[int]] = {kind: [] for kind in _SIZES}
        self._at = 0

    def add(self, span: Any) -> None:
        self._note("trace", b"\x0a\x10", span.trace_id)
        self._found["own"].append(self._note("span", b"\x12\x08", span.span_id))
        if span.parent_span_id:
            self._note("span", b"\x22\x08", span.parent_span_id)
        self._note("time", b"\x39", span.start_time_unix_nano.to_bytes(8, "little"))
        self._note("time", b"\x41", span.end_time_unix_nano.to_bytes(8, "little"))
        for attribute in span.attributes:
            whole = attribute.SerializeToString()
            if attribute.key in ("request.id", "db.query.text"):
                self._note("text", whole[:-8], whole[-8:])
            elif attribute.key == "score":
                self._note("double", whole[:-8], whole[-8:])
        for link in span.links:
            self._note("trace", b"\x0a\x10", link.trace_id)
            self._note("span", b"\x12\x08", link.span_id)

    def _note(self, kind: str, before: bytes, value: bytes) -> int:
        start = self.data.index(before + value, self._at) + len(before)
        self._found[kind].append(start)
        self._at = start + len(value)
        return start

    def places(self) -> dict[str, Places]:
        return {
            kind: np.array(self._found[kind], np.intp).reshape(-1, 1) + np.arange(size) for kind, size in _SIZES.items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    spans: int
    rules: int
    sending_s: float
    verdict_s: float
    """From the last acknowledgement until the verdict could be read."""
    verdict_cpu_s: float
    """Of the server, meanwhile."""
    cpu_us_per_span: float
    """Of the server and the process that decodes for it, from the first request until the verdict."""
    peak_rss_mib: int
    ledger: str


def measure(n_requests: int, n_rules: int, folder: Path) -> Result:
    """Send a run to a server of its own and wait for the verdict."""
    table = large_run(COPIED)
    templates = [Template.of(table, rows) for rows in batches(table)]
    requests = [template.copy(number) for number in range(n_requests // COPIED) for template in templates]
    rules = folder / "scoring.yaml"
    rules.write_text(
        RULES.partition("rules:\n")[0].replace("REQUESTS", str(n_requests))
        + "rules:\n"
        + "\n".join(rule_lines(n_rules))
    )
    with serving(folder, rules) as server:
        before = server.cpu_seconds()
        begun, ended = _send(server.addresses["otlp-grpc"], requests)
        sent_by = server.cpu_seconds()
        verdict = _verdict(server)
        decided = time.perf_counter()
        spent = server.cpu_seconds()
    sent = np.concatenate([templates[at % len(templates)].ids(request) for at, request in enumerate(requests)])
    return Result(
        spans=len(sent), rules=n_rules, sending_s=round(ended - begun, 2), verdict_s=round(decided - ended, 2),
        verdict_cpu_s=round(sum(spent.since(sent_by)), 2),
        cpu_us_per_span=round(sum(spent.since(before)) / len(sent) * 1e6, 3), peak_rss_mib=server.peak_rss >> 20,
        ledger=_checked(sent, server, verdict),
    )  # fmt: skip


def _send(address: str, requests: Sequence[bytes]) -> tuple[float, float]:
    """Send all over a few connections; return when that began and when the last was acknowledged."""
    with ExitStack() as opened:
        senders = [opened.enter_context(CONNECT["grpc"](address, False)) for _ in range(STREAMS)]
        begun = time.perf_counter()
        with ThreadPoolExecutor(STREAMS) as pool:
            list(pool.map(_send_all, senders, (requests[at::STREAMS] for at in range(STREAMS))))
        return begun, time.perf_counter()


def _send_all(send: Send, requests: Sequence[bytes]) -> None:
    """Send requests over one connection; what is refused is sent again."""
    for request in requests:
        while (outcome := send(request)) == REFUSED:
            time.sleep(PAUSE_S)
        if outcome != ACKNOWLEDGED:
            raise RuntimeError("a connection broke")


def _verdict(server: Server) -> Any:
    """Return the run's document once it has a verdict."""
    end = time.perf_counter() + PATIENCE_S
    while time.perf_counter() < end:
        with urllib.request.urlopen(
            f"http://{server.addresses['http']}/api/v1/runs/{RUN}?wait=60s", timeout=90
        ) as answer:
            document = json.load(answer)
        if document.get("verdict"):
            return document
    raise TimeoutError("no verdict came")


def _checked(sent: Ids, server: Server, document: Any) -> str:
    """Hold what was sent against the store and the verdict."""
    assert server.store is not None
    if not np.array_equal(np.sort(stored_span_ids(server.store)), np.sort(sent)):
        return "what is stored is not what was acknowledged"
    verdict = document["verdict"]
    judged, requests = sum(verdict["association"]["spans_by_reason"].values()), _requests_of(verdict)
    if (judged, requests, document["complete"]) != (len(sent), len(sent) // SPANS_A_REQUEST, True):
        return f"the verdict is on {judged} spans, {requests} requests"
    return EXACT


def _requests_of(verdict: Any) -> int:
    return int(verdict["flows"][0]["completeness"]["requests"])


def main() -> int:
    parser = command(__doc__)
    parser.add_argument("--requests", type=int, default=100_000, help=f"a multiple of {COPIED}")
    parser.add_argument("--rules", type=int, default=50)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spanverdict-bench-") as folder:
        result = measure(asked.requests, asked.rules, Path(folder))
    for key, value in asdict(result).items():
        print(f"{key:16} {value:>12,}" if isinstance(value, float | int) else f"{key:16} {value:>12}")
    what = f"verdict of {result.rules} rules on {result.spans:,} spans, after the last of them"
    goals = [
        Goal(what, result.verdict_s, GOAL_S * max(result.spans / 1e6, 0.1), "s", at_most=True),
        Goal("runs to the verdict whose ledger is exact", float(result.ledger == EXACT), 1),
    ]
    return finish(asked, asdict(result), goals)


if __name__ == "__main__":
    sys.exit(main())
