"""A decoding process of which only the process is missing: jobs are answered in steps of the world, and it may die in between."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spanverdict.app.channel import Bytes, Gone, Message
from spanverdict.app.decodingchild import _Answers, serve
from spanverdict.app.decodingprocess import DecodingProcess, Job
from spanverdict.otlp.limiting import AttributeLimits
from spanverdict.telemetry.blocks import PADDING

if TYPE_CHECKING:
    from simulation.world import World


class Wire:
    """A channel to a child in this process, which works when it is asked for an answer; one object is both of its ends."""

    def __init__(self, limits: AttributeLimits | None, suspicion: str) -> None:
        self._child = _Answers(limits)
        self._child.search_for(suspicion)
        self._jobs: deque[Message] = deque()
        self._answers: deque[Message] = deque()
        self._is_child = False

    def send(self, head: bytes, body: Sequence[Bytes] = ()) -> None:
        message = Message(head, np.frombuffer(bytearray().join((*body, bytes(PADDING))), np.uint8))
        if not self._is_child:
            self._jobs.append(message)
        elif head:  # all but its hello
            self._answers.append(message)

    def receive(self) -> Message:
        if self._is_child:
            if not self._jobs:
                raise Gone
            return self._jobs.popleft()
        self._is_child = True
        serve(self, self._child)  # type: ignore[arg-type]
        self._is_child = False
        return self._answers.popleft()


class SteppedDecoding(DecodingProcess):
    """Takes jobs as the real one does; what was unfinished when it died is done one payload at a time."""

    def __init__(self, world: World, suspicion: str, limits: AttributeLimits, given_back: Callable[[], None]) -> None:
        super().__init__(suspicion=suspicion, limits=limits)
        self._world = world
        self._given_back = given_back
        """Told whenever jobs may have come back to be looked at."""
        self._wire: Any = self._born()
        self._ready = True

    def start(self) -> None:
        """There is nothing to start."""

    def submit(self, job: Job) -> bool:
        self._unfinished.append(job)
        if self._wire is not None:
            self._send(self._wire, job)
            wire = self._wire
            self._world.after(self._world.rng.choice((0.0, 0.002, 0.1)), lambda: self._answer(wire))
        return True

    def die(self) -> None:
        """End in the middle of things; another one takes over after a while."""
        if self._wire is not None:
            self._wire = None
            self._world.note("the decoding process dies")
            heir = self._born()
            self._world.after(self._world.rng.choice((0.01, 0.5, 3.0)), lambda: self._catch_up(heir))

    def _answer(self, wire: Any) -> None:
        if self._wire is wire:
            self._finish_first(wire.receive())
            self._given_back()

    def _catch_up(self, heir: Any) -> None:
        """Do one step of what was left over; when nothing is, take what comes."""
        if self._unfinished:
            self._decode_first_alone(heir)
            self._given_back()
            self._world.after(0.01, lambda: self._catch_up(heir))
        else:
            self._wire = heir

    def _born(self) -> Wire:
        self._told = self.suspicion
        return Wire(self._limits, self._told)
