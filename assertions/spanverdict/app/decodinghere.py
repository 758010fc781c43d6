"""Decoding in this process, while there is little to decode: payloads to tables, unless something may be masked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from spanverdict.app.compiling import Compiling
from spanverdict.app.decoding import Decoder
from spanverdict.masking.detectors import compiled as compiled_pattern
from spanverdict.otlp.decode import Tally
from spanverdict.otlp.limiting import AttributeLimits
from spanverdict.telemetry.blocks import Bytes
from spanverdict.telemetry.machinecode import kept
from spanverdict.telemetry.spantable import SpanTable

ENOUGH_BYTES: Final = 16 * 1024
"""Of less, some fifty spans, protobuf makes columns for as little."""


class SuspectedError(Exception):
    """Something in the payloads may have to be masked. They have to be looked at before they are decoded."""


class DecodingHere:
    """Decodes, and searches what is new in payloads, which is a fifth of them, for what may have to be masked.

    With `limits`, payloads that are over them are not decoded. Machine code is used once `compiling` has it, by itself
    if it was kept. For one thread.
    """

    def __init__(self, limits: AttributeLimits | None = None, compiling: Compiling | None = None) -> None:
        self._limits = limits
        self._suspicion = ""
        self._search: Any | None = None
        self._texts: list[bytes | Bytes] = []
        """What was new in the payloads at hand."""
        self._decoder = Decoder(limits=limits)
        self._compiling = compiling if compiling is not None else Compiling(kept)

    def decode_all(
        self, payloads: Sequence[bytes], suspicion: str = "", *, looked_at: bool = False, within: bool = False
    ) -> tuple[SpanTable, tuple[Tally, ...]]:
        """Decode payloads into one table; what is not OTLP is said in its tally.

        `suspicion` is the pattern to search for, `looked_at` says that all of them were masked already, and `within`
        that they are known to be within the limits.

        Raises:
            SuspectedError: they hold what may have to be masked.
            OverLimitsError: they are over the limits.
        """
        self._search_for(suspicion)
        try:
            compiled = sum(map(len, payloads)) >= ENOUGH_BYTES and self._compiling.is_done()
            table, tallies = self._decoder.decode_all(payloads, within=within, compiled=compiled)
            suspected = not looked_at and self._is_suspicious(tallies)
        except BaseException:
            self._decoder.forget()  # or what was seen and not searched would be taken for known
            raise
        finally:
            self._texts.clear()
        if suspected:
            self._decoder.forget()
            raise SuspectedError
        return table, tallies

    def _is_suspicious(self, tallies: Sequence[Tally]) -> bool:
        if self._search is None:
            return False
        if any(tally.rejected for tally in tallies):
            return True  # the texts of rejected spans may be missing among those that are new
        texts = b"\0".join(self._texts)  # type: ignore[arg-type] # arrays are buffers, too
        return self._search(texts) is not None

    def _search_for(self, suspicion: str) -> None:
        """Search from now on for a pattern; all that was known before is new again."""
        if suspicion != self._suspicion:
            self._suspicion = suspicion
            self._search = compiled_pattern(suspicion).search if suspicion else None
            self._decoder = Decoder(limits=self._limits, show=self._texts.append if suspicion else None)
