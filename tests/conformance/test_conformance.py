"""Every item of the list over every form of OTLP, against our receiver; and the published table against them.

`UPDATE_EXPECTED=1 pytest tests/conformance` writes the table of deploy/conformance.md anew.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from conformance.catalogue import ITEMS
from conformance.item import ALL, GRPC, OWN, Fails, Item, Level, NotApplicable
from conformance.lab import Lab, OwnLab, PeerLab, Result, judge
from conformance.run import main
from conformance.table import breaks_a_must, reasons, summary, table
from receiver.wires import HttpWire
from spanverdict.receiver.addresses import Address, bind
from spanverdict.receiver.listen import Endpoints, port_of
from spanverdict.web.server import WebServer

PAGE = Path(__file__).parents[2] / "deploy" / "conformance.md"
UPDATING = bool(os.environ.get("UPDATE_EXPECTED")) and os.environ.get("CI") != "true"
ASKED = [(item, wire) for item in ITEMS for wire in item.wires]

Judge = Callable[[Item, str], Result]


@pytest.fixture(scope="module")
def judged() -> Iterator[Judge]:
    """Make each check once, whoever asks for its result."""
    with OwnLab().open() as lab:
        yield cache(lambda item, wire: judge(item, wire, lab))


@pytest.mark.parametrize(("item", "wire"), ASKED, ids=[f"{item.key}-{wire}" for item, wire in ASKED])
def test_our_receiver_does_what_is_asked(judged: Judge, item: Item, wire: str) -> None:
    result = judged(item, wire)
    if item.level is Level.MAY and result.reason == "not offered":
        return
    assert result == Result("pass")


def test_the_published_table_is_what_a_run_finds(judged: Judge) -> None:
    results = {(item, wire): judged(item, wire) for item in ITEMS for wire in ALL}
    found = "\n\n".join((table(ITEMS, results), reasons(ITEMS, results), summary(results)))
    page = PAGE.read_text(encoding="utf-8")
    expected = re.sub(r"(?<=<!-- results -->\n).*(?=\n<!-- end -->)", lambda _: found, page, flags=re.DOTALL)
    if UPDATING:
        PAGE.write_text(expected, encoding="utf-8")
        return
    assert page == expected
    assert found in page


def test_every_number_of_the_list_has_an_item() -> None:
    assert {item.number for item in ITEMS} == {str(number) for number in range(1, 45)} | {OWN}
    assert len({item.key for item in ITEMS}) == len(ITEMS)
    assert all(item.says and item.wires for item in ITEMS)


class Impostor:
    """Says yes to everything, in HTML."""

    async def __call__(self, scope, receive, send) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"<p>thank you</p>"})


@pytest.fixture
def impostor() -> Iterator[Endpoints]:
    """An HTTP server that is no OTLP receiver, where one would be."""
    listener = bind(Address("127.0.0.1", 0))
    server = WebServer(Impostor(), listener)
    server.start()
    yield Endpoints(None, Address("127.0.0.1", port_of(listener)))
    server.stop()


LENIENT = {"plain_responses", "cors_is_off", "connections_are_kept"}
"""What any server of HTTP/1.1 does."""


def test_no_check_passes_on_what_is_no_otlp_receiver(impostor: Endpoints) -> None:
    """A check that cannot fail would make the table worthless."""
    lab = PeerLab(impostor, limit=100_000)
    passed = {
        item.check.__name__
        for item in ITEMS
        for wire in item.wires
        if wire != GRPC and judge(item, wire, lab).outcome == "pass"
    }
    assert passed <= LENIENT


def check_that_fails(case: object) -> None:
    """Something is asked for."""
    raise Fails("no such thing\nat all")


def check_that_asks_too_much(case: object) -> None:
    """Something else is asked for."""
    raise NotApplicable("nobody can know")


def test_a_table_tells_what_failed_and_why() -> None:
    items = (
        Item("1", Level.MUST, ALL, check_that_fails),
        Item("2", Level.SHOULD, (GRPC,), check_that_asks_too_much),
    )
    lab: Lab = PeerLab(Endpoints(None, None), limit=1)
    results = {(item, wire): judge(item, wire, lab) for item in items for wire in ALL}
    assert table(items, results).splitlines()[2:] == [
        "| 1    | M     | Something is asked for      | fail | fail          | fail      |",
        "| 2    | S     | Something else is asked for | n.a. |               |           |",
    ]
    assert reasons(items, results).splitlines() == [
        "- 1 Something is asked for (grpc, http-protobuf, http-json): **fail**, no such thing at all",
        "- 2 Something else is asked for (grpc): **n.a.**, nobody can know",
    ]
    assert summary(results) == "0 pass, 3 fail (3 of a MUST), 1 not applicable"
    assert breaks_a_must(results)


def test_a_program_that_is_not_there_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert main(["--target", f"127.0.0.1:{port}"]) == 2
    assert capsys.readouterr().err.startswith(f"cannot judge it: 127.0.0.1:{port}: Connection refused")
    assert main(["--target", "nowhere"]) == 2
    assert "host:port" in capsys.readouterr().err


def test_a_body_that_is_no_otlp_is_a_fault(impostor: Endpoints) -> None:
    address = impostor.http
    assert isinstance(address, Address)
    wire = HttpWire(impostor)
    answer = wire.send(b"")
    wire.close()
    assert answer.fault == "a body of 16 bytes of text/html that is no OTLP message"
