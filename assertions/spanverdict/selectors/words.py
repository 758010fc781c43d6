"""The words of TraceQL: intrinsics, keywords, functions, and what somebody may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

from spanverdict.selectors.tree import Type

INTRINSICS: Final = MappingProxyType(
    {
        "span:duration": Type.DURATION,
        "span:name": Type.STRING,
        "span:kind": Type.KIND,
        "span:status": Type.STATUS,
        "span:statusMessage": Type.STRING,
        "span:id": Type.ID,
        "span:parentID": Type.ID,
        "span:childCount": Type.INT,
        "trace:duration": Type.DURATION,
        "trace:rootName": Type.STRING,
        "trace:rootService": Type.STRING,
        "trace:id": Type.ID,
        "event:name": Type.STRING,
        "event:timeSinceStart": Type.DURATION,
        "link:traceID": Type.ID,
        "link:spanID": Type.ID,
        "instrumentation:name": Type.STRING,
        "instrumentation:version": Type.STRING,
        "nestedSetLeft": Type.INT,
        "nestedSetRight": Type.INT,
        "nestedSetParent": Type.INT,
    }
)
"""Every intrinsic by its scoped spelling."""

OLD_NAMES: Final = MappingProxyType(
    {
        "duration": "span:duration",
        "name": "span:name",
        "kind": "span:kind",
        "status": "span:status",
        "statusMessage": "span:statusMessage",
        "childCount": "span:childCount",
        "traceDuration": "trace:duration",
        "rootName": "trace:rootName",
        "rootServiceName": "trace:rootService",
    }
)
"""The older spellings without a scope."""

ID_DIGITS: Final = MappingProxyType(
    {"span:id": 16, "span:parentID": 16, "link:spanID": 16, "trace:id": 32, "link:traceID": 32}
)
"""How many hexadecimal digits an id has."""

STATUSES: Final = MappingProxyType({"unset": 0, "ok": 1, "error": 2})
KINDS: Final = MappingProxyType(
    {"unspecified": 0, "internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
)
MIN_INT: Final = -(2**63)
MAX_INT: Final = 2**63 - 1

KEYWORDS: Final = MappingProxyType(
    {
        "true": (Type.BOOL, True),
        "false": (Type.BOOL, False),
        "nil": (Type.NIL, None),
        "minInt": (Type.INT, MIN_INT),
        "maxInt": (Type.INT, MAX_INT),
        **{name: (Type.STATUS, number) for name, number in STATUSES.items()},
        **{name: (Type.KIND, number) for name, number in KINDS.items()},
    }
)
"""Words that stand for a value."""

AGGREGATES: Final = frozenset({"count", "avg", "min", "max", "sum"})
STAGES: Final = frozenset({"by", "coalesce", "select"})
METRICS: Final = frozenset(
    {
        "rate",
        "count_over_time",
        "sum_over_time",
        "min_over_time",
        "max_over_time",
        "avg_over_time",
        "quantile_over_time",
        "histogram_over_time",
        "compare",
        "topk",
        "bottomk",
    }
)
"""Functions that turn spans into time series; selectors select, so these are refused."""

SCOPES: Final = ("span", "resource", "event", "link", "instrumentation", "parent", "any")

RESOURCE_FIRST: Final = ("service.", "deployment.", "k8s.", "host.", "cloud.", "container.", "process.", "telemetry.")
"""Attribute names that are usually found on the resource."""


def closest(word: str, known: Iterable[str]) -> str:
    """Return the known word most like `word`, or "" when none is near.

    >>> closest("span:durations", INTRINSICS), closest("zebra", INTRINSICS)
    ('span:duration', '')
    """
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known word, or "".

    >>> did_you_mean("cnt", AGGREGATES)
    'did you mean `count`?'
    """
    found = closest(word, known)
    return f"did you mean `{found}`?" if found else ""
