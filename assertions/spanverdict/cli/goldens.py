"""The commands of golden files: `golden record`, `golden diff` and `golden accept`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from spanverdict.cli.options import looking, rules_are_arguments

if TYPE_CHECKING:
    from spanverdict.app.goldencommands import Chosen


@click.group()
def golden() -> None:
    """Write golden files from a run, compare a run with them, and take over what a run answered.

    A golden file says what each request should have answered. Rules name it: output: {stage: score,
    value: span.score} with golden: {file: golden/fraud.jsonl, tolerance: 0.01}.
    """


def _choosing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what all three commands are told: rule files, spans, and which rules are meant."""
    for add in (
        click.option("--rule", "names", multiple=True, metavar="ID", help="Only this rule, as RULE or FLOW/RULE."),
        looking,
        rules_are_arguments,
        click.argument("rules", nargs=-1, required=True),
    ):
        command = add(command)
    return command


def _chosen(given: dict[str, Any]) -> Chosen:
    from spanverdict.app.goldencommands import Chosen  # noqa: PLC0415
    from spanverdict.app.sources import Source  # noqa: PLC0415

    source = Source.told(given["inputs"], given["run_id"], given["store"], os.environ)
    return Chosen(given["rules"], source, given["names"], given.get("keys", ()))


@golden.command()
@_choosing
@click.option("--replace", is_flag=True, help="Write files anew that are there already.")
def record(*, replace: bool, **given: Any) -> None:
    """Write the golden files that the rules in RULES name, from what a run answered.

    \b
      spanverdict golden record rules/fraud.yaml --input traces.jsonl
      spanverdict golden record rules/ --run gh-123 --store spanverdict.sqlite --rule correct

    One line a request, sorted by key. Read it before you keep it: from now on it is what is right. In CI
    (CI=true) nothing is written, and the exit code is 2.
    """  # noqa: D301 - \b is click's
    from spanverdict.app.goldencommands import record as write  # noqa: PLC0415

    sys.exit(write(_chosen(given), os.environ, replace=replace))


@golden.command()
@_choosing
@click.option("--key", "keys", multiple=True, metavar="KEY", help="Only this request.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True, help="Lines a rule; 0 for all.")
def diff(*, as_json: bool, limit: int, **given: Any) -> None:
    """Show how the answers of a run differ from the golden files of RULES.

    \b
      spanverdict golden diff rules/fraud.yaml --input traces.jsonl
      spanverdict golden diff rules/fraud.yaml --run gh-123 --store spanverdict.sqlite --key payment-0017

    Each line has the request, what was expected, what it answered, and its trace for `show`. Exit code 0
    when every record of the files was answered as it says, 1 when one was not, and 4 without spans.
    Requests that a file does not know are listed and do not matter.
    """  # noqa: D301 - \b is click's
    from spanverdict.app.goldencommands import diff as show  # noqa: PLC0415

    sys.exit(show(_chosen(given), as_json=as_json, limit=limit))


@golden.command()
@_choosing
@click.option("--key", "keys", multiple=True, metavar="KEY", help="Only this request.")
@click.option("--add", is_flag=True, help="Take in requests that a file does not know.")
@click.option("--remove", is_flag=True, help="Drop records that the run has no request for.")
def accept(*, add: bool, remove: bool, **given: Any) -> None:
    """Take over what a run answered where it differs from the golden files of RULES, and nothing else.

    \b
      spanverdict golden accept rules/fraud.yaml --input traces.jsonl --key payment-0017
      spanverdict golden accept rules/fraud.yaml --run gh-123 --store spanverdict.sqlite --add --remove

    Answers within the tolerance and all other lines stay as they are, so that a review sees what changed.
    In CI (CI=true) nothing is written, and the exit code is 2; 1 says that some could not be taken over.
    """  # noqa: D301 - \b is click's
    from spanverdict.app.goldencommands import accept as take_over  # noqa: PLC0415

    sys.exit(take_over(_chosen(given), os.environ, add=add, remove=remove))
