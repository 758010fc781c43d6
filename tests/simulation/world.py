"""A world in one thread: time that only passes when nobody has anything to do, a network, a disk, and a server.

The server is the real one: its intake, store, docket and judge, with their own loops. What is not real is what would make
two runs differ: threads (each loop is stepped), clocks (both are the world's), sockets (requests are calls that come late,
twice or never) and the disk (SQLite in memory, which keeps what was committed when the server crashes, and fails when told to;
beside it segments, which are files, in about half of the worlds).
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import count
from math import inf, nextafter
from pathlib import Path
from queue import Empty
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from simulation.decoding import SteppedDecoding
from spanverdict.app.arrivals import Arrival
from spanverdict.app.docket import Docket
from spanverdict.app.docketconfig import DocketConfig
from spanverdict.app.inbox import Inbox
from spanverdict.app.intake import Intake
from spanverdict.app.judge import MANY_SPANS, Judge
from spanverdict.app.judgement import Judgement
from spanverdict.app.service import Changes, Service, ServiceConfig
from spanverdict.app.storedruns import StoredRuns
from spanverdict.masking.masker import Masker
from spanverdict.otlp.limiting import AttributeLimits
from spanverdict.receiver.sink import Receipt
from spanverdict.rulefiles.models import Flow
from spanverdict.storage.database import Readers
from spanverdict.storage.records import RunDeclaration
from spanverdict.storage.schema import migrate
from spanverdict.storage.store import Store
from spanverdict.storage.writequeue import LIMITS as LIMITS_OF_GROUPS
from spanverdict.storage.writequeue import GroupLimits
from spanverdict.storage.writer import Writer

LIMITS = AttributeLimits(count=3, value_bytes=48)
EPOCH = 1_760_000_000 * 1_000_000_000


class Crash(BaseException):
    """The server is killed; nothing of it may catch this."""


class Over(BaseException):
    """Nothing will ever happen again."""


class World:
    """Time, and what happens when."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now = 1000.0
        self.wall_offset = 0
        """By how much the clock on the wall is wrong, in ns."""
        self.disk = Disk()
        self.log: list[str] = []
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def wall(self) -> int:
        """Return the time on the wall, in ns."""
        return EPOCH + int(self.now * 1e9) + self.wall_offset

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """Let something happen."""
        heappush(self._events, (self.now + seconds, next(self._order), event))

    def happen(self, until: float) -> bool:
        """Let the next thing happen if that is not later; False when it is."""
        if not self._events or self._events[0][0] > until:
            return False
        at, _, event = heappop(self._events)
        self.now = max(self.now, at)
        event()
        return True

    def pass_by(self, seconds: float) -> None:
        """Let time pass for whoever is at work, and all that happens meanwhile happen."""
        until = self.now + seconds
        while self.happen(until):
            pass
        self.now = until

    def note(self, what: str) -> None:
        """Remember what happened, to be told should the simulation fail."""
        self.log.append(f"{self.now - 1000:9.3f}  {what}")


class WorldInbox(Inbox[Arrival]):
    """The judge's queue: who waits for it lets the world go on."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def rest(self, seconds: float, weight: float) -> None:
        until = self._world.now + seconds
        while self._weight < weight and self._world.happen(until):
            pass
        if self._weight < weight:
            self._world.now = max(until, self._world.now)

    def get(self, timeout: float | None = None) -> Arrival:
        world = self._world
        until = inf if timeout is None else max(world.now + timeout, nextafter(world.now, inf))
        while not self._items and world.happen(until):
            pass
        if not self._items:
            if timeout is None:
                raise Over
            world.now = until
        return self.get_nowait()


class Disk:
    """A database in memory that outlives the server."""

    _names = count()
    _template: sqlite3.Connection | None = None

    synchronous = "OFF"

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="spanverdict-simulated-")
        self.path = Path(self._folder.name) / "simulated.db"
        self.path.touch()
        self.trouble: str | None = None
        """`before` or `after`: where commits fail now; those that fail after have happened."""
        self.failures = 0
        self._uri = f"file:simulated-{next(Disk._names)}?mode=memory&cache=shared"
        self._kept = self.connect()
        self._made().backup(self._kept)

    def connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._uri, uri=True, isolation_level=None)

    def close(self) -> None:
        self._kept.close()
        self._folder.cleanup()

    @classmethod
    def _made(cls) -> sqlite3.Connection:
        if cls._template is None:
            cls._template = sqlite3.connect(":memory:", isolation_level=None)
            migrate(cls._template)
        return cls._template


class SteppedWriter(Writer):
    """The writer without its thread: what is queued is committed a little later, or before the next change."""

    def __init__(self, world: World) -> None:
        limits = GroupLimits(rows_below=world.rng.choice((0, 1000, LIMITS_OF_GROUPS.rows_below)), segment_bytes=20_480)
        super().__init__(world.disk, limits)  # type: ignore[arg-type]
        self._world = world

    def _queued(self, job: Any, *, here: bool = False) -> Future[Any]:
        if here and self._world.rng.random() < 0.5:
            return super()._queued(job, here=True)
        future = super()._queued(job)
        self._world.after(self._world.rng.choice((0.0, 0.002, 0.05)), self.commit)
        return future

    def commit(self) -> None:
        while self._queue._jobs:
            self._commit_here()

    def _transact(self, group: Any) -> list[Any]:
        disk = self._world.disk
        disk.failures += disk.trouble is not None
        if disk.trouble == "before":
            raise sqlite3.OperationalError("database or disk is full")
        done = super()._transact(group)
        if disk.trouble == "after":
            raise sqlite3.OperationalError("disk I/O error")
        return done

    def let_go(self) -> None:
        """End as a killed process does: what is queued is gone."""
        self._queue.close()
        self._disconnect()


@dataclass(eq=False)
class Server:
    """One life of the server process, from start to crash."""

    world: World
    service: Service
    writer: SteppedWriter
    archive: StoredRuns
    judged_by: dict[str, tuple[Flow, ...]]
    """The rules of each run's last judgement that was known to be kept, or else of the first."""
    decoding: SteppedDecoding | None = None
    """Where payloads are decoded, if not beside all else."""

    @classmethod
    def started(cls, world: World, flows: tuple[Flow, ...], judged_by: dict[str, tuple[Flow, ...]]) -> Server:
        writer, readers = SteppedWriter(world), Readers(world.disk)  # type: ignore[arg-type]
        service = Service(ServiceConfig(store=world.disk.path, flows=flows))
        service.store = Store(world.disk.path, writer, readers)
        service.courier, service._comparer = None, None
        service.masker = Masker(service.config.masking)
        service.keeper, service.receiver = SimpleNamespace(), SimpleNamespace(rates=SimpleNamespace())  # type: ignore[assignment]
        service.receiver.admit = lambda tokens: None  # type: ignore[method-assign]
        archive = StoredRuns(service.store)
        docket = Docket(DocketConfig(flows=flows), archive, stopwatch=lambda: 0.0)
        booted = world.now - world.rng.randrange(1, 10_000)
        service.judge = Judge(
            docket,
            service._conclude,
            archive.note,
            past_of=service._past,
            clock=lambda: world.now - booted,
            begin_aside=lambda work: world.after(world.rng.choice((0.0, 0.1, 3.0)), work),
            many_spans=world.rng.choice((0, MANY_SPANS)),
            inbox=WorldInbox(world),
        )
        server = cls(world, service, writer, archive, judged_by)
        if world.rng.random() < 0.5:
            server.decoding = SteppedDecoding(world, service.masker.pattern, LIMITS, server._look_again)
        service.intake = Intake(
            service.store.journal,
            service.judge.deliver,
            service.judge.has_room,
            apart=server.decoding,
            masker=service.masker,
            limits=LIMITS,
        )
        service.judge.conclude = server._conclude
        service.judge.conclude_all = server._conclude_all
        return server

    def live(self) -> None:
        """Do what the judge's thread does, until a crash or the end of the world."""
        records, batches = self.archive.left_over()
        self.service.judge._take_up(records, self._slowly(batches))
        while self.service.judge.step():
            pass

    def receive(self, payload: bytes) -> Future[Receipt]:
        """Take a request; it is decoded a moment later, with what else came."""
        receipt = self.service.intake.submit(payload)
        self.world.after(self.world.rng.choice((0.0, 0.001, 0.03)), self._decode)
        return receipt

    def declare(self, declaration: RunDeclaration) -> None:
        """Take a declaration; raises `StoreError`."""
        self.service.declare(declaration)

    def end(self, run: str) -> bool:
        """Take the end of a run; False when nobody has heard of it; raises `StoreError`."""
        return self.service.end(run) is not None

    def reload(self, flows: tuple[Flow, ...]) -> None:
        """Take other rules over, and everything else anew as it was."""
        old = self.service.config
        changes = Changes(
            flows=flows,
            baseline=old.baseline,
            webhooks=old.webhooks,
            external_url=old.external_url,
            masking=replace(old.masking, redact=(*old.masking.redact, "never.sent")),
            keeping=old.keeping,
            tokens=(),
            client_bytes_per_s=None,
        )
        self.service.take_over(changes)

    def crash(self) -> None:
        """Leave nothing but what was committed."""
        self.writer.let_go()
        self.service.store._readers.close()

    def _look_again(self) -> None:
        if not self.service.intake._waiting.empty():
            self.world.after(0.001, self._decode)

    def _decode(self) -> None:
        with suppress(Empty):
            if not self.service.intake._waiting.empty():
                self.service.intake.step()

    def _slowly(self, batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            yield batch
            self.world.pass_by(self.world.rng.choice((0.0, 0.0, 0.01, 0.2)))

    def _conclude(self, judgement: Judgement) -> int:
        return self._conclude_all((judgement,))[0]

    def _conclude_all(self, judgements: Sequence[Judgement]) -> list[int]:
        """Judging takes its time, and a crash may come just before or after its result is kept."""
        rng, world = self.world.rng, self.world
        world.pass_by(rng.choice((0.0, 0.0, 0.0, 0.1, 3.0)))
        flows = self.service.judge.docket.config.flows
        for judgement in judgements:
            self.judged_by.setdefault(judgement.run.id, flows)  # it may be kept although that is reported as failed
        revisions = self.service._conclude_all(judgements)
        for judgement, revision in zip(judgements, revisions, strict=True):
            self.judged_by[judgement.run.id] = flows
            world.note(f"{judgement.run.id} is judged, revision {revision}, {judgement.trigger}")
        if rng.random() < 0.3:
            world.pass_by(rng.choice((0.0, 0.5)))
        return revisions
