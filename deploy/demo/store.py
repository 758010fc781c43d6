"""The online feature store: one SQLite file, a table per feature view, an event time on every row."""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

CARDS = 40
MERCHANTS = 15
STALE_SECONDS = 2 * 3600.0
"""How long ago the merchant pipeline stopped, when it did."""


@dataclass(frozen=True, slots=True)
class View:
    """One feature view: which table, found by which key, with which columns."""

    name: str
    key: str
    columns: tuple[str, ...]


VIEWS = (
    View("card_activity", "card", ("payments_last_hour", "mean_amount")),
    View("merchant_profile", "merchant", ("chargeback_rate", "days_active")),
)


@dataclass(frozen=True, slots=True)
class Row:
    """The features of one entity, and when they were true (seconds since the epoch)."""

    features: dict[str, float]
    event_time: float


class UnknownEntityError(LookupError):
    """The store has no row for the card or the merchant."""


def fill(path: Path, *, stale_merchants: bool = False) -> None:
    """Create the store at `path` with rows a few seconds old; the merchants' may be hours old."""
    draw = random.Random(7)
    now = time.time()
    cards = [(f"card-{n}", draw.randint(0, 9), draw.uniform(5, 200), now - draw.uniform(1, 8)) for n in range(CARDS)]
    behind = STALE_SECONDS if stale_merchants else 0.0
    merchants = [
        (f"merchant-{n}", draw.uniform(0, 0.04), draw.randint(3, 2000), now - behind - draw.uniform(1, 8))
        for n in range(MERCHANTS)
    ]
    with closing(sqlite3.connect(path)) as store, store:
        for view, rows in zip(VIEWS, (cards, merchants), strict=True):
            columns = ", ".join((f"{view.key} TEXT PRIMARY KEY", *(f"{c} REAL" for c in view.columns)))
            store.execute(f"CREATE TABLE {view.name} ({columns}, event_time REAL)")
            store.executemany(f"INSERT INTO {view.name} VALUES (?, ?, ?, ?)", rows)


def read(path: Path, view: View, entity: str) -> Row:
    """Return the features of `entity`; an `UnknownEntityError` when there are none."""
    query = f"SELECT {', '.join(view.columns)}, event_time FROM {view.name} WHERE {view.key} = ?"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        found = store.execute(query, (entity,)).fetchone()
    if found is None:
        raise UnknownEntityError(f"no {view.key} {entity!r} in {view.name}")
    *values, event_time = found
    return Row(dict(zip(view.columns, values, strict=True)), event_time)
