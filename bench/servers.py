"""The web process with other insides, to say what its parts cost: it answers nothing, or commits each delivery alone.

`python -m bench.servers nothing|alone`, settings from the environment, on the same server with the same settings.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from flask import Flask, Response, request

from app.core.config import load_settings
from app.core.runtime import Runtime
from app.inbox.receive import Delivery, Receipt, receive
from app.web import create_app
from app.wiring import build


def nothing() -> Flask:
    """Reads the body and answers 200."""
    app = Flask(__name__)

    @app.post("/webhooks/<platform>")
    def deliver(platform: str) -> Response:
        request.get_data(cache=False)
        return Response(status=200)

    @app.get("/healthz")
    def healthz() -> Response:
        return Response(status=200)

    return app


@dataclass(frozen=True, slots=True)
class _Alone:
    """In the flusher's place: a transaction for each delivery, in its own thread."""

    runtime: Runtime

    def submit(self, delivery: Delivery) -> Receipt:
        return receive(self.runtime, [delivery])[0]


def alone() -> Flask:
    """The real application without group commit."""
    runtime = build(load_settings(config=None, data_dir=None, environ=os.environ))
    app = create_app(runtime)
    app.extensions["flusher"] = _Alone(runtime)
    return app


def main(kind: str) -> None:
    """Serve until ended."""
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    server = load_settings(config=None, data_dir=None, environ=os.environ).server
    Granian(
        f"bench.servers:{kind}", factory=True, address=server.host, port=server.port, interface=Interfaces.WSGI,
        workers=server.web_workers, blocking_threads=server.web_threads, log_level=LogLevels.warning,
    ).serve()  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1])
