"""What happens in a simulation, made from a seed: who sends what when, what goes wrong, and the verdicts in the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from simulation.traffic import Plan, Row, Traffic, payload
from simulation.world import Crash, Over, Server, World
from spanverdict.app import intake, service, storedruns
from spanverdict.receiver.errors import RequestRefused
from spanverdict.receiver.sink import Receipt
from spanverdict.storage.errors import StoreError
from spanverdict.storage.records import RunDeclaration, VerdictRecord
from spanverdict.storage.runs import RunStore

HOUR = 3600 * 1_000_000_000


@dataclass(frozen=True)
class Ended:
    """What a simulation came to."""

    verdicts: dict[str, VerdictRecord]
    log: tuple[str, ...]
    counts: Counter[str]
    """How often what happened."""


class Story:
    """One simulation. `calm` sends everything once, in order, to a server that nothing happens to."""

    def __init__(self, traffic: Traffic, seed: int, *, calm: bool = False) -> None:
        self._world = World(seed)
        self._traffic = traffic
        self._calm = calm
        self._server: Server | None = None
        self._unanswered = 0
        self._counts: Counter[str] = Counter()

    def told(self) -> Ended:
        """Let everything happen."""
        clock = SimpleNamespace(time_ns=self._world.wall, perf_counter=lambda: 0.0)
        with ExitStack() as held:
            held.callback(self._world.disk.close)
            for module in (intake, service, storedruns):
                held.enter_context(patch.object(module, "time", clock))
            self._begin()
            with suppress(Over):
                while True:
                    self._live()
            assert self._server is not None
            held.callback(self._server.crash)
            assert self._unanswered == 0, "a client was never answered"
            return self._ended(self._server.service.store.runs)

    def _ended(self, runs: RunStore) -> Ended:
        found = {plan.run: runs.verdict(plan.run) for plan in self._traffic.plans}
        verdicts = {run: verdict for run, verdict in found.items() if verdict is not None}
        self._counts["verdicts"] = len(verdicts)
        self._counts["revisions"] = sum(verdict.revision for verdict in verdicts.values())
        self._counts["failed commits"] = self._world.disk.failures
        return Ended(verdicts, tuple(self._world.log), self._counts)

    def _live(self) -> None:
        self._server = Server.started(self._world, self._traffic)
        try:
            self._server.live()
        except Crash:
            self._world.note("crash")
            self._server.crash()
            self._server = None
            self._counts["crashes"] += 1
            self._world.pass_by(self._world.rng.uniform(0.05, 2.0))
            self._world.note("restart")

    def _begin(self) -> None:
        if self._calm:
            self._begin_calmly()
            return
        rng = self._world.rng
        haste = rng.choice((0.5, 3.0, 8.0))
        for batch in self._batches():
            late = rng.random() < 0.15
            self._send(batch, rng.uniform(8, 60) if late else rng.uniform(0, haste))
        for plan in self._traffic.plans:
            if plan.declared:
                self._world.after(rng.choice((0.0, rng.uniform(0, haste), rng.uniform(0, 40))), self._declaring(plan))
            if plan.ends:
                self._world.after(rng.choice((rng.uniform(0, haste), rng.uniform(0, 18))), self._ending(plan))
        self._plan_trouble()

    def _begin_calmly(self) -> None:
        for plan in self._traffic.plans:
            if plan.declared:
                self._world.after(0.0, self._declaring(plan))
        for number, row in enumerate(self._traffic.spans):
            self._send([row], 0.1 + number / 1000)
        for plan in self._traffic.plans:
            if plan.ends:
                self._world.after(1.0, self._ending(plan))

    def _batches(self) -> list[list[Row]]:
        rng, spans = self._world.rng, list(self._traffic.spans)
        rng.shuffle(spans)
        size = rng.choice((1, 2, 3, 100))
        batches = [spans[at : at + size] for at in range(0, len(spans), size)]
        return batches + [rng.choice(batches) for _ in range(rng.choice((0, 0, 2)))]

    def _plan_trouble(self) -> None:
        rng, world = self._world.rng, self._world
        for _ in range(rng.choice((0, 0, 1, 2, 3))):
            world.after(rng.uniform(0, rng.choice((5, 70))), self._crash)
        for _ in range(rng.choice((0, 0, 1, 2))):
            begin, kind = rng.uniform(0, rng.choice((5, 60))), rng.choice(("before", "after"))
            world.after(begin, lambda kind=kind: self._trouble(kind))  # type: ignore[misc]
            world.after(begin + rng.choice((0.001, 0.5, 8)), lambda: self._trouble(None))
        if rng.random() < 0.2:
            world.after(rng.uniform(0, 20), self._jump)

    def _crash(self) -> None:
        if self._server is not None:
            raise Crash

    def _trouble(self, kind: str | None) -> None:
        self._world.note(f"commits fail {kind} they happen" if kind else "commits succeed")
        self._world.disk.trouble = kind

    def _jump(self) -> None:
        # Forward by less than the ten minutes that a restart reads again: beyond that, it cannot know what is recent.
        self._world.wall_offset += self._world.rng.choice((-HOUR, -HOUR // 60, HOUR // 60, HOUR // 12))
        self._counts["jumps"] += 1
        self._world.note("the clock on the wall jumps")

    def _send(self, batch: Sequence[Row], at: float) -> None:
        self._unanswered += 1
        Client(self, payload(batch), ", ".join(f"{row['trace']}#{row['id'] % 256}" for row in batch)).send(at)

    def _declaring(self, plan: Plan) -> Callable[[], None]:
        said = RunDeclaration(plan.run, plan.expected, plan.labels, plan.flows, plan.traces)
        return self._until_done(f"{plan.run} is declared", lambda server: server.declare(said))

    def _ending(self, plan: Plan) -> Callable[[], None]:
        def end(server: Server) -> bool:
            return server.end(plan.run)

        return self._until_done(f"{plan.run} ends", end)

    def _until_done(self, what: str, do: Callable[[Server], Any]) -> Callable[[], None]:
        """Return an event that repeats itself until the server has done something; a run that it never hears of cannot end."""
        self._unanswered += 1
        left = 200

        def attempt() -> None:
            nonlocal left
            left -= 1
            done = False
            with suppress(StoreError):
                done = self._server is not None and do(self._server) is not False
            if done or not left:
                self._world.note(what)
                self._unanswered -= 1
            else:
                self._world.after(0.7, attempt)

        return attempt


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


def essence(verdict: VerdictRecord) -> str:
    """Return a verdict without what tells of its past: its revision, what changed, why then, and what was nobody's then."""
    document = json.loads(verdict.document)
    document.pop("changes", None)
    document["run"].pop("revision")
    if document["association"]:
        document["association"].pop("untagged_spans")
    for flow in document["flows"]:
        flow["completeness"].pop("trigger")
    return json.dumps(document, indent=1, sort_keys=True)
