"""What happens in a simulation, made from a seed: who sends what when, what goes wrong, and the verdicts in the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from simulation.client import Client
from simulation.traffic import SECRET, Plan, Row, Traffic, payload
from simulation.world import Crash, Over, Server, World
from spanverdict.app import intake, service, storedruns
from spanverdict.rulefiles.models import Flow
from spanverdict.storage.errors import StoreError
from spanverdict.storage.records import RunDeclaration, VerdictRecord
from spanverdict.storage.store import Store

HOUR = 3600 * 1_000_000_000


@dataclass(frozen=True)
class Ended:
    """What a simulation came to."""

    verdicts: dict[str, VerdictRecord]
    judged_by: dict[str, tuple[Flow, ...]]
    """The rules of each run's last judgement that was known to be kept, or else of the first."""
    log: tuple[str, ...]
    counts: Counter[str]
    """How often what happened."""


class Story:
    """One simulation. `calm` sends everything once, in order, to a server that nothing happens to."""

    def __init__(self, traffic: Traffic, seed: int, *, calm: bool = False) -> None:
        self._world = World(seed)
        self._traffic = traffic
        self._calm = calm
        self._flows = traffic.flows
        """What the configuration says."""
        self._judged_by: dict[str, tuple[Flow, ...]] = {}
        self._server: Server | None = None
        self._unanswered = 0
        self._counts: Counter[str] = Counter()

    def told(self) -> Ended:
        """Let everything happen."""
        clock = SimpleNamespace(time_ns=self._world.wall, perf_counter=lambda: 0.0, monotonic=lambda: self._world.now)
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
            return self._ended(self._server.service.store)

    def _ended(self, store: Store) -> Ended:
        kept = [batch.payload for batch in store.journal.read()]
        assert not any(SECRET.encode() in batch for batch in kept), "a secret was kept"
        runs = store.runs
        found = {plan.run: runs.verdict(plan.run) for plan in self._traffic.plans}
        verdicts = {run: verdict for run, verdict in found.items() if verdict is not None}
        self._counts["verdicts"] = len(verdicts)
        self._counts["revisions"] = sum(verdict.revision for verdict in verdicts.values())
        self._counts["failed commits"] = self._world.disk.failures
        return Ended(verdicts, self._judged_by, tuple(self._world.log), self._counts)

    def _live(self) -> None:
        self._server = Server.started(self._world, self._flows, self._judged_by)
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
                self._world.after(
                    rng.choice((rng.uniform(0, haste), rng.uniform(0, 18), rng.uniform(0, 120))), self._ending(plan)
                )
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
            world.after(rng.uniform(0, rng.choice((20, 60))), self._jump)
        for _ in range(rng.choice((0, 0, 1, 4))):
            world.after(rng.uniform(0, rng.choice((5, 70))), self._end_decoding)
        if rng.random() < 0.3:
            self._plan_other_rules(rng.uniform(0, rng.choice((5, 20, 70))))

    def _plan_other_rules(self, at: float) -> None:
        """Start with other rules; then the files change, and a while later the server is told to read them again."""
        rng, world = self._world.rng, self._world
        self._flows = rng.choice((self._traffic.earlier, self._traffic.flows))
        world.after(at, self._rewrite)
        for _ in range(rng.choice((1, 1, 2))):
            world.after(at + rng.choice((0.0, rng.uniform(0, 5))), self._reload)

    def _rewrite(self) -> None:
        self._flows = self._traffic.flows
        self._world.note("the rule files change")

    def _reload(self) -> None:
        if self._server is not None:
            self._counts["reloads"] += 1
            self._world.note("other rules are taken over")
            self._server.reload(self._flows)

    def _crash(self) -> None:
        if self._server is not None:
            raise Crash

    def _trouble(self, kind: str | None) -> None:
        self._world.note(f"commits fail {kind} they happen" if kind else "commits succeed")
        self._world.disk.trouble = kind

    def _end_decoding(self) -> None:
        if self._server is not None and self._server.decoding is not None:
            self._counts["decoding ended"] += 1
            self._server.decoding.die()

    def _jump(self) -> None:
        self._world.wall_offset += self._world.rng.choice((-HOUR, -HOUR // 60, HOUR // 60, HOUR // 12, HOUR))
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


def essence(verdict: VerdictRecord) -> dict[str, Any]:
    """Return a verdict without what tells of its past: its revision, what changed, why then, and what was nobody's then."""
    document: dict[str, Any] = json.loads(verdict.document)
    document.pop("changes", None)
    document["run"].pop("revision")
    if document["association"]:
        document["association"].pop("untagged_spans")
    for flow in document["flows"]:
        flow["completeness"].pop("trigger")
    return document
