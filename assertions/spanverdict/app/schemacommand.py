"""`schema`: the JSON Schemas that editors read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from spanverdict.rulefiles.schema import flow_schema
from spanverdict.rulefiles.schemawords import Schema
from spanverdict.ruletest.schema import schema_of_tests

SCHEMAS: Final[Mapping[str, Callable[[], Schema]]] = MappingProxyType({"flow": flow_schema, "test": schema_of_tests})
"""By what they are of: rule files, and tests of rules."""


def schema_text(of: str) -> str:
    """Return a schema as it is printed and kept: indented, in the order of the reference."""
    return json.dumps(SCHEMAS[of](), indent=2, ensure_ascii=False) + "\n"
