"""OTLP in and out: binary protobuf, OTLP/JSON, and files of either."""
