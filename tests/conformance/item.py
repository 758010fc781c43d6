"""What an item of the list is, and how its check says what it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from receiver.wires import Answer

if TYPE_CHECKING:
    from conformance.lab import Case

GRPC: Final = "grpc"
HTTP_PROTOBUF: Final = "http-protobuf"
HTTP_JSON: Final = "http-json"
ALL: Final = (GRPC, HTTP_PROTOBUF, HTTP_JSON)
BINARY: Final = (GRPC, HTTP_PROTOBUF)
HTTP: Final = (HTTP_PROTOBUF, HTTP_JSON)
JSON: Final = (HTTP_JSON,)
OWN: Final = "ours"
"""The number of what is on no list but ours; other receivers are not asked for it."""


class Level(StrEnum):
    """How much is asked for, in the letters of the table."""

    MUST = "M"
    SHOULD = "S"
    MAY = "O"
    OURS = "-"
    """Not of the specification: what this receiver promises besides."""


class Fails(Exception):  # noqa: N818 - what a check finds is no error of the program
    """The receiver does something else; the message says what."""


class NotApplicable(Exception):  # noqa: N818 - likewise
    """The receiver cannot be asked this, or does not offer what is optional; the message says why."""


@dataclass(frozen=True, slots=True)
class Item:
    """One requirement. The first line of the check's docstring is its wording."""

    number: str
    """The place in the project's list of requirements; a number can stand for several."""
    level: Level
    wires: tuple[str, ...]
    """The forms of OTLP that it is asked of."""
    check: Callable[[Case], None]
    """Returns where the receiver does what it should; raises `Fails` or `NotApplicable` otherwise."""

    @property
    def says(self) -> str:
        """The requirement as a sentence without its full stop."""
        return (self.check.__doc__ or "").partition("\n")[0].rstrip(".")

    @property
    def key(self) -> str:
        """A name for tests."""
        return f"{self.number}-{self.check.__name__}"


def require(holds: object, otherwise: str) -> None:
    """Fail with a reason unless something holds."""
    if not holds:
        raise Fails(otherwise)


def require_success(answer: Answer, what: str = "the request") -> None:
    """Fail unless a request was taken whole, and the answer is an Export response."""
    require(answer.ok, f"{what} was answered with {answer.code}")
    require(not answer.fault, f"{what} was answered with {answer.fault}")
    require(not answer.rejected, f"{answer.rejected} spans of {what} were rejected")


def require_code(answer: Answer, code: str | int, what: str = "the request") -> None:
    """Fail unless a request got this gRPC code or HTTP status."""
    require(answer.code == code, f"{what} was answered with {answer.code}, not {code}")
