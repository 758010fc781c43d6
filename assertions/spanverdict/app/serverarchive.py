"""What a server knows of runs of the past, through its API."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import quote

import httpx

from spanverdict.app.errors import CommandError, ExitCode
from spanverdict.reporting.quantities import rfc3339
from spanverdict.web.backend import Asked, Document

_PAGE: Final = 100


class ServerArchive:
    """The runs that a server knows, through its API."""

    def __init__(self, server: str, client: httpx.Client) -> None:
        self._api = f"{server.rstrip('/')}/api/v1"
        self._client = client

    def runs(self, asked: Asked, limit: int) -> list[Document]:
        """Return runs, newest first."""
        found: list[Document] = []
        before: str | None = None
        while True:
            size = min(_PAGE, limit - len(found)) if limit else _PAGE
            more = [("before", before)] if before is not None else []
            page = self._get("/runs", [*_parameters(asked), ("limit", str(size)), *more])
            found += page["runs"]
            before = page["next"]
            if before is None or (limit and len(found) >= limit):
                return found

    def run(self, run_id: str) -> Document | None:
        """Return a run with its last verdict."""
        return self._get(f"/runs/{quote(run_id, safe='')}", [], missing=True) or None

    def flaky(self, asked: Asked, by: Sequence[str]) -> Document:
        """Return the flaky rules."""
        return self._get("/flaky", [*_parameters(asked), *(("by", name) for name in by)])

    def _get(self, path: str, parameters: Sequence[tuple[str, str]], *, missing: bool = False) -> dict[str, Any]:
        url = f"{self._api}{path}"
        try:
            response = self._client.get(url, params=list(parameters))
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise CommandError(f"{url} cannot be reached: {error}", ExitCode.INTERNAL) from None
        if missing and response.status_code == httpx.codes.NOT_FOUND:
            return {}
        try:
            found = response.json()
        except json.JSONDecodeError:
            found = None
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise CommandError(f"{url} asks for an API token: name its file with --token-file")
        if not isinstance(found, dict):
            raise CommandError(f"{url} is not a Spanverdict API", ExitCode.INTERNAL)
        if response.status_code != httpx.codes.OK:
            raise CommandError(f"{url}: {found.get('error', response.status_code)}", ExitCode.INTERNAL)
        return found


def _parameters(asked: Asked) -> Iterator[tuple[str, str]]:
    yield from (("label", f"{name}={value}") for name, value in asked.labels.items())
    for name, value in (
        ("flow", asked.flow),
        ("outcome", asked.outcome),
        ("since", rfc3339(asked.since_unix_nano or 0)),
    ):
        if value is not None:
            yield name, value
