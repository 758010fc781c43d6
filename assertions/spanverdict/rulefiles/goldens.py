"""Reading `golden` of a rule: the file, and how close to it answers have to be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from spanverdict.checks.golden import EXACT, SINGLE, Allowance, Golden, GoldenFile
from spanverdict.checks.output import Output
from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import Diagnostic, Position, Problems
from spanverdict.diagnostics.yamldoc import Mapping, Node, Reader, Scalar, did_you_mean, text_of
from spanverdict.rulefiles.beside import ReadBeside
from spanverdict.rulefiles.conditions import Operator
from spanverdict.rulefiles.expectations import read_condition
from spanverdict.rulefiles.goldenfile import GoldenText, read_golden_text
from spanverdict.rulefiles.literals import NUMBER
from spanverdict.rulefiles.mistake import Mistake
from spanverdict.rulefiles.statistic import Quantity

if TYPE_CHECKING:
    from spanverdict.checks.check import Check

_KEYS: Final = ("file", "similarity", "tolerance")
_EXCERPT: Final = 500
_TOLERANCE: Final = re.compile(rf"({NUMBER})\s*(%?)", re.ASCII)


@dataclass(slots=True)
class Goldens:
    """The golden files that one rule file names, each read once."""

    rule_file: str
    read: ReadBeside
    _texts: dict[str, GoldenText | None] = field(default_factory=dict)
    uses: list[Node] = field(default_factory=list)
    """Where rules of the file use one."""

    def text(self, node: Scalar, problems: Problems) -> GoldenText | None:
        """Return the file that a node names; None when it cannot be used, all that is wrong with it reported once."""
        name = node.text
        if name not in self._texts:
            self._texts[name] = None
            try:
                data = self.read(self.rule_file, name)
            except Mistake as mistake:
                del self._texts[name]  # the next rule that names it is wrong as well
                mistake.report(node, problems)
                return None
            path = str(Path(self.rule_file).parent / name)
            unread = GoldenText(GoldenFile(name, path, "", {}), {}, {})
            self._texts[name] = unread if data is None else read_golden_text(data, name, path, problems)
        return self._texts[name]


def with_golden(check: Check | None, reader: Reader, goldens: Goldens) -> Check | None:
    """Return the measure of a rule with its golden file; None when something was reported."""
    node = reader.node("golden")
    if node is None:
        if isinstance(check, Output) and check.named:
            at = reader.mapping.key("output") or reader.mapping
            hint = "add golden: {file: …}, or write one rule a value: {stage: …, value: …}"
            message = "several values can only be compared with a golden file"
            reader.problems.error(at.position, codes.GOLDEN_USE, message, hint, at.width)
            return None
        return check
    place = reader.mapping.key("golden") or node
    goldens.uses.append(place)
    if check is not None and not isinstance(check, Output):
        message = f"a golden file holds outputs, and this rule measures {check.key}"
        reader.problems.error(
            place.position, codes.GOLDEN_USE, message, "measure output: {stage: …, value: …}", place.width
        )
        return None
    golden = _read_golden(node, check, reader.problems, goldens)
    return None if check is None or golden is None else replace(check, golden=golden)


def taken_together(check: Check | None, reader: Reader) -> Check | None:
    """Return the measure of a rule; one that asks for drift takes its golden values together, and not one by one."""
    expect = reader.node("expect")
    drifts = isinstance(expect, Mapping) and expect.get("drift") is not None
    if not drifts or not isinstance(check, Output) or check.golden is None:
        return check
    place = reader.mapping.key("golden") or reader.mapping
    message = ""
    if len(check.values) > 1:
        message = "drift is that of a single value"
    elif set(check.golden.allowances.values()) - {EXACT}:
        message = "drift looks at all values together, and at no tolerance or similarity of one"
    if message:
        hint = "write one rule for drift and another that compares answers"
        reader.problems.error(place.position, codes.GOLDEN_USE, message, hint, place.width)
        return None
    return replace(check, together=True)


def _read_golden(node: Node, output: Output | None, problems: Problems, goldens: Goldens) -> Golden | None:
    reader = Reader.of(node, problems, _KEYS, "golden")
    file_node = None if reader is None else reader.require("file")
    if reader is None or file_node is None:
        return None
    found = None
    if text_of(file_node, problems, "file") is not None and isinstance(file_node, Scalar):
        found = goldens.text(file_node, problems)
    if output is None:
        return None
    names = tuple(name for name, _ in output.values)
    tolerances = _by_name(reader, "tolerance", output, _read_tolerance)
    similarities = _by_name(reader, "similarity", output, _read_similarity)
    if found is None or tolerances is None or similarities is None:
        return None
    _check_values(found, names, file_node.position, problems)
    allowances = {name: _joined(tolerances.get(name), similarities.get(name)) for name in names}
    return Golden(found.file, allowances)


def _joined(tolerance: Allowance | None, similarity: Allowance | None) -> Allowance:
    own = tolerance or Allowance()
    if similarity is None:
        return own
    return replace(own, similarity=similarity.similarity, similarity_text=similarity.similarity_text)


_Read = TypeVar("_Read")


def _by_name(reader: Reader, key: str, output: Output, read: Callable[[Node], _Read]) -> dict[str, _Read] | None:
    """Read what is written once for all values, or for each by its name; None when something was reported."""
    node, names = reader.node(key), [name for name, _ in output.values]
    if node is None:
        return {}
    several = node.entries if isinstance(node, Mapping) else ()
    right = not isinstance(node, Mapping) or _check_names(reader, node, key, output)
    found: dict[str, _Read] = {}
    for name, one in [(name.text, value) for name, value in several] or [("", node)]:
        try:
            value = read(one)
        except Mistake as mistake:
            mistake.report(one, reader.problems)
            right = False
        else:
            found.update(dict.fromkeys(names if not several else [name], value))
    return found if right else None


def _check_names(reader: Reader, node: Mapping, key: str, output: Output) -> bool:
    names = [name for name, _ in output.values]
    if not node.entries or not output.named:
        message = f"{key} by name needs an output with named values"
        reader.problems.error(node.position, codes.GOLDEN_USE, message, f"write {key} for the one value", node.width)
        return False
    unknown = [name for name, _ in node.entries if name.text not in names]
    for name in unknown:
        hint = did_you_mean(name.text, names) or f"they are {', '.join(names)}"
        message = f"the rule compares no value `{name.text}`"
        reader.problems.error(name.position, codes.GOLDEN_USE, message, hint, name.width)
    return not unknown


def _read_tolerance(node: Node) -> Allowance:
    hint = "write it like 0.01, or 1% of the golden value"
    match = _TOLERANCE.fullmatch(node.text.strip()) if isinstance(node, Scalar) and node.value is not None else None
    if match is None:
        raise Mistake(codes.TOLERANCE, "this is no tolerance", hint)
    amount = Fraction(match[1]) / (100 if match[2] else 1)
    if amount < 0:
        raise Mistake(codes.TOLERANCE, "a tolerance cannot be less than nothing", hint)
    return Allowance(amount, bool(match[2]), tolerance_text=match[0])


def _read_similarity(node: Node) -> Allowance:
    condition = read_condition(node, Quantity.SHARE, "similarity")
    if condition.operator is not Operator.AT_LEAST:
        raise Mistake(codes.TOLERANCE, "texts have to be alike to some degree or more", 'write it like ">= 0.9"')
    (needed,) = condition.operands
    return Allowance(similarity=Fraction(needed), similarity_text=str(condition))


def _check_values(found: GoldenText, names: Iterable[str], rule: Position, problems: Problems) -> None:
    """Report once for each value of the rule that records lack it."""
    for name in names:
        lacking = [key for key, fields in found.file.records.items() if name not in fields]
        if not lacking:
            continue
        key, more = lacking[0], f"; {len(lacking) - 1} more lack it" if len(lacking) > 1 else ""
        what = "`value`" if name == SINGLE else f"`{name}` among its `values`"
        message = f"the record of `{key}` has no {what}, which the rule at {rule.file}:{rule.line} compares{more}"
        hint = "" if name == SINGLE else did_you_mean(name, found.file.records[key])
        place = Position(found.file.path, found.lines[key], 1)
        problems.add(Diagnostic(place, codes.GOLDEN_LINE, message, hint, excerpt=found.texts[key][:_EXCERPT]))


def report_keyless(goldens: Goldens, problems: Problems) -> None:
    """Report every use of a golden file, in a flow whose requests have no key."""
    for node in goldens.uses:
        message = "a golden file names requests by their key, and those of this flow have none"
        problems.error(node.position, codes.GOLDEN_USE, message, "add request: {key: span.request.id}", node.width)
