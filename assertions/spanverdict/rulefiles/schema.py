"""The JSON Schema of rule files, for editors; `spanverdict schema` prints it, and `rules/` keeps it."""

from __future__ import annotations

from typing import Final, get_args

from spanverdict.checks.catalogue import CHECKS
from spanverdict.rulefiles.drift import MEASURES as DRIFTS
from spanverdict.rulefiles.measureschema import MEASURES, SELECTOR, field, stage
from spanverdict.rulefiles.models import OnNoData, Sampled, Severity
from spanverdict.rulefiles.names import NAME, STAGE_NAME
from spanverdict.rulefiles.packs import pack_names
from spanverdict.rulefiles.parameters import TYPES
from spanverdict.rulefiles.rulereader import ANNOTATIONS
from spanverdict.rulefiles.schemawords import (
    DRAFT,
    Schema,
    about,
    any_of,
    choice,
    duration,
    either,
    listed,
    mapping,
    named,
    one_of,
    or_parameter,
    plain,
    text,
    texts,
    truth,
    whole_number,
)
from spanverdict.rulefiles.statistic import Kind
from spanverdict.rulefiles.version import VERSION
from spanverdict.selectors.mapping import KEYS as SELECTOR_KEYS
from spanverdict.selectors.words import KINDS, STATUSES

_SAMPLING: Final = get_args(Sampled)
_COUNT: Final = r"^\s*([<>]=?|==|\+?[0-9])"
_CONDITION: Final = r"^\s*([<>]|[=!]=|in\s*\[|matches\s*/|[^<>=!]*\.\.)"
_PERCENTILE: Final = r"^p(0*[1-9][0-9]*(\.[0-9]+)?|0+\.10*)$"


def flow_schema() -> Schema:
    """Return the schema of a rule file; the same for the same version of the language and the same packs."""
    keys = {
        "version": about("The version of the rule language.", {"const": VERSION}),
        "flow": about("The name of the flow.", _name()),
        "labels": about("Texts that every result of the flow carries.", named(plain())),
        "include": about("Rules of packs and of other files.", listed(_include())),
        "parameters": about("What those who include the file may set.", named(_parameter(), r"^[a-z][a-z0-9_]{0,63}$")),
        "stages": about("The steps of a request, in the order in which it passes them.", listed(_stage())),
        "request": about("Where a request begins and ends, and what names it.", _request()),
        "complete": about("When a run may be judged.", _complete()),
        "run_id": about("Attributes that name the run of a span, before the usual ones.", texts()),
        "clock": about("How far the clocks of several hosts can be relied on.", _clock()),
        "sampling": about("Whether it is known that not every span is kept.", choice(_SAMPLING)),
        "baseline": about("Which requests of a run the others are compared with.", _baseline()),
        "defaults": about("What rules get that do not say otherwise.", _defaults()),
        "rules": about("What has to be true.", listed(_rule())),
    }
    flow = any_of(mapping("a flow", keys, ["version", "flow", "stages"]), "rules", "include")
    return {"$schema": DRAFT, **flow, "definitions": {"selector": _selector(), "expect": _expect()}}


def _name(pattern: str = NAME.pattern) -> Schema:
    return text(rf"^({pattern})\s*$")


def _include() -> Schema:
    keys = {
        "pack": about("A pack that comes with Spanverdict.", choice(pack_names())),
        "file": about("A file, by its path from this one.", text()),
        "as": about("What stands before the ids of its rules; the pack's name by default.", _name()),
        "with": about("Parameters and their values.", named(plain())),
        "rules": about("Only these rules.", texts()),
        "without": about("Not these rules.", texts()),
    }
    return one_of(mapping("an include", keys), "pack", "file")


def _parameter() -> Schema:
    keys = {
        "type": about("What its values are.", {"enum": list(TYPES)}),
        "default": about("Its value where none is given.", plain()),
        "about": about("What it is for.", text()),
    }
    return mapping("a parameter", keys, ["type"])


def _stage() -> Schema:
    count = either({"type": "integer", "minimum": 0}, text(_COUNT))
    keys = {
        "stage": about("The name of the stage.", _name(STAGE_NAME.pattern)),
        "select": about("Which spans are this step.", SELECTOR),
        "count": about('How many there are in one request: 1, "0..1", ">= 1" (the default).', count),
    }
    return mapping("a stage", keys, ["stage", "select"])


def _request() -> Schema:
    keys = {
        "starts_at": about("The stage where it begins; the first by default.", stage()),
        "ends_at": about("The stage where it ends; the last by default.", stage()),
        "key": about("The field that names it, in reports and golden files; the trace id by default.", field()),
        "correlate": about("Traces that share the value of one of these fields are one request.", texts()),
    }
    return mapping("request", keys)


def _complete() -> Schema:
    keys = {
        "requests": about("How many requests are expected.", whole_number(1)),
        "idle": about("Judge when no span has come for so long; 6s by default.", duration()),
        "at_most": about("Give up on expected requests when no span has come for so long; 30s.", duration()),
        "flush": about("How long exporters may hold spans back after the end was announced.", duration()),
        "structure": about("Judge when every request has been whole for so long.", duration()),
    }
    return mapping("complete", keys)


def _clock() -> Schema:
    within = mapping("clock", {"within": about("Clocks never differ by more than this.", duration())}, ["within"])
    return either(choice(("measured", "trusted")), within)


def _baseline() -> Schema:
    return mapping("a baseline", {"where": about("The requests that contain such spans.", SELECTOR)}, ["where"])


def _common() -> dict[str, Schema]:
    return {
        "severity": about("How bad a failure is; warning by default.", choice(tuple(Severity))),
        "on_no_data": about("What nothing to judge means; fail by default.", choice(get_args(OnNoData))),
        "owner": about("Who cares for it.", text()),
    }


def _defaults() -> Schema:
    return mapping("defaults", _common())


def _rule() -> Schema:
    measures = {check.key: about(*_measure(check.key)) for check in CHECKS}
    level = or_parameter({"type": ["string", "number"]})
    keys = {
        "id": about("Names the rule, unique in the flow.", _name()),
        "title": about("What the rule promises.", text()),
        **measures,
        "golden": about("The file that says what each request should have answered.", _golden()),
        "where": about("Only requests that contain such spans.", SELECTOR),
        "per": about("One verdict for each value of this field.", field()),
        "expect": about("Conditions on statistics; all have to hold.", {"$ref": "#/definitions/expect"}),
        "confidence": about("Judge what is sure, at this level: 95%.", level),
        **_common(),
        "report_only": about("Judged and shown, and never the reason of a failure.", truth()),
        "skip": about("Why the rule is not judged at all.", text()),
        "tags": about("With --tags only rules that carry the tag are judged.", either(_name(), listed(_name()))),
        "labels": about("Texts that alerts carry and are grouped by.", named(plain())),
        "annotations": about(f"Texts for people: {', '.join(ANNOTATIONS)} and others.", named(plain())),
    }
    return one_of(mapping("a rule", keys, ["id", "expect"]), *measures)


def _measure(key: str) -> tuple[str, Schema]:
    words, shape = MEASURES[key]
    return words, shape()


def _golden() -> Schema:
    tolerance: Schema = {"type": ["string", "number"]}
    keys = {
        "file": about("Where it is: in the folder of the rule file or below it.", text()),
        "tolerance": about(
            "How far a number may be off: 0.01, or 1%; for all, or by name.", either(tolerance, named(tolerance))
        ),
        "similarity": about(
            'How alike texts have to be: ">= 0.9"; for all, or by name.', either(text(), named(text()))
        ),
    }
    return mapping("golden", keys, ["file"])


def _expect() -> Schema:
    single = {"type": ["string", "number", "boolean"]}
    condition = either(text(_CONDITION), listed(single))
    drift = about(f"How far from a baseline, by {', '.join(DRIFTS)}.", text(rf"^\s*({'|'.join(DRIFTS)})\b"))
    keys = {kind.value: condition for kind in Kind if kind not in (Kind.PERCENTILE, Kind.DRIFT)}
    return {
        "title": "expect",
        "description": 'Statistics and conditions, such as p95: "< 200ms". Percentiles are written p50 … p99.99.',
        "type": "object",
        "minProperties": 1,
        "properties": {"p50": condition, "p95": condition, "p99": condition, **keys, Kind.DRIFT.value: drift},
        "patternProperties": {_PERCENTILE: condition},
        "additionalProperties": False,
    }


def _selector() -> Schema:
    words = {"kind": KINDS, "status": STATUSES}
    value: Schema = {"type": ["string", "number", "boolean", "null"]}
    keys = {key: _alternatives(choice(words[key]) if key in words else {"type": "string"}) for key in SELECTOR_KEYS}
    keys["attributes"] = {**named(_alternatives(value)), "minProperties": 1}
    return either(
        about('TraceQL in quotes, such as { span:name = "predict" }.', text()),
        {**mapping("a selector", keys), "minProperties": 1},
    )


def _alternatives(one: Schema) -> Schema:
    return either(one, listed(one))
