"""Where spans come from: OTLP files, and a run in a store, found as the server found it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from scoring_traces import FLOW, document, resource, scoring, span, write_files
from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.sources import RunSpans, Source, spans_of_input, spans_of_store
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.otlp.json import convert
from spanverdict.rulefiles.loader import load
from spanverdict.rulefiles.models import Flow
from spanverdict.storage.records import RunDeclaration
from spanverdict.storage.store import Store


def flow(text: str = FLOW) -> Flow:
    problems = Problems()
    found = load(text, "flow.yaml", problems)
    assert found is not None, problems.sorted()
    return found


def payload(*resources: dict) -> bytes:
    return convert(json.loads(document(resources))).payload


def fill(path: Path, payloads: Sequence[bytes], *declarations: RunDeclaration, run: str = "r") -> None:
    with Store.open(path, synchronous="OFF") as store:
        for number, data in enumerate(payloads, 1):
            store.journal.append(data, number).result(10)
        for declaration in declarations:
            store.runs.declare(declaration, 5)
        if payloads:
            store.runs.touch(run, 1, len(payloads), 6)


def names(found: RunSpans) -> list[str]:
    table = found.table
    return sorted(table.pool.string(int(name)) for name in table.name)


def test_files_or_a_run_have_to_be_named_and_not_both(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"give --input FILE, or --run ID"):
        Source.told((), None, tmp_path / "s", {})
    with pytest.raises(CommandError, match="not both"):
        Source.told(("a",), "r", tmp_path / "s", {})


def test_the_store_is_where_serve_keeps_it() -> None:
    assert Source.told((), "r", None, {}).store == Path("spanverdict.sqlite")
    assert Source.told((), "r", None, {"SPANVERDICT_STORE": "/data/s"}).store == Path("/data/s")
    assert Source.told((), "r", Path("mine"), {"SPANVERDICT_STORE": "/data/s"}).store == Path("mine")


def test_a_run_in_files_is_found_by_its_id_and_what_hangs_together_with_it(tmp_path: Path) -> None:
    _, traces = write_files(
        tmp_path, [document([*scoring("one")]), document([resource("x", [span((99, 1), "y", "server", 0, 1)])])]
    )
    found = spans_of_input([str(traces)], "one", (flow(),))
    assert (found.run.id, len(found.table)) == ("one", 11)
    assert len(Source((str(traces),), None, Path()).everything()) == 12
    with pytest.raises(CommandError, match="the input holds no span of run two"):
        spans_of_input([str(traces)], "two", (flow(),))


def test_a_run_in_a_store_is_what_its_tags_and_links_reach(tmp_path: Path) -> None:
    other = resource("gateway", [span((50, 1), "theirs", "server", 0, 1)], "other")
    untagged = resource("cron", [span((60, 1), "cron", "internal", 0, 1)])
    fill(tmp_path / "s", [payload(*scoring("r")), payload(other, untagged)], RunDeclaration("r", 4, {"branch": "main"}))
    found = spans_of_store(tmp_path / "s", "r", (flow(),))
    assert names(found) == ["POST /score"] * 4 + ["notify"] * 3 + ["predict"] * 4
    assert (found.run.id, found.run.expected_requests, dict(found.run.labels)) == ("r", 4, {"branch": "main"})


def test_a_run_in_a_store_is_joined_by_the_keys_of_the_flows(tmp_path: Path) -> None:
    first = resource("a", [span((1, 1), "tagged", "server", 0, 1, order__id="7")], "r")
    second = resource("b", [span((2, 2), "by key", "server", 0, 1, order__id="7")])
    fill(tmp_path / "s", [payload(first), payload(second)])
    keyed = flow(FLOW.replace("key: span.order.id", "correlate: [span.order.id]"))
    assert names(spans_of_store(tmp_path / "s", "r", (keyed,))) == ["by key", "tagged"]
    assert names(spans_of_store(tmp_path / "s", "r", (flow(),))) == ["tagged"]


def test_traces_that_were_registered_for_a_run_are_in_it(tmp_path: Path) -> None:
    spans = resource("a", [span((1, 1), "registered", "server", 0, 1), span((2, 2), "not", "server", 0, 1)])
    fill(tmp_path / "s", [payload(spans)], RunDeclaration("r", traces=(f"{1:032x}",)))
    assert names(spans_of_store(tmp_path / "s", "r", ())) == ["registered"]


def test_the_run_of_a_private_receiver_has_the_untagged_spans_too(tmp_path: Path) -> None:
    spans = [
        resource("a", [span((1, 1), "untagged", "server", 0, 1)]),
        resource("b", [span((2, 2), "other", "server", 0, 1)], "o"),
    ]
    fill(tmp_path / "s", [payload(*spans)], RunDeclaration("r", takes_untagged=True))
    assert names(spans_of_store(tmp_path / "s", "r", ())) == ["untagged"]


def test_a_run_without_spans_is_empty_and_not_an_error(tmp_path: Path) -> None:
    fill(tmp_path / "s", [], RunDeclaration("r"))
    assert len(spans_of_store(tmp_path / "s", "r", (flow(),)).table) == 0


def test_an_unknown_run_is_answered_with_those_there_are(tmp_path: Path) -> None:
    fill(tmp_path / "s", [], *(RunDeclaration(f"r{number}") for number in range(7)))
    with pytest.raises(CommandError, match=r"knows no run other; the latest are r6, r5, r4, r3, r2 …") as caught:
        spans_of_store(tmp_path / "s", "other", ())
    assert caught.value.code is ExitCode.NO_VERDICT


def test_a_store_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"no\.sqlite as the store: there is no such file") as caught:
        spans_of_store(tmp_path / "no.sqlite", "r", ())
    assert caught.value.code is ExitCode.INTERNAL
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_decoded_costs_nothing_else(tmp_path: Path, capsys) -> None:
    good = payload(resource("a", [span((1, 1), "good", "server", 0, 1)], "r"))
    fill(tmp_path / "s", [good, b"\x07not OTLP", good])
    assert names(spans_of_store(tmp_path / "s", "r", ())) == ["good", "good"]
    assert "batch 2 cannot be decoded and is left out" in capsys.readouterr().err


def test_spans_that_retention_deleted_are_missed_aloud(tmp_path: Path, capsys) -> None:
    parts = [payload(resource("a", [span((n, n), f"s{n}", "server", 0, 1)], "r")) for n in (1, 2, 3)]
    fill(tmp_path / "s", parts)
    with Store.open(tmp_path / "s") as store:
        store.journal.delete_before(3)
    assert names(spans_of_store(tmp_path / "s", "r", ())) == ["s3"]
    assert "2 of the batches in which run r came were deleted" in capsys.readouterr().err


def test_spans_of_damaged_batches_are_missed_aloud(tmp_path: Path, capsys) -> None:
    parts = [payload(resource("a", [span((n, n), f"s{n}", "server", 0, 1)], "r")) for n in (1, 2, 3)]
    fill(tmp_path / "s", parts)
    with Store.open(tmp_path / "s") as store:
        store._writer.call(lambda connection: connection.execute("UPDATE batches SET crc = 0 WHERE id = 2").rowcount)
    found = spans_of_store(tmp_path / "s", "r", ())
    assert (names(found), found.damaged_batches) == (["s1", "s3"], 1)
    assert "1 of the batches in which run r came are damaged" in capsys.readouterr().err
