"""A program that attacks a receiver: `flood HTTP RUNS PER_REQUEST`, or `throw GRPC HTTP MEMBERS`; it writes what was answered."""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import httpx

from bench.grpcwire import GrpcWire
from receiver.bombs import bomb
from scenarios import runflood

CLIENTS: Final = 4
HEADERS: Final = {"Content-Type": "application/x-protobuf"}


def flood(address: str, runs: str, per_request: str) -> Counter[str]:
    """Send requests that name a new run with every span, each once, whatever is answered; return the statuses."""
    codes, n_runs, size = Counter[str](), int(runs), int(per_request)
    firsts, taking = iter(range(0, n_runs, size)), threading.Lock()

    def send_all() -> None:
        with httpx.Client(trust_env=False, timeout=60, headers=HEADERS) as client:
            while True:
                with taking:
                    first = next(firsts, None)
                if first is None:
                    return
                spans = runflood.payload(first, min(size, n_runs - first))
                answer = client.post(f"http://{address}/v1/traces", content=spans)
                hinted = answer.status_code != httpx.codes.TOO_MANY_REQUESTS or "retry-after" in answer.headers
                codes[str(answer.status_code) if hinted else "without a hint"] += 1

    with ThreadPoolExecutor(CLIENTS) as clients:
        for done in [clients.submit(send_all) for _ in range(CLIENTS)]:
            done.result()
    return codes


def over_grpc(address: str, body: bytes) -> bool:
    """Send gzip as a client that says so; False when it is refused."""
    wire = GrpcWire(address, compressed=True)
    try:
        return wire.call(body) is not None
    finally:
        wire.close()


def over_http(address: str, body: bytes) -> bool:
    """Do the same over HTTP."""
    url, headers = f"http://{address}/v1/traces", {**HEADERS, "Content-Encoding": "gzip"}
    return httpx.post(url, content=body, headers=headers, timeout=60, trust_env=False).is_success


def throw(grpc: str, http: str, n_members: str) -> Counter[str]:
    """Throw 64 bombs at once, half of them over gRPC; return whether they were taken."""
    body = bomb(int(n_members))
    with ThreadPoolExecutor(64) as clients:
        answers = [clients.submit(over_grpc, grpc, body) for _ in range(32)]
        answers += [clients.submit(over_http, http, body) for _ in range(32)]
        return Counter(str(answer.result()) for answer in answers)


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    sys.stdout.write(json.dumps({"flood": flood, "throw": throw}[name](*arguments)))
