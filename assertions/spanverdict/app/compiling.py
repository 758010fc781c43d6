"""Brings machine code of the decoding up, where numba is installed: at once if it was kept, else when it pays.

    python -m spanverdict.app.compiling

makes it and keeps it for the next time: in an image, or before a first start under load.
"""

from __future__ import annotations

import json
import logging
import marshal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Final, TypeAlias

import numpy as np

from spanverdict.telemetry.compiling import Routine
from spanverdict.telemetry.linking import can_link
from spanverdict.telemetry.machinecode import Code, keep, kept, load, made

Find: TypeAlias = Callable[[Sequence[Routine]], Code | None]

PAYS_AFTER_S: Final = 0.2
"""CPU time of the process: to make machine code takes some seconds, once."""
PROGRAM: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    "from spanverdict.app.compiling import hand_over; hand_over()"
)
"""Compiles, in a process of its own, as numba takes 150 MB."""

SAMPLE: Final = b"""{"resourceSpans": [{
  "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "tried"}}]},
  "scopeSpans": [{"scope": {"name": "trial"}, "spans": [{
    "traceId": "000102030405060708090a0b0c0d0e0f", "spanId": "0001020304050607", "parentSpanId": "08090a0b0c0d0e0f",
    "name": "work", "kind": 2, "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000001000000000",
    "attributes": [{"key": "number", "value": {"intValue": "7"}}, {"key": "text", "value": {"stringValue": "some"}}],
    "events": [{"name": "happened", "timeUnixNano": "1700000000500000000",
      "attributes": [{"key": "flag", "value": {"boolValue": true}}]}],
    "links": [{"traceId": "0f0e0d0c0b0a09080706050403020100", "spanId": "0706050403020100"}],
    "status": {"code": 2, "message": "failed"}
  }]}]
}]}"""
"""What code is tried out with, each time with another text …"""
N_SAMPLES: Final = 40
"""… and so often that every routine has something to do."""

_log = logging.getLogger(__name__)


def compile_all() -> Code:
    """Compile everything, try it out, and keep it where that is possible."""
    from spanverdict.otlp.compiled import ROUTINES  # noqa: PLC0415 - only here

    code = kept(ROUTINES)
    if code is None:
        code = made(ROUTINES)
        try_out(ROUTINES, code)
        keep(ROUTINES, code)
    return code


def try_out(routines: Sequence[Routine], code: Code) -> None:
    """Decode something before and after code is loaded; raises `RuntimeError` when this is not the same.

    Where code cannot even run this ends a process that nobody needs, and it is not kept.
    """
    from spanverdict.otlp.json import json_to_protobuf  # noqa: PLC0415 - only here

    payloads = [json_to_protobuf(SAMPLE.replace(b"some", b"some %03d" % n)).payload for n in range(N_SAMPLES)]
    with np.errstate(over="ignore"):  # hashes do
        before = _decoded(payloads)
        load(routines, code)
        after = _decoded(payloads)
    if after != before:
        raise RuntimeError("machine code does something else than what it was made of")


def _decoded(payloads: Sequence[bytes]) -> tuple[bytes, list[bytes]]:
    """Return all that was decoded as what would go to another process, few attributes made compact as many would be."""
    from spanverdict.app.decoding import Decoder  # noqa: PLC0415 - only here
    from spanverdict.telemetry.likening import likened  # noqa: PLC0415
    from spanverdict.telemetry.transfer import TableWriter  # noqa: PLC0415

    table, _ = Decoder().decode_all(payloads, compiled=True)
    packed = TableWriter(table.pool, many=0).pack(table, likened)
    return packed.head, [column.tobytes() for column in packed.columns]


def hand_over() -> None:
    """Write what was compiled to standard output."""
    sys.stdout.buffer.write(marshal.dumps(compile_all()))


class Compiling:
    """Loads machine code that was kept; else has it made when there was enough to do. For one thread.

    `find` is what finds it then.
    """

    def __init__(self, find: Find | None = None) -> None:
        self._find = find if find is not None else _made_apart
        self._since = time.process_time()
        self._begun = False
        self._done = threading.Event()

    def load_kept(self) -> None:
        """Load machine code if it is there."""
        if _is_possible():
            self._load(kept)

    def is_done(self) -> bool:
        """Tell whether machine code is there; begin to make it when that pays."""
        if not self._begun and time.process_time() - self._since > PAYS_AFTER_S:
            self._begun = True
            if _is_possible():
                threading.Thread(target=self._load, args=(self._find,), name="compiling", daemon=True).start()
        return self._done.is_set()

    def _load(self, find: Find) -> None:
        from spanverdict.otlp.compiled import ROUTINES  # noqa: PLC0415 - of use only here

        try:
            code = find(ROUTINES)
            if code is not None:
                load(ROUTINES, code)
                self._begun = True
                self._done.set()
        except Exception as error:  # noqa: BLE001 - nothing needs it
            _log.warning("decoding goes on without compiled code: %s", error)


def _is_possible() -> bool:
    return can_link() and find_spec("numba") is not None


def _made_apart(_: Sequence[Routine]) -> Code:
    command = [sys.executable, "-P", "-c", PROGRAM, json.dumps(sys.path)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)  # noqa: S603 - our own
    code: Code = marshal.loads(done.stdout)  # noqa: S302 - from a process that we started
    return code


if __name__ == "__main__":
    compile_all()
