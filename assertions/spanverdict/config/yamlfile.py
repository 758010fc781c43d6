"""Settings in YAML, as plain values beside the nodes that know their places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spanverdict.config.settings import ConfigError
from spanverdict.diagnostics.diagnostic import Problems
from spanverdict.diagnostics.render import render_all
from spanverdict.diagnostics.yamldoc import Mapping, Node, Scalar, Sequence, compose


def read_yaml(path: Path, text: str) -> tuple[dict[str, Any], Node]:
    """Return what a file says; raises `ConfigError` where it is no mapping in YAML."""
    problems = Problems()
    node = compose(text, str(path), problems)
    if problems.fatal or node is None:
        raise ConfigError(render_all(problems.sorted()))
    values = _plain(node)
    if not isinstance(values, dict):
        raise ConfigError(f"{node.position}: a configuration has to be a mapping")
    return values, node


def _plain(node: Node) -> object:
    if isinstance(node, Mapping):
        return {name.text: _plain(value) for name, value in node.entries}
    if isinstance(node, Sequence):
        return [_plain(item) for item in node.items]
    return node.value if isinstance(node, Scalar) else None
