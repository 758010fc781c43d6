"""Brings compiled code up beside the decoding, where numba is installed and there is enough to do for it to pay.

    python -m spanverdict.app.compiling

compiles beforehand what is kept for the next time: in an image, or before a first start under load.
"""

from __future__ import annotations

import logging
import threading
import time
from importlib.util import find_spec
from typing import Final

from spanverdict.otlp.decode import decode_all, new_pool

PAYS_AFTER_S: Final = 0.2
"""CPU time of the process: bringing it up costs about twice that, and ten times as much where nothing is kept of the
last time."""
_SPAN: Final = b"\x0a\x10" + b"T" * 16 + b"\x12\x08" + b"S" * 8 + b"\x4a\x09\x0a\x01k\x12\x04\x0a\x02ab"
SAMPLE: Final = b"\x0a\x2b\x12\x29\x12\x27" + _SPAN
"""A request of one span."""

_log = logging.getLogger(__name__)


def compile_all() -> None:
    """Compile everything, or load what was compiled before."""
    decode_all([SAMPLE], new_pool(recent_attributes=1), compiled=True)


class Compiling:
    """Begins when there was something to do for long enough, and says when it is done. For one thread."""

    def __init__(self) -> None:
        self._since = time.process_time()
        self._begun = False
        self._done = threading.Event()

    def is_done(self) -> bool:
        """Tell whether compiled code is there; begin to bring it up when that pays."""
        if not self._begun and time.process_time() - self._since > PAYS_AFTER_S:
            self._begun = True
            if find_spec("numba") is not None:
                threading.Thread(target=self._run, name="compiling", daemon=True).start()
        return self._done.is_set()

    def _run(self) -> None:
        try:
            compile_all()
        except Exception as error:  # noqa: BLE001 - nothing needs it
            _log.warning("decoding goes on without compiled code: %s", error)
        else:
            self._done.set()


if __name__ == "__main__":
    compile_all()
