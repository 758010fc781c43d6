"""The rule language: flow files in YAML, read into models, every mistake a diagnostic."""
