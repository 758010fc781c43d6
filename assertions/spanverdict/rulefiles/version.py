"""Which version of the rule language a file is written in."""

from __future__ import annotations

from typing import Final

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.yamldoc import Reader, Scalar

VERSION: Final = 1
"""Of the rule language."""


def check_version(reader: Reader) -> bool:
    """Tell whether the file is written in this version; in another one nothing else can be judged."""
    node = reader.node("version")
    hint = f"write version: {VERSION}"
    if node is None:
        reader.problems.error(reader.mapping.position, codes.VERSION, "the file does not say its version", hint)
        return True
    known = isinstance(node, Scalar) and node.value == VERSION and type(node.value) is int
    if not known:
        message = "the version of the rule language is not known here"
        reader.problems.error(node.position, codes.VERSION, message, hint, node.width)
    return known
