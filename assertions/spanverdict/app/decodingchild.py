"""The process that decodes for `decodingprocess`: payloads in, tables and tallies out, until the other end is gone.

It holds nothing that anybody would miss: what it was decoding when it ends is decoded again. What it has not seen
before it can search for what has to be masked. That costs far less than to search all payloads, as most of what spans
hold comes again and again.
"""

from __future__ import annotations

import gc
import marshal
import signal
import socket
from collections.abc import Sequence
from typing import Any, Final

from spanverdict.app.channel import Channel, Gone, Message
from spanverdict.app.compiling import Compiling
from spanverdict.app.decoding import Decoder, OverLimitsError
from spanverdict.app.desk import Bytes, Desk
from spanverdict.masking.detectors import compiled
from spanverdict.otlp.limiting import AttributeLimits
from spanverdict.telemetry.blocks import Bytes as Octets
from spanverdict.telemetry.blocks import Pieces
from spanverdict.telemetry.likening import likened
from spanverdict.telemetry.transfer import TableWriter

COLLECT_AFTER: Final = (50_000, 20, 20)
"""When to look for cyclic garbage: seldom, as decoding makes none."""


def main(number: int, suspicion: str, limits: tuple[int, int] | None = None, desk: int | None = None) -> None:
    """Serve the socket of that number, which the parent opened, as it did the file that is a desk for both.

    `suspicion` is a pattern to search for, or empty; `limits` are those of attributes.
    """
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)  # these are the parent's business, which ends us by hanging up
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    within = AttributeLimits(*limits) if limits is not None else None
    answers = _Answers(within)
    answers.search_for(suspicion)
    answers.compiling.load_kept()
    shared = Desk(desk, 1, copies=False) if desk is not None else None
    serve(Channel(socket.socket(fileno=number), shared), answers)


def serve(channel: Channel, answers: _Answers) -> None:
    """Say hello, then answer every message in turn but those that say what to search for."""
    try:
        channel.send(b"")
        while True:
            message = channel.receive()
            said = marshal.loads(message.head)  # noqa: S302 - from the process that started us
            if isinstance(said, str):
                answers.search_for(said)
            else:
                channel.send(*answers.to(message, said))
    except Gone:
        return


class _Answers:
    """Says of payloads what they held, or what went wrong."""

    def __init__(self, limits: AttributeLimits | None = None) -> None:
        self._limits = limits
        self._suspicion: Any | None = None
        self.compiling = Compiling()
        self._texts: list[bytes | Octets] = []
        """What was new in the payloads at hand."""
        self._decoder = Decoder(limits=limits)
        self._writer: TableWriter | None = None

    def search_for(self, suspicion: str) -> None:
        """Search from now on for a pattern; empty for nothing. All that was known before is new again."""
        self._suspicion = compiled(suspicion) if suspicion else None
        self._decoder = Decoder(limits=self._limits, show=self._texts.append if suspicion else None)
        self._writer = None

    def to(self, message: Message, said: tuple[bool, bool, Sequence[int]]) -> tuple[bytes, Sequence[Bytes]]:
        """Return head and body of an answer to payloads, of which was said who looked at them, and their sizes."""
        looked_at, within, sizes = said
        try:
            search = None if looked_at or self._suspicion is None else self._suspicion.search
            return self._decoded(Pieces(message.padded, sizes), search, within=within)
        except OverLimitsError:
            self._forget()
            return marshal.dumps(False), ()
        except Exception as error:  # noqa: BLE001 - told to the clients; it costs these payloads and no others
            self._forget()  # or what was seen and not searched would be taken for known
            return marshal.dumps(f"{type(error).__name__}: {error}"), ()
        finally:
            self._texts.clear()

    def _decoded(self, payloads: Pieces, search: Any | None, *, within: bool) -> tuple[bytes, Sequence[Bytes]]:
        compiled = self.compiling.is_done()
        table, tallies = self._decoder.decode_all(payloads, within=within, compiled=compiled)
        # The texts of rejected spans may be missing among those that are new.
        if search is not None and (any(tally.rejected for tally in tallies) or any(map(search, self._texts))):
            self._forget()
            return marshal.dumps(None), ()
        writer = self._writer
        fresh = writer is None or writer.pool is not table.pool
        if writer is None or fresh:
            writer = self._writer = TableWriter(table.pool)
        packed = writer.pack(table, likened if compiled else None)
        writer.let_go()
        said = [(tally.accepted, tally.rejected, tally.problems, tally.undecodable) for tally in tallies]
        head = marshal.dumps((fresh, said, packed.head, compiled))
        return head, [column.data.cast("B") for column in packed.columns if len(column)]

    def _forget(self) -> None:
        self._decoder.forget()
        self._writer = None
