"""The scorer: says how likely a payment is fraud."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import lifetime
import model as models
import tracing
from faults import Fault, chosen, strikes
from flask import Flask, request
from opentelemetry import trace

GOOD_VERSION, BAD_VERSION = "2.4.0", "2.4.1"
"""The bad release answers in percent, where everybody reads a probability."""
SLOW_EVERY = 5
SLOW_SECONDS = 1.2
LOSE_EVERY = 25

tracer = trace.get_tracer("demo.scorer")


def predict(model: models.Model, features: dict[str, float], stalls: Callable[[], bool]) -> float:
    """Score one payment in a span that records the score and the model that gave it."""
    with tracer.start_as_current_span("predict") as span:
        if stalls():
            time.sleep(SLOW_SECONDS)
        score = model.score(features)
        span.set_attributes(
            {
                "ml.model.name": model.name,
                "ml.model.version": model.version,
                "score": score,
                "label": models.label(score),
            }
        )
        return score


def create_app(model: models.Model, stalls: Callable[[], bool]) -> Flask:
    """Return the service around `model`; a prediction takes long whenever `stalls` says so."""
    app = Flask("scorer")

    @app.post("/predict")
    def score() -> dict[str, float | str]:
        scored = predict(model, request.get_json(), stalls)
        return {"score": scored, "label": models.label(scored), "model_version": model.version}

    return tracing.instrument(app)


def main() -> None:
    """Serve until stopped, then export the last spans."""
    stop = lifetime.stop_asked()
    fault = chosen(os.environ)
    provider = tracing.start("scorer", leak="predict", loses=strikes(Fault.LOST_SPANS, fault, LOSE_EVERY))
    model = models.load(BAD_VERSION if fault is Fault.WRONG_OUTPUT else GOOD_VERSION)
    lifetime.serve(create_app(model, strikes(Fault.SLOW_SCORER, fault, SLOW_EVERY)), stop)
    provider.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
