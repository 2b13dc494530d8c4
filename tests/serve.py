"""The real application behind a real server on a loopback port, for tests that need a browser or a stream."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server


class _KeepingOpen(WSGIRequestHandler):
    """One connection serves many requests, as with the real server."""

    protocol_version = "HTTP/1.1"


@contextmanager
def serving(app: Flask, *, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The address at which the application answers meanwhile; by https for `localhost` with `tls`."""
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_KeepingOpen, ssl_context=tls)
    server.daemon_threads = True  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, name="web", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}" if tls is None else f"https://localhost:{server.server_port}"
    finally:
        app.extensions["live"].stop()
        server.shutdown()
        thread.join()
        server.server_close()
