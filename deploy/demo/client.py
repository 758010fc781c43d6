"""The client: sends payments, as a test suite would."""

from __future__ import annotations

import http.client
import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import store

AT_ONCE = 6
TIMEOUT = 30.0
OK = 200


def payments(count: int) -> Iterator[dict[str, Any]]:
    """Yield `count` made-up payments, the same ones in every run."""
    draw = random.Random(42)
    for number in range(count):
        yield {
            "id": f"payment-{number:04}",
            "card": f"card-{draw.randrange(store.CARDS)}",
            "merchant": f"merchant-{draw.randrange(store.MERCHANTS)}",
            "amount": round(draw.lognormvariate(4, 0.8), 2),
        }


def send_all(url: str, count: int) -> int:
    """Send `count` payments to the gateway, a few at a time; return how many were answered with a decision."""
    with ThreadPoolExecutor(AT_ONCE) as senders:
        return sum(senders.map(lambda payment: _send(url, payment), payments(count)))


def _send(url: str, payment: dict[str, Any]) -> bool:
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=TIMEOUT)
    try:
        connection.request("POST", "/payments", json.dumps(payment), {"Content-Type": "application/json"})
        return connection.getresponse().status == OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
