"""Loading rule files for a command: everything is right, or everything that is wrong is said."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from spanverdict.app.errors import CommandError
from spanverdict.diagnostics.diagnostic import Diagnostic
from spanverdict.diagnostics.render import render_all
from spanverdict.rulefiles.beside import ReadBeside, read_beside
from spanverdict.rulefiles.loader import load_files
from spanverdict.rulefiles.models import Flow


def print_diagnostics(found: Sequence[Diagnostic]) -> None:
    """Show mistakes on standard error, each with its line."""
    print(render_all(found), file=sys.stderr)  # noqa: T201 - for people


def load_flows(
    paths: Sequence[str],
    tags: Collection[str] = (),
    read: ReadBeside = read_beside,
    tell: Callable[[Sequence[Diagnostic]], None] = print_diagnostics,
) -> tuple[Flow, ...]:
    """Load the flows of a command, only the rules that carry one of `tags` when any are given.

    `read` reads the golden files that they name, `tell` gets all that is wrong, if anything is.

    Raises:
        CommandError: a file has a mistake, or no rule is left.
    """
    flows, problems = load_files(paths, read)
    found = problems.sorted()
    if found:
        tell(found)
    if problems.fatal:
        raise CommandError("the rule files have mistakes; nothing was judged")
    if not flows:
        raise CommandError("no rule file was given or found")
    return tagged(flows, tags)


def load_flow(paths: Sequence[str]) -> Flow:
    """Load the one flow of a command that looks at requests.

    Raises:
        CommandError: a file has a mistake, or there is more than one flow.
    """
    flows = load_flows(paths)
    if len(flows) > 1:
        names = ", ".join(flow.name for flow in flows)
        raise CommandError(f"requests are those of one flow; the rule files have several: {names}")
    return flows[0]


def tagged(flows: tuple[Flow, ...], tags: Collection[str]) -> tuple[Flow, ...]:
    """Keep the rules that carry one of `tags`; all of them without tags."""
    if not tags:
        return flows
    kept = [replace(flow, rules=tuple(rule for rule in flow.rules if set(rule.tags) & set(tags))) for flow in flows]
    left = tuple(flow for flow in kept if flow.rules)
    if not left:
        raise CommandError(f"no rule carries the tag {' or '.join(sorted(tags))}")
    return left
