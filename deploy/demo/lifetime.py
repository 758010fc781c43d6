"""How a service of the demo lives: it says that it is ready, and it stops when it is told to."""

from __future__ import annotations

import logging
import os
import signal
import threading

from flask import Flask
from werkzeug.serving import make_server

LOOPBACK = "127.0.0.1"
STDIN = 0


def stop_asked() -> threading.Event:
    """Return an event that is set at SIGTERM, and when whoever started this process is gone.

    The starter holds the other end of standard input, so that no service outlives it, however it ends.
    """
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the starter stops us in order

    def watch() -> None:
        while os.read(STDIN, 1024):
            pass
        stop.set()

    threading.Thread(target=watch, daemon=True).start()
    return stop


def announce(word: str) -> None:
    """Tell the starter that this service is ready: one line on standard output."""
    print(word, flush=True)


def serve(app: Flask, stop: threading.Event) -> None:
    """Serve `app` on a free loopback port until `stop`; the announced word is its base URL."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app.add_url_rule("/healthz", view_func=lambda: "ok\n", endpoint="healthz")
    server = make_server(LOOPBACK, 0, app, threaded=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    announce(f"http://{LOOPBACK}:{server.server_port}")
    stop.wait()
    server.shutdown()
    serving.join()
    server.server_close()
