"""What is handed to the judge, in the order in which it came."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from spanverdict.rulefiles.models import Flow
from spanverdict.storage.records import RunRecord
from spanverdict.telemetry.joining import concat
from spanverdict.telemetry.spantable import SpanTable

TOGETHER: Final = 16384
"""Once batches hold so many spans, no more are taken in with them: larger tables would cost little less, and be shared
by more runs. A round begins when so many wait, and is one table then, not a large one and a rest."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Spans of committed batches, whose ids follow each other."""

    at: float
    ids: Sequence[int]
    table: SpanTable
    nbytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Word:
    """Somebody declared or ended a run."""

    at: float
    record: RunRecord
    traces: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """Runs are judged by other flows from here on."""

    at: float
    flows: tuple[Flow, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """Somebody waits until all that was handed over before is taken in."""

    at: float
    reached: threading.Event


@dataclass(frozen=True, slots=True, eq=False)
class Stop:
    """The judge is to end."""

    at: float


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """What was being worked out aside is found."""

    at: float


Arrival: TypeAlias = Batch | Word | Rules | Mark | Stop | Done


def joined(items: Iterable[Arrival]) -> Iterator[Arrival]:
    """Put batches that follow each other together, as small ones cost nearly as much as large ones."""
    held: list[Batch] = []
    for item in items:
        if held and not (isinstance(item, Batch) and _fits(held, item)):
            yield _as_one(held)
            held = []
        if isinstance(item, Batch):
            held.append(item)
        else:
            yield item
    if held:
        yield _as_one(held)


def _fits(held: Sequence[Batch], batch: Batch) -> bool:
    last = held[-1]
    return (
        batch.ids[0] == last.ids[-1] + 1
        and batch.table.pool is last.table.pool
        and sum(len(one.table) for one in held) < TOGETHER
    )


def _as_one(batches: Sequence[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    ids = tuple(number for batch in batches for number in batch.ids)
    table = concat([batch.table for batch in batches])
    return Batch(batches[-1].at, ids, table, sum(batch.nbytes for batch in batches))
