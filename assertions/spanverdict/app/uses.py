"""Which rule is meant, and which selectors it uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from spanverdict.app.errors import CommandError
from spanverdict.checks.coverage import Coverage
from spanverdict.checks.latency import OfPath
from spanverdict.diagnostics.yamldoc import did_you_mean
from spanverdict.rulefiles.models import Flow, Rule, Stage
from spanverdict.selectors import Field, Selector


@dataclass(frozen=True, slots=True)
class Use:
    """A selector that a rule uses."""

    title: str
    selector: Selector
    stage: Stage | None = None
    """The stage that it selects, if it is one."""


def find_rule(name: str, flows: Sequence[Flow]) -> tuple[Flow, Rule]:
    """Return the rule that `RULE` or `FLOW/RULE` names.

    Raises:
        CommandError: there is none, or more than one.
    """
    named = {f"{flow.name}/{rule.id}": (flow, rule) for flow in flows for rule in flow.rules}
    if name in named:
        return named[name]
    found = [full for full in named if full.rpartition("/")[2] == name]
    if len(found) == 1:
        return named[found[0]]
    if found:
        raise CommandError(f"several flows have a rule {name}; say which: {', '.join(found)}")
    hint = did_you_mean(name, [*(rule.id for flow in flows for rule in flow.rules), *named])
    raise CommandError(f"there is no rule {name}; {hint or f'the rules are {_some(list(named))}'}")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (" …" if len(names) > 10 else "")  # noqa: PLR2004 - a line's worth


def uses(rule: Rule, flow: Flow) -> tuple[Use, ...]:
    """Return the selectors that a rule uses: its stages and where requests start, its own, and `where`."""
    names = {flow.request.starts_at, *_stages(rule.check, flow)}
    found = [Use(f"stage {stage.name}", stage.selector, stage) for stage in flow.stages if stage.name in names]
    own = [(field.name, value) for field, value in _parts(rule.check) if isinstance(value, Selector)]
    key = rule.check.key
    found += [Use(key if len(own) == 1 else f"{key} {name}", selector) for name, selector in own]
    if rule.where is not None:
        found.append(Use("where", rule.where))
    return tuple(found)


def _stages(measure: Any, flow: Flow) -> Iterator[str]:
    """Yield the stages that a measure names, which it does in fields called `stage` and `stages`."""
    if isinstance(measure, Coverage) and measure.attributes and not measure.stages:
        yield from (stage.name for stage in flow.stages)
    if isinstance(measure, OfPath):
        yield measure.name  # which may be `queue` or `other` and so no stage
    for field, value in _parts(measure):
        if field.name == "stages":
            yield from value
        elif field.name == "stage":  # a moment of no stage in particular is one of the whole request
            yield from (value,) if value else (flow.request.starts_at, flow.request.ends_at)
        elif is_dataclass(value) and not isinstance(value, Selector | Field):
            yield from _stages(value, flow)


def _parts(measure: Any) -> Iterator[tuple[Any, Any]]:
    return ((field, getattr(measure, field.name)) for field in fields(measure))
