"""The commands for those who write rule files: `lint` and `schema`."""

from __future__ import annotations

import sys

import click

from spanverdict.cli.options import rules_are_arguments


@click.command()
@click.argument("rules", nargs=-1, required=True)
@rules_are_arguments
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="FORMAT[=FILE]",
    help="Report format: text, github, sarif, json; may be given several times, as in -o text -o sarif=lint.sarif. "
    "Default: text on standard output, and annotations where GitHub Actions runs it.",
)
def lint(rules: tuple[str, ...], outputs: tuple[str, ...]) -> None:
    """Report every mistake in rule files, each with its place; in files of tests (*_test.yaml) too, by name.

    \b
      spanverdict lint rules/
      spanverdict lint rules/ -o text -o sarif=lint.sarif
      spanverdict explain SV042                              what a code means

    Exit code 2 for errors, 3 when there are only warnings.
    """  # noqa: D301 - \b is click's
    from spanverdict.app.lintcommand import lint_files  # noqa: PLC0415

    sys.exit(lint_files(rules, outputs))


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
