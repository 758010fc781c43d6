"""What the receiver hands requests to, and what it gets back."""

from __future__ import annotations

import concurrent.futures
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one export request, once it is committed.

    `message` is not empty where spans were rejected; with nothing rejected it is a warning to the client.
    """

    accepted: int
    rejected: int = 0
    message: str = ""


class Sink(Protocol):
    """Takes trace requests and commits them durably."""

    def submit(self, payload: bytes, as_sent: bytes = b"") -> concurrent.futures.Future[Receipt]:
        """Queue one binary `ExportTraceServiceRequest`; the future resolves after it was decoded and committed.

        `as_sent` is the gzip that it was inflated from, where it was and that is smaller.

        Called from the receiver's event loop, and from its worker threads after they inflated or converted a long
        request, several at a time. It must neither wait nor compute for long: where there is no room now, it raises
        `Overloaded`. The future is never cancelled by the receiver and must be resolved exactly once; the payload
        counts as in flight until then.

        Raises, or resolves with:
            Undecodable: the request can never be accepted.
            Overloaded: there is no room now; the client shall come back.
            Unavailable: it cannot be committed now, for instance because the disk is full.
        """
        ...
