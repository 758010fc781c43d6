"""The service behind the HTTP API: documents of runs, and waiting for verdicts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import wraps
from typing import ParamSpec, TypeVar

from spanverdict.app.operatormetrics import render_metrics
from spanverdict.app.progress import progress_of
from spanverdict.app.rundocuments import flaky_document, page_of, run_document
from spanverdict.app.service import Service
from spanverdict.storage.errors import StoreError
from spanverdict.storage.records import RunDeclaration
from spanverdict.web.backend import Asked, Declaration, Document, Unavailable, UnknownFlow

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _from_store(answer: Callable[_P, _T]) -> Callable[_P, _T]:
    """Say it in the API's words when the store cannot be read or written."""

    @wraps(answer)
    def answered(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return answer(*args, **kwargs)
        except StoreError as error:
            raise Unavailable(str(error)) from error

    return answered


class ServiceBackend:
    """Answers the API from a running service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._runs = service.store.runs

    @_from_store
    def declare(self, declaration: Declaration) -> Document:
        """Declare a run and return it; raises `UnknownFlow`."""
        names = [flow.name for flow in self._service.config.flows]
        for name in declaration.flows:
            if name not in names:
                raise UnknownFlow(f"there is no flow {name!r}; the flows are {', '.join(names) or 'none'}")
        record = self._service.declare(
            RunDeclaration(
                declaration.id,
                declaration.expected_requests,
                declaration.labels,
                declaration.flows,
                declaration.traces,
            )
        )
        return run_document(record, self._runs.verdict(record.id))

    @_from_store
    def end(self, run_id: str) -> Document | None:
        """Say that a run has ended and return it; None when it is unknown."""
        record = self._service.end(run_id)
        return None if record is None else run_document(record, self._runs.verdict(run_id))

    @_from_store
    def run(self, run_id: str) -> Document | None:
        """Return a run with its last verdict; None when it is unknown."""
        record = self._runs.get(run_id)
        if record is None:
            return None
        verdict = self._runs.verdict(run_id)
        document = run_document(record, verdict)
        document["verdict"] = None if verdict is None else json.loads(verdict.document)
        docket = self._service.judge.docket
        live = docket.runs.get(run_id)
        document["problem"] = live.trouble if live is not None else ""
        document["progress"] = None if live is None else asdict(progress_of(live, docket.flows_of(live)))
        return document

    @_from_store
    def runs(self, limit: int, before: str | None, asked: Asked) -> Document:
        """Return a page of runs, newest first; raises `ValueError` for a foreign cursor."""
        return page_of(self._runs, limit, before, asked)

    @_from_store
    def flaky(self, asked: Asked, by: Sequence[str]) -> Document:
        """Return the rules whose outcomes flip between runs of one rule file and equal labels (of `by`)."""
        return flaky_document(self._service.store.history, asked, by)

    @_from_store
    def settled(self, run_id: str, timeout_s: float) -> bool:
        """Wait until a verdict has taken in all that came for a run; False when the time ran out first."""
        taken_in = self._service.judge.mark()
        return self._service.settling.wait_for(lambda: taken_in.is_set() and self._is_settled(run_id), timeout_s)

    def ready(self) -> str | None:
        """Return why spans cannot be taken now; None when they can."""
        try:
            self._service.store.probe()
        except StoreError as error:
            return str(error)
        return self._service.keeper.problem

    @_from_store
    def metrics(self) -> str:
        """Return metrics in Prometheus' text format."""
        return render_metrics(self._service)

    def _is_settled(self, run_id: str) -> bool:
        live = self._service.judge.docket.runs.get(run_id)
        if live is not None and live.fresh:
            return False
        record = self._runs.get(run_id)
        return record is not None and record.state == "judged" and self._runs.verdict(run_id) is not None
