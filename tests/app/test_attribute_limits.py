"""Attributes over the limits, from every kind of client to the journal, the judge and the metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

from app.waiting import until
from bench.load import make_payload
from receiver.wires import JSON, GrpcWire, HttpWire
from spanverdict.app.decodingprocess import DecodingProcess
from spanverdict.app.intake import Intake
from spanverdict.app.offline import read_spans
from spanverdict.app.operatormetrics import render_metrics
from spanverdict.app.service import Service, ServiceConfig
from spanverdict.masking.masker import Masker
from spanverdict.masking.rules import MaskingRules
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.otlp.limiting import AttributeLimits, Cuts
from spanverdict.receiver.config import ReceiverConfig
from spanverdict.storage.store import Store
from spanverdict.telemetry.spantable import SpanTable
from spanverdict.telemetry.vocabulary import CUT

WAIT_S = 30
LIMITS = AttributeLimits(count=12, value_bytes=1024)
LONG = "x" * 4000


def text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def request(*attributes: KeyValue, number: int = 1, copies: int = 1) -> TracesData:
    spans = [
        Span(trace_id=b"t" * 16, span_id=(number * 1000 + copy).to_bytes(8, "big"), name="ask", attributes=attributes)
        for copy in range(copies)
    ]
    return TracesData(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])])


class Judge:
    """Keeps what was delivered."""

    def __init__(self) -> None:
        self.tables: list[SpanTable] = []

    def deliver(self, _batches: Sequence[int], table: SpanTable) -> None:
        self.tables.append(table)

    def values(self, key: str) -> list[object]:
        columns = [(table.attribute(key), len(table)) for table in self.tables]
        return [column[row] for column, n_rows in columns for row in range(n_rows)]


@pytest.fixture(params=["here", "apart"])
def took(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Intake, Judge, Store]]:
    """An intake that decodes in this process or in one of its own."""
    judge, masker = Judge(), Masker(MaskingRules())
    with ExitStack() as parts:
        store = parts.enter_context(Store.open(tmp_path / "store.sqlite", synchronous="OFF"))
        apart = None
        if request.param == "apart":
            apart = DecodingProcess(suspicion=masker.pattern, limits=LIMITS)
            apart.start()
            until(lambda: apart.ready)
        intake = Intake(store.journal, judge.deliver, apart=apart, masker=masker, limits=LIMITS)
        intake.start()
        parts.callback(intake.close)
        yield intake, judge, store


def journaled(store: Store) -> bytes:
    return b"".join(batch.payload for batch in store.journal.read())


@pytest.mark.parametrize("copies", [1, 300], ids=["protobuf", "scanned"])
def test_what_is_too_long_is_cut_before_it_is_kept_and_the_client_is_told(took, copies: int) -> None:
    intake, judge, store = took
    sent = request(text("prompt", LONG), text("model", "small"), copies=copies).SerializeToString()
    receipt = intake.submit(sent).result(WAIT_S)
    assert (receipt.accepted, receipt.rejected) == (copies, 0)
    assert receipt.message == f"attribute values cut as too long: {copies}"
    assert intake.cuts == Cuts(values=copies)
    assert judge.values("prompt") == ["x" * 1024] * copies
    assert judge.values("model") == ["small"] * copies
    assert judge.values(CUT) == [("span.prompt",)] * copies
    assert LONG[:1025].encode() not in journaled(store)


def test_what_comes_again_is_cut_again_and_others_stay_byte_for_byte(took) -> None:
    intake, judge, store = took
    usual = [make_payload(20, 10, seed) for seed in range(6)]
    for number, payload in enumerate(usual, 1):
        assert intake.submit(payload).result(WAIT_S).message == ""
        assert intake.submit(request(text("prompt", LONG), number=number).SerializeToString()).result(WAIT_S).message
    assert intake.cuts == Cuts(values=6)
    batches = [batch.payload for batch in store.journal.read()]
    assert batches[::2] == usual
    assert all(len(batch) < 1200 for batch in batches[1::2])
    assert judge.values("prompt").count("x" * 1024) == 6


def test_what_is_too_many_is_left_out(took) -> None:
    intake, judge, _ = took
    many = [text(f"key.{number:02}", "v") for number in range(15)]
    assert intake.submit(request(*many).SerializeToString()).result(WAIT_S).message == (
        "attributes left out as too many: 3"
    )
    assert judge.values("key.11") == ["v"]
    assert judge.values("key.12") == [None]
    assert judge.values(CUT) == [("span.key.12", "span.key.13", "span.key.14")]


def test_half_a_secret_is_no_way_around_masking(took) -> None:
    """What is cut in its middle would not look like a secret any more."""
    intake, judge, store = took
    token = "ghp_" + "Ab1" * 12
    text_before = "y" * (1024 - 11) + " "
    intake.submit(request(text("note", f"{text_before}{token} {LONG}")).SerializeToString()).result(WAIT_S)
    assert token[:8].encode() not in journaled(store)
    assert "[token" in str(judge.values("note")[0])


def test_after_a_restart_the_journal_holds_what_was_judged(took) -> None:
    intake, judge, store = took
    intake.submit(request(text("prompt", LONG)).SerializeToString()).result(WAIT_S)
    (batch,) = store.journal.read()
    again = decode(batch.payload, new_pool()).table
    assert again.attribute("prompt")[0] == judge.values("prompt")[0]
    assert again.attribute(CUT)[0] == judge.values(CUT)[0]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, list[GrpcWire | HttpWire]]]:
    receiver = ReceiverConfig(grpc_address="127.0.0.1:0", http_address="127.0.0.1:0")
    store = tmp_path_factory.mktemp("limits") / "store.sqlite"
    with Service(ServiceConfig(store=store, flows=(), receiver=receiver, limits=LIMITS)) as service:
        endpoints = service.start()
        wires = [GrpcWire(endpoints), HttpWire(endpoints), HttpWire(endpoints, JSON)]
        yield service, wires
        for wire in wires:
            wire.close()


def test_over_every_wire_the_answer_is_a_full_success_with_a_warning_and_metrics_count(service) -> None:
    served, wires = service
    for number, wire in enumerate(wires, 1):
        answer = wire.export(request(text("prompt", LONG), number=number))
        assert answer.ok, wire.name
        assert (answer.rejected, answer.message) == (0, "attribute values cut as too long: 1"), wire.name
        many = [text(f"key.{place}", "v") for place in range(14)]
        assert wire.export(request(*many, number=10 + number)).message == "attributes left out as too many: 2"
    metrics = render_metrics(served)
    assert 'spanverdict_attributes_cut_total{how="value"} 3\n' in metrics
    assert 'spanverdict_attributes_cut_total{how="left_out"} 6\n' in metrics


def test_files_are_cut_as_requests_are_and_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "traces.binpb"
    path.write_bytes(request(text("prompt", LONG), text("model", "small")).SerializeToString())
    table = read_spans([str(path)], limits=LIMITS)
    assert table.attribute("prompt")[0] == "x" * 1024
    assert capsys.readouterr().err == f"spanverdict: {path}: attribute values cut as too long: 1\n"
    again = tmp_path / "again.jsonl"
    again.write_text("", encoding="utf-8")
    assert read_spans([str(path)]).attribute("prompt")[0] == LONG
    assert capsys.readouterr().err == ""
