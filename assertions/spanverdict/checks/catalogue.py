"""All measures, in the order in which the reference describes them."""

from __future__ import annotations

from typing import Final

from spanverdict.checks.attribute import Attribute
from spanverdict.checks.burnrate import BurnRate
from spanverdict.checks.check import Check
from spanverdict.checks.count import Count
from spanverdict.checks.coverage import Coverage
from spanverdict.checks.freshness import Freshness
from spanverdict.checks.latency import Latency
from spanverdict.checks.order import Order
from spanverdict.checks.output import Output
from spanverdict.checks.passrate import PassRate
from spanverdict.checks.ratio import Ratio
from spanverdict.checks.throughput import Throughput

CHECKS: Final[tuple[type[Check], ...]] = (
    Latency,
    Freshness,
    Coverage,
    Output,
    Order,
    Count,
    Ratio,
    Throughput,
    Attribute,
    PassRate,
    BurnRate,
)
