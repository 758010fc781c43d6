"""The commands about runs of the past: `diff` and `runs`."""

from __future__ import annotations

import os
import sys
from fractions import Fraction
from typing import Any

import click

from spanverdict.cli.options import Share, store_option


@click.command()
@click.argument("before")
@click.argument("after")
@store_option
@click.option("--rules", "-r", multiple=True, metavar="PATH", help="The flow whose stages and requests are compared.")
@click.option(
    "--confidence", type=Share(), default="99%", show_default=True, help="Of none of the differences being chance."
)
@click.option(
    "--noise", type=Share(), default="5%", show_default=True, help="Changes of a latency up to this part are none."
)
@click.option(
    "--fail-on",
    multiple=True,
    default=("any",),
    show_default=True,
    metavar="KIND",
    help="Exit with 1 for these differences: any, none, stages, order, ways, latency, coverage, errors, outputs, "
    "attributes.",
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def diff(before: str, after: str, **given: Any) -> None:
    """Compare two runs stage by stage: what is new, missing, slower, and answered differently.

    BEFORE and AFTER are ids of runs in a store, or OTLP files. With rules, stages, requests and outputs
    are those of their flow; without, stages are the services and names of spans, and requests are traces.

    \b
      spanverdict diff gh-122 gh-123 --rules flow.yaml --store spanverdict.sqlite
      spanverdict diff before.jsonl after.jsonl

    A percentile differs when its change is larger than noise with the confidence asked for, of all of
    them together. Outputs are compared by the names of requests.

    Exit code 0 when nothing differs, 1 when something does that --fail-on names, 4 when one of the
    two has no requests.
    """  # noqa: D301 - \b is click's
    from spanverdict.app.diffcommand import FAIL_ON, DiffCommand  # noqa: PLC0415
    from spanverdict.app.diffcommand import diff as compare  # noqa: PLC0415
    from spanverdict.app.sources import store_path  # noqa: PLC0415
    from spanverdict.evaluation.rundiff import DiffOptions  # noqa: PLC0415

    for kind in given["fail_on"]:
        if kind not in FAIL_ON:
            raise click.BadParameter(f"{kind!r} is none of {', '.join(FAIL_ON)}", param_hint="--fail-on")
    if not Fraction(1, 2) <= given["confidence"] < 1:
        raise click.BadParameter("it lies between 50% and 100%", param_hint="--confidence")
    command = DiffCommand(
        before=before,
        after=after,
        store=store_path(given["store"], os.environ),
        rules=given["rules"],
        options=DiffOptions(float(given["confidence"]), given["noise"]),
        fail_on=given["fail_on"],
        as_json=given["output"] == "json",
    )
    sys.exit(compare(command))
