"""What should have a value and has none, each with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spanverdict.telemetry.spantable import Bools, Int64s, Rows


@dataclass(frozen=True, slots=True)
class Reason:
    """Why there is no value, in words that follow `5 requests`: `have no stage notify`."""

    text: str
    impossible: bool = False
    """There is something, and it cannot be right: that is never a pass."""
    doubtful: bool = False
    """There was something, and nobody knows what: where there is nothing else, that is not no data."""


@dataclass(frozen=True, slots=True, eq=False)
class Missing:
    """Subjects without a value; all arrays have one entry for each."""

    request: Rows
    """The request of each, -1 for one that never arrived."""
    row: Rows
    """The member that should show a value, -1 for none."""
    reason: Int64s
    """Position in `reasons`."""
    reasons: tuple[Reason, ...]

    def __len__(self) -> int:
        return len(self.request)

    @staticmethod
    def none() -> Missing:
        """Return nothing missing."""
        empty = np.zeros(0, np.intp)
        return Missing(empty, empty, empty.astype(np.int64), ())

    @staticmethod
    def of_requests(request: Rows, text: str) -> Missing:
        """Return requests that lack the same."""
        return Missing(request, np.full(len(request), -1, np.intp), np.zeros(len(request), np.int64), (Reason(text),))

    @staticmethod
    def of_members(request: Rows, row: Rows, reason: Reason) -> Missing:
        """Return spans that lack the same."""
        return Missing(request, row, np.zeros(len(request), np.int64), (reason,))

    def also(self, other: Missing) -> Missing:
        """Return both."""
        return Missing(
            np.concatenate([self.request, other.request]),
            np.concatenate([self.row, other.row]),
            np.concatenate([self.reason, len(self.reasons) + other.reason]),
            (*self.reasons, *other.reasons),
        )

    def part(self, chosen: Bools) -> Missing:
        """Return the marked ones."""
        return Missing(self.request[chosen], self.row[chosen], self.reason[chosen], self.reasons)

    def note(self) -> str:
        """Say why, in words that follow a count: `have no stage notify`; with several reasons, how many each.

        >>> two = Missing.of_requests(np.array([1, 4]), "have no stage notify")
        >>> two.note(), two.also(Missing.of_requests(np.array([-1]), "never arrived")).note()
        ('have no stage notify', 'have no value: 2 have no stage notify, 1 never arrived')
        """
        counted = list(self.counted())
        if len(counted) == 1:
            return counted[0][1].text
        return f"have no value: {', '.join(f'{count} {reason.text}' for count, reason in counted)}" if counted else ""

    def impossible(self) -> str:
        """Say what cannot be right; empty when there is nothing of that kind."""
        return ", ".join(f"{count} {reason.text}" for count, reason in self.counted() if reason.impossible)

    @property
    def is_doubtful(self) -> bool:
        """Tell whether there was something of which nobody knows what."""
        return any(reason.doubtful for _, reason in self.counted())

    def counted(self) -> Iterator[tuple[int, Reason]]:
        """Yield how many have each reason, in the order of the reasons; the same text is counted together."""
        counts = np.bincount(self.reason, minlength=len(self.reasons)).tolist()
        together: dict[Reason, int] = {}
        for reason, count in zip(self.reasons, counts, strict=True):
            together[reason] = together.get(reason, 0) + count
        yield from ((count, reason) for reason, count in together.items() if count)
