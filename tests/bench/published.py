"""What the published figures of the Collector are of, and so what ours is held against.

Published, of one core that receives and forwards batches of 1,000 spans of about 810 bytes: 323,000 spans/s over gRPC,
uncompressed (3.5 us of CPU a span); 81,000 with gzip (12.3 us); 82,000 over HTTP (12.2 us). They do not say how
what was received is forwarded; that is told here by their size, so it is a reading and no certainty. A Collector measured here,
1,000 spans of 16 attributes a request, takes

- 5.5 us over gRPC where it forwards uncompressed what came so, and more than twice that where it compresses it: the
  published 3.5 us fit one that forwards as it came;
- 11 to 13 us for gzip, received so and forwarded so, as published;
- 6.3 us over HTTP where it forwards as it came, twice the published rate on a slower processor, and 13.4 us
  where it compresses, as its exporters do unless they are told otherwise: this fits what is published.

So each goal stands beside the mode that its published figure fits. Ratios to the other modes are printed beside it,
without a goal, so that whoever reads the figures otherwise has theirs. Of a queue on disk, flushed, nothing is
published: what is as durable is not to be faster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bench.loading import Case

LEAST_SPANS: Final = 512
"""Goals are of requests of so many spans and more."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How many times as many spans a CPU second ours is to receive as a peer, and why."""

    peer: str
    times: float
    of: str


_PLAIN: Final = Asked("otelcol/forward", 1.0, "published: 323,000 spans/s, 3.5 us a span")
_GZIP: Final = Asked("otelcol/forward", 2.0, "published: 81,000 spans/s, 12.3 us a span")
_HTTP: Final = Asked("otelcol/default", 3.0, "published: 82,000 spans/s, 12.2 us a span")
_DURABLE: Final = Asked("otelcol/queue", 1.0, "as durable")
_PUBLISHED: Final[Mapping[tuple[str, bool], Asked]] = {
    ("grpc", False): _PLAIN,
    ("grpc", True): _GZIP,
    ("http", False): _HTTP,
    ("http", True): _HTTP,
}
"""By protocol, and whether requests are compressed."""


def asked_of(case: Case, peer: str) -> Asked | None:
    """Return what is asked of ours beside a peer; None where nothing is.

    >>> asked_of(Case("http", 512), "otelcol/default").times
    3.0
    >>> asked_of(Case("http", 512), "otelcol/forward") is None
    True
    """
    if case.size < LEAST_SPANS:
        return None
    every = _PUBLISHED[case.protocol, case.gzip], _DURABLE
    return next((asked for asked in every if asked.peer == peer), None)
