"""What changed from one revision of a verdict to the next, in plain sentences.

Late spans reopen a run that was judged, and the new verdict replaces the old one. Whoever acted on
the old one needs to know what is different, not to compare two reports.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final, TypeAlias

from spanverdict.reporting.quantities import counted

MOST_CHANGES: Final = 100
"""Sentences that are written; more are counted in the last."""

Document: TypeAlias = Mapping[str, Any]
"""A verdict as `jsonreport.document` writes it, or a part of one."""


def changes(before: Document, after: Document) -> list[str]:
    """Say what changed between the documents of two revisions of one run, what matters most first.

    Nothing that changed is an empty list. The sentences hold names and values as the documents have
    them: whoever shows them to people makes them harmless first.
    """
    sentences = list(_sentences(before, after))
    if len(sentences) <= MOST_CHANGES:
        return sentences
    return [*islice(sentences, MOST_CHANGES - 1), f"{len(sentences) - MOST_CHANGES + 1} more changes"]


def _sentences(before: Document, after: Document) -> Iterator[str]:
    yield from _said("the verdict", before["outcome"], after["outcome"])
    yield from _said("the run", _whole(before), _whole(after))
    yield from _number("spans", before["run"]["spans"], after["run"]["spans"])
    yield from _number("traces", before["run"]["traces"], after["run"]["traces"])
    yield from _flows(_by_name(before["flows"], "flow"), _by_name(after["flows"], "flow"))
    yield from _rules(_rules_of(before), _rules_of(after))
    yield from _defects(_by_name(before["defects"], "name"), _by_name(after["defects"], "name"))


def _said(what: str, before: object, after: object) -> Iterator[str]:
    if before != after:
        yield f"{what} was {before} and is {after} now"


def _whole(document: Document) -> str:
    return "complete" if document["complete"] else "incomplete"


def _number(noun: str, before: int, after: int) -> Iterator[str]:
    if after > before:
        yield f"{after - before:,} more {_noun(after - before, noun)} came: {before:,} before, {after:,} now"
    elif after < before:
        yield f"{before - after:,} {_noun(before - after, noun)} fewer: {before:,} before, {after:,} now"


def _noun(number: int, noun: str) -> str:
    return counted(number, noun).partition(" ")[2]


def _by_name(items: list[Document], key: str) -> dict[str, Document]:
    return {item[key]: item for item in items}


def _flows(before: Mapping[str, Document], after: Mapping[str, Document]) -> Iterator[str]:
    for name, flow in after.items():
        if name in before:
            yield from _flow(name, before[name], flow)
        else:
            yield f"flow {name} judges the run now: {flow['outcome']}"
    yield from (f"flow {name} judges the run no more; it was {flow['outcome']}" for name, flow in _gone(before, after))


def _gone(before: Mapping[Any, Document], after: Mapping[Any, Document]) -> Iterator[tuple[Any, Document]]:
    return ((name, item) for name, item in before.items() if name not in after)


def _flow(name: str, before: Document, after: Document) -> Iterator[str]:
    if before["sha256"] != after["sha256"]:
        yield f"the rules of flow {name} were changed in between"
    old, new = before["completeness"], after["completeness"]
    yield from (f"flow {name}: {said}" for said in _number("requests", old["requests"], new["requests"]))
    yield from _said(f"flow {name}", _completeness(old), _completeness(new))
    lacked, lack = ({stage["stage"]: stage["requests"] for stage in some["missing_stages"]} for some in (old, new))
    for stage in [*lack, *(stage for stage in lacked if stage not in lack)]:
        yield from _missing(name, stage, lacked.get(stage, 0), lack.get(stage, 0))


def _completeness(completeness: Document) -> str:
    return f"{_whole(completeness)} ({completeness['trigger']})"


def _missing(flow: str, stage: str, before: int, after: int) -> Iterator[str]:
    if before != after:
        now = f"{after:,} now" if after else "none now"
        yield f"flow {flow}: stage {stage} was missing from {counted(before, 'requests')}, from {now}"


_RuleKey: TypeAlias = tuple[str, str, str | None]


def _rules_of(document: Document) -> dict[_RuleKey, Document]:
    return {(rule["flow"], rule["id"], rule["group"]): rule for rule in document["rules"]}


def _rules(before: Mapping[_RuleKey, Document], after: Mapping[_RuleKey, Document]) -> Iterator[str]:
    for key, rule in after.items():
        if key not in before:
            yield f"{_rule_name(key)} is new: {rule['outcome']}{_ending(_observed(rule))}"
            continue
        if before[key].get("golden", {}).get("sha256") != rule.get("golden", {}).get("sha256"):
            yield f"the golden file of {_rule_name(key)} was changed in between"
        if before[key]["outcome"] != rule["outcome"]:
            was = f"{_rule_name(key)} was {before[key]['outcome']} and is {rule['outcome']} now"
            yield f"{was}{_ending(_compared(before[key], rule))}"
    yield from (f"{_rule_name(key)} is gone; it was {rule['outcome']}" for key, rule in _gone(before, after))


def _rule_name(key: _RuleKey) -> str:
    flow, rule, group = key
    return f"rule {rule}{'' if group is None else f'[{group}]'} of flow {flow}"


def _ending(said: str) -> str:
    return f": {said}" if said else ""


def _observed(rule: Document) -> str:
    return ", ".join(f"{statistic} = {value}" for statistic, value in _values(rule).items())


def _values(rule: Document) -> dict[str, str]:
    return {condition["statistic"]: condition["observed"] for condition in rule["conditions"]}


def _compared(before: Document, after: Document) -> str:
    """Say what was observed before and now; where nothing differs, the message now."""
    old, new = _values(before), _values(after)
    differing = [name for name in [*new, *(name for name in old if name not in new)] if old.get(name) != new.get(name)]
    if not differing:
        return str(after["message"])
    return ", ".join(f"{name} = {new.get(name, 'nothing')}, before {old.get(name, 'nothing')}" for name in differing)


def _defects(before: Mapping[str, Document], after: Mapping[str, Document]) -> Iterator[str]:
    for name, defect in after.items():
        if name not in before:
            yield f"defect {name} is new: {defect['count']:,}"
        else:
            yield from _said(f"defect {name}", f"{before[name]['count']:,}", f"{defect['count']:,}")
    yield from (f"defect {name} is gone; it was {defect['count']:,}" for name, defect in _gone(before, after))
