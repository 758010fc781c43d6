"""Names of flows, stages, rules and tags: short, and safe in addresses, reports and command lines."""

from __future__ import annotations

import re
from typing import Final

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.diagnostics.yamldoc import Node, text_of

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
STAGE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
"""Without dots, so that `score.end` is a point in time at a stage."""


def read_name(node: Node, problems: Problems, what: str, pattern: re.Pattern[str] = NAME) -> str | None:
    """Return the name that stands at `node`; None (reported) when it cannot be one."""
    text = text_of(node, problems, what)
    if text is None or pattern.fullmatch(text):
        return text
    dot = "" if pattern is STAGE_NAME else ", ."
    hint = f"use up to 128 of A-Z a-z 0-9 -, _{dot}; a letter or digit first"
    proposal = _proposal(text, pattern)
    message = f"{what} cannot be `{text[:60]}`"
    problems.error(
        node.position, codes.BAD_NAME, message, f"did you mean `{proposal}`?" if proposal else hint, node.width
    )
    return None


def _proposal(text: str, pattern: re.Pattern[str]) -> str:
    dotless = text.replace(".", "-") if pattern is STAGE_NAME else text
    tried = re.sub(r"[^A-Za-z0-9._-]+", "-", dotless).strip("-._")
    return tried if pattern.fullmatch(tried) else ""
