"""Rules that look at what other rules came to, over several runs: what they may say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from spanverdict.checks.burnrate import BurnRate
from spanverdict.checks.check import Check
from spanverdict.checks.passrate import PassRate
from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.diagnostics.yamldoc import Mapping, Node, Reader, Scalar, did_you_mean
from spanverdict.rulefiles.models import Rule

OverRuns: TypeAlias = PassRate | BurnRate
_CHOOSING: Final = ("where", "per")


def over_runs(check: Check | None) -> OverRuns | None:
    """Return the check if it is one over several runs."""
    return check if isinstance(check, PassRate | BurnRate) else None


def report_requests(check: Check | None, reader: Reader) -> None:
    """Report what chooses requests on a rule that has none."""
    if over_runs(check) is None:
        return
    for key in (reader.mapping.key(name) for name in _CHOOSING):
        if key is not None:
            message = f"{key.text!r} chooses requests, and this rule looks at whole runs"
            hint = "put it on the rule that is looked at"
            reader.problems.error(key.position, codes.OVER_RUNS, message, hint, key.width)


def report_unknown_targets(rules: Iterable[Rule], items: Iterable[Node], problems: Problems) -> None:
    """Report rules over runs that name no other rule of the flow which looks at requests or spans."""
    names = [name.text for item in items if isinstance(item, Mapping) and isinstance(name := item.get("id"), Scalar)]
    rules = list(rules)
    looking = {rule.id for rule in rules if over_runs(rule.check) is not None}
    for rule in rules:
        check = over_runs(rule.check)
        if check is None or check.target.rule is None:
            continue
        target, position = check.target.rule, check.target.position
        if target in looking:
            message = f"the rule `{target}` looks at other rules itself"
            problems.error(position, codes.UNKNOWN_RULE, message, "name the rule that it looks at", len(target))
        elif target not in names:
            hint = did_you_mean(target, [name for name in names if name not in looking])
            problems.error(position, codes.UNKNOWN_RULE, f"there is no rule `{target}`", hint, len(target))
