"""The command line. Everything heavy is imported by the command that needs it."""

from spanverdict.cli.program import cli, main

__all__ = ["cli", "main"]
