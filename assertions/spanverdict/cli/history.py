"""The commands about runs of the past: `diff` and `runs`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spanverdict.cli.options import Share, When, asking_server, read_labels, read_run_id, server_access, store_option

if TYPE_CHECKING:
    from spanverdict.app.archive import Archive
    from spanverdict.web.backend import Asked


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
    if not 0.5 <= given["confidence"] < 1:  # noqa: PLR2004 - a half
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


@click.group()
def runs() -> None:
    """Look through the runs of a store: list them, show a verdict again, find flaky rules, delete.

    \b
      spanverdict runs list --label branch=main --since 7d
      spanverdict runs show gh-123 -o junit=report.xml
      spanverdict runs flaky --flow fraud-scoring --by branch --since 30d
    """  # noqa: D301 - \b is click's


def _choosing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add which runs are meant, and where they are."""
    for option in reversed(
        (
            store_option,
            asking_server("Ask this server instead, as in http://127.0.0.1:8080."),
            click.option("--flow", metavar="NAME", help="Only runs that this flow has judged."),
            click.option(
                "--label",
                "labels",
                multiple=True,
                callback=read_labels,
                metavar="NAME=VALUE",
                help="Only runs with this label.",
            ),
            click.option("--since", type=When(), metavar="WHEN", help="Only runs since then: 7d ago, or a time."),
            click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True),
        )
    ):
        command = option(command)
    return command


@contextmanager
def _opened(given: dict[str, Any]) -> Iterator[Archive]:
    from spanverdict.app.runscommand import opened  # noqa: PLC0415
    from spanverdict.app.sources import store_path  # noqa: PLC0415

    if given["server"] is not None and given["store"] is not None:
        raise click.UsageError("give --store PATH or --server URL, not both")
    with opened(store_path(given["store"], os.environ), server_access(given)) as archive:
        yield archive


def _asked(given: dict[str, Any]) -> Asked:
    from spanverdict.web.backend import Asked  # noqa: PLC0415

    return Asked(given["flow"], given["labels"], given.get("outcome"), given["since"])


@runs.command("list")
@_choosing
@click.option(
    "--outcome",
    type=click.Choice(["passed", "failed", "inconclusive", "errored"]),
    help="Only runs whose latest verdict is this.",
)
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True, help="Runs to print; 0 for all.")
def list_(**given: Any) -> None:
    """List runs, the one heard of last first, with what their latest verdict came to.

    Exit code 4 when there are none.
    """
    from spanverdict.app.runscommand import list_runs  # noqa: PLC0415

    with _opened(given) as archive:
        sys.exit(list_runs(archive, _asked(given), given["limit"], as_json=given["output"] == "json"))


@runs.command("show")
@click.argument("run_id", metavar="RUN", callback=read_run_id)
@store_option
@asking_server("Ask this server instead, as in http://127.0.0.1:8080.")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="FORMAT[=FILE]",
    help="Report format, as for check. Default: text on standard output.",
)
def show_(run_id: str, **given: Any) -> None:
    """Show the latest verdict on RUN again, as any report.

    Exit code 0 whatever it says; 4 when there is none.
    """
    from spanverdict.app.runscommand import show_run  # noqa: PLC0415
    from spanverdict.app.verdicts import targets  # noqa: PLC0415

    wanted = targets(given["outputs"], {})
    with _opened(given) as archive:
        sys.exit(show_run(archive, run_id, wanted))


@runs.command("flaky")
@_choosing
@click.option("--by", multiple=True, metavar="LABEL", help="Runs with equal values of this label are alike.")
def flaky(by: tuple[str, ...], **given: Any) -> None:
    """List rules that pass in some runs and fail in others although nothing that should matter changed.

    Runs are alike when they were judged by the same rule file and have all labels in common, or those
    that --by names. RATE is how often a run came out otherwise than the one before; only complete runs
    count, and those that could not decide are passed over.
    """
    from spanverdict.app.runscommand import list_flaky  # noqa: PLC0415

    with _opened(given) as archive:
        sys.exit(list_flaky(archive, _asked(given), by, as_json=given["output"] == "json"))


@runs.command("delete")
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN...")
@store_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(run_ids: tuple[str, ...], store: Path | None, *, yes: bool) -> None:
    """Delete runs with their verdicts and all that was kept with them. Their spans stay in the journal.

    Verdicts that were compared with a deleted run keep what they need.
    """
    from spanverdict.app.runscommand import delete_runs  # noqa: PLC0415
    from spanverdict.app.sources import store_path  # noqa: PLC0415

    def confirm(question: str) -> bool:
        if not yes and not sys.stdin.isatty():
            raise click.UsageError("nobody is there to ask; use --yes")
        return yes or click.confirm(question)

    sys.exit(delete_runs(store_path(store, os.environ), run_ids, confirm))
