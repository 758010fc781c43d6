"""What a run is compared with: which run or part of it, and what each rule measured there.

A baseline is handed to the engine as a value; where it comes from (a stored run, a file, other
requests of the same run) is for the caller to know and is said in its `origin`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, TypeAlias

from spanverdict.checks.output import Output
from spanverdict.evaluation.baselinesample import BaselineSample
from spanverdict.evaluation.outcomes import BaselineOrigin
from spanverdict.rulefiles.models import Rule
from spanverdict.rulefiles.statistic import Kind

SampleKey: TypeAlias = tuple[str, str | None]
"""The id of a rule, and the value of `per` for a rule with groups."""


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """What one flow is compared with."""

    origin: BaselineOrigin
    samples: Mapping[SampleKey, BaselineSample] = field(default_factory=dict)
    inside: bool = False
    """Whether it is a part of the run itself, which the rule does not judge."""
    everywhere: BaselineSample | None = None
    """What every group of the rule is compared with; None: each with its own of `samples`."""

    def of(self, rule: Rule, group: str | None) -> BaselineSample | str:
        """Return what a rule measured there, or in words why there is nothing to compare with."""
        if self.everywhere is not None:
            return self.everywhere
        if self.origin.missing:
            return self.origin.missing
        found = self.samples.get((rule.id, group))
        if found is None:
            what = f"the rule {rule.id}" if group is None else f"the group {group} of the rule {rule.id}"
            return f"{self.origin.name} has no values of {what}"
        if found.definition != definition_of(rule):
            return f"{self.origin.name} measured {rule.id} in another way, by an earlier version of the rule"
        return found


NO_BASELINE: Final = Baseline(BaselineOrigin("", missing="there is no baseline: name one with --baseline"))
"""Nobody said what to compare with."""


def is_relative(rule: Rule) -> bool:
    """Tell whether a rule compares with a baseline; drift may be from a golden file instead."""
    golden = isinstance(rule.check, Output) and rule.check.together
    return any(line.condition.deltas or (line.statistic.kind is Kind.DRIFT and not golden) for line in rule.expect)


def definition_of(rule: Rule) -> str:
    """Return what tells whether two rules measure the same of the same population; 16 hex digits."""
    text = f"{rule.check!r} {rule.where} {rule.per}"
    return sha256(text.encode()).hexdigest()[:16]
