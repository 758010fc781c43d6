"""The command that tests rules: `test`."""

from __future__ import annotations

import sys
from typing import Any

import click

from spanverdict.cli.options import rules_are_arguments


@click.command("test")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@rules_are_arguments
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="FORMAT[=FILE]",
    help="Report format: text, json, junit, github; may be given several times, as in -o text -o junit=report.xml. "
    "Default: text on standard output.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show only tests that failed.")
@click.option(
    "--coverage", is_flag=True, help="Say which rules never failed or never passed, and which stages never matched."
)
@click.option("--require-coverage", is_flag=True, help="The same, and fail when there is any.")
@click.option("--print-spans", is_flag=True, help="Run nothing; print the spans that tests write down, as OTLP/JSON.")
@click.option("--name", metavar="TEST", help="With --print-spans: only those of this test.")
def test(paths: tuple[str, ...], **given: Any) -> None:
    """Test rules: judge small traces and compare what the rules say with what they should say.

    PATH is a file of tests, or a folder: all files in it, at any depth, whose names end in _test.yaml.

    \b
      spanverdict test rules/
      spanverdict test rules/ --require-coverage -o text -o junit=rules.xml
      spanverdict test rules/fraud_test.yaml --print-spans > traces.jsonl

    A test names a flow, traces (files, or spans in a short notation), and an outcome for some rules:

    \b
      flow: fraud.yaml
      tests:
        - name: a slow scorer fails end-to-end only
          spans: |
            gateway POST /score server 0ms..900ms
              scorer predict 20ms..840ms  score=0.93
          repeat: 100
          expect: {end-to-end: failed, whole-path: passed}

    Exit code 0 when all came out as expected, 1 when not, 2 for mistakes in a file, 4 when there is no test.
    """  # noqa: D301 - \b is click's
    from spanverdict.app.testcommand import SuiteOptions, print_spans, run_tests  # noqa: PLC0415
    from spanverdict.app.verdicts import targets  # noqa: PLC0415
    from spanverdict.reporting.reporter import ReportOptions  # noqa: PLC0415
    from spanverdict.ruletest.reports import TEST_REPORTERS  # noqa: PLC0415

    if given["name"] and not given["print_spans"]:
        raise click.UsageError("--name goes with --print-spans")
    if given["print_spans"]:
        sys.exit(print_spans(paths, given["name"]))
    required = given["require_coverage"]
    options = SuiteOptions(
        targets(given["outputs"], formats=TEST_REPORTERS),
        ReportOptions(quiet=given["quiet"]),
        coverage=given["coverage"] or required,
        require_coverage=required,
    )
    sys.exit(run_tests(paths, options))
