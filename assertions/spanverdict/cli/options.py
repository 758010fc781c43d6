"""Options that several commands have, and how their values are read."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fractions import Fraction

    from spanverdict.app.baselinechoice import BaselineChoice
    from spanverdict.app.serveraccess import ServerAccess

    _Seconds = click.ParamType[float]
    _Fractions = click.ParamType[Fraction]
    _Moments = click.ParamType[int]
else:
    _Seconds = _Fractions = _Moments = click.ParamType  # earlier releases take no type argument


class Duration(_Seconds):
    """A duration with a unit, in seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read `250ms`, `60s`, `1h30m`."""
        from spanverdict.diagnostics.durations import DurationError, parse_duration  # noqa: PLC0415

        try:
            return parse_duration(str(value)) / 1e9
        except DurationError as error:
            self.fail(f"{error.message}. {error.hint}".rstrip(". "), param, ctx)


class When(_Moments):
    """A moment: how long ago, or in RFC 3339; in ns since the epoch."""

    name = "when"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read `7d`, `2026-03-02` or `2026-03-02T09:00:00Z`."""
        import time  # noqa: PLC0415
        from datetime import UTC, datetime  # noqa: PLC0415

        from spanverdict.diagnostics.durations import DurationError, parse_duration  # noqa: PLC0415

        text = str(value)
        try:
            return time.time_ns() - parse_duration(text)
        except DurationError:
            pass
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r} is no duration such as 7d, and no time such as 2026-03-02T09:00:00Z", param, ctx)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * 10**9


class Share(_Fractions):
    """A part of a whole, exact."""

    name = "share"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Fraction:
        """Read `5%` or `0.05`."""
        from fractions import Fraction  # noqa: PLC0415

        from spanverdict.rulefiles.literals import read_literal  # noqa: PLC0415
        from spanverdict.rulefiles.mistake import Mistake  # noqa: PLC0415
        from spanverdict.rulefiles.statistic import Quantity  # noqa: PLC0415

        try:
            return Fraction(read_literal(str(value), Quantity.SHARE))
        except Mistake as mistake:
            self.fail(f"{mistake.message}. {mistake.hint}".rstrip(". "), param, ctx)


def read_labels(_ctx: click.Context, _param: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    """Read labels of a run, each `NAME=VALUE`."""
    labels = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE")
        labels[name] = value
    return labels


def read_run_id(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Refuse what cannot name a run."""
    from spanverdict.telemetry.identifiers import is_run_id  # noqa: PLC0415

    if value is not None and not is_run_id(value):
        raise click.BadParameter("a run id has 1 to 128 letters, digits, and . _ : / -")
    return value


masking_config = click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar="SPANVERDICT_CONFIG",
    help="Settings as of `serve`; its `masking` is followed.",
)


def read_baseline(_ctx: click.Context, _param: click.Parameter, value: str | None) -> BaselineChoice | None:
    """Read what to compare with."""
    from spanverdict.app.baselinechoice import parse_choice  # noqa: PLC0415

    return None if value is None else parse_choice(value)


baseline = click.option(
    "--baseline",
    callback=read_baseline,
    metavar="WHAT",
    help="What conditions `of baseline` compare with: previous (the newest complete run of the flow and environment "
    "in --store), branch:NAME, the id of a run in --store, or a file with traces or a verdict (-o json).",
)

input_files = click.option(
    "--input",
    "-i",
    "inputs",
    multiple=True,
    metavar="FILE",
    help="OTLP file: .json, .jsonl, .pb, each also .gz; - is standard input.",
)


def _say_where_rules_go(ctx: click.Context, _param: click.Parameter, values: Sequence[str]) -> None:
    if values:
        raise click.UsageError(f"rule files need no option here: {ctx.command_path} {' '.join(values)} …", ctx)


rules_are_arguments = click.option(
    "--rules",
    "-r",
    "rules_of_option",
    multiple=True,
    hidden=True,
    expose_value=False,
    is_eager=True,
    callback=_say_where_rules_go,
)
"""For commands that take rule files as arguments: says so to those who write them as other commands take them."""


def reporting(command: Callable[..., Any]) -> Callable[..., Any]:
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


def asking_server(help_text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds a server to ask, and what opens its API."""

    def added(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(
            (
                click.option("--server", metavar="URL", help=help_text),
                click.option(
                    "--token-file",
                    type=click.Path(path_type=Path),
                    envvar="SPANVERDICT_API_TOKEN_FILE",
                    help="File with the server's API token. Or set SPANVERDICT_API_TOKEN.",
                ),
                click.option(
                    "--client-certificate",
                    type=click.Path(path_type=Path),
                    envvar="SPANVERDICT_CLIENT_CERTIFICATE",
                    metavar="PEM",
                    help="Certificate and key to show to the server.",
                ),
            )
        ):
            command = option(command)
        return command

    return added


def server_access(given: Mapping[str, Any]) -> ServerAccess | None:
    """Return the server that the options name, if any."""
    from spanverdict.app.serveraccess import ServerAccess  # noqa: PLC0415

    if given["server"] is None:
        return None
    return ServerAccess.told(given["server"], given["token_file"], given["client_certificate"], os.environ)


store_option = click.option(
    "--store",
    type=click.Path(path_type=Path),
    help="The store that holds the runs. Default: SPANVERDICT_STORE, else spanverdict.sqlite.",
)


def looking(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where the spans are."""
    for option in reversed(
        (
            input_files,
            click.option("--run", "run_id", callback=read_run_id, metavar="ID", help="The run to look at."),
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
