"""Payloads to tables of one pool, in whichever process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from spanverdict.otlp.decode import Decoded, Tally, decode, decode_all, new_pool
from spanverdict.otlp.limiting import AttributeLimits, Known, exceeds
from spanverdict.telemetry.pool import Pool, Show
from spanverdict.telemetry.spantable import SpanTable

POOL_LIMIT: Final = 1_000_000
"""Distinct attributes after which a fresh pool is begun, so that old values can be let go."""
POOL_BYTES: Final = 128 * 1024 * 1024
"""The same, by memory: few long values are as many short ones."""
WEIGHED_EVERY: Final = 64
"""A pool is weighed when so large a part of what it may take was decoded: that takes as long for little as for much."""
TRACE_LIMIT: Final = 100_000
"""Likewise for distinct traces, which both processes keep as they are: usual ones come with several new attributes."""
RECENT_ATTRIBUTES: Final = 20_000
"""How many a pool remembers: those that come again do so soon, and a small memory is a fast one."""


class OverLimitsError(Exception):
    """Spans have more attributes, or longer values, than is kept. They have to be cut before they are decoded."""


class Decoder:
    """Decodes payloads into tables of one pool; begins a fresh pool when it grows large. For one thread.

    With `limits`, payloads that are over them are not decoded. `show` is given all texts that are new to the pool.
    """

    def __init__(
        self,
        pool_limit: int = POOL_LIMIT,
        pool_bytes: int = POOL_BYTES,
        limits: AttributeLimits | None = None,
        show: Show | None = None,
    ) -> None:
        self._show = show
        self._pool: Pool = new_pool(RECENT_ATTRIBUTES, show)
        self._limit = pool_limit
        self._bytes = pool_bytes
        self._limits = limits
        self._unweighed = 0
        """Bytes decoded since the pool was weighed."""

    def decode(self, payload: bytes) -> Decoded:
        """Decode a payload; raises `Undecodable`."""
        return decode(payload, self._with_room(len(payload)))

    def decode_all(
        self, payloads: Sequence[bytes | memoryview], *, within: bool = False, compiled: bool = False
    ) -> tuple[SpanTable, tuple[Tally, ...]]:
        """Decode payloads into one table; what is not OTLP is said in its tally.

        `within` says that they are known to be within the limits, `compiled` that compiled code is there to be used.

        Raises:
            OverLimitsError: they are not.
        """
        n_bytes = sum(map(len, payloads))
        pool = self._with_room(n_bytes)
        known = Known.of(pool)
        table, tallies = decode_all(payloads, pool, compiled=compiled)
        if self._limits is not None and not within and exceeds(table, n_bytes, known, self._limits):
            self.forget()
            raise OverLimitsError
        return table, tallies

    def forget(self) -> None:
        """Begin a fresh pool, in which everything is new."""
        self._pool = new_pool(RECENT_ATTRIBUTES, self._show)

    def _with_room(self, n_bytes: int) -> Pool:
        """Return a pool that is to be filled with so many bytes more."""
        pool = self._pool
        is_full = len(pool.attributes) > self._limit or len(pool.traces) > min(self._limit, TRACE_LIMIT)
        if self._unweighed * WEIGHED_EVERY >= self._bytes:
            is_full = pool.weigh() > self._bytes or is_full
            self._unweighed = 0
        if is_full:
            self.forget()
        self._unweighed += n_bytes
        return self._pool
