"""The HTTP API: runs, verdicts, health and metrics."""
