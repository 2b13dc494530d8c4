"""Which name we may be asked by: a made-up Host would end in links and addresses that we give out.

Where the public address is set, its host and this machine's own names are answered, anything else is 400. Webhooks and
health are asked by addresses too and give out none.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, current_app, request

from app.core.errors import BadRequest, Forbidden
from app.core.runtime import Runtime
from app.web.access import is_local

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
ANY_NAME = frozenset({"webhooks", "health"})


def install(app: Flask) -> None:
    """Look at the Host of every request."""
    runtime: Runtime = app.extensions["runtime"]
    public = urlsplit(runtime.settings.server.public_url).hostname

    def check() -> None:
        try:
            asked = urlsplit(f"//{request.host}").hostname or ""
        except ValueError:
            asked = ""
        if public is None or request.blueprint in ANY_NAME or asked == public or asked in LOCAL:
            return
        raise BadRequest("wrong_host", "this server does not answer to that name")

    app.before_request(check)


def origin() -> str:
    """Where browsers and shops reach us, for links and addresses that are given out: as it is set, else this machine
    itself for who is on it. Raises Forbidden: any other name is only what somebody asked by."""
    runtime: Runtime = current_app.extensions["runtime"]
    if runtime.settings.server.public_url:
        return runtime.settings.server.public_url
    if is_local(request):
        return request.url_root.rstrip("/")
    raise Forbidden("no_public_url", "set server.public_url to the address of this server, then start again")
