"""From the text of a rule file, or from paths, to flows."""

from __future__ import annotations

from collections.abc import Iterable

from spanverdict.diagnostics import codes
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.diagnostics.yamldoc import compose
from spanverdict.rulefiles.beside import ReadBeside, read_beside
from spanverdict.rulefiles.flowreader import read_flow
from spanverdict.rulefiles.goldens import Goldens
from spanverdict.rulefiles.including import expand, traced
from spanverdict.rulefiles.models import Flow
from spanverdict.rulefiles.sources import find_files, read_text


def load(text: str, file: str, problems: Problems, read: ReadBeside = read_beside) -> Flow | None:
    """Return the flow that `text` describes; None when there is any error in it, all of them reported.

    `file` is the name that diagnostics and results give to the text; golden files stand beside it and are
    read by `read`.
    """
    own = Problems()
    node = compose(text, file, own)
    if node is None:
        problems.extend(own)
        return None
    expanded = expand(node, file, own)
    goldens = Goldens(file, read)
    flow = None if expanded.node is None else read_flow(expanded.node, expanded.digest(text), own, goldens)
    problems.extend(traced(own, expanded))
    return None if own.fatal else flow


def load_files(paths: Iterable[str], read: ReadBeside = read_beside) -> tuple[tuple[Flow, ...], Problems]:
    """Return the flows of files, directories, glob patterns and `-` (standard input), in that order.

    A directory stands for its `*.yaml` and `*.yml` files at any depth, rule tests (`*_test.yaml`)
    left out. A file that is reached twice is read once. Files with errors give no flow.
    """
    problems = Problems()
    flows: dict[str, Flow] = {}
    for file in find_files(paths, problems):
        text = read_text(file, problems)
        flow = None if text is None else load(text, file.name, problems, read)
        if flow is None:
            continue
        earlier = flows.setdefault(flow.name, flow)
        if earlier is not flow:
            message = f"there is a flow `{flow.name}` already"
            hint = f"it stands in {earlier.position}"
            problems.error(flow.position, codes.NAME_TAKEN, message, hint, len(flow.name))
    return tuple(flows.values()), problems
