"""The commands that look into a run: `query`, `explain`, `show` and `path`."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from spanverdict.cli.options import looking


@click.command()
@click.argument("selector")
@looking
@click.option("--rules", "-r", multiple=True, metavar="PATH", help="Look at the requests of this flow, not at traces.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the attributes of each span.")
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True, help="Matches to print; 0 for all.")
def query(selector: str, **given: Any) -> None:
    """Print the spans that a TraceQL selector matches.

    SELECTOR is the text itself, @FILE that holds it, or - for standard input.

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


@click.command()
@click.argument("rule")
@looking
@click.option("--rules", "-r", multiple=True, metavar="PATH", help="Rule files or directories.")
def explain(rule: str, **given: Any) -> None:
    """Show what a rule looked at, or what a diagnostic means.

    Of a rule: which spans its selectors matched and nearly matched, which requests they missed, and what was measured.
    RULE is its id, FLOW/RULE where several flows have it; or it is the code of a diagnostic.

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


@click.command()
@click.argument("request")
@looking
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


@click.command()
@looking
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
