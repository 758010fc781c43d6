"""A mistake in a short text of a rule file, before it is known where in the file the text stands."""

from __future__ import annotations

from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.diagnostics.yamldoc import Node, Scalar


class Mistake(Exception):  # noqa: N818 - the word for what a user made, not for what went wrong in here
    """What is wrong, at which character of the text, and how to mend it."""

    def __init__(self, code: str, message: str, hint: str = "", offset: int = 0, length: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.offset = offset
        self.length = length
        """How many characters; 0 for the whole text."""
        self.part: Node | None = None
        """The part of the reported node that it is about, such as one item of a list."""

    def report(self, node: Node, problems: Problems) -> None:
        """Report it at its place inside `node`, whose text it is about."""
        node = self.part or node
        if self.length and isinstance(node, Scalar):
            problems.error(node.at(self.offset), self.code, self.message, self.hint, self.length)
        else:
            problems.error(node.position, self.code, self.message, self.hint, node.width)
