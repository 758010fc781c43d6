"""What the two sides of a connection ask of each other (RFC 9113, 6.5)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from spanverdict.receiver.http2.frames import NUMBER, SETTINGS, ConnectionFault, ErrorCode, frame

ENABLE_PUSH: Final = 2
MAX_STREAMS: Final = 3
FIRST_WINDOW: Final = 4
MAX_FRAME: Final = 5
MAX_HEADERS: Final = 6

_SETTING = struct.Struct(">HI")
_FRAME_SIZES: Final = range(1 << 14, 1 << 24)


def written(values: dict[int, int]) -> bytes:
    """Write a SETTINGS frame.

    >>> written({MAX_STREAMS: 128}).hex()
    '000006040000000000000300000080'
    """
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*pair) for pair in values.items()))


def first_windows(payload: memoryview) -> Iterator[int]:
    """Yield the windows that a client gives to streams, the only one of its wishes that matters to short answers.

    Raises:
        ConnectionFault: a setting has a value that it cannot have.
    """
    if len(payload) % _SETTING.size:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "settings of a wrong length")
    for setting, value in _SETTING.iter_unpack(payload):
        if setting == FIRST_WINDOW:
            if value > NUMBER:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "the window of streams is too large")
            yield value
        elif (setting == ENABLE_PUSH and value > 1) or (setting == MAX_FRAME and value not in _FRAME_SIZES):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a setting has a value that it cannot have")
