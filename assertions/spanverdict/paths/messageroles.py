"""Whether a span sends messages or takes them: by its kind, and where that leaves it open by its operation.

The conventions have receiving and settling as CLIENT, sending as CLIENT or PRODUCER; before that receiving was
CONSUMER. So PRODUCER and CONSUMER say it all, and of other kinds the operation is asked: under its present name, under
older ones, and under what AWS' client library calls the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final

import numpy as np

from spanverdict.telemetry.pool import Value
from spanverdict.telemetry.spantable import Int8s, SpanTable
from spanverdict.telemetry.vocabulary import SpanKind


class Role(IntEnum):
    """What a span does with messages."""

    UNKNOWN = 0
    SENDS = 1
    TAKES = 2


OPERATION: Final = ("messaging.operation.type", "messaging.operation.name", "messaging.operation", "rpc.method")
"""Attributes that may say it, the one that counts first."""
_SENDING: Final = ("create", "publish", "send", "produce", "enqueue", "sendmessage", "sendmessagebatch")
_TAKING: Final = (
    *("receive", "process", "deliver", "consume", "poll", "dequeue", "peek", "receivemessage"),
    *("settle", "ack", "nack", "reject", "complete", "abandon", "commit", "deletemessage", "changemessagevisibility"),
)
_ROLES: Final[Mapping[str, Role]] = MappingProxyType(
    dict.fromkeys(_SENDING, Role.SENDS) | dict.fromkeys(_TAKING, Role.TAKES)
)


def role_of(operation: Value) -> Role:
    """Return what an operation does with messages; methods may be written with their service.

    >>> role_of("receive").name, role_of("SQS/SendMessage").name, role_of("GetItem").name
    ('TAKES', 'SENDS', 'UNKNOWN')
    """
    if not isinstance(operation, str):
        return Role.UNKNOWN
    return _ROLES.get(operation.rpartition("/")[2].rpartition(".")[2].lower(), Role.UNKNOWN)


def message_roles(table: SpanTable) -> Int8s:
    """Return the `Role` of every span, (n_spans,)."""
    roles = np.zeros(len(table), np.int8)
    for key in reversed(OPERATION):
        column = table.attribute(key)
        if column.values:
            said = np.array([*map(role_of, column.values), Role.UNKNOWN], np.int8)[column.codes]
            roles = np.where(said != Role.UNKNOWN, said, roles)
    roles[table.kind == SpanKind.PRODUCER] = Role.SENDS
    roles[table.kind == SpanKind.CONSUMER] = Role.TAKES
    return roles
