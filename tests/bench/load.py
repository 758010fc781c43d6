"""Makes requests for export as a scoring system would send them, many and fast: about 0.1 us of CPU a span.

One request is built span by span (see `mix.py` for what is in it); every further one is the same bytes with its ids, times and
new attribute values written over in place, at offsets that were found once. All of it is arithmetic: span `i`
of request `n` gets number `n * spans + i + 1`, and its id is that number, scrambled in a way that can be undone.
So what a store holds tells which request it came from, and no ledger of ids needs to be kept.

    load = Load.build(512, 10, seed=1, run_id="bench-1")
    payloads = [load.payload(number) for number in range(1000)]

`Traffic` takes several such templates in turns, and gives every so many spans a run of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from bench.mix import RUN, SPANS_PER_TRACE, UNIQUE_DOUBLE, UNIQUE_INT, UNIQUE_TEXT, message_of

STEP_NS: Final = 5_000_000
"""How much later each following request is."""
TEMPLATES: Final = 8

Offsets = npt.NDArray[np.intp]
Numbers = npt.NDArray[np.uint64]

_ODD: Final = np.uint64(0x9E3779B97F4A7C15)
_INVERSE: Final = np.uint64(pow(int(_ODD), -1, 1 << 64))
_HALF: Final = np.uint64(32)
_SEED_BITS: Final = np.uint64(44)
"""Numbers of a template begin at its seed times 2 to this."""
_MANTISSA: Final = np.uint64(12)
_FROM_HALF_TO_ONE: Final = np.uint64(0x3FE0 << 48)
_MORE_BYTES: Final = np.uint32(0x80808080)
_HEX: Final = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), "<u2")


def make_payload(n_spans: int, n_attributes: int, seed: int, *, run_id: str | None = None) -> bytes:
    """Return one ExportTraceServiceRequest; about 310 bytes a span at 10 attributes, 810 at 16."""
    return message_of(n_spans, n_attributes, seed, run_id).SerializeToString()


def scramble(numbers: Numbers) -> Numbers:
    """Return ids for numbers, as different as random ones; no two alike, and 0 only for 0."""
    spread = numbers * _ODD
    return spread ^ (spread >> _HALF)


def unscramble(ids: Numbers) -> Numbers:
    """Return the numbers that ids were made of.

    >>> unscramble(scramble(np.array([7], np.uint64))).tolist()
    [7]
    """
    return (ids ^ (ids >> _HALF)) * _INVERSE


@dataclass(frozen=True, slots=True, eq=False)
class Load:
    """A request and the places in it that make it a different one. All offsets are in bytes."""

    template: bytes
    n_spans: int
    seed: int
    traces: Offsets
    """Of trace ids, those of links among them, and …"""
    trace_of: Offsets
    """… for each the place of the span that its trace begins with."""
    spans: Offsets
    """Of span ids, those of parents and links among them, and …"""
    span_of: Offsets
    """… for each the place of the span that it belongs to."""
    times: Offsets
    texts: Offsets
    text_of: Offsets
    doubles: Offsets
    double_of: Offsets
    ints: Offsets
    int_of: Offsets
    run: slice
    """Where the run's id stands; empty without one."""

    @staticmethod
    def build(n_spans: int, n_attributes: int, seed: int, *, run_id: str | None = None) -> Load:
        """Make the first request and find the places in it."""
        message = message_of(n_spans, n_attributes, seed, run_id)
        template = message.SerializeToString()
        finder = _Finder(template)
        run = slice(0, 0) if run_id is None else finder.run(run_id)
        for place, span in enumerate(message.resource_spans[0].scope_spans[0].spans):
            finder.add(place, span)
        times, _ = finder.found("time")
        return Load(
            template, n_spans, seed, *finder.found("trace"), *finder.found("span"), times, *finder.found("text"),
            *finder.found("double"), *finder.found("int"), run,
        )  # fmt: skip

    def payload(self, number: int, run_id: bytes | None = None) -> bytes:
        """Return request `number`: ids, times and new values of its own, everything else shared.

        `run_id`, as long as the template's, takes its place.
        """
        data = np.frombuffer(self.template, np.uint8).copy()
        # Eight (or four) bytes at any offset, written at once: overlapping views, one item a byte.
        eights = np.ndarray(len(data) - 7, "<u8", data, strides=(1,))
        fours = np.ndarray(len(data) - 3, "<u4", data, strides=(1,))
        numbers = self._numbers(number)
        ids, others = scramble(numbers), scramble(~numbers)
        wire = ids.byteswap()
        eights[self.traces] = others[self.trace_of]
        eights[self.traces + 8] = wire[self.trace_of]
        eights[self.spans] = wire[self.span_of]
        eights[self.times] += np.uint64(number * STEP_NS)
        digits = _HEX[others.view(np.uint8)].view("<u8").reshape(-1, 2)[self.text_of]
        eights[self.texts] = digits[:, 0]
        eights[self.texts + 8] = digits[:, 1]
        eights[self.doubles] = (others[self.double_of] >> _MANTISSA) | _FROM_HALF_TO_ONE
        fours[self.ints] = others[self.int_of].astype(np.uint32) | _MORE_BYTES
        if run_id is not None:
            data[self.run] = np.frombuffer(run_id, np.uint8)
        return data.tobytes()

    def span_ids(self, number: int) -> Numbers:
        """Return the ids of the spans of request `number`, in their order."""
        return scramble(self._numbers(number))

    def number_claimed(self, payload: bytes) -> int | None:
        """Return the number of the request that the first span id says; None where none of this template can say it."""
        if len(payload) != len(self.template):
            return None
        first = int(self.spans[0])
        made_of = int(unscramble(np.array([int.from_bytes(payload[first : first + 8])], np.uint64))[0])
        number, place = divmod(made_of - (self.seed << int(_SEED_BITS)) - 1, self.n_spans)
        return number if place == 0 and 0 <= number < 1 << int(_SEED_BITS) else None

    def _numbers(self, number: int) -> Numbers:
        first = (self.seed << int(_SEED_BITS)) + number * self.n_spans + 1
        return np.arange(first, first + self.n_spans, dtype=np.uint64)


class _Finder:
    """Walks a request span by span, noting where the values that are known to be in it stand, and whose they are."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._at = 0
        self._place_of: dict[bytes, int] = {}
        self._found: dict[str, list[tuple[int, int]]] = {
            k: [] for k in ("trace", "span", "time", "text", "double", "int")
        }

    def run(self, run_id: str) -> slice:
        value = run_id.encode()
        start = self._payload.index(RUN.encode() + _text_value(value)) + len(RUN) + len(_text_value(value)) - len(value)
        return slice(start, start + len(value))

    def add(self, place: int, span: Span) -> None:
        self._place_of[span.span_id] = place
        first = place - place % SPANS_PER_TRACE
        self._note("trace", b"\x0a\x10", span.trace_id, first)
        self._note("span", b"\x12\x08", span.span_id, place)
        if span.parent_span_id:
            self._note("span", b"\x22\x08", span.parent_span_id, self._place_of[span.parent_span_id])
        self._note("time", b"\x39", span.start_time_unix_nano.to_bytes(8, "little"), place)
        self._note("time", b"\x41", span.end_time_unix_nano.to_bytes(8, "little"), place)
        for attribute in span.attributes:
            size = {UNIQUE_TEXT: 16, UNIQUE_DOUBLE: 8, UNIQUE_INT: 5}.get(attribute.key)
            if size is not None:
                whole = attribute.SerializeToString()
                self._note(_KINDS[size], whole[:-size], whole[-size:], place)
        for event in span.events:
            self._note("time", b"\x09", event.time_unix_nano.to_bytes(8, "little"), place)
        for link in span.links:
            self._note("trace", b"\x0a\x10", link.trace_id, self._place_of[link.span_id])
            self._note("span", b"\x12\x08", link.span_id, self._place_of[link.span_id])

    def _note(self, kind: str, before: bytes, value: bytes, place: int) -> None:
        start = self._payload.index(before + value, self._at) + len(before)
        self._found[kind].append((start, place))
        self._at = start + len(value)

    def found(self, kind: str) -> tuple[Offsets, Offsets]:
        """Return the offsets of a kind, and the places of the spans that their values depend on."""
        both = np.array(self._found[kind], np.intp).reshape(-1, 2)
        return both[:, 0].copy(), both[:, 1].copy()


_KINDS: Final = {16: "text", 8: "double", 5: "int"}


def _text_value(value: bytes) -> bytes:
    """Return how a text stands behind its key: the length of the value, that of the text, the text."""
    return bytes([0x12, len(value) + 2, 0x0A, len(value)]) + value


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """Requests without end: several templates in turns, and a new run after every so many spans."""

    loads: Sequence[Load]
    spans_per_run: int
    """0: all of them belong to one run."""

    @staticmethod
    def build(n_spans: int, n_attributes: int, *, spans_per_run: int = 0, templates: int = TEMPLATES) -> Traffic:
        """Make the templates."""
        seeds = range(1, templates + 1)
        loads = [Load.build(n_spans, n_attributes, seed, run_id=run_id(0).decode()) for seed in seeds]
        return Traffic(loads, spans_per_run)

    def payload(self, number: int) -> bytes:
        """Return request `number`."""
        return self._load(number).payload(number, run_id(self.run_of(number)))

    def run_of(self, number: int) -> int:
        """Return the number of the run that a request belongs to."""
        return number * self.loads[0].n_spans // self.spans_per_run if self.spans_per_run else 0

    def number_of(self, payload: bytes) -> int | None:
        """Return the number of a request, every byte of which is as it was made; None for any other."""
        claims = (load.number_claimed(payload) for load in self.loads)
        number = next((number for number in claims if number is not None), None)
        return number if number is not None and self.payload(number) == payload else None

    def _load(self, number: int) -> Load:
        return self.loads[number % len(self.loads)]


def run_id(number: int) -> bytes:
    """Return the id of a run.

    >>> run_id(3)
    b'bench-00003'
    """
    return b"bench-%05d" % number
