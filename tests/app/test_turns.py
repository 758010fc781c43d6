"""Who judges a large run lets others receive meanwhile: `serve` lets threads take turns more often than Python does by itself."""

from __future__ import annotations

import subprocess
import sys

SERVING = """
import sys
from spanverdict.app.serve import serve

def read():
    print(before, sys.getswitchinterval())
    raise SystemExit(0)

before = sys.getswitchinterval()
serve(read)
"""
"""Ends where settings are read, before which nothing listens."""


def test_threads_of_a_server_take_turns_ten_times_as_often() -> None:
    done = subprocess.run([sys.executable, "-c", SERVING], check=True, capture_output=True, text=True, timeout=60)
    before, after = map(float, done.stdout.split())
    assert after <= before / 9
