"""Settings that are not plainly right: what they mean all the same, or what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Final

from pydantic import TypeAdapter, ValidationError

from spanverdict.config.settings import PARTS, Settings
from spanverdict.diagnostics.diagnostic import Position
from spanverdict.diagnostics.yamldoc import Mapping as YamlMapping
from spanverdict.diagnostics.yamldoc import Node, Sequence, did_you_mean


@dataclass(frozen=True, slots=True)
class Places:
    """Where settings come from."""

    named: Mapping[tuple[str, ...], str]
    """How a user calls the flag or variable that says a setting."""
    file: str
    node: Node | None
    """The file, where it is YAML."""


def validated(values: Mapping[str, object], places: Places) -> Settings:
    """Return the settings that `values` say.

    Raises:
        ValueError: they say none; a line for each mistake.
    """
    try:
        return TypeAdapter(Settings).validate_python(values)
    except ValidationError as error:
        raise ValueError("\n".join(_explain(error, places))) from None


_UNKNOWN: Final = "unexpected_keyword_argument"


def _explain(error: ValidationError, places: Places) -> Iterator[str]:
    """Turn what pydantic found into one line each, at the place that the value comes from."""
    for found in error.errors():
        keys = tuple(found["loc"])
        name = ".".join(map(str, keys))
        nearer = next((text for told, text in places.named.items() if keys[: len(told)] == told), None)
        if nearer is not None:
            yield f"{nearer}: {_lowered(found['msg'])}"
            continue
        place = _place(places.node, keys) or places.file
        if found["type"] == _UNKNOWN:
            known = [one.name for one in fields(Settings if len(keys) == 1 else PARTS[str(keys[0])])]
            hint = did_you_mean(str(keys[-1]), known)
            yield f"{place}: there is no setting {name}{f'; {hint}' if hint else ''}"
        else:
            yield f"{place}: {name}: {_lowered(found['msg'])}"


def _lowered(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _place(node: Node | None, keys: tuple[int | str, ...]) -> Position | None:
    """Return where in the file a value, or the nearest thing around it, stands."""
    place = node.position if node is not None else None
    for key in keys:
        if isinstance(node, YamlMapping):
            name = node.key(str(key))
            place = name.position if name is not None else place
            node = node.get(str(key))
        elif isinstance(node, Sequence) and isinstance(key, int) and key < len(node.items):
            node = node.items[key]
            place = node.position
        else:
            break
    return place
