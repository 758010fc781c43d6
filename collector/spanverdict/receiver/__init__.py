"""OTLP servers: spans arrive over gRPC and HTTP, are bounded and authorised, and go to a sink that commits them."""
