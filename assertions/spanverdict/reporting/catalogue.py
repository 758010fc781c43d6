"""The report formats by name, and how a user asks for them: `-o text -o junit=report.xml`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import NamedTuple, TextIO, TypeAlias

from spanverdict.reporting import ctrf, github, jsonl, jsonreport, junit, markdown, tap, text
from spanverdict.reporting.reporter import Reporter, ReportOptions

Factory: TypeAlias = Callable[[TextIO, ReportOptions], Reporter]

REPORTERS: Mapping[str, Factory] = MappingProxyType(
    {
        "text": text.reporter,
        "json": jsonreport.reporter,
        "jsonl": jsonl.reporter,
        "junit": junit.reporter,
        "github": github.reporter,
        "markdown": markdown.reporter,
        "tap": tap.reporter,
        "ctrf": ctrf.reporter,
    }
)
"""Every format. Names in `--help` and the documentation derive from it."""


class UnknownFormatError(ValueError):
    """A user asked for a format that is not there, or for a file without a name."""


class Target(NamedTuple):
    """A report that was asked for. `path` is None for standard output."""

    name: str
    path: str | None
    append: bool = False
    """Whether the file holds other people's lines that must stay."""


def parse_target(asked: str, formats: Collection[str] = REPORTERS) -> Target:
    """Read what stands behind `-o`: `FORMAT` or `FORMAT=FILE`, `-` being standard output.

    Raises:
        UnknownFormatError: with a message for the user.

    >>> parse_target("junit=report.xml")
    Target(name='junit', path='report.xml', append=False)
    >>> parse_target("text").path is None
    True
    """
    name, given, path = asked.partition("=")
    if name not in formats:
        close = get_close_matches(name, formats, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"formats: {', '.join(formats)}"
        raise UnknownFormatError(f"there is no report format {name!r}; {hint}")
    if given and not path:
        raise UnknownFormatError(f"{asked!r} names no file; write {name}=FILE, or only {name} for standard output")
    return Target(name, None if path in {"", "-"} else path)


def ci_targets(environ: Mapping[str, str]) -> tuple[Target, ...]:
    """Give the reports that the surrounding CI understands without being asked: annotations and summary on GitHub."""
    if environ.get("GITHUB_ACTIONS") != "true":
        return ()
    summary = environ.get("GITHUB_STEP_SUMMARY")
    page = (Target("markdown", summary, append=True),) if summary else ()
    return (Target("github", None), *page)
