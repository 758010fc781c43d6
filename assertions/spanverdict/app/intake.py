"""From a request's bytes to a durable batch: decode, journal, acknowledge, hand on.

One thread decodes for all connections. It takes what has come in meanwhile together, which costs less than one
request at a time, and leaves the receiver's event loop free. Where there is much to decode, a process of its own does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Final

from spanverdict.app.admission import Admission
from spanverdict.app.decoding import OverLimitsError
from spanverdict.app.decodinghere import DecodingHere, SuspectedError
from spanverdict.app.decodingprocess import WAYS, DecodingProcess
from spanverdict.app.pace import Pace
from spanverdict.app.requestgroup import Deliver, Request, RequestGroup, Way
from spanverdict.app.workload import Workload
from spanverdict.masking.masker import Masker
from spanverdict.otlp.decode import Tally
from spanverdict.otlp.limiting import AttributeLimits, Cuts, cut
from spanverdict.receiver.errors import Overloaded, Unavailable
from spanverdict.receiver.sink import Receipt
from spanverdict.storage.journal import Journal
from spanverdict.telemetry.spantable import SpanTable

GROUP_BYTES: Final = 832 * 1024
"""Payload that is decoded together: some 2,000 spans. Larger groups would cost no less, and let the first request wait
longer; in smaller ones a tenth more goes to what is done once a group."""
WARY_S: Final = 10.0
"""So long after something had to be masked, or cut, all requests are looked at before they are decoded."""


class _Stop:
    pass


class Intake:
    """The receiver's sink. `deliver` gets all that was committed; `has_room` says whether more can be taken now.

    `refusal` says why a request of so many bytes cannot be kept, and gives None when it can. With a `masker`, only what
    it leaves is decoded and kept; with `limits`, attributes beyond them are cut before that. With `apart`, a process is
    started to decode as soon as there is a lot to do. With `admission`, requests that name too many new runs are
    refused. With `pace` small requests wait for each other a little. Start the intake before the receiver and close it
    after.
    """

    def __init__(
        self,
        journal: Journal,
        deliver: Deliver,
        has_room: Callable[[], bool] = lambda: True,
        *,
        refusal: Callable[[int], str | None] = lambda _nbytes: None,
        apart: DecodingProcess | None = None,
        masker: Masker | None = None,
        limits: AttributeLimits | None = None,
        admission: Admission | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._way = Way(journal, deliver, self._look_again, admission)
        self._has_room = has_room
        self._refusal = refusal
        self._here = DecodingHere(limits)
        self._apart = apart
        self._masker = masker
        self._wary_until = 0.0
        self._limits = limits
        self._cut_until = 0.0
        self.cuts = Cuts()
        """How much was cut so far."""
        self._load = Workload()
        self._pace = pace
        self._waiting: SimpleQueue[Request | _Stop] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    def start(self) -> None:
        """Begin to decode."""
        self._thread.start()

    def close(self) -> None:
        """Decode and queue what was submitted, then stop."""
        self._waiting.put(_Stop())
        self._thread.join()
        if self._apart is not None:
            self._apart.close()
            self._apart = None
            self._waiting.put(_Stop())
            self._run()  # what came back to be looked at

    @property
    def apart(self) -> str:
        """How a process of its own decodes now, one of `decodingprocess.WAYS`."""
        return self._apart.way if self._apart is not None else WAYS[0]

    def submit(self, payload: bytes, as_sent: bytes = b"") -> Future[Receipt]:
        """Queue a request; the future resolves once it is committed. Raises `Overloaded` or `Unavailable`.

        `as_sent`, the gzip that it came as, is journaled in its place, unless something has to be masked or cut.
        """
        if not self._has_room():
            raise Overloaded
        refusal = self._refusal(len(payload))
        if refusal is not None:
            raise Unavailable(refusal)
        request = Request(payload, as_sent)
        self._waiting.put(request)
        return request.receipt

    def mask_with(self, masker: Masker) -> None:
        """Mask with this from the next requests on."""
        if self._apart is not None:
            self._apart.suspicion = masker.pattern
        self._masker = masker

    def step(self) -> bool:
        """Wait for requests and take in a group of them; False when told to stop."""
        requests = self._next_group()
        if not requests:
            return False
        group = RequestGroup(requests, self._way)
        try:
            self._mask(group)
            if self._cuts(group):
                self._cut(group)
            self._decode(group)
        except Exception as error:  # noqa: BLE001 - logged and told to the clients; the thread must outlive any one group
            group.failed(error)
        return True

    def _run(self) -> None:
        while self.step():
            pass

    def _next_group(self) -> list[Request]:
        """Wait for a request and take those that have come with it; empty when told to stop."""
        if self._pace is None:
            return self._taken([], None)
        self._pace.rest()
        group = self._taken([], None)
        patience = self._pace.patience([request.at for request in group]) if group else 0.0
        if patience:
            group = self._taken(group, patience)
        self._pace.begin([request.at for request in group], _size(group))
        return group

    def _taken(self, group: list[Request], patience: float | None) -> list[Request]:
        """Wait for a request, for ever or so many seconds, and add it to a group with all that has come with it."""
        size = _size(group)
        block = True
        while size < GROUP_BYTES:
            try:
                item = self._waiting.get(block, patience if block else None)
            except Empty:
                break
            if isinstance(item, _Stop):
                if group:
                    self._waiting.put(item)
                break
            group.append(item)
            size += len(item.payload)
            block = False
        return group

    def _mask(self, group: RequestGroup) -> None:
        """Mask what was not looked at, unless whoever decodes will search what is new to it.

        What is going to be cut is masked before: of half a secret nobody can tell any more what it is.
        """
        suspected = any(request.suspected for request in group.requests) or self._cuts(group)
        if suspected or not self._is_searched():
            self._look_at(group)

    def _is_searched(self) -> bool:
        """Tell whether who decodes next searches what is new, and it pays."""
        apart, pattern = self._apart, self._masker.pattern if self._masker is not None else ""
        searching = apart is None or not apart.ready or apart.suspicion == pattern
        return searching and pattern != "" and time.monotonic() > self._wary_until

    def _look_at(self, group: RequestGroup) -> None:
        masker = self._masker
        if masker is not None:
            group.requests = [request.masked_by(masker) for request in group.requests]

    def _look_again(self, requests: Sequence[Request]) -> None:
        """Take requests back in which something may have to be masked or has to be cut."""
        now = time.monotonic()
        if any(request.suspected for request in requests):
            self._wary_until = now + WARY_S
        for request in requests:
            self._waiting.put(request)

    def _cuts(self, group: RequestGroup) -> bool:
        """Tell whether something has to be cut, or had to be lately, so that it pays to look."""
        if self._limits is None:
            return False
        return time.monotonic() < self._cut_until or any(request.oversized for request in group.requests)

    def _cut(self, group: RequestGroup) -> None:
        """Cut what was not looked at."""
        assert self._limits is not None
        for place, request in enumerate(group.requests):
            if request.cuts is None:
                payload, cuts = cut(request.payload, self._limits)
                group.requests[place] = request.with_payload(payload, cuts=cuts)
                if cuts:
                    self.cuts += cuts
                    self._cut_until = time.monotonic() + WARY_S

    def _decode(self, group: RequestGroup) -> None:
        apart = self._apart
        if apart is not None and apart.submit(group):
            return
        with self._load.measured():
            table, tallies = self._decoded(group)
        if apart is not None and self._load.is_high:
            apart.start()
        group.decoded(table, tallies, here=self._waiting.empty())

    def _decoded(self, group: RequestGroup) -> tuple[SpanTable, tuple[Tally, ...]]:
        masker = self._masker
        if masker is None or not masker.pattern:
            self._look_at(group)
        pattern = masker.pattern if masker is not None else ""
        while True:
            told = {"looked_at": group.looked_at, "within": group.within_limits}
            try:
                return self._here.decode_all(group.payloads, pattern, **told)
            except SuspectedError:
                self._wary_until = time.monotonic() + WARY_S
                self._look_at(group)
            except OverLimitsError:
                self._look_at(group)
                self._cut(group)


def _size(group: Sequence[Request]) -> int:
    return sum(len(request.payload) for request in group)
