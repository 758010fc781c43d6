"""What the tests of a flow have never seen: rules that never failed or never passed, stages that matched nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from spanverdict.evaluation.outcomes import Outcome
from spanverdict.evaluation.preparing import prepare, view_of
from spanverdict.rulefiles.models import Flow
from spanverdict.ruletest.comparing import Trial
from spanverdict.telemetry.spantable import SpanTable


@dataclass(frozen=True, slots=True)
class FlowCoverage:
    """What all tests of one flow together have not seen; names in the order of the flow."""

    flow: str
    file: str
    tests: int
    rules: int
    """Rules that are judged; those with `skip` are not."""
    stages: int
    never_failed: tuple[str, ...]
    never_passed: tuple[str, ...]
    never_matched: tuple[str, ...]
    """Stages."""

    @property
    def whole(self) -> bool:
        """Tell whether nothing is left unseen."""
        return not (self.never_failed or self.never_passed or self.never_matched)


def stages_matched(flow: Flow, table: SpanTable) -> frozenset[str]:
    """Return the stages of which the requests of a table have spans."""
    view, _ = view_of(flow, prepare(table), None)
    return frozenset(name for name in view.stages if len(view.stage(name).member))


def coverage(
    flows: Iterable[Flow], results: Sequence[Trial], stages: Sequence[frozenset[str]]
) -> tuple[FlowCoverage, ...]:
    """Return what was not seen of each flow, tested or not; `stages` are those that each test matched."""
    found = []
    for flow in {(flow.file, flow.name): flow for flow in flows}.values():
        mine = [place for place, result in enumerate(results) if _same(result.test.flow, flow)]
        seen = {(rule.id, rule.outcome) for place in mine for rule in results[place].results}
        matched = frozenset[str]().union(*(stages[place] for place in mine))
        judged = [rule.id for rule in flow.rules if rule.skip is None]
        found.append(
            FlowCoverage(
                flow.name,
                flow.file,
                len(mine),
                len(judged),
                len(flow.stages),
                tuple(rule for rule in judged if (rule, Outcome.FAILED) not in seen),
                tuple(rule for rule in judged if (rule, Outcome.PASSED) not in seen),
                tuple(stage.name for stage in flow.stages if stage.name not in matched),
            )
        )
    return tuple(found)


def _same(tested: Flow, flow: Flow) -> bool:
    return (tested.file, tested.name) == (flow.file, flow.name)
