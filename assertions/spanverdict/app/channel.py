"""Messages between this process and one that it started, over a pair of sockets."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from spanverdict.app.desk import Bytes, Desk
from spanverdict.telemetry.blocks import PADDING

_SIZES: Final = struct.Struct("=QQq")
"""Of the head and of the body; and the place on the desk where the body lies …"""
_NO_PLACE: Final = -1
"""… unless it follows."""
_PIECES_AT_ONCE: Final = 256
"""The system takes at least so many in one call; more are joined, as they are small."""
_BUFFER_BYTES: Final = 1 << 20


class Gone(Exception):  # noqa: N818 - says what is so
    """The other process is no longer there, or no longer listens."""


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """What both sides send: a head, and a body that may be large."""

    head: bytes
    padded: npt.NDArray[np.uint8]
    """The body, and zeros behind it, as many as a block of bytes has."""

    @property
    def body(self) -> npt.NDArray[np.uint8]:
        """The body alone."""
        return self.padded[:-PADDING]


class Channel:
    """One end. One thread may send while another receives.

    With a `desk`, bodies are laid there, and whoever sends knows that the other is done with those before the last
    `PLACES`.
    """

    def __init__(self, end: socket.socket, desk: Desk | None = None) -> None:
        self._end = end
        self._desk = desk

    @staticmethod
    def pair() -> tuple[socket.socket, socket.socket]:
        """Return two ends that are connected, with room for a message that is not yet taken."""
        ends = socket.socketpair()
        for end in ends:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        return ends

    def send(self, head: bytes, body: Sequence[Bytes] = ()) -> None:
        """Send a message, the body in pieces; waits until the other side has taken most of it.

        Raises:
            Gone: nobody takes it.
        """
        size = sum(len(piece) for piece in body)
        place = self._desk.lay(body, size) if self._desk is not None and size else None
        if place is None:
            pieces = [_SIZES.pack(len(head), size, _NO_PLACE), head, *body]
        else:
            pieces = [_SIZES.pack(len(head), size, place), head]
        if len(pieces) > _PIECES_AT_ONCE:
            pieces = [b"".join(pieces)]
        try:
            _send_all(self._end, [memoryview(piece) for piece in pieces if len(piece)])
        except OSError as error:
            raise Gone from error

    def wait(self, seconds: float) -> bool:
        """Wait until the next message begins to come, or there is an end of them; False after so long."""
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def receive(self) -> Message:
        """Wait for the next message.

        Raises:
            Gone: there will be none.
        """
        head_size, body_size, place = _SIZES.unpack(self._read(_SIZES.size).data)
        head = self._read(head_size).tobytes()
        if place == _NO_PLACE or self._desk is None:
            return Message(head, self._read(body_size, PADDING))
        return Message(head, self._desk.take(place, body_size))

    def end(self) -> None:
        """Send nothing more: the other side is `Gone` for whoever receives there, once it has taken everything."""
        try:
            self._end.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self) -> None:
        """Let go of it."""
        self._end.close()

    def _read(self, size: int, padding: int = 0) -> npt.NDArray[np.uint8]:
        found = np.empty(size + padding, np.uint8)
        found[size:] = 0
        rest = found.data[:size]
        while rest:
            try:
                count = self._end.recv_into(rest, 0, socket.MSG_WAITALL)
            except OSError as error:
                raise Gone from error
            if not count:
                raise Gone
            rest = rest[count:]
        return found


def _send_all(end: socket.socket, pieces: list[memoryview]) -> None:
    while pieces:
        sent = end.sendmsg(pieces)
        done = 0
        while done < len(pieces) and sent >= len(pieces[done]):
            sent -= len(pieces[done])
            done += 1
        pieces = pieces[done:]
        if pieces and sent:
            pieces[0] = pieces[0][sent:]
