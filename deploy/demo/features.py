"""The feature service: answers with the online features of one payment, and says how old they are."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import lifetime
import store
import tracing
from flask import Flask
from opentelemetry import trace

tracer = trace.get_tracer("demo.features")


def read_view(path: Path, view: store.View, entity: str) -> dict[str, float]:
    """Read one feature view in a span that records the age of what was read."""
    with tracer.start_as_current_span("get_online_features") as span:
        row = store.read(path, view, entity)
        span.set_attributes(
            {
                "feature_store.system.name": "sqlite",
                "feature_store.feature_view.name": view.name,
                "feature_store.feature.names": list(row.features),
                "feature_store.feature.age": time.time() - row.event_time,
                "feature_store.feature.event_time": datetime.fromtimestamp(row.event_time, UTC).isoformat(),
                "feature_store.feature.status": "PRESENT",
            }
        )
        return row.features


def create_app(path: Path) -> Flask:
    """Return the service over the feature store at `path`."""
    app = Flask("features")

    @app.get("/features/<card>/<merchant>")
    def features(card: str, merchant: str) -> dict[str, float]:
        found: dict[str, float] = {}
        for view, entity in zip(store.VIEWS, (card, merchant), strict=True):
            found |= read_view(path, view, entity)
        return found

    @app.errorhandler(store.UnknownEntityError)
    def unknown(error: store.UnknownEntityError) -> tuple[dict[str, str], int]:
        return {"error": str(error)}, 404

    return tracing.instrument(app)


def main(path: str) -> None:
    """Serve until stopped, then export the last spans."""
    stop = lifetime.stop_asked()
    provider = tracing.start("features")
    lifetime.serve(create_app(Path(path)), stop)
    provider.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
