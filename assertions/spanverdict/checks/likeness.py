"""How alike two texts are: one less the share of characters that have to be edited."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

MOST_COMPARED: Final = 10_000
"""Characters of a text that is compared; of longer ones only equal ones are alike."""


def similarity(one: str, other: str) -> Fraction | None:
    """Return how alike two texts are, 0..1; None for different ones that are too long to compare.

    >>> str(similarity("kitten", "sitting")), similarity("", "")
    ('4/7', Fraction(1, 1))
    """
    longest = max(len(one), len(other))
    if one == other:
        return Fraction(1)
    if longest > MOST_COMPARED:
        return None
    return 1 - Fraction(edit_distance(one, other, longest), longest)


def are_similar(one: str, other: str, needed: Fraction) -> bool:
    """Tell whether two texts are at least so alike; edits beyond what is allowed are not counted.

    >>> are_similar("approved", "approve", Fraction(7, 8)), are_similar("approved", "declined", Fraction(1, 2))
    (True, False)
    """
    if one == other:
        return True
    longest = max(len(one), len(other))
    most = int((1 - needed) * longest)
    return longest <= MOST_COMPARED and edit_distance(one, other, most) <= most


def edit_distance(one: str, other: str, most: int) -> int:
    """Return the least insertions, deletions and replacements that turn one text into the other.

    More than `most` come out as `most + 1`. Columns of the table of distances are kept as two
    numbers of one bit a row (Myers 1999, in the form of Hyyrö 2003), so a step costs a few operations
    on whole numbers and not one for each character.
    """
    shorter, longer = sorted(_different(one, other), key=len)
    if len(longer) - len(shorter) > most:
        return most + 1
    if not shorter:
        return len(longer)
    rows = len(longer)
    where = _places(longer)
    every, last = (1 << rows) - 1, 1 << (rows - 1)
    up, down, distance = every, 0, rows
    for done, character in enumerate(shorter, 1):
        equal = where.get(character, 0)
        level = (((equal & up) + up) ^ up) | equal
        above, below = down | (every & ~(level | up)), up & level
        distance += bool(above & last) - bool(below & last)
        if distance - (len(shorter) - done) > most:
            return most + 1
        above, below = (above << 1 | 1) & every, below << 1 & every
        kept = equal | down
        up, down = below | (every & ~(kept | above)), above & kept
    return distance


def _different(one: str, other: str) -> tuple[str, str]:
    """Return the texts without what they begin and end with alike."""
    least = min(len(one), len(other))
    first = next((at for at in range(least) if one[at] != other[at]), least)
    last = next((at for at in range(least - first) if one[-1 - at] != other[-1 - at]), least - first)
    return one[first : len(one) - last], other[first : len(other) - last]


def _places(text: str) -> dict[str, int]:
    """Return for each character the bits of where it stands."""
    found: dict[str, list[int]] = {}
    for at, character in enumerate(text):
        found.setdefault(character, []).append(at)
    width = len(text) // 8 + 1
    return {character: _bits(places, width) for character, places in found.items()}


def _bits(places: list[int], width: int) -> int:
    octets = bytearray(width)
    for at in places:
        octets[at >> 3] |= 1 << (at & 7)
    return int.from_bytes(octets, "little")
