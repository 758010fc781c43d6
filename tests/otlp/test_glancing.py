"""A glance at new attributes by compiled code tells what numpy and protobuf tell."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

pytest.importorskip("numba")

from bench.load import make_payload
from otlp.test_scanning import mutate
from spanverdict.app.compiling import compile_all
from spanverdict.otlp.compiled import ROUTINES
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.otlp.glancing import judge
from spanverdict.otlp.judging import judge_attributes
from spanverdict.telemetry.blocks import WIDTHS, Block
from spanverdict.telemetry.items import Items
from spanverdict.telemetry.machinecode import load
from spanverdict.telemetry.pool import Pool

TEXT = re.compile(rb"[A-Za-z./-]{3,}")


@pytest.fixture(params=["machine", "python"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    load(ROUTINES, compile_all())
    if request.param == "python":
        for routine in ROUTINES:
            monkeypatch.setattr(routine, "machine", None)


def attributes(seed: int) -> list[bytes]:
    """Return attributes as they are sent, some of them damaged, of fewer than 128 bytes."""
    rng = random.Random(seed)
    pool = new_pool()
    decode(make_payload(60, 16, seed, run_id="r"), pool)
    found = [bytes((0x0A, 1, 107, 0x12, 2, 0x10, 1)), b"", b"\x0a", b"\x0a\x05ab", "\u00e9".encode()]
    for item in pool.attributes.items_by_id:
        damaged = bytearray(item)
        mutate(damaged, rng)
        found += [item, bytes(damaged), item[: rng.randrange(len(item))], bytes(damaged), *[item] * (seed % 2)]
    return [item for item in found if len(item) < WIDTHS[-1]]


def pool_of(items: list[bytes], shown: list[bytes]) -> Pool:
    """Return a pool with attributes that nobody has judged yet, kept as rows."""
    pool = new_pool(1000, show=lambda texts: shown.append(bytes(texts)))
    known = pool.attributes.items_by_id
    assert isinstance(known, Items)
    for least, width in zip((0, *WIDTHS), WIDTHS, strict=False):
        block = Block.of([item for item in items if least <= len(item) < width])
        sizes = np.array([len(item) for item in items if least <= len(item) < width], np.int64)
        known.extend_rows(block.rows(np.cumsum(sizes) - sizes, sizes, width))
    return pool


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("seed", range(4))
def test_a_glance_finds_what_cannot_be_read_and_shows_what_must_be_searched(seed: int) -> None:
    shown, expected = list[bytes](), list[bytes]()
    items = attributes(seed)
    by_glance, by_numpy = pool_of(items, shown), pool_of(items, expected)
    with np.errstate(over="ignore"):
        judge(by_glance)
    judge_attributes(by_numpy.attributes, by_numpy.show)
    assert by_glance.attributes.unreadable == by_numpy.attributes.unreadable
    assert by_glance.attributes.judged == by_numpy.attributes.judged
    assert {*TEXT.findall(b"\0".join(expected))} <= {*TEXT.findall(b"\0".join(shown))}
    assert names_of(by_glance) == names_of(by_numpy)


def names_of(pool: Pool) -> list[bytes]:
    """Return the key of each attribute."""
    numbers, names = pool.keys.since(0, 0)
    return [names[number] for number in numbers.tolist()]


@pytest.mark.usefixtures("way")
def test_keys_are_found_again_when_many_share_a_slot() -> None:
    shown = list[bytes]()
    keys = [b"key-%04d" % (number % 3000) for number in range(9000)]
    items = [bytes((0x0A, 8)) + key + b"\x12\x02\x10\x01" for key in keys]
    pool = pool_of(items, shown)
    with np.errstate(over="ignore"):
        judge(pool)
    assert pool.keys.of_attributes().tolist() == [number % 3000 for number in range(9000)]
    assert pool.keys.names()[2999] == "key-2999"
    assert not pool.attributes.unreadable
