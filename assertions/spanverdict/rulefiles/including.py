"""`include`: the rules of a pack, or of another file, as rules of a flow.

Only rules are taken. They are about the stages of the flow that includes them, which parameters of
type `stage` name. All of it happens on nodes, before a flow is read, so included rules are read as
written ones are, and a mistake in one stands where it stands, with a hint that says who included it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import Position, Problems
from spanverdict.diagnostics.yamldoc import Mapping, Node, Reader, Scalar, Sequence, compose, did_you_mean, wrong_type
from spanverdict.rulefiles.adopting import adopted, with_entry
from spanverdict.rulefiles.names import read_name
from spanverdict.rulefiles.packs import pack_file, pack_names
from spanverdict.rulefiles.parameters import (
    Parameter,
    Values,
    check_value,
    filled,
    read_parameters,
    used_in,
)
from spanverdict.rulefiles.sources import RuleFile, read_text
from spanverdict.rulefiles.version import check_version

INCLUDE_KEYS: Final = ("as", "file", "pack", "rules", "with", "without")
EXPANDED_KEYS: Final = ("include", "parameters")
"""Keys of a flow that are dealt with here and not left for `flowreader`."""


@dataclass(slots=True)
class Expanded:
    """A flow's document with parameters filled in and included rules added."""

    node: Node | None
    """None when it is not worth reading: what it lacks has been reported."""
    digests: list[str] = field(default_factory=list)
    """SHA-256 of every included file, in order."""
    included: dict[str, list[Position]] = field(default_factory=dict)
    """Included file → where that is asked."""
    ids: set[str] = field(default_factory=set)
    """Of the rules that were included so far."""

    def digest(self, text: str) -> str:
        """Return the SHA-256 of a flow's text and all that it includes."""
        own = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return hashlib.sha256("\n".join([own, *self.digests]).encode()).hexdigest() if self.digests else own


def expand(node: Node, file: str, problems: Problems) -> Expanded:
    """Return a document as `flowreader` is to read it, every mistake reported."""
    if not isinstance(node, Mapping) or not any(node.get(key) for key in EXPANDED_KEYS):
        return Expanded(node)
    whole = _with_defaults(node, problems)
    if whole is None:
        return Expanded(None)
    asked = whole.get("include")
    expanded = Expanded(_without(whole, EXPANDED_KEYS))
    if asked is None:
        return expanded
    items = _items(asked, problems)
    rules = [rule for item in items for rule in _included(item, whole, Path(file), expanded, problems)]
    own = whole.get("rules")
    if own is None and not rules:
        return replace(expanded, node=None)
    if isinstance(own, Sequence) or own is None:
        place = own.position if own else asked.position
        listed = own.items if isinstance(own, Sequence) else ()
        expanded.node = with_entry(_without(whole, EXPANDED_KEYS), "rules", Sequence(place, (*listed, *rules)))
    return expanded


def traced(problems: Problems, expanded: Expanded) -> Problems:
    """Return the problems, those in included files with a hint that says where they are included."""
    if not expanded.included:
        return problems
    found = Problems()
    for file, text in problems.sources.items():
        found.keep_source(file, text)
    for each in problems.sorted():
        asked = expanded.included.get(each.position.file)
        note = f"included by {' and '.join(map(str, asked))}" if asked else ""
        found.add(replace(each, hint="; ".join(filter(None, (each.hint, note)))))
    return found


def _without(node: Mapping, keys: Iterable[str]) -> Mapping:
    return replace(node, entries=tuple(entry for entry in node.entries if entry[0].text not in keys))


def _stages_of(node: Mapping) -> tuple[str, ...]:
    """Return the names of a flow's stages, as far as they can be read."""
    stages = node.get("stages")
    items = stages.items if isinstance(stages, Sequence) else ()
    names = [item.get("stage") for item in items if isinstance(item, Mapping)]
    return tuple(name.text for name in names if isinstance(name, Scalar))


def _with_defaults(node: Mapping, problems: Problems) -> Mapping | None:
    """Fill in the parameters that a file declares for itself; None (reported) when one has no default that fits."""
    declared = read_parameters(node.get("parameters"), problems)
    if not declared:
        return node
    values = {}
    for parameter in declared.values():
        if parameter.default is None:
            place = parameter.declared
            message = f"`{parameter.name}` has no default, so the file can only be included"
            problems.error(place.position, codes.PARAMETER_VALUE, message, "add a default", place.width)
            continue
        value = check_value(parameter, parameter.default, _stages_of(node), problems)
        if value is not None:
            values[parameter.name] = value
    whole = filled(_without(node, ["parameters"]), values, declared, problems)
    return whole if isinstance(whole, Mapping) and len(values) == len(declared) else None


def _items(node: Node, problems: Problems) -> tuple[Node, ...]:
    if isinstance(node, Sequence) and node.items:
        return node.items
    wrong_type(problems, node, "include has to be a list of packs or files", "write it like [{pack: http}]")
    return ()


def _included(item: Node, flow: Mapping, file: Path, expanded: Expanded, problems: Problems) -> tuple[Node, ...]:
    """Return the rules that one entry of `include` brings."""
    reader = Reader.of(item, problems, INCLUDE_KEYS, "an include")
    source = None if reader is None else _source(reader, file)
    if reader is None or source is None:
        return ()
    pack = _pack(source, expanded, reader)
    if pack is None:
        return ()
    chosen = _chosen(pack, reader)
    declared = read_parameters(pack.get("parameters"), problems)
    wanted = frozenset[str]().union(*map(used_in, chosen))
    values = _values(declared, wanted, reader, _stages_of(flow))
    if not set(values) >= wanted & set(declared):
        return ()
    prefix = _prefix(reader, pack)
    rules = adopted(chosen, pack, prefix)
    _report_taken(rules, expanded, reader)
    if declared:
        return tuple(filled(rule, values, declared, problems) for rule in rules)
    return rules


def _report_taken(rules: tuple[Mapping, ...], expanded: Expanded, reader: Reader) -> None:
    """Report rules that an earlier entry has included under the same name."""
    for rule in rules:
        name = rule.get("id")
        if isinstance(name, Scalar) and name.text in expanded.ids:
            message, hint = f"rule `{name.text}` is included already", "give the rules another prefix with as: NAME"
            reader.problems.error(reader.mapping.position, codes.NAME_TAKEN, message, hint)
            return
        expanded.ids.update([name.text] if isinstance(name, Scalar) else [])


def _source(reader: Reader, file: Path) -> RuleFile | None:
    """Return the file that is meant; None (reported) when it is not there."""
    nodes = [reader.node(key) for key in ("pack", "file")]
    node = next((node for node in nodes if node is not None), None)
    if node is None and reader.unknown:  # reported already, and one of them may be meant
        return None
    if node is None or None not in nodes:
        message = "an include needs a pack or a file, one of them"
        reader.problems.error(reader.mapping.position, codes.INCLUDE, message, "write it like {pack: http}")
        return None
    name = reader.text("pack") or reader.text("file")
    if name is None:
        return None
    path = pack_file(name) if nodes[0] is not None else file.parent / name
    if path is not None and path.is_file():
        return RuleFile(_shown(path), path)
    if nodes[0] is not None:
        hint = did_you_mean(name, pack_names()) or f"the packs are {', '.join(pack_names())}"
        message = f"there is no pack `{name}`"
    else:
        message, hint = f"there is no file {path}", "paths are relative to the file that includes"
    reader.problems.error(node.position, codes.INCLUDE, message, hint, node.width)
    return None


def _shown(path: Path) -> str:
    """Return a path as people would write it: from here, where it is below."""
    here = Path.cwd()
    whole = Path(os.path.normpath(here / path))
    return str(whole.relative_to(here) if whole.is_relative_to(here) else whole)


def _pack(source: RuleFile, expanded: Expanded, reader: Reader) -> Mapping | None:
    problems, place = reader.problems, reader.mapping.position
    text = read_text(source, problems)
    expanded.included.setdefault(source.name, []).append(place)
    node = None if text is None else compose(text, source.name, problems)
    if text is None or node is None:
        return None
    expanded.digests.append(hashlib.sha256(text.encode()).hexdigest())
    if not isinstance(node, Mapping) or not isinstance(node.get("rules"), Sequence):
        message = f"{source.name} has no rules that could be included"
        problems.error(place, codes.INCLUDE, message)
        return None
    if not check_version(Reader(node, problems, (), "a flow")):
        return None
    nested = node.key("include")
    if nested is not None:
        message, hint = "a file that is included cannot include others", "include them where this one is included"
        problems.error(nested.position, codes.INCLUDE, message, hint, nested.width)
        return None
    return node


def _chosen(pack: Mapping, reader: Reader) -> tuple[Mapping, ...]:
    """Return the rules of a pack that `rules` and `without` leave."""
    listed = pack.get("rules")
    nodes = [node for node in listed.items if isinstance(node, Mapping)] if isinstance(listed, Sequence) else []
    by_id = {name.text: node for node in nodes if isinstance(name := node.get("id"), Scalar)}
    only, but = reader.text_nodes("rules"), reader.text_nodes("without")
    for named in (*only, *but):
        if named.text not in by_id:
            hint = did_you_mean(named.text, by_id) or f"its rules are {', '.join(by_id)}"
            message = f"there is no rule `{named.text}` to be included"
            reader.problems.error(named.position, codes.INCLUDE_RULE, message, hint, named.width)
    wanted = [named.text for named in only] or list(by_id)
    left = [node for name, node in by_id.items() if name in wanted and name not in {named.text for named in but}]
    if not left and all(named.text in by_id for named in (*only, *but)):
        message = "no rule is left to be included"
        reader.problems.error(reader.mapping.position, codes.INCLUDE_RULE, message)
    return tuple(left)


def _values(declared: dict[str, Parameter], wanted: frozenset[str], reader: Reader, stages: tuple[str, ...]) -> Values:
    """Return the value of each parameter that the chosen rules use: what `with` says, else its default."""
    node = reader.node("with")
    given = node if isinstance(node, Mapping) else None
    if node is not None and given is None:
        wrong_type(reader.problems, node, "with has to be a mapping of parameters", "write it like {p95: 200ms}")
    for name, _ in given.entries if given else ():
        if name.text not in declared:
            hint = did_you_mean(name.text, declared) or f"its parameters are {', '.join(declared) or 'none'}"
            message = f"there is no parameter `{name.text}`"
            reader.problems.error(name.position, codes.PARAMETER_USE, message, hint, name.width)
    found = {name: _value(declared[name], given, reader, stages) for name in declared if _needed(name, wanted, given)}
    return {name: value for name, value in found.items() if value is not None}


def _needed(name: str, wanted: frozenset[str], given: Mapping | None) -> bool:
    return name in wanted or (given is not None and given.get(name) is not None)


def _value(parameter: Parameter, given: Mapping | None, reader: Reader, stages: tuple[str, ...]) -> Scalar | None:
    node = None if given is None else given.get(parameter.name)
    if node is not None:
        return check_value(parameter, node, stages, reader.problems)
    default = parameter.default
    if default is not None and (parameter.type != "stage" or default.text in stages):
        return check_value(parameter, default, stages, reader.problems)
    what = f"a {parameter.type}" if parameter.type != "stage" else f"a stage of this flow ({', '.join(stages)})"
    message = f"the rules need `{parameter.name}`, {what}"
    hint = f"add with: {{{parameter.name}: …}}; it is declared in {parameter.declared.position}"
    place = given or reader.mapping
    reader.problems.error(place.position, codes.PARAMETER_VALUE, message, hint)
    return None


def _prefix(reader: Reader, pack: Mapping) -> str:
    """Return what stands before the ids of the included rules."""
    node = reader.node("as")
    if node is not None:
        return read_name(node, reader.problems, "as") or ""
    name = reader.node("pack") or pack.get("flow")
    return name.text if isinstance(name, Scalar) else ""
