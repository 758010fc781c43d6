"""What spans carry as the id of a run and cannot name one: their senders wait for a verdict that never comes."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

MOST_TOLD: Final = 100
"""Distinct ids that are logged; whoever sends ever new ones shall not fill the log, or the memory."""
_LONGEST: Final = 80
_TOLD: Final = (
    "%r cannot name a run: an id has 1 to 128 letters, digits and . _ : / -; "
    "its spans are kept, and belong to no run by it"
)
_NO_MORE: Final = "there are more ids that cannot name a run; no others are told"

_log = logging.getLogger(__name__)


class Misnamed:
    """Counts them, and logs each once. For one thread at a time."""

    def __init__(self) -> None:
        self.times = 0
        """How often requests that were taken in together named such an id."""
        self._told: set[str] = set()

    def met(self, values: Iterable[object]) -> None:
        """Take note of what came as the id of a run and is none."""
        for value in values:
            self.times += 1
            text = _short(value if isinstance(value, str) else repr(value))
            if len(self._told) <= MOST_TOLD and text not in self._told:
                self._told.add(text)
                _log.warning(*((_TOLD, text) if len(self._told) <= MOST_TOLD else (_NO_MORE,)))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
