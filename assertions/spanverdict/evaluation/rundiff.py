"""What differs between two runs, stage by stage, and whether it is more than chance and noise."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Final

from spanverdict.evaluation.confidence import percentile_ranks
from spanverdict.evaluation.runfacts import RunFacts, StageFacts
from spanverdict.evaluation.shares import share_ends
from spanverdict.telemetry.pool import Value
from spanverdict.telemetry.spantable import MAX_TIME, Int64s

REQUEST: Final = "request"
"""What the whole of a request is called among stages."""
PERCENTILES: Final = (50, 95, 99)
MOST_ORDERED: Final = 60
"""Stages whose order is looked at; the first of them."""
MOST_EXAMPLES: Final = 20
"""Outputs that are shown."""
USUALLY: Final = 0.9
"""A stage comes before another when it does so in this share of requests."""


@dataclass(frozen=True, slots=True)
class DiffOptions:
    """What counts as a difference."""

    level: float = 0.99
    """Of confidence that none of the differences in times and shares is chance."""
    noise: Fraction = Fraction(5, 100)
    """Changes of a latency up to this part of it are not looked at."""


@dataclass(frozen=True, slots=True)
class Presence:
    """A stage, or a way between stages, that only one of the runs has."""

    name: str
    requests: int
    of: int


@dataclass(frozen=True, slots=True)
class Reordered:
    """Two stages that usually start in one order before and in the other after."""

    first: str
    second: str
    before: float
    """The share of requests in which the first starts no later than the second; of those that have both."""
    after: float


@dataclass(frozen=True, slots=True)
class TimeChange:
    """One percentile of how long something takes, in ns."""

    stage: str
    percentile: int
    before: int
    after: int
    low: float | None
    """Between what the change lies, at the level of all changes together; None where too little is known."""
    high: float | None
    differs: bool


@dataclass(frozen=True, slots=True)
class ShareChange:
    """A share of requests or spans, of one stage."""

    stage: str
    what: str
    """`coverage`: requests that have it; `errors`: spans of it that failed."""
    before: tuple[int, int]
    """How many, of how many."""
    after: tuple[int, int]
    low: float
    high: float
    differs: bool


@dataclass(frozen=True, slots=True)
class OutputChange:
    """What requests of the same name answered."""

    what: str
    compared: int
    changed: int
    examples: tuple[tuple[str, str, str], ...]
    """(request, before, after), the first by name."""
    only_before: int
    only_after: int


@dataclass(frozen=True, slots=True)
class AttributeChange:
    """A key, or values of it, that only one of the runs has at a stage. Values are JSON texts."""

    stage: str
    key: str
    appeared: tuple[str, ...]
    vanished: tuple[str, ...]
    new: bool = False
    """Nothing had the key before."""
    gone: bool = False
    """Nothing has the key any more."""


@dataclass(frozen=True, slots=True)
class RunDiff:
    """All that differs, and all that was compared."""

    requests: tuple[int, int]
    spans: tuple[int, int]
    new_stages: tuple[Presence, ...]
    missing_stages: tuple[Presence, ...]
    reordered: tuple[Reordered, ...]
    new_ways: tuple[Presence, ...]
    missing_ways: tuple[Presence, ...]
    times: tuple[TimeChange, ...]
    shares: tuple[ShareChange, ...]
    outputs: tuple[OutputChange, ...]
    attributes: tuple[AttributeChange, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many differences there are of each kind."""
        return {
            "stages": len(self.new_stages) + len(self.missing_stages),
            "order": len(self.reordered),
            "ways": len(self.new_ways) + len(self.missing_ways),
            "latency": sum(change.differs for change in self.times),
            "coverage": sum(change.differs and change.what == "coverage" for change in self.shares),
            "errors": sum(change.differs and change.what == "errors" for change in self.shares),
            "outputs": sum(change.changed for change in self.outputs),
            "attributes": len(self.attributes),
        }


KINDS: Final = ("stages", "order", "ways", "latency", "coverage", "errors", "outputs", "attributes")
"""The kinds of differences, as `counts` names them."""


def difference(before: RunFacts, after: RunFacts, options: DiffOptions) -> RunDiff:
    """Compare two runs."""
    common = [name for name in before.stages if name in after.stages]
    timed = [name for name in (REQUEST, *common) if len(_times(before, name)) and len(_times(after, name))]
    tests = len(timed) * len(PERCENTILES) + 2 * len(common)
    level = 1 - (1 - options.level) / max(1, tests)  # C. E. Bonferroni: none of all may be chance
    return RunDiff(
        (before.requests, after.requests),
        (before.spans, after.spans),
        tuple(_only(after, before)),
        tuple(_only(before, after)),
        tuple(_reordered(before, after, common[:MOST_ORDERED])),
        tuple(_ways(after, before)),
        tuple(_ways(before, after)),
        tuple(
            _time_change(name, percentile, _times(before, name), _times(after, name), (level, options.noise))
            for name in timed
            for percentile in PERCENTILES
        ),
        tuple(change for name in common for change in _share_changes(name, before, after, level)),
        tuple(_outputs(before.outputs, after.outputs)),
        tuple(change for name in common for change in _attributes(name, before.stages[name], after.stages[name])),
    )


def _only(these: RunFacts, others: RunFacts) -> Iterator[Presence]:
    for name, facts in these.stages.items():
        if name not in others.stages:
            yield Presence(name, facts.requests, these.requests)


def _ways(these: RunFacts, others: RunFacts) -> Iterator[Presence]:
    """Yield the ways of the one between stages that both have."""
    for (source, target, kind), requests in sorted(these.ways.items()):
        known = source in others.stages and target in others.stages
        if known and (source, target, kind) not in others.ways:
            yield Presence(f"{source} > {target} ({kind})", requests, these.requests)


def _reordered(before: RunFacts, after: RunFacts, names: Sequence[str]) -> Iterator[Reordered]:
    for first, second in combinations(names, 2):
        shares = _first_share(before, first, second), _first_share(after, first, second)
        if shares[0] is not None and shares[1] is not None and shares[0] >= USUALLY and shares[1] <= 1 - USUALLY:
            yield Reordered(first, second, shares[0], shares[1])


def _first_share(facts: RunFacts, first: str, second: str) -> float | None:
    one, other = facts.starts[first], facts.starts[second]
    both = (one < MAX_TIME) & (other < MAX_TIME)
    return float((one[both] <= other[both]).mean()) if both.any() else None


def _times(facts: RunFacts, name: str) -> Int64s:
    return facts.durations if name == REQUEST else facts.stages[name].durations


def _time_change(
    name: str, percentile: int, before: Int64s, after: Int64s, options: tuple[float, Fraction]
) -> TimeChange:
    """Compare a percentile; the ends of both are combined as for independent estimates (G. Y. Zou, A. Donner, 2008)."""
    level, noise = options
    old, new = (_percentile(values, percentile, level) for values in (before, after))
    change = new[0] - old[0]
    low = None if new[1] is None or old[2] is None else change - math.hypot(new[0] - new[1], old[2] - old[0])
    high = None if new[2] is None or old[1] is None else change + math.hypot(new[2] - new[0], old[0] - old[1])
    least = abs(noise * old[0])
    differs = (low is not None and low > least) or (high is not None and high < -least)
    return TimeChange(name, percentile, old[0], new[0], low, high, differs)


def _percentile(values: Int64s, percentile: int, level: float) -> tuple[int, int | None, int | None]:
    """Return the nearest-rank percentile of ascending values, and between which of them the true one lies."""
    size, share = len(values), Fraction(percentile, 100)
    low, high = percentile_ranks(size, share, level)
    observed = int(values[max(1, math.ceil(share * size)) - 1])
    return observed, int(values[low - 1]) if low > 0 else None, int(values[high - 1]) if high <= size else None


def _share_changes(name: str, before: RunFacts, after: RunFacts, level: float) -> Iterator[ShareChange]:
    old, new = before.stages[name], after.stages[name]
    yield _share_change(name, "coverage", (old.requests, before.requests), (new.requests, after.requests), level)
    yield _share_change(name, "errors", (old.errors, old.spans), (new.errors, new.spans), level)


def _share_change(name: str, what: str, before: tuple[int, int], after: tuple[int, int], level: float) -> ShareChange:
    """Compare two shares by their intervals (R. G. Newcombe, 1998, method 10)."""
    (old, new) = (count / of for count, of in (before, after))
    old_low, old_high = share_ends(*before, level)
    new_low, new_high = share_ends(*after, level)
    low = new - old - math.hypot(new - new_low, old_high - old)
    high = new - old + math.hypot(new_high - new, old - old_low)
    return ShareChange(name, what, before, after, low, high, low > 0 or high < 0)


def _outputs(
    before: Mapping[str, Mapping[str, Value]], after: Mapping[str, Mapping[str, Value]]
) -> Iterator[OutputChange]:
    for what in sorted(before.keys() & after.keys()):
        old, new = before[what], after[what]
        both = sorted(old.keys() & new.keys())
        changed = [name for name in both if not _same(old[name], new[name])]
        examples = tuple((name, _text(old[name]), _text(new[name])) for name in changed[:MOST_EXAMPLES])
        yield OutputChange(what, len(both), len(changed), examples, len(old) - len(both), len(new) - len(both))


def _same(one: Value, other: Value) -> bool:
    """Tell whether two values are equal; a truth is no number, 1 is 1.0."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _text(value: Value) -> str:
    return json.dumps(value, default=str, sort_keys=True)


def _attributes(stage: str, before: StageFacts, after: StageFacts) -> Iterator[AttributeChange]:
    for key in sorted(before.attributes.keys() | after.attributes.keys()):
        old, new = before.attributes.get(key, {}), after.attributes.get(key, {})
        if old is None or new is None:
            if not (old is None and new is None) and not (old and new):
                yield AttributeChange(stage, key, (), (), new=old == {}, gone=new == {})
            continue
        if old.keys() != new.keys():
            appeared, vanished = tuple(sorted(new.keys() - old.keys())), tuple(sorted(old.keys() - new.keys()))
            yield AttributeChange(stage, key, appeared, vanished, new=not old, gone=not new)
