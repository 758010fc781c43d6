"""The command that whatever runs a server asks it with: `healthcheck`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from spanverdict.cli.options import Duration


@click.command()
@click.option("--config", type=click.Path(path_type=Path), envvar="SPANVERDICT_CONFIG", help="The server's settings.")
@click.option("--http", metavar="ADDR", help="Where its API listens. Default: as its settings say.")
@click.option(
    "--ready-file",
    type=click.Path(path_type=Path),
    envvar="SPANVERDICT_READY_FILE",
    help="What the server wrote of where it listens; then its settings need not be known.",
)
@click.option("--ready", is_flag=True, help="Ask whether it can take and keep spans now, not only whether it runs.")
@click.option(
    "--client-certificate",
    type=click.Path(path_type=Path),
    envvar="SPANVERDICT_CLIENT_CERTIFICATE",
    metavar="PEM",
    help="Certificate and key to show where the API asks for one. Default: the server's own.",
)
@click.option("--timeout", type=Duration(), default="2s", help="How long to wait. Default: 2s.")
def healthcheck(config: Path | None, http: str | None, ready: bool, timeout: float, **told: Path | None) -> None:
    """Ask the server on this machine whether it is well: exit code 0 when it is, 1 when it is not.

    Where the API listens, and whether it speaks TLS, is found in the server's ready file, else in its settings (a
    file, or the environment). It needs no token. It is what the image's HEALTHCHECK runs, and fits an exec probe.

    \b
      spanverdict healthcheck
      spanverdict healthcheck --ready --config serve.yaml
      spanverdict healthcheck --ready-file /run/spanverdict.ready
    """  # noqa: D301 - \b is click's
    from spanverdict.app.errors import CommandError, ExitCode  # noqa: PLC0415
    from spanverdict.app.healthcommand import check_health, door_of  # noqa: PLC0415
    from spanverdict.config.settings import ConfigError  # noqa: PLC0415
    from spanverdict.config.sources import read_settings  # noqa: PLC0415

    try:
        settings = read_settings(config, os.environ, {"http": http})
    except ConfigError as error:  # 1 and not 2, which Docker reserves
        raise CommandError(str(error), ExitCode.FAILED) from None
    door = door_of(settings, told["ready_file"] if http is None else None, told["client_certificate"])
    click.echo(check_health(door, ready=ready, timeout_s=timeout))
    sys.exit(ExitCode.PASSED)
