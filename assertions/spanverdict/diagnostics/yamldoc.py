"""YAML in which every node remembers its line and column, read without ever raising.

`compose` gives the nodes of a file, `Reader` reads the keys of a mapping; what is wrong with either
becomes a diagnostic. The language is the core schema of YAML 1.2, without tags, merge keys and
duplicate keys, and with limits on size, depth and aliases, so that no file can be a bomb.
"""

from spanverdict.diagnostics.yamlcompose import MAX_ALIASES, MAX_DEPTH, MAX_NODES, compose
from spanverdict.diagnostics.yamlnodes import Mapping, Node, Plain, Scalar, Sequence
from spanverdict.diagnostics.yamlreader import Reader, did_you_mean, text_of, wrong_type
from spanverdict.diagnostics.yamltext import MAX_BYTES

__all__ = [
    "MAX_ALIASES",
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_NODES",
    "Mapping",
    "Node",
    "Plain",
    "Reader",
    "Scalar",
    "Sequence",
    "compose",
    "did_you_mean",
    "text_of",
    "wrong_type",
]
