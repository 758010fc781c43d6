"""Values that plainly are what a setting wants, taken as they are.

Nearly all settings are right, and what is right needs no library to be read: pydantic takes 8 MB and a
sixth of a start. So it is asked only about what does not fit here (`validation`): to say what is wrong with it, or
to read a rarer spelling. What fits means the same to both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

_T = TypeVar("_T")
_TRUTHS: Final = {"true": True, "false": False}


class Unfit(Exception):  # noqa: N818 - it is no error until pydantic says so
    """A value is wrong, or written in a way that is not read here."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Stands in an annotation: `check` raises `ValueError` for a value that makes no sense there."""

    check: Callable[[Any], None]

    def __get_pydantic_core_schema__(self, source: object, handler: Callable[[object], Any]) -> Any:
        """Let pydantic check it, too."""
        from pydantic_core.core_schema import no_info_after_validator_function  # noqa: PLC0415 - only with pydantic

        return no_info_after_validator_function(self._checked, handler(source))

    def _checked(self, value: _T) -> _T:
        self.check(value)
        return value


def fitting(kind: type[_T], values: Mapping[str, object]) -> _T:
    """Return `values` as a dataclass of settings; raises `Unfit`.

    >>> @dataclass(frozen=True)
    ... class Door:
    ...     height: int | None = None
    ...     name: str = "front"
    >>> fitting(Door, {"name": "back"})
    Door(height=None, name='back')
    """
    kinds = get_type_hints(kind, include_extras=True)
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    if values.keys() - known.keys() or any(_is_needed(known[name]) for name in known.keys() - values.keys()):
        raise Unfit
    given = {name: _fit(kinds[name], value) for name, value in values.items()}
    try:
        return kind(**given)
    except ValueError:
        raise Unfit from None


def _is_needed(one: Field[Any]) -> bool:
    return one.default is MISSING and one.default_factory is MISSING


def _fit(kind: Any, value: object) -> object:
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return None if value is None else _fit(next(one for one in get_args(kind) if one is not NoneType), value)
    if origin is Annotated:
        return _checked(kind, value)
    if origin is Literal:
        return _right(value, value in get_args(kind))
    if origin is tuple:
        return tuple(_fit(get_args(kind)[0], item) for item in _right(value, isinstance(value, list | tuple)))
    if origin is dict:
        return {name: _fit(str, text) for name, text in _right(value, isinstance(value, dict)).items()}
    if is_dataclass(kind) and isinstance(kind, type):
        return fitting(kind, _right(value, isinstance(value, dict)))
    if kind is Path:
        return Path(_right(value, isinstance(value, str | Path)))
    if kind is bool and isinstance(value, str):
        return _right(_TRUTHS.get(value), value in _TRUTHS)
    return _right(value, type(value) is kind)


def _checked(kind: Any, value: object) -> object:
    inner, *checks = get_args(kind)
    fit = _fit(inner, value)
    try:
        for one in checks:
            one.check(fit)
    except ValueError:
        raise Unfit from None
    return fit


def _right(value: Any, right: bool) -> Any:
    if not right:
        raise Unfit
    return value
