"""Rules whose outcome changes although nothing that should matter did: neither the rule file nor the run's labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, TypeAlias

from spanverdict.storage.history import FlowRecord

LAST: Final = 10
"""Runs of each flaky rule that are named."""
_DECIDED: Final = frozenset({"passed", "failed"})

_Key: TypeAlias = tuple[str, str, str, str | None, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class FlakyRule:
    """A rule (and group) that passed in some runs and failed in others, all of the same rule file and labels."""

    flow: str
    rule: str
    group: str | None
    sha256: str
    """Of the rule file."""
    labels: Mapping[str, str]
    runs: int
    """How many decided."""
    failed: int
    flips: int
    """How often a run came out otherwise than the one before."""
    undecided: int
    """Runs in which it was inconclusive, errored or skipped; they are passed over."""
    last: tuple[tuple[str, str], ...]
    """(run, outcome), the newest first."""

    @property
    def rate(self) -> float:
        """Of the runs after the first, how many came out otherwise than the one before, 0..1."""
        return self.flips / (self.runs - 1)


@dataclass(slots=True)
class _Series:
    decided: list[tuple[str, str]] = field(default_factory=list)
    undecided: int = 0


def flaky_rules(verdicts: Iterable[FlowRecord], by: Sequence[str] = ()) -> list[FlakyRule]:
    """Return the flaky rules among verdicts, given oldest first; those that flip most come first.

    Only complete runs count. Runs are alike when they have equal labels, or equal values of the labels `by`.
    """
    series: dict[_Key, _Series] = {}
    for verdict in verdicts:
        if verdict.complete:
            for key, outcome in _outcomes(verdict, by):
                found = series.setdefault(key, _Series())
                if outcome in _DECIDED:
                    found.decided.append((verdict.run_id, outcome))
                else:
                    found.undecided += 1
    rules = [_flaky(key, found) for key, found in series.items() if len({outcome for _, outcome in found.decided}) > 1]
    return sorted(rules, key=lambda one: (-one.rate, -one.runs, one.flow, one.rule, one.group or "", one.sha256))


def _outcomes(verdict: FlowRecord, by: Sequence[str]) -> Iterator[tuple[_Key, str]]:
    labels = {name: verdict.labels.get(name, "") for name in by} if by else verdict.labels
    alike = tuple(sorted(labels.items()))
    for result in verdict.rules:
        yield (verdict.flow, verdict.sha256, result.rule, result.group, alike), result.outcome


def _flaky(key: _Key, series: _Series) -> FlakyRule:
    flow, sha256, rule, group, labels = key
    outcomes = [outcome for _, outcome in series.decided]
    return FlakyRule(
        flow,
        rule,
        group,
        sha256,
        dict(labels),
        len(outcomes),
        outcomes.count("failed"),
        sum(one != other for one, other in pairwise(outcomes)),
        series.undecided,
        tuple(reversed(series.decided[-LAST:])),
    )
