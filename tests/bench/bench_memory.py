"""How much memory a span takes while it is at hand: columns, values and what is known of its traces, and all of `serve`.

    python tests/bench/bench_memory.py [--spans 200000] [--rate 40000] [--seconds 10] [--json FILE]

Spans have 10 and 16 attributes, of which 2.3 are new on every span (`mix.py`). First they take the way that they take in
`serve`, in one process: decoded, packed, unpacked, added to a window; what the parts say that they take is printed. *Columns*
are all numbers of a span, those of its attributes included; *values* the texts that these stand for, new ones and others;
*traces* what joins traces to runs. Then a real server gets spans at a fixed rate: how fast its resident memory
grows, that of its decoding process included, in the second half of the time, for each span that came.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.goals import Goal, command, finish
from bench.load import Traffic
from bench.loading import Case, measure
from spanverdict.app.decoding import Decoder
from spanverdict.otlp.values import decode_attribute
from spanverdict.paths.window import Window
from spanverdict.telemetry.transfer import TableReader, TableWriter

ATTRIBUTES: Final = (10, 16)
SIZE: Final = 512
TOGETHER: Final = 8
"""Requests that are decoded together."""
GOAL: Final = 200.0


@dataclass(frozen=True, slots=True)
class AtHand:
    """Bytes a span, as the parts of a window say."""

    attributes: int
    sent: float
    columns: float
    values: float
    traces: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.columns + self.values + self.traces

    def __str__(self) -> str:
        return (
            f"{self.attributes} attributes, {self.sent:.0f} bytes as sent: columns {self.columns:.1f}, values {self.values:.1f}, "
            f"traces {self.traces:.1f}, in all {self.total:.1f} bytes a span"
        )


def at_hand(attributes: int, n_spans: int) -> AtHand:
    """Fill a window as `serve` does, and ask it."""
    traffic, decoder, window = Traffic.build(SIZE, attributes), Decoder(), Window()
    writer, reader, sent, spans = None, TableReader(decode_attribute), 0, 0
    for first in range(0, n_spans // SIZE, TOGETHER):
        payloads = [traffic.payload(number) for number in range(first, first + TOGETHER)]
        decoded, _ = decoder.decode_all(payloads)
        if writer is None or writer.pool is not decoded.pool:
            writer, reader = TableWriter(decoded.pool), TableReader(decode_attribute)
        packed = writer.pack(decoded)
        body = b"".join(column.tobytes() for column in packed.columns)
        writer.let_go()
        table = reader.unpack(packed.head, np.frombuffer(body, np.uint8))
        window.add(first, table, 0.0, first + TOGETHER - 1)
        window.count()
        sent, spans = sent + sum(map(len, payloads)), spans + len(table)
    pools = sum(pool.nbytes for pool, _ in window._pools.values())
    columns, values = window._parts.nbytes / spans, pools / spans
    return AtHand(attributes, sent / spans, columns, values, window.nbytes / spans - columns - values)


def resident(attributes: int, rate: int, seconds: float) -> float:
    """Return by how many bytes a span the memory of a server grows."""
    case = Case("http", SIZE, attributes=attributes, rate=rate)
    with tempfile.TemporaryDirectory(prefix="spanverdict-bench-") as folder:
        found = measure(case, seconds, Path(folder))
    print(found)
    return found.slope_bytes_per_second / rate


def main() -> int:
    parser = command(__doc__)
    parser.add_argument("--spans", type=int, default=200_000)
    parser.add_argument("--rate", type=int, default=40_000, help="spans a second that the server gets")
    parser.add_argument("--seconds", type=float, default=10.0)
    asked = parser.parse_args()
    goals, results = list[Goal](), list[dict[str, float]]()
    for attributes in ATTRIBUTES:
        known, grown = at_hand(attributes, asked.spans), resident(attributes, asked.rate, asked.seconds)
        print(known)
        results.append(asdict(known) | {"total": known.total, "resident": grown})
        goals.append(Goal(f"a span with {attributes} attributes at hand", known.total, GOAL, "bytes", at_most=True))
        goals.append(
            Goal(f"a span with {attributes} attributes at hand, of resident memory", grown, GOAL, "bytes", at_most=True)
        )
    return finish(asked, results, goals)


if __name__ == "__main__":
    sys.exit(main())
