"""The commands that give a verdict: `run`, `check` and `serve`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from spanverdict.cli.options import (
    Duration,
    asking_server,
    baseline,
    input_files,
    masking_config,
    read_labels,
    read_run_id,
    reporting,
    rules_are_arguments,
    server_access,
)

if TYPE_CHECKING:
    from spanverdict.app.errors import ExitCode
    from spanverdict.evaluation.outcomes import Event
    from spanverdict.rulefiles.models import Flow


@click.command()
@click.option("--rules", "-r", multiple=True, required=True, metavar="PATH", help="Rule files or directories.")
@click.option("--run-id", callback=read_run_id, help="Name of the run. Default: a new one.")
@click.option("--requests", type=click.IntRange(min=1), help="How many requests to expect.")
@click.option(
    "--label", "labels", multiple=True, callback=read_labels, metavar="NAME=VALUE", help="Such as branch=main."
)
@click.option(
    "--otlp-grpc", default="127.0.0.1:0", metavar="ADDR", help="Listen here for OTLP/gRPC; port 0 is a free one."
)
@click.option(
    "--otlp-http", default="127.0.0.1:0", metavar="ADDR", help="Listen here for OTLP/HTTP; port 0 is a free one."
)
@click.option("--allow-public", is_flag=True, help="Listen beyond this machine although anybody may send.")
@click.option("--store", type=click.Path(path_type=Path), help="Keep spans and verdict here. Default: not kept.")
@click.option("--webhook", "webhooks", multiple=True, metavar="URL", help="Send failures here.")
@click.option(
    "--webhook-secret-env", metavar="VARIABLE", help="Environment variable with the signing secret (whsec_…)."
)
@masking_config
@baseline
@reporting
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(**given: Any) -> None:
    """Run COMMAND, receive the traces of what it calls, and judge them.

    A private receiver is started on free ports; COMMAND finds it, and the run's id, in the standard
    OTEL_* variables. When COMMAND ends, the run is judged. A failing COMMAND's exit code is passed on.

    \b
      spanverdict run --rules rules/flow.yaml -o text -o junit=report.xml -- pytest tests/e2e
    """  # noqa: D301 - \b is click's
    from spanverdict.app.flows import load_flows  # noqa: PLC0415
    from spanverdict.app.runcommand import RunOptions, run  # noqa: PLC0415
    from spanverdict.app.verdicts import targets  # noqa: PLC0415
    from spanverdict.config.limits import limits_of  # noqa: PLC0415
    from spanverdict.config.masking import masking_of  # noqa: PLC0415
    from spanverdict.config.settings import WebhookSettings  # noqa: PLC0415
    from spanverdict.config.webhooks import read_webhooks  # noqa: PLC0415
    from spanverdict.reporting.reporter import ReportOptions  # noqa: PLC0415

    wanted = targets(given["outputs"])
    hooks = [
        WebhookSettings(name=f"webhook-{number}", url=url, secret_env=given["webhook_secret_env"], allow_private=True)
        for number, url in enumerate(given["webhooks"], 1)
    ]
    options = RunOptions(
        flows=load_flows(given["rules"], given["tags"]),
        command=given["command"],
        targets=wanted,
        report=ReportOptions(quiet=given["quiet"]),
        run_id=given["run_id"],
        expected=given["requests"],
        labels=given["labels"],
        otlp_grpc=given["otlp_grpc"],
        otlp_http=given["otlp_http"],
        allow_public=given["allow_public"],
        store=given["store"],
        webhooks=read_webhooks(hooks, os.environ),
        baseline=given["baseline"],
        masking=masking_of(given["config"], os.environ),
        limits=limits_of(given["config"]),
    )
    _tell_strangers(given)
    sys.exit(run(options))


def _tell_strangers(given: dict[str, Any]) -> None:
    """Warn of variables that set nothing."""
    from spanverdict.config.sources import read_settings  # noqa: PLC0415
    from spanverdict.config.strangers import named_by, strangers  # noqa: PLC0415

    named = {*named_by(read_settings(given["config"], {}, {})), given["webhook_secret_env"]}
    for line in strangers(os.environ, named):
        click.echo(f"spanverdict: {line}", err=True)


@click.command()
@click.argument("rules", nargs=-1, required=True)
@rules_are_arguments
@input_files
@click.option("--run", "run_id", callback=read_run_id, help="The run to judge.")
@asking_server("Ask this server for the verdict, as in http://127.0.0.1:8080.")
@click.option("--wait", type=Duration(), default="0s", help="Wait so long for the verdict of a server.")
@click.option("--requests", type=click.IntRange(min=1), help="How many requests to expect (with --input).")
@click.option(
    "--label", "labels", multiple=True, callback=read_labels, metavar="NAME=VALUE", help="Such as branch=main."
)
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    help="With --input: keep the verdict here. Without: judge the run that is here again.",
)
@masking_config
@baseline
@reporting
def check(**given: Any) -> None:
    """Judge traces that are already there, by the rule files RULES.

    \b
      spanverdict check rules/flow.yaml --input traces.jsonl
      spanverdict check rules/flow.yaml --run gh-123 --server http://127.0.0.1:8080 --wait 60s
      spanverdict check rules/flow.yaml --run gh-123 --store spanverdict.sqlite
      spanverdict check rules/flow.yaml --input traces.jsonl --store runs.sqlite --baseline previous
    """  # noqa: D301 - \b is click's
    from spanverdict.app.flows import load_flows  # noqa: PLC0415
    from spanverdict.app.verdicts import report, targets  # noqa: PLC0415
    from spanverdict.reporting.reporter import ReportOptions  # noqa: PLC0415

    server, local = server_access(given), bool(given["inputs"]) or given["store"] is not None
    if local == (server is not None):
        raise click.UsageError("give --input FILE, --server URL, or --store PATH, one of them")
    if server is not None and given["run_id"] is None:
        raise click.UsageError("--server needs --run ID")
    if server is not None and (given["baseline"] is not None or given["labels"]):
        raise click.UsageError(
            "a server judges by its own settings; --baseline and --label are for --input and --store"
        )
    wanted = targets(given["outputs"])
    flows = load_flows(given["rules"], given["tags"])
    if server is not None:
        from spanverdict.app.remote import check_server  # noqa: PLC0415

        events: Sequence[Event] = list(check_server(flows, server, given["run_id"], given["wait"]))
    else:
        events = _check_here(flows, given)
    sys.exit(report(events, wanted, ReportOptions(quiet=given["quiet"])))


def _check_here(flows: tuple[Flow, ...], given: dict[str, Any]) -> Sequence[Event]:
    from spanverdict.app.checkcommand import CheckOptions, check  # noqa: PLC0415
    from spanverdict.config.limits import limits_of  # noqa: PLC0415
    from spanverdict.config.masking import masking_of  # noqa: PLC0415

    return check(
        CheckOptions(
            flows=flows,
            inputs=given["inputs"],
            run=given["run_id"],
            expected=given["requests"],
            labels=given["labels"],
            baseline=given["baseline"],
            store=given["store"],
            masking=masking_of(given["config"], os.environ),
            limits=limits_of(given["config"]),
        )
    )


@click.command()
@click.option("--config", type=click.Path(path_type=Path), envvar="SPANVERDICT_CONFIG", help="Settings in YAML.")
@click.option("--rules", "-r", multiple=True, metavar="PATH", help="Rule files or directories.")
@click.option("--otlp-grpc", metavar="ADDR", help="Default: 127.0.0.1:4317.")
@click.option("--otlp-http", metavar="ADDR", help="Default: 127.0.0.1:4318.")
@click.option("--http", metavar="ADDR", help="API, health and metrics. Default: 127.0.0.1:8080.")
@click.option("--store", type=click.Path(path_type=Path), help="Default: spanverdict.sqlite.")
@click.option("--baseline", metavar="WHAT", help="What runs are compared with: previous, branch:NAME, a run or a file.")
@click.option("--token-file", type=click.Path(path_type=Path), help="Tokens of those who may send spans, one a line.")
@click.option(
    "--api-token-file", type=click.Path(path_type=Path), help="Tokens of those who may use the API, one a line."
)
@click.option(
    "--allow-public",
    is_flag=True,
    default=None,
    help="Listen beyond this machine even where no token and no client certificate is asked for.",
)
@click.option("--log-format", type=click.Choice(["text", "json"]), help="How to log, on standard error. Default: text.")
@click.option(
    "--ready-file",
    type=click.Path(path_type=Path),
    envvar="SPANVERDICT_READY_FILE",
    help="Written when it listens: a name and address a line, and `tls on` where they speak TLS.",
)
def serve(config: Path | None, ready_file: Path | None, **flags: Any) -> None:
    """Receive and judge the runs of a test environment until told to stop.

    Flags beat the environment (SPANVERDICT_OTLP_GRPC, …), which beats the file. Port 0 is a free one. SIGHUP reads
    rules, tokens, certificates, webhooks and masking anew; where something is wrong with them, nothing changes.
    """
    import logging  # noqa: PLC0415

    from spanverdict.app.logs import configure_logging  # noqa: PLC0415
    from spanverdict.app.serve import serve as serve_until_stopped  # noqa: PLC0415
    from spanverdict.config.settings import Settings  # noqa: PLC0415
    from spanverdict.config.sources import read_settings  # noqa: PLC0415

    flags["rules"] = flags["rules"] or None
    if (flags["log_format"] or os.environ.get("SPANVERDICT_LOG_FORMAT")) == "json":  # for mistakes in the settings, too
        configure_logging("json", logging.getLogger("spanverdict").getEffectiveLevel())

    def read() -> Settings:
        return read_settings(config, os.environ, flags)

    _leave(serve_until_stopped(read, os.environ, ready_file))


def _leave(code: ExitCode) -> NoReturn:
    """End here and now: all is on disk and closed, and no library's thread shall hold up what has ended."""
    import logging  # noqa: PLC0415

    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads it any more
            stream.flush()
    os._exit(code)
