"""The program: its commands, and what becomes of their errors."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final, NoReturn

import click

from spanverdict.app.errors import CommandError, ExitCode

COMMANDS: Final = {
    "run": "judging",
    "check": "judging",
    "serve": "judging",
    "init": "starting",
    "lint": "linting",
    "schema": "linting",
    "test": "testing",
    "query": "looking",
    "explain": "looking",
    "show": "looking",
    "path": "looking",
    "diff": "history",
    "golden": "goldens",
    "runs": "history",
    "healthcheck": "health",
}
"""All commands, in the order in which one meets them, each with the file that it stands in."""

_SILENT: Final = frozenset({"lint", "schema", "healthcheck"})
"""Commands that log nothing: importing what logs takes as long as reading a hundred rules."""

_EXIT_CODES = """
\b
Exit codes:
  0  passed
  1  a rule failed, or a test; for query: nothing matched; for golden and diff: something differs;
     for healthcheck: the server is not well
  2  usage, configuration or rule file
  3  lint findings only (lint)
  4  no data, incomplete or inconclusive
  5  internal error, or an address or store that cannot be used
  130  interrupted
"""


class _Program(click.Group):
    """Imports a command when it is asked for, so that one does not wait for all others."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"spanverdict.cli.{COMMANDS[name]}"), name)
        return command


@click.group(
    cls=_Program, epilog=_EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="spanverdict", prog_name="spanverdict")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens, on standard error.")
@click.pass_context
def cli(ctx: click.Context, verbose: bool) -> None:
    """One verdict a test run: did every request go the whole way, in time, on fresh features, to the right output?

    \b
    Start here:
      spanverdict run --rules flow.yaml -- pytest tests/e2e    run a command and judge the traces it causes
      spanverdict check flow.yaml --input traces.jsonl         judge traces that were recorded
      spanverdict serve --rules rules/                         receive and judge the runs of a test environment
      spanverdict init --input traces.jsonl                    write a first flow from observed traffic
      spanverdict lint rules/                                  find every mistake in rule files
      spanverdict test rules/                                  test rules on small traces
    """  # noqa: D301 - \b is click's
    if verbose or ctx.invoked_subcommand not in _SILENT:
        import logging  # noqa: PLC0415 - not for `--help`

        from spanverdict.app.logs import configure_logging  # noqa: PLC0415 - as above

        configure_logging("text", logging.INFO if verbose else logging.WARNING)


def run_program() -> NoReturn:
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
    import logging  # noqa: PLC0415 - what works needs it seldom

    from spanverdict.config.settings import ConfigError  # noqa: PLC0415

    if isinstance(error, ConfigError):
        return _complain(str(error), ExitCode.USAGE)
    if logging.getLogger("spanverdict").isEnabledFor(logging.INFO):
        logging.getLogger(__name__).error("internal error", exc_info=error)
    return _complain(f"internal error: {type(error).__name__}: {error} (run with -v for more)", ExitCode.INTERNAL)


def _complain(message: str, code: ExitCode) -> ExitCode:
    from spanverdict.app.logs import complain  # noqa: PLC0415 - as above

    complain(message)
    return code
