"""The store: a SQLite file with runs, verdicts, the outbox of alerts and the journal of raw batches.

The payloads of larger batches stand in files beside it, its segments.

Everything is written by one thread that commits what is queued together, so what a call says is
stored survives `kill -9` and a power cut. Reading never waits for writing.
"""

from spanverdict.storage.batches import Batch
from spanverdict.storage.errors import (
    JournalUnavailable,
    StoreError,
    StoreTooNew,
    StoreUnavailable,
    StoreUnusable,
    UnknownRecord,
)
from spanverdict.storage.journal import Damage, Journal
from spanverdict.storage.journalstate import Bounds
from spanverdict.storage.outbox import Outbox
from spanverdict.storage.records import (
    QueuedDelivery,
    RunDeclaration,
    RunPage,
    RunRecord,
    RunState,
    RunTouch,
    StoredAlertState,
    Verdict,
    VerdictRecord,
)
from spanverdict.storage.runs import InvalidCursor, RunStore
from spanverdict.storage.store import Store

__all__ = [
    "Batch",
    "Bounds",
    "Damage",
    "InvalidCursor",
    "Journal",
    "JournalUnavailable",
    "Outbox",
    "QueuedDelivery",
    "RunDeclaration",
    "RunPage",
    "RunRecord",
    "RunState",
    "RunStore",
    "RunTouch",
    "Store",
    "StoreError",
    "StoreTooNew",
    "StoreUnavailable",
    "StoreUnusable",
    "StoredAlertState",
    "UnknownRecord",
    "Verdict",
    "VerdictRecord",
]
