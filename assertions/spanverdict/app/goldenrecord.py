"""`golden record`: what a run answered, as golden files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from spanverdict.app.errors import CommandError
from spanverdict.app.goldendiff import GoldenRule, answer
from spanverdict.app.goldentext import can_be_kept, record_line
from spanverdict.checks.answers import answers_of
from spanverdict.checks.runview import RunView
from spanverdict.checks.valueof import ValueOf
from spanverdict.telemetry.pool import Value


@dataclass(slots=True)
class Recording:
    """What is to be written to one golden file."""

    path: Path
    rules: list[GoldenRule] = field(default_factory=list)
    values: dict[str, tuple[str, ValueOf]] = field(default_factory=dict)
    """By name, the stage and the value that are recorded."""
    records: dict[str, dict[str, Value]] = field(default_factory=dict)
    """By key; those that lack a value are among them, and not written."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Requests that are not recorded, by reason."""

    def add(self, rule: GoldenRule, view: RunView) -> None:
        """Record what a rule compares; raises `CommandError` where another rule records something else."""
        mine = {name: (rule.output.stage, value) for name, value in rule.output.values}
        shaped_alike = all(one.output.named == rule.output.named for one in self.rules)
        if not shaped_alike or any(self.values.get(name, what) != what for name, what in mine.items()):
            others = ", ".join(one.rule.id for one in self.rules)
            raise CommandError(f"{rule.rule.id} and {others} record different things to {self.path}; name them apart")
        self.values |= mine
        self.rules.append(rule)
        for key, found in self._by_key(rule, view).items():
            if any(repr(one) != repr(found[0]) for one in found[1:]):
                self.left_out["with a key that others have, and another answer"] += len(found)
            else:
                self.records.setdefault(key, {}).update(found[0])

    def _by_key(self, rule: GoldenRule, view: RunView) -> dict[str, list[dict[str, Value]]]:
        """Return the answers that can be recorded, by the key of their request."""
        answers = answers_of(rule.output.stage, [value for _, value in rule.output.values], view)
        row_of_request = {int(request): row for row, request in enumerate(answers.request)}
        keys = view.values_of_requests(view.key) if view.key is not None else [None] * view.n_requests
        by_key: dict[str, list[dict[str, Value]]] = {}
        for request in np.flatnonzero(rule.chosen(view)).tolist():
            row = row_of_request.get(request)
            found = {} if row is None else answer(rule.output, answers, row)
            if reason := _unfit(rule, keys[request], found):
                self.left_out[reason] += 1
            else:
                by_key.setdefault(str(keys[request]), []).append(found)
        return by_key

    def lines(self) -> list[str]:
        """Return the lines of the file: one a request that has all values, by key."""
        whole = [key for key, values in self.records.items() if len(values) == len(self.values)]
        if lacking := len(self.records) - len(whole):
            self.left_out["without a value that another rule records"] = lacking
        return [record_line(key, self.records[key]) for key in sorted(whole)]


def _unfit(rule: GoldenRule, key: object, found: dict[str, Value]) -> str:
    """Say why a request is not recorded, in words that follow a count; empty when it is."""
    if key is None:
        return "without a key"
    if len(found) < len(rule.output.values):
        return "without a value that can be read"
    return "" if all(map(can_be_kept, found.values())) else "with a number that is not finite"


def recordings(rules: Sequence[GoldenRule], found: dict[str, RunView]) -> list[Recording]:
    """Return what is to be written, a golden file each, in the order of the rules."""
    made: dict[Path, Recording] = {}
    for rule in rules:
        path = Path(rule.golden.file.path)
        made.setdefault(path, Recording(path)).add(rule, found[rule.flow.name])
    return list(made.values())
