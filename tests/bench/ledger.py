"""What was sent, what was said to it, and whether the store holds just that: sent = stored + refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.load import Traffic
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.storage.store import Store

UNSENT, ACKNOWLEDGED, REFUSED, UNKNOWN = range(4)
"""What became of a request; UNKNOWN: the connection broke before the answer, so it may be stored."""


@dataclass(frozen=True, slots=True, eq=False)
class Ledger:
    """What became of each request; one entry a request, in the order of their numbers."""

    outcomes: npt.NDArray[np.int8]
    latencies: npt.NDArray[np.float64]
    """Seconds from when the request was sent, or with a rate from when it was to be sent, to its answer; 0 where unsent."""
    answered: npt.NDArray[np.float64]
    """Seconds from the first request to each answer; 0 where unsent."""
    warm_up: float
    """Seconds at the beginning of which nothing is told but what became of the requests."""
    seconds: float
    """From then to the last answer."""
    cpu_seconds: float
    """That sending took in all, the making of requests included."""

    def save(self, path: Path) -> None:
        """Write a file that `read` reads."""
        numbers = np.array([self.warm_up, self.seconds, self.cpu_seconds])
        lists = {"outcomes": self.outcomes, "latencies": self.latencies, "answered": self.answered}
        np.savez(path, numbers=numbers, **lists)

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """Read what `save` wrote."""
        with np.load(path) as kept:
            return cls(kept["outcomes"], kept["latencies"], kept["answered"], *map(float, kept["numbers"]))

    def count(self, outcome: int) -> int:
        """Return how many requests ended so."""
        return int((self.outcomes == outcome).sum())

    @property
    def acknowledged_warm(self) -> npt.NDArray[np.bool_]:
        """Which requests were acknowledged after the warm-up."""
        return (self.outcomes == ACKNOWLEDGED) & (self.answered >= self.warm_up)

    def milliseconds(self, percents: tuple[float, ...]) -> list[float]:
        """Return percentiles of how long acknowledgements took after the warm-up; zeros without any."""
        took = self.latencies[self.acknowledged_warm] * 1e3
        return (
            [round(float(value), 2) for value in np.percentile(took, percents)] if len(took) else [0.0] * len(percents)
        )


def check(ledger: Ledger, stored: npt.NDArray[np.int64]) -> str:
    """Hold what the sender was told against how often the store holds each request; `exact`, or what is wrong.

    >>> told = np.array([ACKNOWLEDGED, REFUSED, UNSENT], np.int8)
    >>> ledger = Ledger(told, np.zeros(3), np.zeros(3), 0.0, 1.0, 1.0)
    >>> check(ledger, np.array([1, 0, 0]))
    'exact'
    >>> check(ledger, np.array([0, 0, 0]))
    '1 acknowledged requests are not stored'
    """
    if len(stored) > len(ledger.outcomes) and stored[len(ledger.outcomes) :].any():
        return "requests are stored that nobody sent"
    stored = np.pad(stored, (0, max(0, len(ledger.outcomes) - len(stored))))[: len(ledger.outcomes)]
    wrong = {
        "requests are stored twice": int((stored > 1).sum()),
        "acknowledged requests are not stored": int((stored[ledger.outcomes == ACKNOWLEDGED] == 0).sum()),
        "refused requests are stored": int(stored[ledger.outcomes == REFUSED].sum()),
        "unsent requests are stored": int(stored[ledger.outcomes == UNSENT].sum()),
    }
    found = [f"{number} {what}" for what, number in wrong.items() if number]
    unanswered = ledger.count(UNKNOWN)
    return "; ".join(found) or (f"{unanswered} requests unanswered" if unanswered else "exact")


def check_store(ledger: Ledger, traffic: Traffic, path: Path) -> str:
    """Hold the ledger against a store, every byte of it: a request counts as stored when all of it is as it was made."""
    numbers = [traffic.number_of(payload) for payload in _payloads(path)]
    strange = sum(number is None for number in numbers)
    if strange:
        return f"{strange} requests are stored that nobody sent so"
    return check(ledger, np.bincount([number for number in numbers if number is not None], minlength=1))


def stored_span_ids(path: Path) -> npt.NDArray[np.uint64]:
    """Return the ids of all spans in a store, as often as they are there."""
    found = [decode(payload, new_pool()).table.span_id for payload in _payloads(path)]
    return np.concatenate(found) if found else np.zeros(0, np.uint64)


def _payloads(path: Path) -> Iterator[bytes]:
    with Store.open(path) as store:
        for batch in store.journal.read():
            yield batch.payload
