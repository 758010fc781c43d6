"""What came before a run, as far as its rules look at it; an argument of judging, like the spans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from spanverdict.checks.history import PastRun
from spanverdict.evaluation.baselines import NO_BASELINE, Baseline
from spanverdict.evaluation.canary import origin_of
from spanverdict.rulefiles.models import Flow


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What a run is compared with."""

    baselines: Mapping[str, Baseline] = field(default_factory=dict)
    """By the name of the flow. A flow that names its baseline inside the run needs none."""
    runs: Mapping[str, Sequence[PastRun]] = field(default_factory=dict)
    """By the name of the flow: earlier runs that its rules over several runs may look back at."""

    def baseline_of(self, flow: Flow) -> Baseline:
        """Return what a flow is compared with."""
        if flow.baseline is not None:
            return Baseline(origin_of(flow.baseline))
        return self.baselines.get(flow.name, NO_BASELINE)


NOTHING_BEFORE: Final = Past()
"""The run is judged by itself."""
