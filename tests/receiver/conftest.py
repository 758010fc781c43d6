from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from receiver.wires import JSON, GrpcWire, HttpWire
from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.listen import Endpoints, Receiver
from spanverdict.receiver.sink import Sink

Wire = GrpcWire | HttpWire
ListenTo = Callable[..., tuple[Receiver, Endpoints]]
Connect = Callable[..., Wire]

WIRES: dict[str, Callable[..., Wire]] = {
    "grpc": GrpcWire,
    "http-protobuf": HttpWire,
    "http-json": lambda endpoints, **options: HttpWire(endpoints, JSON, **options),
}


@pytest.fixture
def receive() -> Iterator[ListenTo]:
    """Start receivers on free ports; they stop with the test."""
    with ExitStack() as stack:

        def start(sink: Sink, **settings: object) -> tuple[Receiver, Endpoints]:
            config = ReceiverConfig(**{"grpc_address": "127.0.0.1:0", "http_address": "127.0.0.1:0"} | settings)
            receiver = Receiver(config, sink)
            endpoints = receiver.start()
            stack.callback(receiver.stop, 2)
            return receiver, endpoints

        yield start


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Open clients by the name of their wire; they close with the test."""
    with ExitStack() as stack:

        def open_wire(name: str, endpoints: Endpoints, **options: object) -> Wire:
            wire = WIRES[name](endpoints, **options)
            stack.callback(wire.close)
            return wire

        yield open_wire


@pytest.fixture(params=WIRES)
def wire_name(request: pytest.FixtureRequest) -> str:
    """Each form of OTLP in turn."""
    return str(request.param)
