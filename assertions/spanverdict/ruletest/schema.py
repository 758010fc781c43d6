"""The JSON Schema of files of rule tests, for editors."""

from __future__ import annotations

from spanverdict.rulefiles.schemawords import (
    DRAFT,
    Schema,
    about,
    any_of,
    either,
    listed,
    mapping,
    named,
    one_of,
    plain,
    text,
)
from spanverdict.ruletest.expectations import OUTCOMES


def schema_of_tests() -> Schema:
    """Return the schema of a `*_test.yaml`."""
    keys = {
        "flow": about("The rule file, by its path from this one.", text()),
        "tests": about("What its rules should say of some traces.", listed(_test())),
    }
    return {"$schema": DRAFT, **mapping("a file of tests", keys, ["flow", "tests"])}


def _test() -> Schema:
    keys = {
        "name": about("What the test shows, unique in the file.", text()),
        **_given(),
        "baseline": about(
            "The run that the judged one is compared with.", _one_run("the baseline of a test", _given())
        ),
        "earlier": about("Runs that rules over several runs look back at, the oldest first.", listed(_earlier())),
        "complete": about("false: the run was given up on before it was complete.", {"type": "boolean"}),
        "expect": about(
            "What rules say: an outcome, or statistics and their values.", {**named(_expected()), "minProperties": 1}
        ),
        "others": about("What all other rules say.", _outcome()),
        "verdict": about("What the flow as a whole says.", either(_outcome(), _verdict())),
    }
    test = any_of(mapping("a test", keys, ["name"]), "expect", "others", "verdict")
    return one_of(test, "traces", "spans")


def _given() -> dict[str, Schema]:
    return {
        "traces": about("OTLP files, by their paths from this one.", either(text(), listed(text()))),
        "spans": about(
            "Spans as lines, SERVICE NAME KIND START..END, or a list of parts.", either(text(), listed(_part()))
        ),
        "repeat": about("How many requests these spans make.", _whole(1)),
        "every": about("How long after one request the next begins; 1s by default.", text()),
        "run": about("Which run is meant, of several in the traces.", text()),
        "requests": about("How many requests the run is told to expect.", _whole(1)),
    }


def _one_run(title: str, keys: dict[str, Schema]) -> Schema:
    return one_of(mapping(title, keys), "traces", "spans")


def _earlier() -> Schema:
    keys = {
        **_given(),
        "runs": about("How many such runs there were.", _whole(1)),
        "apart": about("How long after the end of one the next ended; 1h by default.", text()),
    }
    return _one_run("an earlier run", keys)


def _part() -> Schema:
    keys = {
        "spans": about("Spans as lines.", text()),
        "repeat": about("How many requests these spans make.", _whole(1)),
        "every": about("How long after one request the next begins.", text()),
    }
    return mapping("a part of spans", keys, ["spans"])


def _outcome() -> Schema:
    return {"enum": list(OUTCOMES)}


def _expected() -> Schema:
    statistics = {**named(plain()), "minProperties": 1, "properties": {"outcome": _outcome()}}
    return either(_outcome(), statistics)


def _verdict() -> Schema:
    counts = named(_whole(0))
    keys = {
        "outcome": about("The outcome of the flow.", _outcome()),
        "requests": about("How many requests there are.", _whole(0)),
        "missing": about("Requests that lack a stage, for each such stage.", counts),
        "defects": about("Defects of spans and how often each is there.", counts),
    }
    return {**mapping("verdict", keys), "minProperties": 1}


def _whole(minimum: int) -> Schema:
    return {"type": "integer", "minimum": minimum}
