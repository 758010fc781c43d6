"""A pool that remembers only recent attributes: a resend is still the same span."""

from __future__ import annotations

from bench.load import Load
from spanverdict.otlp.decode import decode, new_pool
from spanverdict.paths.duplicates import settle
from spanverdict.telemetry.joining import concat


def test_a_resend_is_found_although_its_attributes_have_other_numbers() -> None:
    load = Load.build(30, 10, seed=1)
    first, *others = [load.payload(number) for number in range(10)]
    pool = new_pool(50)
    tables = [decode(payload, pool).table for payload in (first, *others, first)]
    assert tables[0].attributes.items.tolist() != tables[-1].attributes.items.tolist()
    settled, defects = settle(concat(tables))
    assert len(settled) == 10 * 30
    assert defects == settle(concat([decode(payload, new_pool()).table for payload in (first,)]))[1]
