"""Card numbers in texts: which digits of a run of digits are one, however they are grouped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

BETWEEN: Final = r"(?:[ +-]|%20|\xc2\xa0)"
"""What may stand between groups of digits; the last is a space that does not break, in UTF-8."""
RUN: Final = r"[0-9](?:(?:[ +-]|%20|\x{a0})?[0-9]){12,}"
"""A run of digits that may hold a card number."""

_GROUP: Final = re.compile(rb"(?:^|(?<=[ +-])|(?<=%20)|(?<=\xa0))[0-9]+?(?=[ +-]|%20|\xc2|$)")
_DIGITS: Final = range(13, 20)
_GROUPINGS: Final = ((4, 4, 4, 4, 3), (4, 4, 4, 4), (4, 6, 5), (4, 6, 4))
"""How long the groups of a number are; longer numbers first."""


def is_card_number(digits: str | bytes) -> bool:
    """Tell whether the check digit is right, by the algorithm of Luhn (ISO/IEC 7812-1).

    >>> is_card_number("4111 1111 1111 1111"), is_card_number("4111 1111 1111 1112")
    (True, False)
    """
    text = digits.decode(errors="replace") if isinstance(digits, bytes) else digits
    numbers = [int(digit) for digit in text.replace("%20", " ") if digit.isascii() and digit.isdigit()]
    doubled = [sum(divmod(2 * number, 10)) for number in numbers[-2::-2]]
    return len(numbers) in _DIGITS and (sum(doubled) + sum(numbers[-1::-2])) % 10 == 0


def card_numbers(text: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where card numbers stand in a run of digits, also beside a check value or a date.

    >>> run = b"4111 1111 1111 1111 123"
    >>> [run[start:end] for start, end in card_numbers(run, 0, len(run))]
    [b'4111 1111 1111 1111']
    """
    if text[max(0, start - 1) : start] == b".":
        return  # the decimals of a number
    run = text[start:end]
    if is_card_number(run):
        yield start, end
        return
    groups = [match.span() for match in _GROUP.finditer(run)]
    at = 0
    while at < len(groups):
        size = next((size for size in _sizes(groups[at:]) if is_card_number(_part(run, groups[at : at + size]))), 0)
        if size:
            yield start + groups[at][0], start + groups[at + size - 1][1]
        at += max(1, size)


def _sizes(groups: list[tuple[int, int]]) -> Iterator[int]:
    """Yield how many of the groups, from the first on, may be one number."""
    lengths = tuple(end - start for start, end in groups[:5])
    yield from (len(grouping) for grouping in _GROUPINGS if lengths[: len(grouping)] == grouping)
    yield from (size for size in (2, 1) if len(lengths) >= size and sum(lengths[:size]) in _DIGITS)


def _part(run: bytes, groups: list[tuple[int, int]]) -> bytes:
    return run[groups[0][0] : groups[-1][1]]
