"""Which run each span names itself."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import ref

import numpy as np

from spanverdict.telemetry.distinct import ascending
from spanverdict.telemetry.identifiers import RUN_ID_ATTRIBUTES, is_run_id
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.spantable import SpanTable
from spanverdict.telemetry.vectors import Int32s, constant, is_constant


class NamedInPool:
    """The runs that attributes of a pool name, whatever carries them; each attribute is looked at once."""

    def __init__(self, pool: Pool, tags: Sequence[str]) -> None:
        self.tags = tags
        self.runs: set[str] = set()
        """As of the last `refresh`; so is the next."""
        self.wrong = False
        """Whether any of the attributes cannot name a run."""
        self._pool = ref(pool)
        self._seen = 0
        self._n_keys = 0
        self._wanted: list[int] = []
        """The keys that name runs, as far as they were seen."""

    def is_of(self, pool: Pool, tags: Sequence[str]) -> bool:
        """Tell whether it is this pool, and whether these are the attributes that name runs."""
        return self._pool() is pool and self.tags == tags

    def refresh(self) -> None:
        """Take in what was added to the pool."""
        pool = self._pool()
        if pool is None:
            return
        keys = pool.keys
        if len(keys) > self._n_keys:  # an attribute stands behind its key
            self._n_keys = len(keys)
            self._wanted = [key for tag in self.tags if (key := keys.id_of(tag)) >= 0]
        key_of = keys.of_attributes()
        new, start = key_of[self._seen :], self._seen
        self._seen = len(key_of)
        for key in self._wanted:
            for place in np.flatnonzero(new == key).tolist():
                if is_run_id(name := pool.attribute(start + place)[1]):
                    self.runs.add(str(name))
                else:
                    self.wrong = True


def mentioned_runs(table: SpanTable, tags: Sequence[str] = RUN_ID_ATTRIBUTES) -> tuple[set[str], list[object]]:
    """Return the runs that `named_runs` would find, and perhaps some that none of the spans names after all.

    And the values of the same attributes that cannot name a run. It costs a few calls however many tags there are, as
    it looks at distinct attributes and not at spans.
    """
    pool, keys = table.pool, table.pool.keys
    wanted = {key for tag in tags if (key := keys.id_of(tag)) >= 0}
    if not wanted or not len(table):
        return set(), []
    key_of, items = keys.of_attributes(), table.attributes.items
    keys_here = key_of.take(items)
    found: set[int] = set()
    for key in wanted:
        found.update(items[keys_here == key].tolist())
    for numbers, owned in ((table.resource, pool.resource_attributes), (table.scope, pool.scope_attributes)):
        alike = (numbers == numbers[0]).all()
        for number in [int(numbers[0])] if alike else ascending(numbers).tolist():
            found.update(a for a in owned[number] if int(key_of[a]) in wanted)
    values = [pool.attribute(number)[1] for number in found]
    return {str(name) for name in values if is_run_id(name)}, [value for value in values if not is_run_id(value)]


def named_runs(table: SpanTable, tags: Sequence[str] = RUN_ID_ATTRIBUTES) -> tuple[Int32s, list[str]]:
    """Return for each span the position of the run that it names, -1 for none, and the names of runs.

    `tags` are the attributes that name runs, strongest first; one on the span counts before one on its resource, and
    that before one on its scope. What cannot name a run names none. Where all spans name the same, it is a constant.
    """
    found = constant(-1, len(table), np.int32)
    numbers: dict[str, int] = {}
    for read in (table.attribute, table.resource_attribute, table.scope_attribute):
        for tag in tags:
            column = read(tag)
            if column.values:
                known = [numbers.setdefault(str(v), len(numbers)) if is_run_id(v) else -1 for v in column.values]
                found = _or_else(found, np.array([*known, -1], np.int32), column.codes)
    return found, [*numbers]


def _or_else(found: Int32s, numbers: Int32s, codes: Int32s) -> Int32s:
    """Return what was found, and where that is nothing the numbers of codes."""
    if is_constant(codes) and len(codes):
        here = constant(numbers[codes[0]], len(codes), np.int32)
    else:
        here = numbers.take(codes)
        if len(here) and (here == here[0]).all():
            here = constant(here[0], len(here), np.int32)
    if not is_constant(found):
        return np.where(found < 0, here, found)
    return here if len(found) and found[0] < 0 else found
