"""Who may use the API: judged by a request's head, before anything of its body is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

Admits: TypeAlias = Callable[[bytes | None], bool]
"""Judges the value of an Authorization header; None where there is none."""

OPEN: Final = frozenset({"/healthz", "/readyz"})
"""For probes, which have no token."""


class Guard:
    """Lets nobody through to an application without a token, but to the paths in `OPEN`."""

    def __init__(self, application: ASGIApp, admits: Admits) -> None:
        self._application = application
        self._admits = admits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request (ASGI 3)."""
        if scope["path"] in OPEN or self._admits(dict(scope["headers"]).get(b"authorization")):
            await self._application(scope, receive, send)
            return
        headers = {"WWW-Authenticate": 'Bearer realm="spanverdict"', "Connection": "close"}
        answer = JSONResponse({"error": "a valid API token is required"}, 401, headers)
        await answer(scope, receive, send)
