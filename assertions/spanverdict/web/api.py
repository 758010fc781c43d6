"""The routes of the API."""

from __future__ import annotations

import json
import math
import time
from datetime import UTC, datetime
from typing import Final

from anyio import CapacityLimiter, fail_after, to_thread
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from spanverdict.diagnostics.durations import DurationError, parse_duration
from spanverdict.web.access import Admits, Guard
from spanverdict.web.backend import Asked, Backend, Declaration, Document, Unavailable, UnknownFlow

MAX_BODY: Final = 1 << 20
MAX_WAIT_S: Final = 300.0
MAX_WAITING: Final = 200
"""Clients that may wait for a verdict at a time."""
BODY_S: Final = 10.0
"""How long a body may take to come."""
_PAGE: Final = 50
_MAX_PAGE: Final = 500


_CLOSE: Final = {"Connection": "close"}
"""For answers to requests of which a part was not read."""


def application(backend: Backend, admits: Admits | None = None) -> Starlette:
    """Return the API of a service as an ASGI application; `admits` judges who may use it, by default everybody."""
    routes = _Routes(backend)
    return Starlette(
        routes=[
            Route("/healthz", routes.healthz),
            Route("/readyz", routes.readyz),
            Route("/metrics", routes.metrics),
            Route("/api/v1/runs", routes.runs, methods=["GET"]),
            Route("/api/v1/runs", routes.declare, methods=["POST"]),
            Route("/api/v1/flaky", routes.flaky, methods=["GET"]),
            Route("/api/v1/runs/{run_id:path}/end", routes.end, methods=["POST"]),
            Route("/api/v1/runs/{run_id:path}", routes.run, methods=["GET"]),
        ],
        middleware=[Middleware(Guard, admits=admits)] if admits is not None else (),
        exception_handlers={HTTPException: _error, UnknownFlow: _unknown_flow, Unavailable: _unavailable},
    )


class _Routes:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._waiting = CapacityLimiter(MAX_WAITING)

    async def healthz(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(self, _request: Request) -> Response:
        problem = await run_in_threadpool(self._backend.ready)
        return PlainTextResponse("ready\n") if problem is None else PlainTextResponse(f"{problem}\n", 503)

    async def metrics(self, _request: Request) -> Response:
        text = await run_in_threadpool(self._backend.metrics)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def runs(self, request: Request) -> Response:
        limit, asked = _integer(request, "limit", _PAGE), _asked(request)
        try:
            page = await run_in_threadpool(self._backend.runs, limit, request.query_params.get("before"), asked)
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        return JSONResponse(page)

    async def flaky(self, request: Request) -> Response:
        by = request.query_params.getlist("by")
        return JSONResponse(await run_in_threadpool(self._backend.flaky, _asked(request), by))

    async def declare(self, request: Request) -> Response:
        declaration = await run_in_threadpool(_declaration, await _raw_body(request))
        return JSONResponse(await run_in_threadpool(self._backend.declare, declaration), 201)

    async def end(self, request: Request) -> Response:
        return _found(await run_in_threadpool(self._backend.end, request.path_params["run_id"]))

    async def run(self, request: Request) -> Response:
        run_id = request.path_params["run_id"]
        wait = _seconds(request, "wait")
        if wait > 0:
            if self._waiting.available_tokens < 1:
                raise HTTPException(503, "too many clients wait already", {"Retry-After": "1"})
            await to_thread.run_sync(self._backend.settled, run_id, wait, limiter=self._waiting, abandon_on_cancel=True)
        return _found(await run_in_threadpool(self._backend.run, run_id))


async def _raw_body(request: Request) -> bytes:
    raw = bytearray()
    try:
        with fail_after(BODY_S):
            async for part in request.stream():
                raw += part
                if len(raw) > MAX_BODY:
                    raise HTTPException(413, f"the body is longer than {MAX_BODY} bytes", _CLOSE)
    except TimeoutError:
        raise HTTPException(408, f"the body did not come within {BODY_S:g} seconds", _CLOSE) from None
    return bytes(raw)


def _declaration(raw: bytes) -> Declaration:
    from spanverdict.web.bodies import declaration  # noqa: PLC0415 - pydantic takes 8 MB, and most runs are not declared

    try:
        return declaration(raw)
    except ValueError as error:
        raise HTTPException(400, str(error)) from None


def _integer(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= _MAX_PAGE:
        raise HTTPException(400, f"{name} has to be a number from 1 to {_MAX_PAGE}")
    return int(text)


def _asked(request: Request) -> Asked:
    """Read which runs are asked for: `flow`, `label=NAME=VALUE` (several), `outcome`, and `since` when."""
    query = request.query_params
    labels = {}
    for text in query.getlist("label"):
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise HTTPException(400, f"label: {text!r} is not NAME=VALUE")
        labels[name] = value
    since = _since(query.get("since"))
    return Asked(query.get("flow"), labels, query.get("outcome"), since)


def _since(text: str | None) -> int | None:
    """Read a moment in RFC 3339, or how long ago it is."""
    if text is None:
        return None
    try:
        return time.time_ns() - parse_duration(text)
    except DurationError:
        pass
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * 10**9
    except (ValueError, OverflowError):
        raise HTTPException(400, "since has to be a duration such as 7d, or a time in RFC 3339") from None


def _seconds(request: Request, name: str) -> float:
    text = request.query_params.get(name)
    if text is None:
        return 0.0
    try:
        seconds = parse_duration(text) / 1e9
    except DurationError as error:
        raise HTTPException(400, f"{name}: {error.message}") from None
    return min(seconds, MAX_WAIT_S) if math.isfinite(seconds) else MAX_WAIT_S


def _found(document: Document | None) -> Response:
    if document is None:
        raise HTTPException(404, "there is no such run")
    return Response(json.dumps(document, ensure_ascii=True), media_type="application/json")


async def _error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


async def _unavailable(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 503, {"Retry-After": "5"})


async def _unknown_flow(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)
