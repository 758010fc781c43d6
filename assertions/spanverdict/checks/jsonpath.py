r"""Places in JSON documents: the part of JSONPath (RFC 9535) that names exactly one value.

That is `$`, followed by names (`.label`, `['a b']`) and indexes (`[0]`, `[-1]`). What could yield
several values or none by design (`*`, `..`, slices, filters, unions) is refused: a rule compares one value.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

if TYPE_CHECKING:
    from spanverdict.telemetry.pool import Value

MAX_PATH: Final = 1000
"""Characters of a path."""
MAX_DEPTH: Final = 100
"""How deep values may nest."""
_LARGEST_INDEX: Final = 2**53 - 1

Step: TypeAlias = str | int


class JsonPathError(Exception):
    """The text is no path; `offset` says where in it, `hint` how to mend it."""

    def __init__(self, message: str, hint: str, offset: int, length: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.offset = offset
        self.length = length


class NotJsonError(Exception):
    """The text is not JSON, in words that follow `hold what is not JSON: `; `offset` is where, -1 for all of it."""

    def __init__(self, message: str, offset: int = -1) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset

    def __str__(self) -> str:
        return self.message if self.offset < 0 else f"{self.message} at character {self.offset + 1}"


class NotThereError(Exception):
    """The document has no value at the place."""


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A place in a JSON document; its text is as written."""

    text: str
    steps: tuple[Step, ...]
    """Names of members and indexes of elements, from the outside in."""

    def __str__(self) -> str:
        return self.text

    def find(self, document: str) -> Value:
        """Return the value at this place; arrays become tuples.

        >>> parse_path("$.choices[-1].label").find('{"choices": [{"label": "no"}, {"label": "yes"}]}')
        'yes'

        Raises:
            NotJsonError: the document is not JSON (RFC 8259), or names a member twice.
            NotThereError: it has nothing at this place.
        """
        found = read_json(document)
        for step in self.steps:
            found = _one_step(found, step)
        return frozen(found)


def _one_step(value: object, step: Step) -> object:
    if isinstance(value, dict) and step in value and isinstance(step, str):
        return value[step]
    if isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value):
        return value[step]
    raise NotThereError


def read_json(text: str) -> object:
    """Read strict JSON: neither NaN nor numbers beyond all floats, and no member named twice.

    Raises:
        NotJsonError: it is something else.
    """
    try:
        return json.loads(
            text, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_distinct, strict=True
        )
    except json.JSONDecodeError as error:
        raise NotJsonError(f"{error.msg[:1].lower()}{error.msg[1:]}", error.pos) from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:  # a number of thousands of digits
        raise NotJsonError(str(error).partition(":")[0]) from None


def _no_constant(name: str) -> NoReturn:
    raise NotJsonError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise NotJsonError("a number in it is larger than any")
    return number


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NotJsonError("it names a member twice")
    return found


def _too_deep() -> NotJsonError:
    return NotJsonError("it is nested too deep")


def frozen(value: object, depth: int = 0) -> Value:
    """Return what was read from JSON as a value of an attribute: arrays as tuples.

    Raises:
        NotJsonError: it is nested deeper than `MAX_DEPTH`.
    """
    if depth > MAX_DEPTH:
        raise _too_deep()
    if isinstance(value, list):
        return tuple(frozen(item, depth + 1) for item in value)
    if isinstance(value, dict):
        return {name: frozen(item, depth + 1) for name, item in value.items()}
    assert value is None or isinstance(value, str | bool | int | float)
    return value


_BLANK: Final = r"[ \t\n\r]*"
# A letter, `_` or anything beyond ASCII; digits after that. Said by what is left out, as Python takes
# milliseconds to compile a set that reaches to the last character.
_NAME: Final = re.compile(r"\.([^\x00-@\[-^`{-\x7f][^\x00-/:-@\[-^`{-\x7f]*)")
_INDEX: Final = re.compile(rf"\[{_BLANK}(0|-?[1-9]\d{{0,15}}){_BLANK}\]", re.ASCII)
_QUOTED: Final = re.compile(
    rf"""\[{_BLANK}(?:'((?:[^'\\\x00-\x1f]|\\.)*)'|"((?:[^"\\\x00-\x1f]|\\.)*)"){_BLANK}\]""", re.DOTALL
)
_SKIP: Final = re.compile(_BLANK)
_ESCAPE: Final = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ESCAPED: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "/": "/", "\\": "\\"}


def parse_path(text: str) -> JsonPath:
    """Read a path.

    >>> parse_path("$.items[0]['unit price']").steps
    ('items', 0, 'unit price')

    Raises:
        JsonPathError: it is none, or one that may stand for several values.
    """
    if not text.startswith("$"):
        raise JsonPathError("a JSON path begins with $", f"write `$.{text.lstrip('.')}`" if text else "", 0, len(text))
    if len(text) > MAX_PATH:
        raise JsonPathError(f"a JSON path has at most {MAX_PATH} characters", "", 0, len(text))
    steps, at = [], 1
    while at < len(text):
        step, at = _step(text, _after_blank(text, at))
        steps.append(step)
    return JsonPath(text, tuple(steps))


def _after_blank(text: str, at: int) -> int:
    blank = _SKIP.match(text, at)
    end = blank.end() if blank else at
    if end == len(text):
        raise JsonPathError("the path ends in blanks", "remove them", at, end - at)
    return end


def _step(text: str, at: int) -> tuple[Step, int]:
    """Read one step at a place; return it and where it ends."""
    if name := _NAME.match(text, at):
        return name[1], name.end()
    if index := _INDEX.match(text, at):
        number = int(index[1])
        if abs(number) > _LARGEST_INDEX:
            raise JsonPathError(f"no array has an element {number}", "", at, index.end() - at)
        return number, index.end()
    if quoted := _QUOTED.match(text, at):
        quote, name_text = ("'", quoted[1]) if quoted[1] is not None else ('"', quoted[2])
        return _unescaped(name_text, quote, at), quoted.end()
    raise _refused(text, at)


def _unescaped(text: str, quote: str, at: int) -> str:
    def one(match: re.Match[str]) -> str:
        found = match[1]
        if found[0] == "u" and len(found) > 1:
            return chr(int(found[1:], 16))
        if found not in _ESCAPED and found != quote:
            raise JsonPathError(f"`\\{found}` is no escape in a JSON path", "", at)
        return quote if found == quote else _ESCAPED[found]

    joined = _ESCAPE.sub(one, text)
    return joined.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


_SHOWN: Final = 20
"""Characters of what cannot be read that are shown."""
_EXAMPLE: Final = "write names and indexes: $.label, $.items[0].score, $['a name']"
_SEVERAL: Final = (
    ("..", "`..` finds members at any depth", 2),
    (".*", "`*` stands for all members", 2),
    ("[*", "`*` stands for all elements", 2),
    ("[?", "`?` filters elements", 2),
)


def _refused(text: str, at: int) -> JsonPathError:
    rest = text[at:]
    for sign, meaning, length in _SEVERAL:
        if rest.startswith(sign):
            return JsonPathError(f"{meaning}, and a rule compares one value", _EXAMPLE, at, length)
    if rest.startswith("[") and "]" in rest:
        inside = rest[1 : rest.index("]")]
        if ":" in inside or "," in inside:
            what = "a slice" if ":" in inside else "a list"
            message = f"{what} stands for several elements, and a rule compares one value"
            return JsonPathError(message, _EXAMPLE, at, len(inside) + 2)
        hint = "write an index like [0] or [-1], or a name in quotes: ['name']"
        return JsonPathError(f"`[{inside}]` is neither an index nor a quoted name", hint, at, len(inside) + 2)
    shown = rest if len(rest) <= _SHOWN else f"{rest[:_SHOWN]}…"
    return JsonPathError(f"a name or an index is expected, not `{shown}`", _EXAMPLE, at, min(len(rest), _SHOWN))
