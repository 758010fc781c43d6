"""A real HTTP server that plays a webhook receiver."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Hook:
    """One request that came."""

    path: str
    headers: dict[str, str]
    body: bytes


class Message:
    """A message to send, as an outbox hands it out."""

    id, receiver, run_id, body, attempts, error = "msg_1", "ops", "run-1", b"{}", 0, ""


Answer = Callable[[BaseHTTPRequestHandler], None]


def answer(status: int, **headers: str) -> Answer:
    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"ok")

    return write


class HookServer:
    """Gives the scripted answers in order, then 200 for ever; remembers what came."""

    def __init__(self, *script: Answer, tls: Any = None) -> None:
        self.hooks: list[Hook] = []
        self.script = list(script)
        self._changed = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with outer._changed:
                    outer.hooks.append(Hook(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                    write = outer.script.pop(0) if outer.script else answer(200)
                    outer._changed.notify_all()
                try:
                    write(self)
                except OSError:
                    self.close_connection = True

            do_GET = do_POST  # noqa: N815 - the name that http.server looks for

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hook?token=canary-in-url"

    def wait_for(self, count: int, timeout: float = 10.0) -> list[Hook]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.hooks) >= count, timeout), f"only {len(self.hooks)} came"
            return list(self.hooks)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def drip(seconds_between: float, count: int, head: bytes = b"HTTP/1.1 200 OK\r\nX-Slow: ") -> Answer:
    """Send one byte at a time, so that no single wait is long."""

    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(head)
        for _ in range(count):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(seconds_between)

    return write


def flood(megabytes: int, sent: list[int]) -> Answer:
    """Send a body that never seems to end; notes each megabyte that was taken."""

    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        for megabyte in range(megabytes):
            handler.wfile.write(b"x" * 1_000_000)
            sent.append(megabyte)

    return write
