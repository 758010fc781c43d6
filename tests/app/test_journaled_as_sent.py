"""What came as gzip is journaled as it came, unless something in it must not be kept; readers see no difference."""

from __future__ import annotations

import gzip
import sqlite3
from pathlib import Path

import pytest

from app.test_attribute_limits import LONG, request, text
from app.test_attribute_limits import took as took  # noqa: PLC0414 - a fixture
from bench.load import make_payload
from spanverdict.storage.database import Database
from spanverdict.storage.journal import Damage
from spanverdict.storage.store import Store

WAIT_S = 30
PASSWORD = "hunter2hunter2"


def rows(path: Path) -> list[bytes]:
    connection = sqlite3.connect(path)
    try:
        return [payload for (payload,) in connection.execute("SELECT payload FROM batches ORDER BY id")]
    finally:
        connection.close()


def test_gzip_is_kept_as_it_came_and_read_as_what_is_in_it(took, tmp_path: Path) -> None:
    intake, judge, store = took
    payloads = [make_payload(40, 12, seed) for seed in range(4)]
    sent = [gzip.compress(payload, 1) for payload in payloads[:3]] + [b""]
    for payload, as_sent in zip(payloads, sent, strict=True):
        assert intake.submit(payload, as_sent).result(WAIT_S).accepted == 40
    assert [batch.payload for batch in store.journal.read()] == payloads
    assert rows(tmp_path / "store.sqlite") == [*sent[:3], payloads[3]]
    assert store.journal.bytes_stored() == sum(map(len, [*sent[:3], payloads[3]]))
    assert sum(map(len, judge.tables)) == 160


def test_gzip_that_something_must_be_masked_in_is_not_kept(took, tmp_path: Path) -> None:
    intake, _, store = took
    for number in (1, 2):
        payload = request(
            text("note", f"the password={PASSWORD} is here"), number=number, copies=30
        ).SerializeToString()
        assert intake.submit(payload, gzip.compress(payload)).result(WAIT_S).accepted == 30
    kept = rows(tmp_path / "store.sqlite")
    assert not any(row.startswith(b"\x1f\x8b") or PASSWORD.encode() in row for row in kept)
    assert [batch.payload for batch in store.journal.read()] == kept


def test_gzip_that_something_must_be_cut_in_is_not_kept(took, tmp_path: Path) -> None:
    intake, _, _ = took
    for number in (1, 2):
        payload = request(text("prompt", LONG), number=number, copies=30).SerializeToString()
        assert intake.submit(payload, gzip.compress(payload)).result(WAIT_S).message
    assert not any(row.startswith(b"\x1f\x8b") or LONG.encode() in row for row in rows(tmp_path / "store.sqlite"))


@pytest.mark.parametrize(
    "broken",
    [b"\x1f\x8bno gzip", gzip.compress(b"spans")[:-3], gzip.compress(b"spans") + b"x"],
    ids=["no gzip", "cut", "with more behind"],
)
def test_what_cannot_be_inflated_is_damaged_and_costs_nobody_else_anything(tmp_path: Path, broken: bytes) -> None:
    met: list[Damage] = []
    with Store.open(tmp_path / "store.sqlite") as store:
        for payload in (b"before", broken, gzip.compress(b"after")):
            store.journal.append(payload, 1).result(WAIT_S)
        assert [batch.payload for batch in store.journal.read(on_damage=met.append)] == [b"before", b"after"]
    assert [damage.batch_id for damage in met] == [2]


def test_a_flipped_bit_in_gzip_is_found(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    kept = gzip.compress(make_payload(40, 12, 1), 1)
    with Store.open(path) as store:
        store.journal.append(kept, 1).result(WAIT_S)
    flipped = bytearray(kept)
    flipped[len(kept) // 2] ^= 4
    connection = Database(path).connect()
    connection.execute("UPDATE batches SET payload = ?", (bytes(flipped),))
    connection.close()
    with Store.open(path) as store:
        assert list(store.journal.read()) == []
        assert [damage.reason for damage in store.journal.damaged] == ["checksum mismatch"]
