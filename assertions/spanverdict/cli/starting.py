"""The command to start with: `init`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from spanverdict.cli.options import looking


@click.command("init")
@looking
@click.option("--name", metavar="FLOW", help="Name of the flow. Default: that of the service where requests begin.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write here. Default: print it.")
def init(**given: Any) -> None:
    """Write a starter flow from observed traffic: stages in path order, and limits from what was seen.

    \b
      spanverdict init --input traces.jsonl -o flow.yaml
      spanverdict init --run gh-123 --store spanverdict.sqlite > flow.yaml

    The run passes the flow that it gives. Comments say what was seen; the limits leave it some room.
    Exit code 4 when there are no spans that could be requests.
    """  # noqa: D301 - \b is click's
    from spanverdict.app.initcommand import write_flow  # noqa: PLC0415
    from spanverdict.app.sources import Source  # noqa: PLC0415

    source = Source.told(given["inputs"], given["run_id"], given["store"], os.environ)
    sys.exit(write_flow(source, given["name"], given["output"]))
