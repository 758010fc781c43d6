"""Ids for runs that nobody gave a name."""

from __future__ import annotations

import secrets
import time


def new_run_id(kind: str = "run") -> str:
    """Return an id that no other run has: the time, for people, and chance."""
    return f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
