"""What the API needs of the service behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

Document: TypeAlias = dict[str, object]
"""A JSON object."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a client says of a run."""

    id: str
    expected_requests: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    flows: tuple[str, ...] = ()
    traces: tuple[str, ...] = ()
    """Trace ids, 32 hex digits each."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which runs a client asks for; what is not said does not matter."""

    flow: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    outcome: str | None = None
    since_unix_nano: int | None = None


class UnknownFlow(Exception):  # noqa: N818 - says what is wrong
    """A run was declared with a flow that nobody loaded."""


class Unavailable(Exception):  # noqa: N818 - says what is wrong
    """The service cannot read or write what it keeps; trying again later may help."""


class Backend(Protocol):
    """The service, as the API sees it.

    All methods may be called from any thread, may block on the disk, and may raise `Unavailable`.
    """

    def declare(self, declaration: Declaration) -> Document:
        """Declare a run and return it; raises `UnknownFlow`."""
        ...

    def end(self, run_id: str) -> Document | None:
        """Say that a run has ended and return it; None when it is unknown."""
        ...

    def run(self, run_id: str) -> Document | None:
        """Return a run with its last verdict at `verdict` (None before the first); None when it is unknown."""
        ...

    def runs(self, limit: int, before: str | None, asked: Asked) -> Document:
        """Return a page of runs, newest first; raises `ValueError` for a cursor that is none of ours."""
        ...

    def flaky(self, asked: Asked, by: Sequence[str]) -> Document:
        """Return the rules whose outcomes flip between runs of one rule file and equal labels (of `by`)."""
        ...

    def settled(self, run_id: str, timeout_s: float) -> bool:
        """Wait until a verdict has taken in all that came for a run; False when the time ran out first."""
        ...

    def ready(self) -> str | None:
        """Return why the service cannot take spans now; None when it can."""
        ...

    def metrics(self) -> str:
        """Return metrics in Prometheus' text format."""
        ...
