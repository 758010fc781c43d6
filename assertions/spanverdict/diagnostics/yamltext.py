"""What is refused before and after YAML is parsed, and the parser's complaints in our words; see `yamldoc`."""

from __future__ import annotations

import re
from typing import Final

import yaml

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import LINE_BREAK, Diagnostic, Position, Problems
from spanverdict.diagnostics.yamlnodes import Mapping, Node, Scalar, Sequence

MAX_BYTES: Final = 1 << 20

_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_TABBED: Final = re.compile(r" *\t[ \t]*[^\s#]")

_ADVICE: Final = (
    (
        "mapping values are not allowed",
        "a colon followed by a space stands where no key can stand",
        "put the value in quotes, or mend the indentation",
    ),
    ("cannot start any token", "a value cannot begin with this character", "put the value in quotes"),
    (
        "could not find expected ':'",
        "a key without a colon",
        "write `key: value`, and put a text of several lines in quotes",
    ),
    ("did not find expected key", "neither a key nor the end of the mapping", "mend the indentation or the quotes"),
    (
        "did not find expected ',' or '}'",
        "a mapping in braces is not closed",
        "add a comma or }, or put a value that holds a comma in quotes",
    ),
    ("did not find expected ',' or ']'", "a list in brackets is not closed", "add a comma or ]"),
    ("did not find expected '-' indicator", "a line in a list does not begin with a dash", "mend the indentation"),
    ("did not find expected node content", "a value is missing, or a bracket is not closed", ""),
    ("unexpected end of stream", "a quoted text is not closed", "add the closing quote"),
    ("unexpected document indicator", "a quoted text is not closed", "add the closing quote"),
    (
        "unknown escape character",
        "an unknown escape in double quotes",
        "use single quotes, or write \\\\ for a backslash",
    ),
    ("undefined alias", "an alias names nothing", ""),
    ("block sequence entries are not allowed", "a list item stands where none can stand", "mend the indentation"),
)


class Refused(Exception):  # noqa: N818 - a parcel for one diagnostic, caught in `compose`, not an error of ours
    """The text cannot be read on from here."""

    def __init__(self, position: Position, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(position, code, message, hint)


def position_of(text: str, index: int, file: str) -> Position:
    r"""Return the place of character `index` of `text`.

    >>> str(position_of("ab\ncd", 4, "x"))
    'x:2:2'
    """
    breaks = list(LINE_BREAK.finditer(text, 0, index))
    return Position(file, len(breaks) + 1, index - (breaks[-1].end() if breaks else 0) + 1)


def screen(text: str, file: str) -> None:
    """Refuse what must not reach the parser: too much, nothing, or characters that YAML forbids."""
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise Refused(Position(file, 1, 1), codes.FILE_TOO_LARGE, f"the file is larger than {MAX_BYTES >> 20} MiB")
    bad = _FORBIDDEN.search(text)
    if bad:
        raise Refused(
            position_of(text, bad.start(), file),
            codes.FORBIDDEN_CHARACTER,
            f"the character U+{ord(bad.group()):04X} is not allowed in a rule file",
            "remove it, or write it as an escape in double quotes",
        )


def refuse_tabs(text: str, file: str, node: Node, problems: Problems) -> None:
    """Report lines that are indented with tabs, save those inside a text of several lines."""
    if "\t" not in text:
        return
    inside = _continuation_lines(node)
    for number, line in enumerate(LINE_BREAK.split(text), 1):
        tabbed = _TABBED.match(line)
        if tabbed and number not in inside:
            problems.add(_tab_indent(Position(file, number, line.index("\t") + 1)))


def _tab_indent(place: Position) -> Diagnostic:
    return Diagnostic(place, codes.TAB_INDENT, "a tab cannot indent YAML", "indent with spaces")


def _continuation_lines(node: Node) -> set[int]:
    found: set[int] = set()
    waiting, seen = [node], {id(node)}
    while waiting:
        at = waiting.pop()
        if isinstance(at, Scalar):
            found.update(range(at.position.line + 1, at.position.line + len(LINE_BREAK.findall(at.raw)) + 1))
        for child in _children(at):
            if id(child) not in seen:
                seen.add(id(child))
                waiting.append(child)
    return found


def _children(node: Node) -> list[Node]:
    if isinstance(node, Mapping):
        return [part for entry in node.entries for part in entry]
    return list(node.items) if isinstance(node, Sequence) else []


def translate(error: yaml.YAMLError, text: str, file: str) -> Diagnostic:
    """Return the parser's complaint as a diagnostic whose place is within the text."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    index = min(mark.index, len(text.rstrip())) if mark else 0
    place = position_of(text, index, file)
    if text[index : index + 1] == "\t":
        return _tab_indent(place)
    complaint = str(getattr(error, "problem", None) or "the text is not YAML")
    if "block scalar" in str(getattr(error, "context", "")):
        message = "a value that begins with > or | is a text of several lines to YAML"
        return Diagnostic(place, codes.YAML_SYNTAX, message, 'put a comparison in quotes, like ">= 100"')
    for part, message, hint in _ADVICE:
        if part in complaint:
            return Diagnostic(place, codes.YAML_SYNTAX, message, hint)
    return Diagnostic(place, codes.YAML_SYNTAX, f"not valid YAML: {complaint}")
