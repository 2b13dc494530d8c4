"""What a form says on the page that it leads to: kept in the cookie, or, inside a shop's admin, where a browser keeps
no cookie of ours, sealed in the address of that page for a moment.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlencode, urlsplit

import orjson
from flask import Flask, Response, current_app, flash, get_flashed_messages, request

from app.core.runtime import Runtime
from app.core.secrets import SealBroken
from app.web.embedding import is_signed_fetch, visitor

SAID = "said"
GOOD, BAD = "good", "bad"
LIFE = timedelta(minutes=2)  # the admin's script may have to get a session token first
TEXT_MAX = 600  # of one sentence: addresses are short


def install(app: Flask) -> None:
    """Send what was said along with where a form leads."""
    app.after_request(_send_along)


def refuse(text: str) -> None:
    """Say on the next page that something was not done."""
    flash(text, BAD)


def said() -> Sequence[tuple[str, str]]:
    """(level, plain text) of the sentences for this page: `good`, or `bad` where something was not done."""
    return [*_brought(), *_flashed()]


def _flashed() -> list[tuple[str, str]]:
    bad = [(BAD, str(text)[:TEXT_MAX]) for text in get_flashed_messages(category_filter=[BAD])]
    return bad + [(GOOD, str(text)[:TEXT_MAX]) for text in get_flashed_messages(category_filter=["message"])]


def _send_along(response: Response) -> Response:
    if not is_signed_fetch() or not _leads_on(response):
        return response
    texts = _flashed()
    if texts:
        parts = urlsplit(response.location)
        query = "&".join(filter(None, [parts.query, urlencode({SAID: _seal(texts)})]))
        response.location = parts._replace(query=query).geturl()
    return response


def _leads_on(response: Response) -> bool:
    """Whether to a page of ours."""
    where = response.location or ""
    return 300 <= response.status_code < 400 and where.startswith("/") and not where.startswith("//")


def _seal(texts: Sequence[tuple[str, str]]) -> str:
    until = (_runtime().clock() + LIFE).isoformat()
    sealed = _runtime().sealer.seal(orjson.dumps({"until": until, "texts": texts}), bound_to=_bound())
    return urlsafe_b64encode(sealed).decode()


def _brought() -> Sequence[tuple[str, str]]:
    """What the address brings, as long as it counts and is this shop's; nothing for anything else."""
    given = request.args.get(SAID)
    if given is None or visitor() is None:
        return []
    try:
        told = orjson.loads(_runtime().sealer.open(urlsafe_b64decode(given), bound_to=_bound()))
    except (SealBroken, ValueError):
        return []
    texts = [(str(level), str(text)) for level, text in told["texts"]]
    return texts if _runtime().clock() < datetime.fromisoformat(told["until"]) else []


def _bound() -> str:
    seen = visitor()
    return f"said:{seen.shop if seen else ''}"


def _runtime() -> Runtime:
    runtime: Runtime = current_app.extensions["runtime"]
    return runtime
