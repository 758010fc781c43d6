"""The command line. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import click

from spanverdict.app.errors import CommandError, ExitCode

_EXIT_CODES = """
\b
Exit codes:
  0  passed
  1  a rule failed
  2  usage, configuration or rule file
  3  lint findings only (lint)
  4  no data, incomplete or inconclusive
  5  internal error, or an address or store that cannot be used
  130  interrupted
"""


class Duration(click.ParamType[float]):
    """A duration with a unit, in seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read `250ms`, `60s`, `1h30m`."""
        from spanverdict.diagnostics.durations import DurationError, parse_duration  # noqa: PLC0415

        try:
            return parse_duration(str(value)) / 1e9
        except DurationError as error:
            self.fail(f"{error.message}. {error.hint}".rstrip(". "), param, ctx)


def _labels(_ctx: click.Context, _param: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    labels = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE")
        labels[name] = value
    return labels


def _run_id(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    from spanverdict.telemetry.identifiers import is_run_id  # noqa: PLC0415

    if value is not None and not is_run_id(value):
        raise click.BadParameter("a run id has 1 to 128 letters, digits, and . _ : / -")
    return value


_input = click.option(
    "--input",
    "-i",
    "inputs",
    multiple=True,
    metavar="FILE",
    help="OTLP file: .json, .jsonl, .pb, each also .gz; - is standard input.",
)


def _reporting(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every command that reports a verdict."""
    for option in reversed(
        (
            click.option(
                "-o",
                "--output",
                "outputs",
                multiple=True,
                metavar="FORMAT[=FILE]",
                help="Report format: text, json, jsonl, junit, github, markdown, tap, ctrf; may be given several "
                "times, as in -o text -o junit=report.xml. Default: text on standard output.",
            ),
            click.option("-q", "--quiet", is_flag=True, help="Show only what did not pass."),
            click.option("--tags", multiple=True, metavar="TAG", help="Judge only rules that carry this tag."),
        )
    ):
        command = option(command)
    return command


@click.group(epilog=_EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("spanverdict"), prog_name="spanverdict")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens, on standard error.")
def cli(verbose: bool) -> None:
    """One verdict a test run: did every request go the whole way, in time, on fresh features, to the right output?

    \b
    Start here:
      spanverdict run --rules flow.yaml -- pytest tests/e2e    run a command and judge the traces it causes
      spanverdict check flow.yaml --input traces.jsonl         judge traces that were recorded
      spanverdict serve --rules rules/                         receive and judge the runs of a test environment
      spanverdict lint rules/                                  find every mistake in rule files
    """  # noqa: D301 - \b is click's
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )


@cli.command()
@click.option("--rules", "-r", multiple=True, required=True, metavar="PATH", help="Rule files or directories.")
@click.option("--run-id", callback=_run_id, help="Name of the run. Default: a new one.")
@click.option("--requests", type=click.IntRange(min=1), help="How many requests to expect.")
@click.option("--label", "labels", multiple=True, callback=_labels, metavar="NAME=VALUE", help="Such as branch=main.")
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
@_reporting
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
    )
    sys.exit(run(options))


@cli.command()
@click.argument("rules", nargs=-1, required=True)
@_input
@click.option("--run", "run_id", callback=_run_id, help="The run to judge.")
@click.option("--server", metavar="URL", help="Ask this server for the verdict, as in http://127.0.0.1:8080.")
@click.option("--wait", type=Duration(), default="0s", help="Wait so long for the verdict of a server.")
@click.option("--requests", type=click.IntRange(min=1), help="How many requests to expect (with --input).")
@_reporting
def check(**given: Any) -> None:
    """Judge traces that are already there, by the rule files RULES.

    \b
      spanverdict check rules/flow.yaml --input traces.jsonl
      spanverdict check rules/flow.yaml --run gh-123 --server http://127.0.0.1:8080 --wait 60s
    """  # noqa: D301 - \b is click's
    from spanverdict.app.flows import load_flows  # noqa: PLC0415
    from spanverdict.app.verdicts import report, targets  # noqa: PLC0415
    from spanverdict.reporting.reporter import ReportOptions  # noqa: PLC0415

    if bool(given["inputs"]) == (given["server"] is not None):
        raise click.UsageError("give --input FILE or --server URL, one of them")
    if given["server"] is not None and given["run_id"] is None:
        raise click.UsageError("--server needs --run ID")
    wanted = targets(given["outputs"])
    flows = load_flows(given["rules"], given["tags"])
    if given["server"] is not None:
        from spanverdict.app.remote import check_server  # noqa: PLC0415

        events = list(check_server(flows, given["server"], given["run_id"], given["wait"]))
    else:
        from spanverdict.app.offline import check_files  # noqa: PLC0415

        events = list(check_files(flows, given["inputs"], given["run_id"], given["requests"]))
    sys.exit(report(events, wanted, ReportOptions(quiet=given["quiet"])))


@cli.command()
@click.option("--config", type=click.Path(path_type=Path), envvar="SPANVERDICT_CONFIG", help="Settings in YAML.")
@click.option("--rules", "-r", multiple=True, metavar="PATH", help="Rule files or directories.")
@click.option("--otlp-grpc", metavar="ADDR", help="Default: 127.0.0.1:4317.")
@click.option("--otlp-http", metavar="ADDR", help="Default: 127.0.0.1:4318.")
@click.option("--http", metavar="ADDR", help="API, health and metrics. Default: 127.0.0.1:8080.")
@click.option("--store", type=click.Path(path_type=Path), help="Default: spanverdict.sqlite.")
@click.option(
    "--allow-public", is_flag=True, default=None, help="Listen beyond this machine although anybody may send."
)
@click.option(
    "--ready-file", type=click.Path(path_type=Path), help="Written when it listens: a name and address a line."
)
def serve(config: Path | None, ready_file: Path | None, **flags: Any) -> None:
    """Receive and judge the runs of a test environment until told to stop.

    Flags beat the environment (SPANVERDICT_OTLP_GRPC, …), which beats the file. Port 0 is a free one.
    """
    from spanverdict.app.serve import serve as serve_until_stopped  # noqa: PLC0415
    from spanverdict.config.settings import read_settings  # noqa: PLC0415

    flags["rules"] = flags["rules"] or None
    sys.exit(serve_until_stopped(read_settings(config, os.environ, flags), os.environ, ready_file))


@cli.command()
@click.argument("rules", nargs=-1, required=True)
def lint(rules: tuple[str, ...]) -> None:
    """Report every mistake in rule files, each with its place.

    Exit code 2 for errors, 3 when there are only warnings.
    """
    from spanverdict.diagnostics.diagnostic import Level  # noqa: PLC0415
    from spanverdict.diagnostics.render import render_all  # noqa: PLC0415
    from spanverdict.rulefiles.lint import lint as find  # noqa: PLC0415

    found = find(rules)
    if not found:
        sys.exit(ExitCode.PASSED)
    click.echo(render_all(found))
    errors = sum(1 for one in found if one.level is Level.ERROR)
    click.echo(f"{errors} errors, {len(found) - errors} warnings", err=True)
    sys.exit(ExitCode.USAGE if errors else ExitCode.LINT)


def _looking(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where the spans are."""
    for option in reversed(
        (
            _input,
            click.option("--run", "run_id", callback=_run_id, metavar="ID", help="The run to look at."),
            click.option(
                "--store",
                type=click.Path(path_type=Path),
                help="The store of the server that received the run, which may go on receiving. "
                "Default: SPANVERDICT_STORE, else spanverdict.sqlite.",
            ),
        )
    ):
        command = option(command)
    return command


@cli.command()
@click.argument("selector")
@_looking
@click.option("--rules", "-r", multiple=True, metavar="PATH", help="Look at the requests of this flow, not at traces.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the attributes of each span.")
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True, help="Matches to print; 0 for all.")
def query(selector: str, **given: Any) -> None:
    """Print the spans that SELECTOR matches: TraceQL, @FILE that holds it, or - for standard input.

    \b
      spanverdict query '{ span:status = error } >> { span:duration > 100ms }' --input traces.jsonl
      spanverdict query '{ span:kind = server } | select(span.http.route)' --run gh-123 --store spanverdict.sqlite

    Structure, && and aggregates hold within one trace. In a rule file they hold within one request,
    which links and keys join from several traces: with --rules FLOW the selector sees what that flow's
    rules see. Fields named in select() become columns.

    Exit code, as grep has it: 0 when something matched, 1 when nothing did, 2 for a selector that
    cannot be used; and 4 when there are no spans to look at.
    """  # noqa: D301 - \b is click's
    from spanverdict.app.inspecting import QueryOptions, query  # noqa: PLC0415
    from spanverdict.app.sources import Source  # noqa: PLC0415

    source = Source.told(given["inputs"], given["run_id"], given["store"], os.environ)
    sys.exit(query(selector, source, QueryOptions(given["rules"], given["as_json"], given["limit"])))


@cli.command()
@click.argument("rule")
@_looking
@click.option("--rules", "-r", multiple=True, metavar="PATH", help="Rule files or directories.")
def explain(rule: str, **given: Any) -> None:
    """Show what RULE looked at: the spans its selectors matched, missed and nearly matched, and what it measured.

    RULE is the id of a rule, FLOW/RULE where several flows have it, or the code of a diagnostic.

    \b
      spanverdict explain queue-wait --rules flow.yaml --input traces.jsonl
      spanverdict explain scoring/queue-wait --rules rules/ --run gh-123 --store spanverdict.sqlite
      spanverdict explain SV042

    Exit code 0 whatever the rule says; 4 when the run has no spans.
    """  # noqa: D301 - \b is click's
    if not given["rules"]:
        from spanverdict.app.explaincode import explain_code  # noqa: PLC0415

        sys.exit(explain_code(rule))
    from spanverdict.app.inspecting import explain_in_run  # noqa: PLC0415
    from spanverdict.app.sources import Source  # noqa: PLC0415

    source = Source.told(given["inputs"], given["run_id"], given["store"], os.environ)
    sys.exit(explain_in_run(rule, given["rules"], source))


@cli.command()
@click.argument("request")
@_looking
@click.option("--rules", "-r", multiple=True, metavar="PATH", help="The flow whose requests are looked at.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, all spans of the request.")
@click.option("--limit", type=click.IntRange(min=0), default=1000, show_default=True, help="Spans to print; 0 for all.")
def show(request: str, **given: Any) -> None:
    """Show REQUEST from end to end: its spans across traces, why each is part of it, and where its time went.

    REQUEST is the value of the flow's key, or a trace id or how it begins. Without rules, requests are
    what traces and the links between them make.

    \b
      spanverdict show order-17 --rules flow.yaml --run gh-123 --store spanverdict.sqlite
      spanverdict show 4bf92f35 --input traces.jsonl

    What is marked with * is on the critical path: the chain of work and waits that the request could
    not do without. ON PATH says how much of a span's own time is. Exit code 4 when it is not there.
    """  # noqa: D301 - \b is click's
    from spanverdict.app.pathcommands import ShowOptions, show  # noqa: PLC0415
    from spanverdict.app.sources import Source  # noqa: PLC0415

    source = Source.told(given["inputs"], given["run_id"], given["store"], os.environ)
    sys.exit(show(request, given["rules"], source, ShowOptions(given["as_json"], given["limit"])))


@cli.command()
@_looking
@click.option("--rules", "-r", multiple=True, required=True, metavar="PATH", help="The flow whose path it is.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def path(**given: Any) -> None:
    """Show the path of all requests together: stages, the ways between them, and where the time went.

    \b
      spanverdict path --rules flow.yaml --run gh-123 --store spanverdict.sqlite
      spanverdict path --rules flow.yaml --input traces.jsonl --json

    A way is taken by call or by queue. The time of a queue is the wait in it; that of a call runs from
    the start of the one stage to the start of the other. Exit code 4 when there are no requests.
    """  # noqa: D301 - \b is click's
    from spanverdict.app.pathcommands import path  # noqa: PLC0415
    from spanverdict.app.sources import Source  # noqa: PLC0415

    source = Source.told(given["inputs"], given["run_id"], given["store"], os.environ)
    sys.exit(path(given["rules"], source, as_json=given["as_json"]))


def main() -> NoReturn:
    """Run the command line; whatever goes wrong is one line and an exit code, never a traceback."""
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except (click.Abort, KeyboardInterrupt):
        print("spanverdict: interrupted", file=sys.stderr)  # noqa: T201 - for people
        sys.exit(ExitCode.INTERRUPTED)
    except CommandError as error:
        sys.exit(_complain(str(error), error.code))
    except Exception as error:  # noqa: BLE001 - ours, and still no traceback unless asked for
        sys.exit(_crash(error))
    sys.exit(code if isinstance(code, int) else ExitCode.PASSED)


def _crash(error: Exception) -> ExitCode:
    from spanverdict.config.settings import ConfigError  # noqa: PLC0415

    if isinstance(error, ConfigError):
        return _complain(str(error), ExitCode.USAGE)
    if logging.getLogger().isEnabledFor(logging.INFO):
        logging.getLogger(__name__).error("internal error", exc_info=error)
    return _complain(f"internal error: {type(error).__name__}: {error} (run with -v for more)", ExitCode.INTERNAL)


def _complain(message: str, code: ExitCode) -> ExitCode:
    print(f"spanverdict: {message}", file=sys.stderr)  # noqa: T201 - for people
    return code
