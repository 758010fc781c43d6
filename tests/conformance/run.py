"""Judges an OTLP receiver against the specification, item by item, over gRPC, HTTP/protobuf and HTTP/JSON.

    make conformance
    make conformance TARGET=host:4317 TARGET_HTTP=host:4318 LIMIT=67108864
    make conformance TARGET=host:4317 CA=authority.pem TOKEN=secret

Without a target it is ours, started on free ports and also looked at from the inside. The exit code of this program
is 1 when something fails that the specification says a receiver MUST do, and 2 when the receiver cannot be reached.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # a peer that ends a connection is a result, not a log line

import httpx

from conformance.access import Access, access_of, add_options
from conformance.catalogue import ITEMS
from conformance.item import ALL, OWN
from conformance.lab import Lab, OwnLab, PeerLab, judge
from conformance.table import LEVELS, breaks_a_must, reasons, summary, table
from silence import quiet
from spanverdict.receiver.addresses import Address, parse_address
from spanverdict.receiver.errors import BadAddress
from spanverdict.receiver.listen import Endpoints

MIB = 1024 * 1024


def main(arguments: list[str] | None = None) -> int:
    """Judge and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", help="where it receives OTLP/gRPC (host:port); ours where it is missing")
    parser.add_argument("--target-http", help="where it receives OTLP/HTTP; the port after the target's by default")
    parser.add_argument("--limit", type=int, default=64 * MIB, help="the bytes that its requests may have (64 MiB)")
    add_options(parser)
    chosen = parser.parse_args(arguments)
    if chosen.limit <= 0:
        parser.error("--limit must be positive")
    if (chosen.ca or chosen.insecure or chosen.cert) and not (chosen.target or chosen.target_http):
        parser.error("only a receiver of somebody else has to be got into: name it with --target")
    try:
        with _lab(chosen.target, chosen.target_http, chosen.limit, access_of(chosen)) as lab:
            return _judge_all(lab)
    except (BadAddress, OSError, ValueError) as error:
        print(f"cannot judge it: {error}", file=sys.stderr)
        return 2


@contextmanager
def _lab(target: str | None, target_http: str | None, limit: int, access: Access) -> Iterator[Lab]:
    if not target and not target_http:
        with OwnLab().open() as lab:
            yield lab
        return
    grpc = parse_address(target) if target else None
    http = parse_address(target_http) if target_http else grpc and replace(grpc, port=grpc.port + 1)
    for address in (grpc, http):
        if address is not None:
            _check_that_somebody_listens(address)
    lab = PeerLab(Endpoints(grpc, http), limit, access)
    try:
        _check_that_we_may_send(lab)
    except httpx.HTTPError as error:
        raise OSError(f"{http}: {error or type(error).__name__}") from None
    yield lab


def _check_that_somebody_listens(address: Address) -> None:
    try:
        socket.create_connection((address.host, address.port), timeout=5).close()
    except OSError as error:
        raise OSError(f"{address}: {error.strerror or error}") from None


def _check_that_we_may_send(lab: Lab) -> None:
    for address, opened in ((lab.endpoints.grpc, lab.access.grpc_wire), (lab.endpoints.http, lab.access.http_wire)):
        if address is None:
            continue
        with closing(opened(lab.endpoints)) as wire:
            answer = wire.send(b"")
        if answer.code in ("UNAUTHENTICATED", 401):
            raise OSError(
                f"{address}: it refuses this token" if lab.access.token else f"{address}: it asks for a token: TOKEN=…"
            )
        if answer.code == "UNAVAILABLE":
            raise OSError(f"{address}: {answer.message}")


def _judge_all(lab: Lab) -> int:
    endpoints = lab.endpoints
    print(f"gRPC at {endpoints.grpc or 'no address'}, HTTP at {endpoints.http or 'no address'}\n", flush=True)
    items = [item for item in ITEMS if lab.ours or item.number != OWN]
    with quiet():  # the checks provoke what our receiver logs
        results = {(item, wire): judge(item, wire, lab) for item in items for wire in ALL}
    print(table(items, results))
    print(f"\n{LEVELS}\n")
    if why := reasons(items, results):
        print(f"{why}\n")
    print(summary(results))
    return 1 if breaks_a_must(results) else 0


if __name__ == "__main__":
    sys.exit(main())
