"""Who sends: a client that tries again until it hears that its batch was taken."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spanverdict.receiver.errors import RequestRefused
from spanverdict.receiver.sink import Receipt

if TYPE_CHECKING:
    from simulation.story import Story


@dataclass(eq=False)
class Client:
    """Sends one batch until it is acknowledged, as exporters do."""

    story: Story
    payload: bytes
    spans: str
    answered: bool = False
    attempts: int = 0

    def send(self, after: float) -> None:
        story, world = self.story, self.story._world
        world.after(after, self._attempt)
        if not story._calm and world.rng.random() < 0.1:
            world.after(after + world.rng.uniform(0, 5), self._arrive)  # the network has it twice

    def _attempt(self) -> None:
        if self.answered:
            return
        self.attempts += 1
        self.story._counts["resends"] += self.attempts > 1
        rng, world = self.story._world.rng, self.story._world
        if self.story._calm:
            self._arrive()
            return
        if rng.random() < 0.95:
            world.after(rng.choice((rng.expovariate(20), rng.uniform(0, 4))), self._arrive)
        world.after(rng.uniform(1, 6), self._attempt)

    def _arrive(self) -> None:
        server = self.story._server
        if server is None:
            return
        self.story._world.note(f"arrives: {self.spans}")
        with suppress(RequestRefused):
            server.receive(self.payload).add_done_callback(self._acknowledge)

    def _acknowledge(self, receipt: Future[Receipt]) -> None:
        world = self.story._world
        if receipt.exception() is None and (self.story._calm or world.rng.random() < 0.9):
            world.after(world.rng.expovariate(20), self._hear)

    def _hear(self) -> None:
        self.story._unanswered -= not self.answered
        self.answered = True
