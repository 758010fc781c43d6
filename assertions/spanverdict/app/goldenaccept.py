"""`golden accept`: answers of a run become the golden ones, where they differ and nowhere else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from spanverdict.app.errors import CommandError
from spanverdict.app.goldendiff import Difference, Entry, GoldenRule, Kind
from spanverdict.app.goldentext import GoldenEdit, can_be_kept
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.reporting.escaping import shown
from spanverdict.reporting.quantities import counted
from spanverdict.rulefiles.beside import read_beside
from spanverdict.rulefiles.goldenfile import read_golden_text
from spanverdict.telemetry.pool import Value

_LISTED: Final = 10
"""Keys that a summary names."""


@dataclass(slots=True)
class Acceptance:
    """What is taken over into one golden file."""

    path: Path
    sha256: str
    """Of the file as it was."""
    edit: GoldenEdit
    names: frozenset[str]
    """The values that a record needs for all rules that read the file."""
    changed: dict[str, dict[str, Value]] = field(default_factory=dict)
    added: dict[str, dict[str, Value]] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    left: dict[str, str] = field(default_factory=dict)
    """Keys that could not be taken over, and why."""
    not_added: set[str] = field(default_factory=set)
    not_removed: set[str] = field(default_factory=set)

    @property
    def touched(self) -> bool:
        """Tell whether the file becomes another."""
        return bool(self.changed or self.added or self.removed)

    def take(self, found: Difference, *, add: bool, remove: bool) -> None:
        """Take over what differs for one rule."""
        for entry in found.entries:
            match entry.kind:
                case Kind.DIFFERS:
                    self._change(entry, found)
                case Kind.SILENT:
                    self.left[entry.key] = "its request has no value that can be read"
                case Kind.MISSING:
                    (self.removed if remove else self.not_removed).add(entry.key)
                case _ if add:
                    self._add(entry)
                case _:
                    self.not_added.add(entry.key)

    def _change(self, entry: Entry, found: Difference) -> None:
        if entry.key in found.repeated:
            self.left[entry.key] = "several requests have this key"
        elif not all(map(can_be_kept, entry.got.values())):
            self.left[entry.key] = "the answer is no finite number"
        else:
            self.changed.setdefault(entry.key, {}).update(entry.got)

    def _add(self, entry: Entry) -> None:
        known = self.added.setdefault(entry.key, {})
        if any(name in known and repr(known[name]) != repr(value) for name, value in entry.got.items()):
            self.left[entry.key] = "several requests have this key"
        elif not all(map(can_be_kept, entry.got.values())):
            self.left[entry.key] = "the answer is no finite number"
        known.update(entry.got)

    def settle(self) -> None:
        """Leave out what cannot be a whole record, and change the lines."""
        for key, values in self.added.items():
            if lacking := sorted(self.names - values.keys()):
                self.left.setdefault(key, f"it has no {', '.join(lacking)} that can be read")
        self.added = {key: values for key, values in self.added.items() if key not in self.left}
        self.changed = {key: values for key, values in self.changed.items() if key not in self.left}
        for key, values in self.changed.items():
            self.edit.change(key, values)
        self.edit.add_and_remove(self.added, self.removed)
        if len(self.removed) - len(self.added) >= len(self.edit.line_of_key):
            raise CommandError(f"{self.path} would be left without a record; nothing was written")

    def text(self) -> str:
        """Return the file as it becomes."""
        return self.edit.text()

    def summary(self) -> Iterator[str]:
        """Say what was done, and what was not."""
        path = shown(str(self.path))
        if self.touched:
            parts = ((self.changed, "changed"), (self.added, "added"), (self.removed, "removed"))
            said = ", ".join(f"{len(keys):,} {word}" for keys, word in parts if keys)
            now = hashlib.sha256(self.text().encode()).hexdigest()
            yield f"{path}: {said}; sha256 {self.sha256[:12]} is {now[:12]} now"
        else:
            yield f"{path}: nothing to change"
        for key, why in sorted(self.left.items())[:_LISTED]:
            yield f"  left as it is: {shown(key)}: {why}"
        if len(self.left) > _LISTED:
            yield f"  and {len(self.left) - _LISTED:,} more were left as they are"
        if self.not_added:
            yield f"  {counted(len(self.not_added), 'requests')} not in the file; --add takes them in"
        if self.not_removed:
            yield f"  {counted(len(self.not_removed), 'records')} without a request; --remove drops them"


def acceptances(
    found: Sequence[Difference], rules: Sequence[GoldenRule], *, add: bool, remove: bool
) -> list[Acceptance]:
    """Return what is taken over, a golden file each; `rules` are all that read one of the files.

    Raises:
        CommandError: a file has changed since the rules were read, or would be left empty.
    """
    made: dict[str, Acceptance] = {}
    for one in found:
        file = one.rule.golden.file
        if file.path not in made:
            readers = [rule for rule in rules if rule.golden.file.path == file.path]
            names = frozenset(name for rule in readers for name, _ in rule.output.values)
            made[file.path] = Acceptance(Path(file.path), file.sha256, _edit(one.rule), names)
        made[file.path].take(one, add=add, remove=remove)
    for acceptance in made.values():
        acceptance.settle()
    return list(made.values())


def _edit(rule: GoldenRule) -> GoldenEdit:
    file = rule.golden.file
    data = read_beside(rule.flow.file, file.name)
    text = read_golden_text(data, file.name, file.path, Problems())
    if text is None or text.file.sha256 != file.sha256:
        raise CommandError(f"{file.path} was changed while it was compared; nothing was written")
    return GoldenEdit.of(text, data)
