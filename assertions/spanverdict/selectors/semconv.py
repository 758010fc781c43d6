"""Attributes that OpenTelemetry's semantic conventions have renamed, and names that others use for the same.

Instrumentations move to new names one by one, so the spans of one run carry both. A field reads
the attribute of its own name, and where a span has none, the same value under another. Stored
spans stay as they came. Names are here only where the values mean the same: what was split, joined
or given another type is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from types import MappingProxyType
from typing import Final

RENAMED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "client.address": ("http.client_ip",),
        "code.column.number": ("code.column",),
        "code.file.path": ("code.filepath",),
        "code.line.number": ("code.lineno",),
        "db.collection.name": ("db.sql.table", "db.mongodb.collection", "db.cassandra.table", "db.cosmosdb.container"),
        "db.namespace": ("db.name",),
        "db.operation.name": ("db.operation",),
        "db.query.text": ("db.statement",),
        "db.system.name": ("db.system",),
        "deployment.environment.name": ("deployment.environment",),
        "faas.invocation_id": ("faas.execution",),
        "feature_flag.provider.name": ("feature_flag.provider_name",),
        "feature_flag.result.reason": ("feature_flag.evaluation.reason",),
        "feature_flag.result.variant": ("feature_flag.variant", "feature_flag.evaluation.variant"),
        "gen_ai.provider.name": ("gen_ai.system",),
        "gen_ai.request.seed": ("gen_ai.openai.request.seed",),
        "gen_ai.usage.input_tokens": ("gen_ai.usage.prompt_tokens",),
        "gen_ai.usage.output_tokens": ("gen_ai.usage.completion_tokens",),
        "http.request.body.size": ("http.request_content_length",),
        "http.request.method": ("http.method",),
        "http.request.resend_count": ("http.resend_count", "http.retry_count"),
        "http.response.body.size": ("http.response_content_length",),
        "http.response.status_code": ("http.status_code",),
        "messaging.client.id": ("messaging.client_id",),
        "messaging.consumer.group.name": (
            "messaging.kafka.consumer.group",
            "messaging.kafka.consumer_group",
            "messaging.rocketmq.client_group",
        ),
        "messaging.destination.name": ("messaging.destination",),
        "messaging.kafka.offset": ("messaging.kafka.message.offset",),
        "messaging.message.body.size": ("messaging.message_payload_size_bytes", "messaging.message.payload_size_bytes"),
        "messaging.message.conversation_id": ("messaging.conversation_id",),
        "messaging.message.id": ("messaging.message_id",),
        "messaging.operation.type": ("messaging.operation",),
        "network.peer.address": ("net.sock.peer.addr",),
        "network.peer.port": ("net.sock.peer.port",),
        "network.protocol.name": ("net.protocol.name", "net.app.protocol.name"),
        "network.protocol.version": ("http.flavor", "net.protocol.version", "net.app.protocol.version"),
        "service.peer.name": ("peer.service",),
        "url.full": ("http.url",),
        "url.scheme": ("http.scheme",),
        "user_agent.original": ("http.user_agent",),
        "vcs.change.id": ("vcs.repository.change.id",),
        "vcs.change.title": ("vcs.repository.change.title",),
        "vcs.ref.head.name": ("vcs.repository.ref.name",),
        "vcs.ref.head.revision": ("vcs.repository.ref.revision",),
    }
)
"""Current name → older ones, the most recent first. Each stands for all of them."""

BORROWED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "cache.hit": ("http.cache.hit",),
        "gen_ai.provider.name": ("llm.provider",),
        "gen_ai.response.model": ("llm.response.model_name",),
        "gen_ai.request.model": ("llm.request.model_name", "llm.model_name"),
        "gen_ai.usage.input_tokens": ("llm.token_count.prompt",),
        "gen_ai.usage.output_tokens": ("llm.token_count.completion",),
        "ml.model.name": ("triton.model_name", "mlflow.llm.model"),
        "ml.model.version": ("triton.model_version",),
    }
)
"""Name of a convention → what other frameworks call it. Their names stand for themselves alone."""


def other_names(name: str) -> tuple[str, ...]:
    """Return the names that stand for the same attribute, the likeliest first; empty for most.

    >>> other_names("http.request.method"), other_names("http.method"), other_names("order.id")
    (('http.method',), ('http.request.method',), ())
    """
    return _OTHERS.get(name, ())


def _others() -> Mapping[str, tuple[str, ...]]:
    found = {name: BORROWED.get(name, ()) for name in BORROWED}
    for current, older in RENAMED.items():
        family = (current, *older)
        for name in family:
            found[name] = tuple(other for other in chain(family, BORROWED.get(name, ())) if other != name)
    return MappingProxyType(found)


_OTHERS: Final = _others()
