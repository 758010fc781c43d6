"""What requests answered beside the records of a golden file: which differ, never came, or were not expected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spanverdict.checks.alike import are_alike, difference, value_text
from spanverdict.checks.answers import Answers, answers_of, lacking
from spanverdict.checks.golden import SINGLE, Golden
from spanverdict.checks.missing import Missing
from spanverdict.checks.output import Output
from spanverdict.checks.runview import RunView
from spanverdict.telemetry.pool import Value
from spanverdict.telemetry.spantable import Bools, Int64s, Rows


@dataclass(frozen=True, eq=False)
class Comparison:
    """The answers of a run beside the records of a golden file, which are numbered in its order."""

    output: Output
    golden: Golden
    view: RunView
    answers: Answers
    record_of_request: Rows
    """(n_requests,) the record of each request, -1 where the file has none."""
    has_key: Bools
    """(n_requests,) whether anything names it."""

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The keys of the records."""
        return tuple(self.golden.file.records)

    @cached_property
    def _rows(self) -> Rows:
        """Positions of the answers that a record stands beside."""
        return np.flatnonzero(self.record_of_request[self.answers.request] >= 0)

    @cached_property
    def _by_value(self) -> tuple[tuple[Bools, Bools], ...]:
        """For each value: which of the rows have it, and which of these are alike."""
        return tuple(self._compared(number) for number in range(len(self.output.values)))

    def _compared(self, number: int) -> tuple[Bools, Bools]:
        """Compare one value, each distinct pair of an answer and a golden value once."""
        taken, rows = self.answers.taken[number], self._rows
        name = self.output.values[number][0]
        here = taken.reason[rows] < 0
        alike = np.zeros(len(rows), np.bool_)
        record = self.record_of_request[self.answers.request[rows[here]]]
        code_of_record, golden_values = _numbered([fields[name] for fields in self.golden.file.records.values()])
        pair = taken.column.codes[rows[here]].astype(np.int64) * len(golden_values) + code_of_record[record]
        distinct, position = np.unique(pair, return_inverse=True)
        allowance = self.golden.allowance(name)
        places = (divmod(number, len(golden_values)) for number in distinct.tolist())
        same = [are_alike(golden_values[right], taken.column.values[left], allowance) for left, right in places]
        alike[here] = np.array(same, np.bool_)[position]
        return here, alike

    @cached_property
    def known(self) -> Rows:
        """Positions of the answers that can be judged: all values are there, or one of them differs."""
        differs = np.logical_or.reduce([here & ~alike for here, alike in self._by_value])
        whole = np.logical_and.reduce([here for here, _ in self._by_value])
        known: Rows = self._rows[differs | whole]
        return known

    @cached_property
    def same(self) -> Bools:
        """(n_known,) whether the answer is the golden one."""
        alike: Bools = np.logical_and.reduce([alike for _, alike in self._by_value])
        return alike[np.searchsorted(self._rows, self.known)]

    @cached_property
    def absent(self) -> Rows:
        """The records whose key no request has, ascending."""
        seen = np.zeros(len(self.keys), np.bool_)
        seen[self.record_of_request[self.record_of_request >= 0]] = True
        return np.flatnonzero(~seen)

    @cached_property
    def extra(self) -> Rows:
        """The requests that have a key and no record."""
        return np.flatnonzero(self.has_key & (self.record_of_request < 0))

    @cached_property
    def repeated(self) -> Rows:
        """The records that several requests answer to."""
        counts = np.bincount(self.record_of_request[self.record_of_request >= 0], minlength=len(self.keys))
        return np.flatnonzero(counts > 1)

    @property
    def missing(self) -> Missing:
        """The requests with a record whose answer cannot be judged, by reason."""
        awaited, silent = self.record_of_request >= 0, self.answers.silent
        what = " or ".join(str(value) for _, value in self.output.values)
        found = Missing.of_requests(silent[awaited[silent]], lacking(what, self.output.stage))
        open_rows = self._rows[~np.isin(self._rows, self.known)]
        for missing in self._open(open_rows):
            found = found.also(missing)
        stageless = np.flatnonzero(awaited & ~self.view.stage(self.output.stage).present)
        return found.also(Missing.of_requests(stageless, f"have no stage {self.output.stage}"))

    def _open(self, rows: Rows) -> Iterator[Missing]:
        """Yield of each value the answers that lack it, each answer once."""
        for taken in self.answers.taken:
            lack = rows[taken.reason[rows] >= 0]
            yield taken.part(lack).missing(self.answers.request[lack], self.answers.member[lack])
            rows = rows[taken.reason[rows] < 0]

    def pairs(self, row: int) -> Iterator[tuple[str, Value, Value]]:
        """Yield the name, the golden value and the answer of each value that an answer differs in."""
        record = self.golden.file.records[self.keys[self.record_of_request[self.answers.request[row]]]]
        for (name, _), taken in zip(self.output.values, self.answers.taken, strict=True):
            if taken.reason[row] >= 0:
                continue
            expected, got = record[name], taken.column[row]
            if not are_alike(expected, got, self.golden.allowance(name)):
                yield name, expected, got

    def expected(self, record: int) -> str:
        """Say what a record expects."""
        fields = self.golden.file.records[self.keys[record]]
        return ", ".join(f"{_label(name)}{value_text(fields[name])}" for name, _ in self.output.values)

    def said(self, row: int) -> str:
        """Say how an answer differs."""
        parts = ((name, difference(a, b, self.golden.allowance(name))) for name, a, b in self.pairs(row))
        return "; ".join(f"{_label(name)}{text}" for name, text in parts)


def compare(output: Output, golden: Golden, view: RunView) -> Comparison:
    """Find the record of each request, and what the requests answered."""
    values = [value for _, value in output.values]
    records, has_key = _records(golden, view)
    return Comparison(output, golden, view, answers_of(output.stage, values, view), records, has_key)


def _records(golden: Golden, view: RunView) -> tuple[Rows, Bools]:
    """Return the record of each request, and which requests have a key at all."""
    if view.key is None:
        return np.full(view.n_requests, -1, np.intp), np.zeros(view.n_requests, np.bool_)
    column = view.column(view.key)
    number = {key: place for place, key in enumerate(golden.file.records)}
    texts = [None if value is None else str(value) for value in column.values]
    record_of_code = np.array([*(-1 if text is None else number.get(text, -1) for text in texts), -1], np.intp)
    named = np.array([*(text is not None for text in texts), False], np.bool_)
    codes = view.codes_of_requests(column)
    return record_of_code[codes], named[codes]


def _numbered(values: Sequence[Value]) -> tuple[Int64s, list[Value]]:
    """Number values so that equal ones, as far as that is cheap to see, have the same number."""
    numbers: dict[object, int] = {}
    distinct: list[Value] = []
    found = np.zeros(len(values), np.int64)
    for place, value in enumerate(values):
        plain = value is None or isinstance(value, str | bool | int | float)
        number = numbers.setdefault((type(value), value) if plain else (None, place), len(distinct))
        if number == len(distinct):
            distinct.append(value)
        found[place] = number
    return found, distinct


def _label(name: str) -> str:
    return "" if name == SINGLE else f"{name}: "
