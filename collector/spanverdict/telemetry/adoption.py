"""All of a pool taken over by another, without a look at each of its attributes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spanverdict.telemetry.interning import Interner
from spanverdict.telemetry.items import Items
from spanverdict.telemetry.pool import Pool
from spanverdict.telemetry.vectors import Int32s


@dataclass(frozen=True, slots=True, eq=False)
class Adoption:
    """What the numbers of a pool are in the one that has taken it over: for each number the new one."""

    traces: Int32s
    strings: Int32s
    resources: Int32s
    scopes: Int32s
    first_attribute: int
    """Attributes keep their order, from here on."""


def can_adopt(pool: Pool) -> bool:
    """Tell whether all of a pool can be taken over: its attributes may have several numbers in the other."""
    return isinstance(pool.attributes.items_by_id, Items)


def adopt(pool: Pool, source: Pool) -> Adoption:
    """Let a pool take over all that another holds by now, which may be growing meanwhile; see `can_adopt` for both."""
    n_resources, n_scopes = len(source.resource_attributes), len(source.scope_names)
    return Adoption(
        traces=_numbered(pool.traces, source.traces),
        strings=_numbered(pool.strings, source.strings),
        resources=np.array([pool.adopt_resource(source, number) for number in range(n_resources)], np.int32),
        scopes=np.array([pool.adopt_scope(source, number) for number in range(n_scopes)], np.int32),
        first_attribute=pool.attributes.add_all(source.attributes),
    )


def _numbered(target: Interner, source: Interner) -> Int32s:
    return target.number_all(source.items_by_id[:])
