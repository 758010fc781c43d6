"""Columns of JSON texts read at one place, each distinct text once however often it came."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spanverdict.checks.jsonpath import JsonPath, NotJsonError, NotThereError
from spanverdict.telemetry.pool import Value
from spanverdict.telemetry.spantable import AttributeColumn, Bools


@dataclass(frozen=True, slots=True, eq=False)
class JsonColumn:
    """What stands at a place of each text; arrays are (n,)."""

    column: AttributeColumn
    """-1 where there is nothing."""
    unreadable: Bools
    """There is something, and it is not JSON."""
    problem: str
    """What is wrong with one of the unreadable ones, the same for the same texts; empty when there is none."""


def found_in(documents: AttributeColumn, path: JsonPath) -> JsonColumn:
    """Read a column of texts at a place."""
    used, position = np.unique(documents.codes, return_inverse=True)
    found, problems = list[Value](), set[str]()
    code, unreadable = np.full(len(used), -1, np.int32), np.zeros(len(used), np.bool_)
    for place, number in enumerate(used.tolist()):
        try:
            value = _found(documents.values[number] if number >= 0 else None, path)
        except NotThereError:
            continue
        except NotJsonError as problem:
            problems.add(str(problem))
            unreadable[place] = True
        else:
            code[place] = len(found)
            found.append(value)
    column = AttributeColumn(code[position], tuple(found))
    return JsonColumn(column, unreadable[position], min(problems, default=""))


def _found(document: Value, path: JsonPath) -> Value:
    if document is None:
        raise NotThereError
    if not isinstance(document, str):
        raise NotJsonError("it is no text")
    return path.find(document)
