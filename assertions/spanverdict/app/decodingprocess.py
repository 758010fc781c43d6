"""Decoding in a process of its own, so that it does not take turns with all else that Python does here.

Jobs are handed over as they come and answered in that order. When the process ends, another is started, and what was
unfinished is decoded again: one payload at a time at first, so that one that ends processes is found out.
"""

from __future__ import annotations

import json
import logging
import marshal
import os
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from types import MappingProxyType
from typing import Final, Protocol, Self

from spanverdict.app.channel import Channel, Gone, Message
from spanverdict.app.desk import PLACES, Desk, desk_file
from spanverdict.otlp.decode import Tally
from spanverdict.otlp.limiting import AttributeLimits
from spanverdict.otlp.values import decode_attribute
from spanverdict.receiver.errors import Unavailable
from spanverdict.telemetry.spantable import SpanTable
from spanverdict.telemetry.transfer import TableReader

AHEAD: Final = PLACES
"""Jobs handed over and not done: one that the process works on, and one that waits for it. What comes meanwhile gathers
into a larger one, which costs less a span. Each has a place on the desk."""
MAX_TRIES: Final = 2
"""Processes that may end over one payload that is decoded alone."""
MAX_STARTS: Final = 5
"""Processes that may end one after the other without having decoded anything."""
IDLE_S: Final = 60.0
"""After so long without a job the process is ended, so that others have its memory."""
WAYS: Final = ("none", "interpreted", "compiled")
"""How a process decodes: there is none, compiled code is not there, or it is."""
_PAUSE_S: Final = 0.25
"""Before another start when the last one was to no avail; twice as long each time."""

PROGRAM: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]);"
    "from spanverdict.app.decodingchild import main;"
    "main(int(sys.argv[1]), sys.argv[3], *map(json.loads, sys.argv[4:6]))"
)
"""What the process runs. The path is ours, so that it finds what we found, and nothing in the current directory."""

ENVIRONMENT: Final = MappingProxyType(
    {
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
    }
)
"""What the process runs with. Every group needs the same memory anew, so it is not given back to the system after each
one: to get it again costs more than to fill it."""
_TUNABLES: Final = "GLIBC_TUNABLES"
_HUGE_PAGES: Final = "glibc.malloc.hugetlb=1"
"""What is looked up is all over the memory; in huge pages that costs a twentieth less."""

_log = logging.getLogger(__name__)


class _Idle(Exception):  # noqa: N818 - says what is so
    """There was nothing to decode for long."""


class Job(Protocol):
    """Payloads to decode. Its methods are called on a thread of the decoding process' keeper, one at a time."""

    @property
    def payloads(self) -> Sequence[bytes]:
        """What to decode."""
        ...

    @property
    def looked_at(self) -> bool:
        """Whether somebody has looked for what has to be masked already."""
        ...

    @property
    def within_limits(self) -> bool:
        """Whether somebody has looked for what has to be cut already."""
        ...

    def split(self) -> Sequence[Self]:
        """Return the payloads as jobs of one each."""
        ...

    def decoded(self, table: SpanTable, tallies: Sequence[Tally]) -> None:
        """Take what they held."""
        ...

    def suspected(self) -> None:
        """Take note that they may hold what has to be masked: decoded they were not."""
        ...

    def oversized(self) -> None:
        """Take note that they are over the limits: decoded they were not."""
        ...

    def failed(self, error: Exception) -> None:
        """Take note that they cannot be decoded."""
        ...


class DecodingProcess:
    """Keeps a process that decodes. Start it when there is much to decode; close it when no more jobs come.

    With `suspicion`, the pattern of what has to be masked, jobs that nobody has looked at are searched for it. It may
    be set at any time, for the jobs after that. With `limits` jobs are held against these. When nothing comes for
    `idle_s`, the process is ended until the next start.
    """

    def __init__(
        self,
        program: str = PROGRAM,
        suspicion: str = "",
        limits: AttributeLimits | None = None,
        idle_s: float = IDLE_S,
    ) -> None:
        self._program = program
        self._idle_s = idle_s
        self.suspicion = suspicion
        self._told = ""
        """What the process searches for."""
        self._limits = limits
        self._unfinished: deque[Job] = deque()
        self._channel: Channel | None = None
        """Where jobs are sent; None while there is no process, or it has to catch up."""
        self._process: subprocess.Popen[bytes] | None = None
        self._tables = TableReader(decode_attribute)
        self._lock = threading.Lock()
        self._idle = threading.Condition()
        self._closing = threading.Event()
        self._tries = 0
        """Processes that the first job has ended, as far as it was sent alone."""
        self._starts = 0
        """Processes started since a job was last finished."""
        self._ready = False
        self._compiled = False
        self._resting = False
        """It was ended as there was nothing to do."""
        self._thread: threading.Thread | None = None

    @property
    def ready(self) -> bool:
        """Whether it takes jobs. Between two processes it does: they wait for the next one."""
        return self._ready

    @property
    def way(self) -> str:
        """How it decodes, one of `WAYS`: not at all while there is no process, at first without compiled code."""
        if not self._ready:
            return WAYS[0]
        return WAYS[1 + self._compiled]

    @property
    def pid(self) -> int | None:
        """The process' number, for those who watch it."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the process, without waiting for it; changes nothing while there is one."""
        if self._thread is None or (self._resting and not self._thread.is_alive()):
            self._resting = False
            self._thread = threading.Thread(target=self._keep, name="decoding", daemon=True)
            self._thread.start()

    def submit(self, job: Job) -> bool:
        """Hand a job over, when the process has not too much to do. False when it will not be done."""
        with self._idle:
            self._idle.wait_for(lambda: len(self._unfinished) < AHEAD)
        with self._lock:
            if not self._ready:
                return False
            self._unfinished.append(job)
            if self._channel is not None:
                try:
                    self._send(self._channel, job)
                except Gone:
                    self._channel = None  # whoever receives notices, too, and decodes all again
        return True

    def close(self) -> None:
        """Finish what was handed over, then end the process."""
        if self._thread is None:
            return
        with self._idle:
            self._idle.wait_for(lambda: not self._unfinished)
        self._closing.set()
        with self._lock:
            if self._process is not None:
                self._process.kill()  # it has nothing to lose
        self._thread.join()

    def _send(self, channel: Channel, job: Job) -> None:
        """Send a job, and before it what to search for where that has changed."""
        suspicion = self.suspicion
        if suspicion != self._told:
            channel.send(marshal.dumps(suspicion))
            self._told = suspicion
        payloads = job.payloads
        head = (job.looked_at, job.within_limits, [len(payload) for payload in payloads])
        channel.send(marshal.dumps(head), payloads)

    def _keep(self) -> None:
        while (channel := self._begin()) is not None:
            try:
                self._follow(channel)
            except _Idle:
                self._reap(channel)
                return
            except Gone:
                self._reap(channel)
            except Exception:  # noqa: BLE001 - the thread must outlive any one process
                _log.exception("the decoding process cannot be understood")
                self._reap(channel)
        self._give_up()

    def _begin(self) -> Channel | None:
        """Start a process; None when there shall be none, or there have been too many."""
        if self._starts:
            self._closing.wait(_PAUSE_S * 2 ** (self._starts - 1))
        if self._starts == MAX_STARTS:
            _log.error("the decoding process ends again and again; decoding goes on without it")
            return None
        self._starts += 1
        ours, theirs = Channel.pair()
        with theirs, _closing(desk_file()) as file, self._lock:
            if self._closing.is_set():
                ours.close()
                return None
            try:
                desk = Desk(file, 0, copies=True) if file is not None else None
                self._told = self.suspicion
                self._process = _spawn(self._program, theirs, file, self._told, self._limits)
            except OSError as error:
                _log.error("no decoding process can be started: %s", error)
                ours.close()
                return None
        return Channel(ours, desk)

    def _follow(self, channel: Channel) -> None:
        """Let a process catch up, then take its answers until it is gone."""
        channel.receive()
        while not self._caught_up(channel):
            self._decode_first_alone(channel)
        while True:
            if not channel.wait(self._idle_s):
                self._rest_if_idle()
            else:
                self._finish_first(channel.receive())

    def _rest_if_idle(self) -> None:
        """Take no more jobs, unless there is one; raises `_Idle`."""
        with self._lock:
            if not self._unfinished:
                self._channel, self._ready, self._resting, self._starts = None, False, True, 0
                self._tables = TableReader(decode_attribute)
                raise _Idle

    def _caught_up(self, channel: Channel) -> bool:
        """When nothing is left over, send what comes from now on."""
        with self._lock:
            if self._unfinished:
                return False
            self._channel, self._ready = channel, True
            return True

    def _decode_first_alone(self, channel: Channel) -> None:
        job = self._unfinished[0]
        if len(job.payloads) > 1:
            with self._idle:
                self._unfinished.popleft()
                self._unfinished.extendleft(reversed(job.split()))
        elif self._tries >= MAX_TRIES:
            _log.error("a request of %d bytes ends the process that decodes it", len(job.payloads[0]))
            job.failed(Unavailable("the request cannot be decoded now"))
            self._finished()
        else:
            self._tries += 1
            self._send(channel, job)
            self._finish_first(channel.receive())

    def _finish_first(self, answer: Message) -> None:
        """Hand on the answer to the oldest job."""
        job = self._unfinished[0]
        said = marshal.loads(answer.head)  # noqa: S302 - from a process that we started
        if said is None:
            job.suspected()
        elif said is False:
            job.oversized()
        elif isinstance(said, str):
            job.failed(RuntimeError(said))
        else:
            fresh, tallies, head, self._compiled = said
            if fresh:
                self._tables = TableReader(decode_attribute)
            table = self._tables.unpack(head, answer.body)
            try:
                job.decoded(table, [Tally(*tally) for tally in tallies])
            except Exception as error:  # noqa: BLE001 - the job's own trouble; decoding it again would not help
                job.failed(error)
        self._finished()

    def _finished(self) -> None:
        self._tries = self._starts = 0
        with self._idle:
            self._unfinished.popleft()
            self._idle.notify_all()

    def _reap(self, channel: Channel) -> None:
        with self._lock:
            self._channel, self._compiled = None, False
            process, self._process = self._process, None
        channel.close()
        if process is not None:
            process.kill()
            code = process.wait()
            if not (self._closing.is_set() or self._resting):
                _log.error("the decoding process ended (%d); another one takes over", code)

    def _give_up(self) -> None:
        """Leave nobody waiting; from now on all is decoded without us."""
        with self._lock:
            self._ready = False
        while self._unfinished:
            self._unfinished[0].failed(Unavailable("decoding was interrupted"))
            self._finished()


@contextmanager
def _closing(file: int | None) -> Iterator[int | None]:
    try:
        yield file
    finally:
        if file is not None:
            os.close(file)


def _spawn(
    program: str, end: socket.socket, desk: int | None, suspicion: str, limits: AttributeLimits | None
) -> subprocess.Popen[bytes]:
    """Start a process that serves one end, and exits when the other is closed: by us, or because we are no more."""
    told = (suspicion, json.dumps(astuple(limits) if limits is not None else None), json.dumps(desk))
    command = [sys.executable, "-P", "-c", program, str(end.fileno()), json.dumps(sys.path), *told]
    environ = {**os.environ, **ENVIRONMENT}
    environ[_TUNABLES] = ":".join(filter(None, (os.environ.get(_TUNABLES), _HUGE_PAGES)))
    files = [end.fileno(), *([desk] if desk is not None else [])]
    return subprocess.Popen(  # noqa: S603 - our own program
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=files, env=environ
    )
