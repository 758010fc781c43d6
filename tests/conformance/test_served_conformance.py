"""The whole server - real decoding, masking and journal - seen as any other receiver is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from conformance.catalogue import ITEMS
from conformance.item import OWN, Item
from conformance.lab import OWN_LIMIT, PeerLab, Result, judge
from spanverdict.app.service import Service, ServiceConfig
from spanverdict.receiver.config import ReceiverConfig

ASKED = [
    (item, wire)
    for item in ITEMS
    for wire in item.wires
    if item.number != OWN and item.check.__name__ != "pings"  # which takes seconds, and has nothing behind the wire
]

Judge = Callable[[Item, str], Result]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    """Make each check once, on a server on free ports of which nothing but its addresses is known."""
    store: Path = tmp_path_factory.mktemp("served") / "store.sqlite"
    receiver = ReceiverConfig(
        grpc_address="127.0.0.1:0", http_address="127.0.0.1:0", max_message_bytes=OWN_LIMIT, retry_after_s=0.1
    )
    service = Service(ServiceConfig(store=store, flows=(), receiver=receiver))
    endpoints = service.start()
    lab = PeerLab(endpoints, OWN_LIMIT)
    yield cache(lambda item, wire: judge(item, wire, lab))
    service.stop()


@pytest.mark.parametrize(("item", "wire"), ASKED, ids=[f"{item.key}-{wire}" for item, wire in ASKED])
def test_nothing_that_can_be_asked_from_the_outside_fails(judged: Judge, item: Item, wire: str) -> None:
    result = judged(item, wire)
    assert result.outcome in ("pass", "n.a."), result


def test_most_can_be_asked_from_the_outside(judged: Judge) -> None:
    """So that the test above cannot pass because nothing was asked."""
    musts = [(item, wire) for item, wire in ASKED if item.number in ("1", "6", "8", "14", "17", "25", "35")]
    assert len(musts) >= 15
    assert {judged(item, wire) for item, wire in musts} == {Result("pass")}
