"""The commands for those who write rule files: `lint` and `schema`."""

from __future__ import annotations

import sys

import click

from spanverdict.app.errors import ExitCode


@click.command()
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


@click.command()
@click.argument("of", type=click.Choice(["flow", "test"]), default="flow")
def schema(of: str) -> None:
    """Print the JSON Schema (draft-07) of rule files, or of their tests, for editors.

    \b
      spanverdict schema > flow.schema.json
      spanverdict schema test > test.schema.json

    Editors with the YAML language server follow a comment in the first line of a file:

    \b
      # yaml-language-server: $schema=flow.schema.json
    """  # noqa: D301 - \b is click's
    from spanverdict.app.printing import print_text  # noqa: PLC0415
    from spanverdict.app.schemacommand import schema_text  # noqa: PLC0415

    print_text(schema_text(of))
