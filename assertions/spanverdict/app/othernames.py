"""Which attributes of a rule were read under another name than the rule has for them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spanverdict.checks.coverage import Coverage
from spanverdict.evaluation.absentfields import attributes_of
from spanverdict.reporting.escaping import shown
from spanverdict.reporting.quantities import counted
from spanverdict.rulefiles.models import Rule
from spanverdict.selectors import Field
from spanverdict.selectors.columns import Spans
from spanverdict.selectors.semconv import other_names
from spanverdict.selectors.tree import Attribute


def read_elsewhere(rule: Rule, parts: object, spans: Spans, row: np.ndarray) -> list[str]:
    """Say of each attribute of a rule and its stages how many spans have it under another name.

    `row` numbers the span of each member, as a span may stand for several requests.
    """
    asked = rule.where, rule.per, parts, None if isinstance(rule.check, Coverage) else rule.check
    return [
        said
        for attribute in dict.fromkeys(Attribute(each.scope, each.name) for each in attributes_of(asked))
        for said in _elsewhere(attribute, spans, row)
    ]


def _elsewhere(attribute: Attribute, spans: Spans, row: np.ndarray) -> Iterator[str]:
    left = ~Field(attribute).carried(spans)
    for name in other_names(attribute.name):
        other = Field(Attribute(attribute.scope, name))
        found = left & other.carried(spans)
        if found.any():
            count = counted(len(np.unique(row[found])), "spans")
            yield f"{shown(str(Field(attribute)))} is {shown(str(other))} in {count}"
        left &= ~found
