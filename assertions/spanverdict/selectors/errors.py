"""What can be wrong with a selector, with the place in its text and a hint how to mend it."""

from __future__ import annotations


class SelectorError(Exception):
    """A selector that cannot be used. `offset` and `length` count characters of its text from 0."""

    def __init__(self, message: str, *, hint: str = "", place: tuple[int, int] = (0, 1)) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.offset, self.length = place


class SelectorSyntaxError(SelectorError):
    """The text is not TraceQL, or is too long or too deep."""


class SelectorTypeError(SelectorError):
    """The text is TraceQL but compares or computes what never goes together, so it could never match."""


class SelectorUnsupported(SelectorError):  # noqa: N818 - named as the outcome it is, not as a fault
    """The text is TraceQL that is not evaluated here, such as the metrics functions."""


class MappingError(SelectorError):
    """A mapping that does not describe a selector; `key` is the path of the entry at fault."""

    def __init__(self, message: str, *, key: tuple[str | int, ...], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.key = key
