"""What the measure of a rule saw: values, what is missing, and the worst."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from spanverdict.checks.check import Measurement, Unit
from spanverdict.checks.runview import RunView
from spanverdict.evaluation.conditions import Judge
from spanverdict.evaluation.exhibits import worst
from spanverdict.evaluation.outcomes import Outcome
from spanverdict.evaluation.population import of_requests
from spanverdict.evaluation.sample import Sample
from spanverdict.evaluation.wording import number_text
from spanverdict.reporting.escaping import shown
from spanverdict.reporting.quantities import counted
from spanverdict.reporting.wording import exhibit_line
from spanverdict.rulefiles.models import Rule
from spanverdict.rulefiles.statistic import Kind, Quantity
from spanverdict.telemetry.spantable import AttributeColumn

_WIDTH: Final = 10
_MOST: Final = 3
_TEXT: Final = 600


def measured_lines(rule: Rule, view: RunView) -> Iterator[str]:
    """Say what the measure gave, after `where` chose the requests and before `per` parts it into groups."""
    measurement = rule.check.measure(view)
    if rule.where is not None:
        measurement = of_requests(measurement, rule.where, view)
    yield _fact("samples", counted(len(measurement.request), measurement.population))
    yield from _missing(measurement, view)
    if len(measurement.request):
        yield from _values(measurement)
    for name, text in (("problem", measurement.problem), ("note", measurement.note)):
        if text:
            yield _fact(name, shown(text, _TEXT))
    yield from _worst(rule, measurement, view)


def _fact(name: str, text: str) -> str:
    return f"{name:<{_WIDTH}}{text}"


def _missing(measurement: Measurement, view: RunView) -> Iterator[str]:
    missing = measurement.missing_request
    note = f" {shown(measurement.missing_note, _TEXT)}" if len(missing) else ""
    yield _fact("missing", f"{len(missing):,}{note}")
    here = np.unique(missing[missing >= 0])[:_MOST].tolist()
    if here:
        yield _fact("", f"e.g. {', '.join(shown(view.request_name(number), 80) for number in here)}")
    never = int((missing < 0).sum())
    if never:
        yield _fact("", f"{counted(never, 'requests')} never arrived")


def _values(measurement: Measurement) -> Iterator[str]:
    values = measurement.values
    if isinstance(values, AttributeColumn):
        yield _fact("values", _commonest(values))
    elif measurement.unit is Unit.TRUTH:
        yield _fact("values", f"{int(values.sum()):,} true, {int(len(values) - values.sum()):,} false")
    else:
        numbers, quantity = Sample(measurement).numbers, Quantity(measurement.unit)
        ends = [number_text(numbers[place].item(), quantity) for place in (0, (len(numbers) - 1) // 2, -1)]
        yield _fact("values", f"{ends[0]} … {ends[1]} … {ends[2]} (smallest, middle, largest)")


def _commonest(values: AttributeColumn) -> str:
    found: Counter[str] = Counter()
    codes, counts = np.unique(values.codes, return_counts=True)
    for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
        found[number_text(values.values[code], Quantity.ANY)] += count
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    said = ", ".join(f"{shown(text, 60)} in {count:,}" for text, count in ranked[:5])
    return f"{said}, and {len(ranked) - 5:,} other values" if len(ranked) > 5 else said  # noqa: PLR2004 - a line's worth


def _worst(rule: Rule, measurement: Measurement, view: RunView) -> Iterator[str]:
    """Show the values that the rule would fail by first, whether it fails or not."""
    asked = [line for line in rule.expect if line.statistic.kind is not Kind.SAMPLES]
    if not asked or not len(measurement.request):
        return
    judge = Judge(Sample(measurement))
    as_failed = [(line, replace(judge.judge(line), outcome=Outcome.FAILED)) for line in asked]
    for number, exhibit in enumerate(worst(judge, view, as_failed)[:_MOST]):
        yield _fact("worst" if number == 0 else "", exhibit_line(exhibit, whole_ids=True))
