"""Lists of runs and of flaky rules, as people read them.

Every line is harmless to show: texts that came with the runs went through `shown`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from spanverdict.reporting.escaping import shown

_COLUMNS: Final = ("RUN", "FIRST SEEN", "OUTCOME", "FLOWS", "LABELS")
_FLAKY: Final = ("RULE", "FLIPS", "FAILED", "RATE", "LABELS")
_FEW: Final = 6
"""Runs of a flaky rule that are named."""
_SHA: Final = 12


def runs_text(runs: Sequence[Mapping[str, Any]]) -> str:
    """Write a table, one line a run."""
    if not runs:
        return "no runs\n"
    return _table(_COLUMNS, [tuple(_run_cells(run)) for run in runs])


def _run_cells(run: Mapping[str, Any]) -> Iterator[str]:
    yield shown(run["id"], 128)
    yield str(run["created"] or "")[:19].replace("T", " ")
    yield _outcome(run)
    yield ", ".join(shown(name, 60) for name in run["judged_by"])
    yield _labels(run["labels"])


def _outcome(run: Mapping[str, Any]) -> str:
    outcome = run["outcome"]
    if run["state"] == "unjudged" or outcome is None:
        return str(run["state"])
    parts = [outcome.upper() if outcome != "passed" else outcome]
    parts += [] if run["complete"] else ["incomplete"]
    parts += [f"revision {run['revision']}"] if run["revision"] > 1 else []
    return ", ".join(parts)


def _labels(labels: Mapping[str, str]) -> str:
    return " ".join(f"{shown(name, 40)}={shown(value, 60)}" for name, value in sorted(labels.items()))


def flaky_text(rules: Sequence[Mapping[str, Any]]) -> str:
    """Write a table, and below each rule what it came to in its latest runs."""
    if not rules:
        return "no flaky rules\n"
    lines = _table(_FLAKY, [tuple(_flaky_cells(rule)) for rule in rules]).splitlines()
    found = [lines[0]]
    for rule, line in zip(rules, lines[1:], strict=True):
        runs = [f"{shown(run, 80)} {outcome}" for run, outcome in rule["last"][:_FEW]]
        found += [line, f"  latest: {', '.join(runs)}{' …' if len(rule['last']) > _FEW else ''}"]
        undecided = f"; {rule['undecided']} runs undecided" if rule["undecided"] else ""
        found.append(f"  rule file {rule['sha256'][:_SHA]}…{undecided}")
    return "".join(f"{line}\n" for line in found)


def _flaky_cells(rule: Mapping[str, Any]) -> Iterator[str]:
    group = "" if rule["group"] is None else f"[{shown(rule['group'], 60)}]"
    yield f"{shown(rule['flow'], 60)}/{shown(rule['rule'], 60)}{group}"
    yield str(rule["flips"])
    yield f"{rule['failed']} of {rule['runs']}"
    yield f"{rule['rate']:.0%}".replace("%", " %")
    yield _labels(rule["labels"])


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (heading, *rows))
    return "".join(f"{line.rstrip()}\n" for line in lines)
