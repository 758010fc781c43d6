"""What clients of the API send, read strictly."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spanverdict.web.backend import Declaration

MAX_EXPECTED: Final = 1_000_000_000
_TRACE_DIGITS: Final = 32


class RunBody(BaseModel):
    """The body of `POST /api/v1/runs`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str = Field(pattern=r"^[A-Za-z0-9._:/-]{1,128}$")
    expected_requests: int | None = Field(default=None, ge=1, le=MAX_EXPECTED)
    labels: dict[str, str] = Field(default_factory=dict)
    flows: list[str] = Field(default_factory=list)
    traces: list[str] = Field(default_factory=list)


def declaration(raw: bytes) -> Declaration:
    """Read the declaration of a run from a body in JSON; raises `ValueError`, whose text is for the client."""
    try:
        body = RunBody.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "body"
        raise ValueError(f"{place}: {first['msg']}") from None
    if any(len(trace) != _TRACE_DIGITS or not _is_hex(trace) for trace in body.traces):
        raise ValueError("traces: a trace id has 32 hexadecimal digits")
    traces = tuple(trace.lower() for trace in body.traces)
    return Declaration(body.id, body.expected_requests, body.labels, tuple(body.flows), traces)


def _is_hex(text: str) -> bool:
    return all(character in "0123456789abcdefABCDEF" for character in text)
