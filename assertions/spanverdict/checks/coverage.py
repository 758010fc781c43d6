"""`coverage`: is everything there that a request should have?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

from spanverdict.checks.check import Measurement, Unit
from spanverdict.diagnostics import codes
from spanverdict.diagnostics.yamldoc import Scalar, Sequence

if TYPE_CHECKING:
    from spanverdict.checks.reading import ReadContext
    from spanverdict.checks.runview import RunView
    from spanverdict.diagnostics.yamldoc import Node, Reader
    from spanverdict.selectors import Field

_KEYS: Final = ("stages", "attributes", "services", "no_orphans")


@dataclass(frozen=True, slots=True)
class Coverage:
    """True for a request that has all that is asked; requests that never arrived are false."""

    stages: tuple[str, ...]
    attributes: tuple[Field, ...]
    """On every span of the stages, of all stages when none are listed."""
    services: tuple[str, ...]
    no_orphans: bool

    key: ClassVar[str] = "coverage"
    statistics: ClassVar[None] = None

    @property
    def unit(self) -> Unit:
        """True or false."""
        return Unit.TRUTH

    @classmethod
    def read(cls, node: Node, context: ReadContext) -> Self | None:
        """Read `{stages: all | […], attributes: […], services: […], no_orphans: true}`."""
        reader = context.reader(node, _KEYS, "a coverage")
        if reader is None:
            return None
        asked = [key for key in _KEYS if reader.node(key) is not None]
        if not asked:
            message = "a coverage has to ask for something"
            context.problems.error(node.position, codes.EMPTY, message, "write {stages: all}")
            return None
        stages_node = reader.node("stages")
        stages = () if stages_node is None else context.stage_list(stages_node)
        attributes = _fields(reader, context)
        services = reader.texts("services")
        no_orphans = reader.boolean("no_orphans", default=False)
        if stages is None or attributes is None:
            return None
        return cls(stages, attributes, services, bool(no_orphans))

    def measure(self, view: RunView) -> Measurement:
        """Give one truth a request."""
        from spanverdict.checks import presence  # noqa: PLC0415 - numpy is not needed to read rules

        return presence.measure(self, view)


def _fields(reader: Reader, context: ReadContext) -> tuple[Field, ...] | None:
    node = reader.node("attributes")
    if node is None:
        return ()
    items = node.items if isinstance(node, Sequence) else (node,)
    if not items or (isinstance(node, Scalar) and not node.text):
        context.problems.error(node.position, codes.EMPTY, "a list of attributes cannot be empty")
        return None
    fields = [context.field(item) for item in items]
    return None if None in fields else tuple(field for field in fields if field is not None)
