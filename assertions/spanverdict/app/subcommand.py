"""Running the user's command: its signals, its end, its exit code."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from spanverdict.app.errors import CommandError

LAST_WORDS_S: Final = 10.0
"""How long an interrupted command may take to end before it is told again, and more firmly."""
_SIGNAL_BASE: Final = 128
"""A shell's exit code for a process that a signal ended is this and the signal's number."""


def run_command(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a command to its end and return its exit code; signals that reach us reach it.

    Raises:
        CommandError: it cannot be started.
        KeyboardInterrupt: we were interrupted; the command has ended.
    """
    try:
        process = subprocess.Popen(command, env=dict(environ))  # noqa: S603 - the user's own command
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise CommandError(f"cannot start {command[0]}: {reason}") from None
    signals = _Signals(process)
    with signals.taken():
        code = signals.wait()
    if signals.interrupted:
        raise KeyboardInterrupt
    return code if code >= 0 else _SIGNAL_BASE - code


class _Interrupted(Exception):  # noqa: N818 - says what happened
    """Somebody asked us to stop while the command runs."""


@dataclass(slots=True, eq=False)
class _Signals:
    """Passes signals on to a process. Ctrl-C on a terminal reaches it by itself."""

    process: subprocess.Popen[bytes]
    interrupted: bool = False

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Handle signals until the block ends."""
        handlers = {signal.SIGINT: self._interrupt, signal.SIGTERM: self._pass_on}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def wait(self) -> int:
        """Wait for the end of the process; one that does not heed an interrupt is ended."""
        try:
            return self.process.wait()
        except _Interrupted:
            pass
        for tell in (self.process.terminate, self.process.kill):
            try:
                return self.process.wait(LAST_WORDS_S)
            except (subprocess.TimeoutExpired, _Interrupted):
                tell()
        return self.process.wait()

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        self.interrupted = True
        if self.process.returncode is None:
            if not _from_terminal():
                self.process.send_signal(number)
            raise _Interrupted

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self.process.send_signal(number)


def _from_terminal() -> bool:
    """Tell whether a terminal would have sent its signals to the command, too, as to all in its foreground."""
    try:
        with Path("/dev/tty").open("rb", buffering=0) as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False
