"""`runs list|show|delete|flaky`: the runs of the past."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spanverdict.app.archive import Archive, StoreArchive, open_store
from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.app.printing import print_text
from spanverdict.app.serveraccess import ServerAccess
from spanverdict.app.verdicts import report
from spanverdict.reporting.catalogue import Target
from spanverdict.reporting.historytext import flaky_text, runs_text
from spanverdict.reporting.jsonreport import UnreadableReportError, events_of
from spanverdict.reporting.reporter import ReportOptions
from spanverdict.storage.errors import StoreError
from spanverdict.web.backend import Asked, Document


@contextmanager
def opened(store: Path, server: ServerAccess | None) -> Iterator[Archive]:
    """Open where runs are looked up: at a server, if one is named, else in a store.

    Raises:
        CommandError: it cannot be reached or read.
    """
    if server is not None:
        from spanverdict.app.serverarchive import ServerArchive  # noqa: PLC0415 - a store needs no HTTP client

        with server.client(30.0) as client:
            yield ServerArchive(server.url, client)
        return
    with open_store(store) as found:
        try:
            yield StoreArchive(found)
        except StoreError as error:
            raise CommandError(str(error), ExitCode.INTERNAL) from None


def list_runs(archive: Archive, asked: Asked, limit: int, *, as_json: bool) -> ExitCode:
    """Print runs, newest first; 4 when there are none."""
    runs = archive.runs(asked, limit)
    print_text(_json({"runs": runs}) if as_json else runs_text(runs))
    return ExitCode.PASSED if runs else ExitCode.NO_VERDICT


def show_run(archive: Archive, run_id: str, targets: Sequence[Target]) -> ExitCode:
    """Print the latest verdict on a run as any report can; 4 when there is none."""
    document = archive.run(run_id)
    if document is None:
        raise CommandError(f"there is no run {run_id}", ExitCode.NO_VERDICT)
    verdict: Any = document["verdict"]
    if verdict is None:
        raise CommandError(f"run {run_id} has no verdict; it is {document['state']}", ExitCode.NO_VERDICT)
    try:
        events = events_of(verdict)
    except UnreadableReportError as error:
        raise CommandError(f"the verdict on run {run_id} cannot be read: {error}", ExitCode.INTERNAL) from None
    report(events, targets, ReportOptions())
    return ExitCode.PASSED


def list_flaky(archive: Archive, asked: Asked, by: Sequence[str], *, as_json: bool) -> ExitCode:
    """Print the rules whose outcomes flip."""
    found: Any = archive.flaky(asked, by)
    print_text(_json(found) if as_json else flaky_text(found["rules"]))
    return ExitCode.PASSED


def delete_runs(store: Path, run_ids: Sequence[str], confirm: Callable[[str], bool]) -> ExitCode:
    """Forget runs, their verdicts and what their rules measured, once `confirm` agrees.

    Raises:
        CommandError: one of them is not there; then none is deleted.
    """
    with open_store(store, write=True) as found:
        try:
            for run_id in run_ids:
                if found.runs.get(run_id) is None:
                    raise CommandError(f"{store} knows no run {run_id}; nothing was deleted", ExitCode.NO_VERDICT)
            if not confirm(f"Delete {', '.join(run_ids)} from {store}?"):
                raise CommandError("nothing was deleted")
            for run_id in run_ids:
                found.runs.delete(run_id)
        except StoreError as error:
            raise CommandError(str(error), ExitCode.INTERNAL) from None
    return ExitCode.PASSED


def _json(document: Document) -> str:
    return f"{json.dumps(document, indent=2, sort_keys=True)}\n"
