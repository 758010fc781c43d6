"""The closed sets of OpenTelemetry's span data model."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class SpanKind(IntEnum):
    """What part of an interaction a span describes; the numbers are OTLP's."""

    UNSPECIFIED = 0
    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


class StatusCode(IntEnum):
    """How the operation of a span ended; the numbers are OTLP's."""

    UNSET = 0
    OK = 1
    ERROR = 2


FLAG_SAMPLED: Final = 0x001
FLAG_HAS_IS_REMOTE: Final = 0x100
FLAG_IS_REMOTE: Final = 0x200

CUT: Final = "spanverdict.cut"
"""The attribute that names what was cut of a span, resource or scope as too long or too many: `span.prompt`."""
CUT_ANY: Final = "*"
"""In place of names: it was too much to tell."""
DROPPED: Final = "spanverdict.dropped_attributes"
"""The attribute that stands for how many others a sender left out of a resource, scope, event or link.

A span has a column for that; these are made of attributes and nothing else.
"""
