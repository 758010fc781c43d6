"""The one list of what an OTLP receiver is judged by; tests and the table both go through it."""

from __future__ import annotations

from typing import Final

from conformance import datamodel, jsonmapping, operations, overhttp, transport
from conformance.item import Item

ITEMS: Final[tuple[Item, ...]] = (
    *transport.ITEMS,
    *overhttp.ITEMS,
    *jsonmapping.ITEMS,
    *datamodel.ITEMS,
    *operations.ITEMS,
)
