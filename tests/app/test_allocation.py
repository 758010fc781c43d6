"""Memory that was freed is used again, and not got from the system page by page."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest

from spanverdict.app import allocation
from spanverdict.app.allocation import give_back, keep_freed_memory

FEW = 50
"""Left alone it is some hundreds."""
CYCLES = """
import resource, sys
if sys.argv[1] == "kept":
    from spanverdict.app.allocation import keep_freed_memory
    keep_freed_memory()
for cycle in range(60):
    if cycle == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    requests = [b"x" * 160_000 for _ in range(12)]
    del requests
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

PIECES = """
import resource, threading
from spanverdict.app.allocation import give_back, keep_freed_memory

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() >> 20

def work():
    global kept
    pieces = [b"x" * 1_000_000 for _ in range(200)]
    kept = pieces[9::10]

keep_freed_memory()
before = resident()
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(resident() - before)
give_back()
print(resident() - before)
"""


def faults(how: str) -> int:
    command = [sys.executable, "-c", CYCLES, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have their own ways")
def test_what_a_request_used_is_kept_for_the_next_one() -> None:
    assert faults("kept") < FEW


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have their own ways")
def test_what_lies_between_used_pieces_is_given_back() -> None:
    """Of 200 MB on another thread all is freed but every tenth."""
    done = subprocess.run([sys.executable, "-c", PIECES], check=True, capture_output=True, text=True, timeout=60)
    freed, given_back = map(int, done.stdout.split())
    assert freed > 150
    assert given_back < freed - 100


def test_a_c_library_without_such_settings_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    keep_freed_memory()
    give_back()


@pytest.mark.parametrize(("asked", "settings"), [({}, 3), ({"MALLOC_ARENA_MAX": "8"}, 2)], ids=["unasked", "asked"])
def test_threads_share_what_they_freed_unless_their_user_has_said_how(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, str], settings: int
) -> None:
    calls: list[tuple[int, int]] = []
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(mallopt=lambda *of: calls.append(of)))
    keep_freed_memory()
    assert len(calls) == settings
    assert all(value != allocation.ARENAS for _, value in calls) is bool(asked)
