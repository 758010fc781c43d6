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
from typing import Final

from spanverdict.telemetry.compiling import Routine
from spanverdict.telemetry.machinecode import Code, keep, kept, load, made

PAYS_AFTER_S: Final = 0.2
"""CPU time of the process: to make machine code takes some seconds, once."""
PROGRAM: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    "from spanverdict.app.compiling import hand_over; hand_over()"
)
"""Compiles, in a process of its own, as numba takes 150 MB."""

_log = logging.getLogger(__name__)


def compile_all() -> Code:
    """Compile everything, and keep it where that is possible."""
    from spanverdict.otlp.compiled import ROUTINES  # noqa: PLC0415 - only here

    code = kept(ROUTINES)
    if code is None:
        code = made(ROUTINES)
        keep(ROUTINES, code)
    return code


def hand_over() -> None:
    """Write what was compiled to standard output."""
    sys.stdout.buffer.write(marshal.dumps(compile_all()))


class Compiling:
    """Loads machine code that was kept; else has it made when there was enough to do. For one thread."""

    def __init__(self) -> None:
        self._since = time.process_time()
        self._begun = False
        self._done = threading.Event()

    def load_kept(self) -> None:
        """Load machine code if it is there."""
        if find_spec("numba") is not None:
            self._load(kept)

    def is_done(self) -> bool:
        """Tell whether machine code is there; begin to make it when that pays."""
        if not self._begun and time.process_time() - self._since > PAYS_AFTER_S:
            self._begun = True
            if find_spec("numba") is not None:
                threading.Thread(target=self._load, args=(_made_apart,), name="compiling", daemon=True).start()
        return self._done.is_set()

    def _load(self, find: Callable[[Sequence[Routine]], Code | None]) -> None:
        from spanverdict.otlp.compiled import ROUTINES  # noqa: PLC0415 - of use only here

        try:
            code = find(ROUTINES)
            if code is not None:
                load(ROUTINES, code)
                self._begun = True
                self._done.set()
        except Exception as error:  # noqa: BLE001 - nothing needs it
            _log.warning("decoding goes on without compiled code: %s", error)


def _made_apart(_: Sequence[Routine]) -> Code:
    command = [sys.executable, "-P", "-c", PROGRAM, json.dumps(sys.path)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)  # noqa: S603 - our own
    code: Code = marshal.loads(done.stdout)  # noqa: S302 - from a process that we started
    return code


if __name__ == "__main__":
    compile_all()
