"""SARIF 2.1.0 of what `lint` found: for code scanning, which shows it at the lines of a change.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from spanverdict.diagnostics.codes import CODES
from spanverdict.diagnostics.diagnostic import Diagnostic
from spanverdict.diagnostics.explanations import EXPLANATIONS, explain
from spanverdict.reporting.escaping import shown

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_ROOT: Final = "%SRCROOT%"
_LINE: Final = 1000
"""Characters of a line that are quoted."""


def sarif(found: Sequence[Diagnostic], root: Path) -> dict[str, Any]:
    """Return the document; files below `root` are named from there, as code scanning wants it."""
    codes = sorted({one.code for one in found})
    seen: Counter[str] = Counter()
    driver = {"name": "spanverdict", "version": version("spanverdict"), "rules": [_rule(code) for code in codes]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(one, codes.index(one.code), root, seen) for one in found],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str) -> dict[str, Any]:
    return {
        "id": code,
        "name": _pascal(CODES[code]),
        "shortDescription": {"text": CODES[code]},
        "fullDescription": {"text": EXPLANATIONS[code]},
        "help": {"text": str(explain(code))},
    }


def _pascal(title: str) -> str:
    """Return a title as the one word that names a rule.

    >>> _pascal("share outside 0 % to 100 %")
    'ShareOutside0To100'
    """
    words = "".join(letter if letter.isalnum() else " " for letter in title).split()
    return "".join(word[:1].upper() + word[1:] for word in words)


def _result(one: Diagnostic, index: int, root: Path, seen: Counter[str]) -> dict[str, Any]:
    place = one.position
    region: dict[str, Any] = {"startLine": place.line, "startColumn": place.column}
    region["endColumn"] = place.column + max(1, one.width)
    if one.excerpt.strip():
        region["snippet"] = {"text": shown(one.excerpt, _LINE)}
    location = {"artifactLocation": _artifact(place.file, root), "region": region}
    text = f"{one.message}\nhint: {one.hint}" if one.hint else one.message
    return {
        "ruleId": one.code,
        "ruleIndex": index,
        "level": one.level.value,
        "message": {"text": "\n".join(shown(line, _LINE) for line in text.split("\n"))},
        "locations": [{"physicalLocation": location}],
        "partialFingerprints": {"spanverdict/v1": _fingerprint(one, seen)},
    }


def _artifact(file: str, root: Path) -> dict[str, str]:
    if file.startswith("<"):
        return {"uri": quote(file.strip("<>"))}
    path = Path(root, file).absolute()
    if path.is_relative_to(root):
        return {"uri": quote(path.relative_to(root).as_posix()), "uriBaseId": _ROOT}
    return {"uri": path.as_uri()}


def _fingerprint(one: Diagnostic, seen: Counter[str]) -> str:
    """Name a finding by what it says and of which line, not where that stands: lines move; the same again counts up."""
    said = f"{one.code}\n{one.position.file}\n{one.message}\n{one.excerpt.strip()}"
    seen[said] += 1
    return hashlib.sha256(f"{said}\n{seen[said]}".encode("utf-8", "surrogatepass")).hexdigest()
