"""One attempt to deliver a message, and what its answer means."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx

from spanverdict.alerting.config import ReceiverSettings
from spanverdict.alerting.guard import AddressRefused
from spanverdict.alerting.outbox import QueuedDelivery
from spanverdict.alerting.signing import signed_headers

MAX_ANSWER_BYTES = 64 * 1024
MAX_RETRY_AFTER_SECONDS = 36_000.0
_GONE = 410
_MAY_SAY_WHEN = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """How an attempt came out."""

    delivered: bool
    error: str = ""
    """One line; never holds a secret or a path of the URL."""
    final: bool = False
    """The receiver wants no more of this, or its address must not be reached: trying again is no use."""
    retry_after_seconds: float = 0.0
    """How long the receiver asked to be left alone."""


def attempt(
    client: httpx.Client,
    settings: ReceiverSettings,
    delivery: QueuedDelivery,
    now_seconds: float,
    timeout_seconds: float,
) -> AttemptResult:
    """Send a message once, signed for this moment. Never raises for what the other side does."""
    headers = {
        "content-type": "application/json",
        "user-agent": "spanverdict",
        **signed_headers(delivery.id, int(now_seconds), delivery.body, settings.secrets),
    }
    try:
        request = client.build_request(
            "POST", settings.url, content=delivery.body, headers=headers, timeout=timeout_seconds
        )
        response = client.send(request, stream=True)
    except AddressRefused as refused:
        return AttemptResult(delivered=False, error=f"refused: {refused}")
    except httpx.TimeoutException:
        return AttemptResult(delivered=False, error=f"no answer within {timeout_seconds:.1f} s")
    except (httpx.InvalidURL, UnicodeError):
        # What these say may show the URL.
        return AttemptResult(delivered=False, error="cannot reach it: its URL is malformed")
    except (httpx.HTTPError, ssl.SSLError) as error:
        return AttemptResult(delivered=False, error=f"cannot reach it: {_one_line(error)}")
    try:
        _read_some(response)
    finally:
        response.close()
    return judge(response.status_code, response.headers.get("retry-after", ""), now_seconds)


def judge(status: int, retry_after: str, now_seconds: float) -> AttemptResult:
    """Say what a status means: 2xx arrived, 410 is final, all else (redirects too) is tried again.

    >>> judge(204, "", 0.0).delivered, judge(302, "", 0.0).error
    (True, 'answered 302')
    >>> judge(503, "120", 0.0).retry_after_seconds
    120.0
    """
    if 200 <= status < 300:  # noqa: PLR2004 - the successes of HTTP
        return AttemptResult(delivered=True)
    wait = _seconds(retry_after, now_seconds) if status in _MAY_SAY_WHEN else 0.0
    return AttemptResult(delivered=False, error=f"answered {status}", final=status == _GONE, retry_after_seconds=wait)


def _read_some(response: httpx.Response) -> None:
    """Take in the answer out of politeness, up to a limit; the status is all that counts."""
    size = 0
    try:
        for chunk in response.iter_raw():
            size += len(chunk)
            if size > MAX_ANSWER_BYTES:
                return
    except httpx.HTTPError:
        return


def _seconds(retry_after: str, now_seconds: float) -> float:
    """Read a Retry-After header, seconds or a date; 0 when it is neither."""
    if re.fullmatch(r"[0-9]{1,9}", retry_after.strip()):
        return min(float(retry_after), MAX_RETRY_AFTER_SECONDS)
    try:
        wait = parsedate_to_datetime(retry_after).timestamp() - now_seconds
    except (ValueError, OverflowError, TypeError):
        return 0.0
    return min(max(wait, 0.0), MAX_RETRY_AFTER_SECONDS)


def _one_line(error: Exception) -> str:
    text = "".join(c if c.isprintable() else " " for c in str(error))
    return text[:200] or type(error).__name__
