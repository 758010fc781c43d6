"""The report formats of `lint`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from spanverdict.diagnostics.codes import CODES
from spanverdict.diagnostics.diagnostic import Diagnostic, Level
from spanverdict.diagnostics.render import as_json, render_findings
from spanverdict.reporting.escaping import shown, strict_json
from spanverdict.reporting.github import Annotation, limited
from spanverdict.reporting.sarif import sarif

Render: TypeAlias = Callable[[Sequence[Diagnostic]], str]

SCHEMA_VERSION = 1


def json_report(found: Sequence[Diagnostic]) -> str:
    """Write all findings for machines; keys are only ever added to."""
    errors = sum(one.level is Level.ERROR for one in found)
    data = {
        "schemaVersion": SCHEMA_VERSION,
        "errors": errors,
        "warnings": len(found) - errors,
        "diagnostics": [as_json(one) for one in found],
    }
    return strict_json(data, indent=2) + "\n"


def github(found: Sequence[Diagnostic]) -> str:
    """Write annotations for GitHub Actions, errors first; it shows ten of each kind."""
    notes = [_annotation(one) for one in found]
    shown_ones = [note for level in Level for note in limited(notes, level.value, "more are in the log")]
    return "".join(f"{note.command()}\n" for note in shown_ones)


def _annotation(one: Diagnostic) -> Annotation:
    text = "\n".join([shown(one.message, 1000), *([f"hint: {shown(one.hint, 1000)}"] if one.hint else [])])
    title, place = f"{one.code} {CODES[one.code]}", one.position
    return Annotation(one.level.value, title, text, place.file, place.line, place.column)


def sarif_report(found: Sequence[Diagnostic]) -> str:
    """Write SARIF, files named from the working directory."""
    return strict_json(sarif(found, Path.cwd()), indent=2) + "\n"


LINT_REPORTERS: Mapping[str, Render] = MappingProxyType(
    {"text": render_findings, "github": github, "sarif": sarif_report, "json": json_report}
)
"""Every format of findings in rule files."""
