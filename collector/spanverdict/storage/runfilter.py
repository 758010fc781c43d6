"""Which runs of a store are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_FLOW: Final = "EXISTS (SELECT 1 FROM flow_verdicts AS f WHERE f.run_id = runs.id AND f.flow = :flow)"
_OUTCOME: Final = (
    "(SELECT outcome FROM verdicts AS v WHERE v.run_id = runs.id ORDER BY revision DESC LIMIT 1) = :outcome"
)
_LABEL: Final = "(SELECT value FROM json_each(runs.labels) WHERE key = :name{0}) = :value{0}"


@dataclass(frozen=True, slots=True)
class RunFilter:
    """What is not said does not matter."""

    flow: str | None = None
    """Runs that this flow has judged."""
    labels: Mapping[str, str] = field(default_factory=dict)
    outcome: str | None = None
    """Of the latest verdict."""
    since_unix_nano: int | None = None
    """Runs that were first heard of then or later."""

    def where(self) -> tuple[str, dict[str, Any]]:
        """Return the condition in SQL, and its parameters."""
        asked = {
            _FLOW: ("flow", self.flow),
            _OUTCOME: ("outcome", self.outcome),
            "created_unix_nano >= :since": ("since", self.since_unix_nano),
        }
        parts = ["(created_unix_nano, id) < (:created, :id)"]
        given: dict[str, Any] = {}
        for part, (name, value) in asked.items():
            if value is not None:
                parts.append(part)
                given[name] = value
        for number, (name, value) in enumerate(sorted(self.labels.items())):
            parts.append(_LABEL.format(number))
            given |= {f"name{number}": name, f"value{number}": value}
        return " AND ".join(parts), given
