"""What each measure takes in a rule, as JSON Schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from spanverdict.checks.burnrate import RUNS, VALUES
from spanverdict.checks.latency import EXTENTS, OTHER, QUEUE, WHOLE_REQUEST
from spanverdict.rulefiles.schemawords import (
    Schema,
    about,
    any_of,
    choice,
    duration,
    either,
    mapping,
    named,
    one_of,
    text,
    texts,
    truth,
    whole_number,
)

SELECTOR: Final[Schema] = {"$ref": "#/definitions/selector"}
_UNITS: Final = ("s", "ms", "us", "ns")


def stage() -> Schema:
    """Return what names a stage."""
    return text()


def value_of() -> Schema:
    """Return what reads a value from a span."""
    return text()


def field() -> Schema:
    """Return what names a field."""
    return text()


def _latency() -> Schema:
    of_stage = mapping(
        "a latency",
        {
            "stage": about("The stage whose time is meant.", stage()),
            "of": about(
                "Which time: from first start to last end (extent), of each span, their sum, …", choice(EXTENTS)
            ),
        },
        ["stage"],
    )
    of_attribute = mapping(
        "a latency",
        {
            "attribute": about("The attribute that holds a duration.", value_of()),
            "unit": about("The unit of the attribute.", choice(_UNITS)),
            "in": about("The stage whose spans carry it.", stage()),
        },
        ["attribute", "unit", "in"],
    )
    of_path = mapping(
        "a latency",
        {"critical_path": about(f"The share of a stage, of {QUEUE} or {OTHER} in the critical path.", stage())},
        ["critical_path"],
    )
    return either(
        {"enum": [WHOLE_REQUEST]}, of_stage, _between(), of_attribute, of_path, {"pattern": r"\$\{", "type": "string"}
    )


def _between() -> Schema:
    moment = text(r"\.(start|end)$")
    event = mapping("a moment of an event", {"event": about("The name of a span event.", text())}, ["event"])
    return mapping(
        "a latency",
        {
            "from": about("A moment: STAGE.start, STAGE.end, or {event: NAME}.", either(moment, event)),
            "to": about("A moment: STAGE.start, STAGE.end, or {event: NAME}.", either(moment, event)),
            "in": about("Of events: the stage whose spans, and those below them, carry them.", stage()),
        },
        ["from", "to"],
    )


def _freshness() -> Schema:
    found = mapping(
        "a freshness",
        {
            "stage": about("Whose spans use the features.", stage()),
            "age": about("The field that says how old they are.", value_of()),
            "updated_at": about("The field that says when they were made.", value_of()),
            "unit": about("The unit of the field; rfc3339 for times written out.", choice((*_UNITS, "rfc3339"))),
            "at": about("The moment of use: start or end of the span.", choice(("start", "end"))),
            "skew": about("How far the two clocks may differ.", duration()),
        },
        ["stage", "unit"],
    )
    return one_of(found, "age", "updated_at")


def _coverage() -> Schema:
    keys = {
        "stages": about("Stages that have to be there: all, one, or a list.", texts()),
        "attributes": about("Fields that every span of these stages has to have.", texts()),
        "services": about("Services that have to be there.", texts()),
        "no_orphans": about("No span may lack its parent.", truth()),
    }
    return any_of(mapping("a coverage", keys), *keys)


def _output() -> Schema:
    keys = {
        "stage": about("Whose spans carry the answer.", stage()),
        "value": about('A field such as span.score, or json(span.output.value, "$.label").', value_of()),
        "values": about(
            "Several values by name, compared with a golden file.", {**named(value_of()), "minProperties": 1}
        ),
    }
    return one_of(mapping("an output", keys, ["stage"]), "value", "values")


def _count() -> Schema:
    counted = mapping(
        "a count",
        {
            "of": about("The spans that are counted.", SELECTOR),
            "per": about("Count in the run, or in each request.", choice(("run", "request"))),
        },
        ["of"],
    )
    return either(SELECTOR, counted)


def _ratio() -> Schema:
    keys = {"of": about("What is counted.", SELECTOR), "over": about("What it is a share of.", SELECTOR)}
    return mapping("a ratio", keys, ["of", "over"])


def _attribute() -> Schema:
    keys = {
        "stage": about("Whose spans carry the number.", stage()),
        "value": about("A field such as span.gen_ai.usage.input_tokens.", value_of()),
        "of": about("The number of each span, or the sum of a request's.", choice(("each", "sum"))),
    }
    return mapping("an attribute", keys, ["stage", "value"])


def _pass_rate() -> Schema:
    return mapping(
        "a pass rate", {**_past(), "window": about("How far back runs are looked at.", duration())}, ["window"]
    )


def _burn_rate() -> Schema:
    keys = {
        **_past(),
        "objective": about("The share that has to be good.", either(text(), {"type": "number"})),
        "short": about("The window that shows that it still goes on.", duration()),
        "long": about("The window that shows that it matters.", duration()),
        "by": about("What is good or bad: runs, or the values of a rule about truths.", choice((RUNS, VALUES))),
    }
    return mapping("a burn rate", keys, ["objective", "short", "long"])


def _past() -> dict[str, Schema]:
    return {
        "of": about("The rule that is looked at; the whole flow by default.", text()),
        "runs": about("How many runs there have to be; with fewer nothing is said.", whole_number(1)),
    }


MEASURES: Final[Mapping[str, tuple[str, Callable[[], Schema]]]] = MappingProxyType(
    {
        "latency": ("How long: a request, a stage, between two moments, a share of the critical path.", _latency),
        "freshness": ("How old features were when they were used.", _freshness),
        "coverage": ("Whether each request has all stages, attributes or services.", _coverage),
        "output": ("What the system answered.", _output),
        "order": ("Whether stages started in this order: all, or a list.", texts),
        "count": ("How many spans match, in the run or in each request.", _count),
        "ratio": ("The share of some spans among others.", _ratio),
        "throughput": ("How many spans match a second.", lambda: SELECTOR),
        "attribute": ("A number that spans carry.", _attribute),
        "pass_rate": ("The share of stored runs that passed.", _pass_rate),
        "burn_rate": ("How fast the error budget is spent, over stored runs.", _burn_rate),
    }
)
"""By key: what an editor says of it, and what it takes."""
