"""Walks the tokens of a selector; guards how deep it nests and words what is not expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeVar

from spanverdict.selectors.errors import SelectorSyntaxError, SelectorUnsupported
from spanverdict.selectors.lexer import Token, tokens
from spanverdict.selectors.tree import Place

MAX_DEPTH: Final = 32
"""How deep parentheses, signs and powers may nest, and how deep the tree may be."""

RIGHTWARDS: Final = "^"
"""The operator that groups to the right."""

_T = TypeVar("_T")

_JOINTS: Final = MappingProxyType(
    {
        "and": "write `&&` for and",
        "or": "write `||` for or",
        "not": "write `!` for not",
        "|": "write `||` for or",
        ",": "write `&&` for and",
        "in": "write `a = 1 || a = 2`, or match a regular expression with `=~`",
        "like": "a regular expression is matched with `=~`",
        "~": "a regular expression is matched with `=~`",
        "!<": "`!<` stands between spansets; here write `>=`",
        "!>": "`!>` stands between spansets; here write `<=`",
    }
)


class Cursor:
    """A place among the tokens of one text."""

    def __init__(self, text: str) -> None:
        self._tokens = tokens(text)
        self._at = 0
        self.now = self._tokens[0]
        """The token to be read next."""
        self.depth = 0
        """How many parentheses, signs and powers are open."""

    def next(self) -> Token:
        """Look at the token after the one to be read next."""
        return self._tokens[min(self._at + 1, len(self._tokens) - 1)]

    def advance(self) -> Token:
        """Read a token. The end must not be read."""
        token = self.now
        self._at += 1
        self.now = self._tokens[self._at]
        return token

    def accept(self, kind: str) -> bool:
        """Read a token of this kind if it is next."""
        if self.now.kind != kind:
            return False
        self.advance()
        return True

    def expect(self, kind: str, message: str) -> Token:
        """Read a token of this kind, or fail with `message`."""
        if self.now.kind != kind:
            raise self.unexpected(message)
        return self.advance()

    def end(self) -> None:
        """Fail unless everything is read."""
        if self.now.kind != "end":
            raise self.unexpected(f"`{self.now.text}` follows a complete selector")

    def since(self, start: int) -> Place:
        """Return the place from `start` to the end of the last token read."""
        last = self._tokens[self._at - 1]
        return (start, last.start + len(last.text) - start)

    def nested(self, read: Callable[[], _T]) -> _T:
        """Read something one level deeper."""
        if self.depth == MAX_DEPTH:
            raise too_deep(self.now.start)
        self.depth += 1
        found = read()
        self.depth -= 1
        return found

    def parenthesised(self, read: Callable[[], _T]) -> _T:
        """Read `(`, something and `)`."""
        start = self.advance().start
        found = self.nested(read)
        self.expect(")", f"the parenthesis opened at character {start + 1} is not closed")
        return found

    def climb(
        self,
        loosest: int,
        levels: Mapping[str, int],
        operand: Callable[[], _T],
        join: Callable[[Token, _T, _T], _T],
    ) -> _T:
        """Read operands and the operators between them that bind at least as tight as `loosest`."""
        left = operand()
        while (level := levels.get(self.now.kind, 0)) >= loosest:
            op = self.advance()
            if op.kind == RIGHTWARDS:
                right = self.nested(lambda: self.climb(level - 1, levels, operand, join))
            else:
                right = self.climb(level + 1, levels, operand, join)
            left = join(op, left, right)
        return left

    def unexpected(self, message: str, hint: str = "") -> SelectorSyntaxError:
        """Return an error at the next token."""
        token = self.now
        hint = hint or _JOINTS.get(token.text.lower(), "")
        return SelectorSyntaxError(message, hint=hint, place=(token.start, max(1, len(token.text))))

    def unsupported(self, message: str) -> SelectorUnsupported:
        """Return an error at the next token."""
        return SelectorUnsupported(message, place=(self.now.start, len(self.now.text)))


def too_deep(offset: int) -> SelectorSyntaxError:
    """Return the error for what nests too deep."""
    return SelectorSyntaxError(f"a selector nests at most {MAX_DEPTH} deep", place=(offset, 1))


def spread(left: Place, right: Place) -> Place:
    """Return the place from the start of one part to the end of another."""
    return (left[0], right[0] + right[1] - left[0])
