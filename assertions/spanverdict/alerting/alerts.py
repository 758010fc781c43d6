"""From a finished run to alerts: which fire, which are over, and how receivers tell them apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote

from spanverdict.alerting.outbox import KnownState
from spanverdict.evaluation.outcomes import Outcome, RuleResult, RunInfo

ENVIRONMENT_LABELS = ("environment", "deployment.environment.name", "deployment.environment")
"""Labels of a run that may name its environment, the first that is there counts."""
BRANCH_LABELS = ("branch", "vcs.ref.head.name")
SERVICE_LABELS = ("service", "service.name")

CHANGES_TOLD = 10
"""Sentences of what changed since the revision before; the report has all."""

_FNV_OFFSET, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3
_SEPARATOR = b"\xff"

RuleKey: TypeAlias = tuple[str, str, str]
"""(flow, rule, group)."""


@dataclass(frozen=True, slots=True)
class AlertState:
    """What the store shall remember of an alert."""

    environment: str
    branch: str
    flow: str
    rule: str
    group: str
    firing: bool
    fingerprint: str
    since_unix_nano: int
    updated_unix_nano: int
    run_id: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as receivers see it."""

    firing: bool
    labels: Mapping[str, str]
    """Its identity: never holds an observed value, a duration or a run id."""
    annotations: Mapping[str, str]
    starts_unix_nano: int
    ends_unix_nano: int | None
    """None while it fires."""
    generator_url: str
    news: bool
    """Receivers do not know this yet; an alert that is no news only keeps others company."""
    appeared: bool = False
    """It did not fire before this verdict."""

    @property
    def fingerprint(self) -> str:
        """Identity in 16 hex digits."""
        return fingerprint(self.labels)


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a verdict means: the alerts of this run and the states to remember."""

    alerts: tuple[Alert, ...] = ()
    """Sorted by labels."""
    changes: tuple[AlertState, ...] = ()


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return the identity of a label set as Prometheus computes it: FNV-1a, 64 bits, over the sorted labels.

    >>> fingerprint({})
    'cbf29ce484222325'
    """
    value = _FNV_OFFSET
    for name, text in sorted(labels.items()):
        for byte in name.encode("utf-8", "replace") + _SEPARATOR + text.encode("utf-8", "replace") + _SEPARATOR:
            value = ((value ^ byte) * _FNV_PRIME) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def scope_of(run: RunInfo) -> tuple[str, str]:
    """Return the environment and branch of a run; alerts of one are never resolved by runs of another."""
    return _first(run.labels, ENVIRONMENT_LABELS), _first(run.labels, BRANCH_LABELS)


def assess(
    run: RunInfo,
    results: Iterable[RuleResult],
    known: Iterable[KnownState],
    at_unix_nano: int,
    external_url: str = "",
    *,
    changes: Sequence[str] = (),
) -> Assessment:
    """Work out what fires, what is over, and what stays as it was.

    A failed rule fires, unless it is `report_only`. A passed rule ends the alert that an earlier run
    left firing. What is inconclusive, errored, skipped or not there proves nothing and changes
    nothing. `known` are the states of the run's environment and branch, `changes` says what is
    different from the revision of the verdict before.
    """
    environment, branch = scope_of(run)
    states = {(s.flow, s.rule, s.group): s for s in known if (s.environment, s.branch) == (environment, branch)}
    assessor = _Assessor(run, (environment, branch), at_unix_nano, external_url, changes)
    verdicts = _by_key(results)
    for key, result in sorted(verdicts.items(), key=lambda item: item[0]):
        before = states.get(key)
        if result.outcome is Outcome.FAILED and not result.report_only:
            assessor.fire(result, before)
        elif result.outcome is Outcome.PASSED and before is not None and before.firing:
            assessor.resolve(result, before)
    for state in _disproved_absences(states, verdicts):
        assessor.resolve(verdicts[_a_group_of(state, verdicts)], state)
    return assessor.assessment()


class _Assessor:
    """Collects alerts and state changes of one run."""

    def __init__(
        self, run: RunInfo, scope: tuple[str, str], at: int, external_url: str, changes: Sequence[str]
    ) -> None:
        self._run = run
        self._environment, self._branch = scope
        self._at = at
        self._changes_told = _changes_text(changes)
        self._url = f"{external_url.rstrip('/')}/runs/{quote(run.id, safe='')}" if external_url else ""
        self._alerts: list[Alert] = []
        self._changes: list[AlertState] = []

    def fire(self, result: RuleResult, before: KnownState | None) -> None:
        labels = self._labels(result)
        identity = fingerprint(labels)
        was_firing = before if before is not None and before.firing else None
        if was_firing is not None and was_firing.fingerprint != identity:
            # Its labels changed (a new severity, say): to receivers that is another alert.
            self._alerts.append(self._ended(was_firing, was_firing.annotations))
            was_firing = None
        since = self._at if was_firing is None else was_firing.since_unix_nano
        told = was_firing is not None and was_firing.run_id == self._run.id
        alert = Alert(
            firing=True,
            labels=labels,
            annotations=self._annotations(result),
            starts_unix_nano=since,
            ends_unix_nano=None,
            generator_url=self._url,
            news=not told,
            appeared=was_firing is None,
        )
        self._alerts.append(alert)
        self._remember(_key(result), alert)

    def resolve(self, result: RuleResult, before: KnownState) -> None:
        if self._run.revision > 1 and before.run_id != self._run.id:
            return  # an older run that was judged again says nothing about what a later one found
        over = self._ended(before, self._annotations(result))
        self._alerts.append(over)
        self._remember((before.flow, before.rule, before.group), over)

    def assessment(self) -> Assessment:
        return Assessment(tuple(sorted(self._alerts, key=lambda a: sorted(a.labels.items()))), tuple(self._changes))

    def _ended(self, before: KnownState, annotations: Mapping[str, str]) -> Alert:
        return Alert(
            firing=False,
            labels=before.labels,
            annotations=annotations,
            starts_unix_nano=before.since_unix_nano,
            ends_unix_nano=self._at,
            generator_url=self._url,
            news=True,
        )

    def _remember(self, key: RuleKey, alert: Alert) -> None:
        flow, rule, group = key
        self._changes.append(
            AlertState(
                environment=self._environment,
                branch=self._branch,
                flow=flow,
                rule=rule,
                group=group,
                firing=alert.firing,
                fingerprint=alert.fingerprint,
                since_unix_nano=alert.starts_unix_nano,
                updated_unix_nano=self._at,
                run_id=self._run.id,
                labels=alert.labels,
                annotations=alert.annotations,
            )
        )

    def _labels(self, result: RuleResult) -> dict[str, str]:
        own = {
            "alertname": result.id,
            "flow": result.flow,
            "severity": str(result.severity),
            "service": result.labels.get("service") or _first(self._run.labels, SERVICE_LABELS),
            "environment": self._environment,
            "branch": self._branch,
            "group": result.group or "",
        }
        return {**result.labels, **{name: value for name, value in own.items() if value}}

    def _annotations(self, result: RuleResult) -> dict[str, str]:
        facts = {
            "run_id": self._run.id,
            "observed": _conditions(result, "observed"),
            "expected": _conditions(result, "expected"),
        }
        if self._run.revision > 1:
            facts |= {"revision": str(self._run.revision), "changes": self._changes_told}
        summary = result.title or f"{result.id} {result.outcome}"
        return {"summary": summary, "description": result.message, **result.annotations, **facts}


def _by_key(results: Iterable[RuleResult]) -> dict[RuleKey, RuleResult]:
    """Keep one result a key, the failed one where there are several."""
    found: dict[RuleKey, RuleResult] = {}
    for result in results:
        if _key(result) not in found or result.outcome is Outcome.FAILED:
            found[_key(result)] = result
    return found


def _key(result: RuleResult) -> RuleKey:
    return result.flow, result.id, result.group or ""


def _disproved_absences(
    states: Mapping[RuleKey, KnownState], results: Mapping[RuleKey, RuleResult]
) -> list[KnownState]:
    """Find the firing alerts "this rule has no group at all" of rules that have groups now."""
    judged = {(flow, rule) for (flow, rule, group), r in results.items() if group and _was_judged(r)}
    return [
        state
        for (flow, rule, group), state in sorted(states.items(), key=lambda item: item[0])
        if state.firing and not group and (flow, rule) in judged and (flow, rule, "") not in results
    ]


def _a_group_of(state: KnownState, results: Mapping[RuleKey, RuleResult]) -> RuleKey:
    return min(key for key, r in results.items() if key[:2] == (state.flow, state.rule) and _was_judged(r))


def _was_judged(result: RuleResult) -> bool:
    return result.outcome in (Outcome.PASSED, Outcome.FAILED)


def _conditions(result: RuleResult, side: str) -> str:
    """Join what was observed, or expected, of the conditions that did not hold (or of all, when all held)."""
    broken = [c for c in result.conditions if c.outcome is not Outcome.PASSED] or result.conditions
    if side == "observed":
        return "; ".join(f"{c.statistic} = {c.observed}" for c in broken)
    return "; ".join(f"{c.statistic} {c.expected}" for c in broken)


def _changes_text(changes: Sequence[str]) -> str:
    """Join the sentences that matter most, which come first."""
    more = len(changes) - CHANGES_TOLD
    return "; ".join([*changes[:CHANGES_TOLD], *([f"and {more} more"] if more > 0 else [])])


def _first(labels: Mapping[str, str], names: Iterable[str]) -> str:
    return next((labels[name] for name in names if labels.get(name)), "")
