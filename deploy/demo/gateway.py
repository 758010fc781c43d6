"""The gateway: takes a payment in, gathers features, has it scored, and publishes the decision."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import broker
import lifetime
import requests
import tracing
from faults import Fault, chosen, strikes
from flask import Flask, request
from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind

LOSE_EVERY = 25
UPSTREAM_TIMEOUT = 15.0

tracer = trace.get_tracer("demo.gateway")


@dataclass(frozen=True, slots=True)
class Upstream:
    """The services behind the gateway, by their base URLs."""

    features_url: str
    scorer_url: str

    def features(self, payment: dict[str, Any]) -> dict[str, float]:
        """Return the online features of a payment."""
        url = f"{self.features_url}/features/{payment['card']}/{payment['merchant']}"
        return _answer(requests.get(url, timeout=UPSTREAM_TIMEOUT))

    def score(self, features: dict[str, float]) -> dict[str, Any]:
        """Return the scorer's answer for these features."""
        return _answer(requests.post(f"{self.scorer_url}/predict", json=features, timeout=UPSTREAM_TIMEOUT))


def _answer(response: requests.Response) -> dict[str, Any]:
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    return answer


def publish(outbox: broker.Outbox, decision: dict[str, Any], misroutes: Callable[[], bool]) -> None:
    """Publish one decision in a producer span, whose context travels in the message's headers."""
    message_id = str(uuid.uuid4())
    attributes = {
        "messaging.system": "kombu",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.destination.name": broker.DECISIONS,
        "messaging.message.id": message_id,
        "request.id": decision["id"],
    }
    with tracer.start_as_current_span(f"publish {broker.DECISIONS}", kind=SpanKind.PRODUCER, attributes=attributes):
        headers: dict[str, str] = {}
        propagate.inject(headers)
        routing_key = broker.UNBOUND if misroutes() else broker.DECISIONS
        outbox.publish(decision, message_id, headers, routing_key)


def create_app(upstream: Upstream, outbox: broker.Outbox, misroutes: Callable[[], bool]) -> Flask:
    """Return the service; a decision goes where no queue is bound whenever `misroutes` says so."""
    app = Flask("gateway")

    @app.post("/payments")
    def payments() -> dict[str, Any]:
        payment = request.get_json()
        trace.get_current_span().set_attribute("request.id", payment["id"])
        features = upstream.features(payment)
        scored = upstream.score(features | {"amount": payment["amount"]})
        decision = {"id": payment["id"], "approved": scored["label"] == "legitimate", "score": scored["score"]}
        publish(outbox, decision, misroutes)
        return decision

    return tracing.instrument(app)


def main(features_url: str, scorer_url: str, broker_path: str) -> None:
    """Serve until stopped, then export the last spans."""
    stop = lifetime.stop_asked()
    provider = tracing.start("gateway")
    misroutes = strikes(Fault.LOST_MESSAGES, chosen(os.environ), LOSE_EVERY)
    with broker.Outbox(Path(broker_path)) as outbox:
        lifetime.serve(create_app(Upstream(features_url, scorer_url), outbox, misroutes), stop)
    provider.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
