"""Where checks are made: on a receiver of ours that can be rigged from the inside, or on any other from the outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from conformance.access import Access
from conformance.item import GRPC, HTTP_JSON, Fails, Item, NotApplicable
from receiver.sinks import MemorySink
from receiver.wires import JSON, PROTOBUF, GrpcWire, HttpWire
from spanverdict.receiver.config import ReceiverConfig
from spanverdict.receiver.listen import Endpoints, Receiver
from spanverdict.receiver.sink import Sink

OWN_LIMIT = 200_000
"""Bytes of a request that our receiver takes here; the default would only make the checks slow."""


class Lab(Protocol):
    """A receiver under judgement."""

    endpoints: Endpoints
    limit: int
    """Bytes that a request may have."""
    ours: bool
    """Whether `rigged` works."""
    access: Access
    """How clients get in; into what is rigged anybody may."""

    def begin(self) -> None:
        """Forget what earlier checks sent."""

    def kept(self) -> list[str] | None:
        """The names of the spans that were kept since; None where nobody can know."""

    def rigged(self, stack: ExitStack, sink: Sink, settings: dict[str, object]) -> tuple[Receiver, Endpoints]:
        """Start a receiver of the same kind around a sink, until `stack` ends."""


class OwnLab:
    """Our receiver on free ports, with real decoding and a commit that is instant."""

    ours = True
    limit = OWN_LIMIT
    access = Access()
    endpoints: Endpoints

    def __init__(self) -> None:
        self._sink = MemorySink()

    @contextmanager
    def open(self) -> Iterator[OwnLab]:
        """Run the receiver."""
        with ExitStack() as stack:
            _, self.endpoints = self.rigged(stack, self._sink, {"max_message_bytes": OWN_LIMIT})
            yield self

    def begin(self) -> None:
        self._sink.clear()

    def kept(self) -> list[str] | None:
        return list(self._sink.names)

    def rigged(self, stack: ExitStack, sink: Sink, settings: dict[str, object]) -> tuple[Receiver, Endpoints]:
        addresses = {"grpc_address": "127.0.0.1:0", "http_address": "127.0.0.1:0"}
        receiver = Receiver(ReceiverConfig(**(addresses | settings)), sink)  # type: ignore[arg-type] # by name
        endpoints = receiver.start()
        stack.callback(receiver.stop, 2)
        return receiver, endpoints


@dataclass
class PeerLab:
    """Any receiver that runs already; one of its addresses may be missing."""

    endpoints: Endpoints
    limit: int
    access: Access = field(default_factory=Access)
    ours = False

    def begin(self) -> None:
        pass

    def kept(self) -> list[str] | None:
        return None

    def rigged(self, stack: ExitStack, sink: Sink, settings: dict[str, object]) -> tuple[Receiver, Endpoints]:
        raise NotApplicable("cannot be provoked from the outside")


@dataclass
class Case:
    """One check over one form of OTLP. What it opens is closed when it ends."""

    lab: Lab
    wire: str
    stack: ExitStack
    _wires: dict[Endpoints, GrpcWire | HttpWire] = field(default_factory=dict)

    @property
    def limit(self) -> int:
        return self.lab.limit

    @property
    def is_grpc(self) -> bool:
        return self.wire == GRPC

    def either(self, grpc_code: str, http_status: int) -> str | int:
        """Choose what is right for the form of OTLP."""
        return grpc_code if self.is_grpc else http_status

    def connect(self) -> GrpcWire | HttpWire:
        """Return a client, the same one each time."""
        return self._wire(self.lab.endpoints)

    def http(self) -> HttpWire:
        """Return the client of one of the HTTP forms."""
        wire = self.connect()
        assert isinstance(wire, HttpWire)
        return wire

    def rig(self, sink: Sink, **settings: object) -> tuple[Receiver, GrpcWire | HttpWire]:
        """Start a receiver of the same kind with this sink, and open a client to it."""
        receiver, endpoints = self.lab.rigged(self.stack, sink, settings)
        return receiver, self._wire(endpoints)

    def kept(self) -> list[str] | None:
        """The names of the spans that the receiver kept of this check; None where nobody can know."""
        return self.lab.kept()

    def _wire(self, endpoints: Endpoints) -> GrpcWire | HttpWire:
        if (endpoints.grpc if self.is_grpc else endpoints.http) is None:
            raise NotApplicable("no address was given")
        if endpoints not in self._wires:
            self._wires[endpoints] = self._opened(endpoints)
            self.stack.callback(self._wires[endpoints].close)
        return self._wires[endpoints]

    def _opened(self, endpoints: Endpoints) -> GrpcWire | HttpWire:
        access = self.lab.access
        if self.is_grpc:
            return access.grpc_wire(endpoints)
        return access.http_wire(endpoints, JSON if self.wire == HTTP_JSON else PROTOBUF)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one check: `pass`, `fail` or `n.a.`, and why if it did not pass."""

    outcome: str
    reason: str = ""


def judge(item: Item, wire: str, lab: Lab) -> Result:
    """Make one check; whatever goes wrong on the way is a failure with a reason."""
    if wire not in item.wires:
        return Result("")
    lab.begin()
    with ExitStack() as stack:
        try:
            item.check(Case(lab, wire, stack))
        except NotApplicable as reason:
            return Result("n.a.", str(reason))
        except Exception as error:  # noqa: BLE001 - a receiver may do anything, also what breaks a client
            return Result("fail", str(error) if isinstance(error, Fails) else f"{type(error).__name__}: {error}")
    return Result("pass")
