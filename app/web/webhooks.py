"""The webhook addresses: raw bytes in, a durable row, an answer in milliseconds.

`/webhooks/shopify` serves every shop (the domain is a header); `/webhooks/woocommerce/<key>` is one shop's own address.
A delivery as shops send it is taken before Flask, whose way costs more than the delivery itself; what is not like that,
and every error, goes through Flask and is answered as anything else.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

import orjson
from flask import Blueprint, Flask, Response, current_app, request

from app.core.errors import RETRY_AFTER_S, PerpetualError, TooLarge, Unauthenticated, Unavailable, problem_json
from app.core.runtime import Runtime
from app.inbox.receive import Delivery, receive
from app.web.flusher import Flusher
from app.web.headers import HEADERS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

BODY_MAX = 10_000_000  # a webhook; larger ones are refused before they are read
LENGTH_DIGITS_MAX = 12  # of a Content-Length; a number of thousands of digits is none
_ERROR = "perpetual.delivery_error"  # what came of a delivery that was taken before Flask
_STATUS = {
    200: "200 OK",
    202: "202 Accepted",
    401: "401 Unauthorized",
    404: "404 Not Found",
    410: "410 Gone",
    503: "503 Service Unavailable",
}
_WORDS = {
    "missing_signature": "no signature came with it: it is a header of the shop's, which a proxy must let through",
    "invalid_signature": "signed with another secret, or the body was changed on its way",
}

blueprint = Blueprint("webhooks", __name__, url_prefix="/webhooks")


def make_flusher(runtime: Runtime) -> Flusher:
    """The process's flusher for its runtime."""
    return Flusher(lambda deliveries: receive(runtime, deliveries))


@blueprint.post("/<platform>")
@blueprint.post("/<platform>/<key>")
def deliver(platform: str, key: str | None = None) -> Response:
    """One delivery. 413 over the bound, 503 with Retry-After when it can't be stored, or checked, now."""
    error: PerpetualError | None = request.environ.get(_ERROR)
    if error is not None:
        raise error
    length_max = min(BODY_MAX, current_app.config["MAX_CONTENT_LENGTH"])
    if (request.content_length or 0) > length_max:
        raise _too_large(length_max)
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise TooLarge("compressed_body", "no shop compresses its deliveries, and nothing is inflated here")
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = request.get_data(cache=False)
    if request.content_length is None and len(body) >= length_max:  # cut off there
        raise _too_large(length_max)
    flusher: Flusher = current_app.extensions["flusher"]
    receipt = flusher.submit(Delivery(platform, key, headers, body))
    said, said_as = _answer(receipt.status, receipt.reason)
    return Response(said, status=receipt.status, headers=said_as)


@cache
def _answer(status: int, reason: str) -> tuple[bytes, list[tuple[str, str]]]:
    """Body and headers, made once: a 401 says why, of everything else the status says it all."""
    if status != Unauthenticated.status:
        again = [("Retry-After", str(RETRY_AFTER_S))] if status == Unavailable.status else []
        return b"", [("Content-Length", "0"), *again, *HEADERS.items()]
    body = orjson.dumps(problem_json(Unauthenticated(reason, _WORDS.get(reason, ""))))
    kind = ("Content-Type", "application/problem+json")
    return body, [("Content-Length", str(len(body))), kind, *HEADERS.items()]


def _too_large(length_max: int) -> TooLarge:
    return TooLarge("body_too_large", f"a delivery has at most {length_max} bytes")


def before_flask(app: Flask, inner: WSGIApplication) -> WSGIApplication:
    """`inner` behind the short way for plain deliveries."""
    length_max = min(BODY_MAX, app.config["MAX_CONTENT_LENGTH"])

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        at = _address(environ, length_max)
        if at is None:
            return inner(environ, start_response)
        length = int(environ["CONTENT_LENGTH"])
        body = environ["wsgi.input"].read(length)
        environ["wsgi.input"] = BytesIO(body)
        flusher: Flusher = app.extensions["flusher"]
        try:
            receipt = flusher.submit(Delivery(*at, _headers(environ), body)) if len(body) == length else None
        except PerpetualError as error:
            environ[_ERROR] = error
            receipt = None
        if receipt is None or receipt.status not in _STATUS:
            return inner(environ, start_response)
        said, said_as = _answer(receipt.status, receipt.reason)
        start_response(_STATUS[receipt.status], said_as)
        return (said,) if said else ()

    return serve


def _address(environ: WSGIEnvironment, length_max: int) -> tuple[str, str | None] | None:
    """Platform and key of a plain delivery, None for any other request."""
    path: str = environ.get("PATH_INFO", "")
    if not path.startswith("/webhooks/") or environ["REQUEST_METHOD"] != "POST" or not path.isascii():
        return None
    length = environ.get("CONTENT_LENGTH") or ""
    if not length.isdecimal() or len(length) > LENGTH_DIGITS_MAX or int(length) > length_max:
        return None
    if "HTTP_CONTENT_ENCODING" in environ or "HTTP_TRANSFER_ENCODING" in environ:
        return None
    platform, *more = path.split("/")[2:]
    return (platform, more[0] if more else None) if platform and len(more) <= 1 and all(more) else None


def _headers(environ: WSGIEnvironment) -> dict[str, str]:
    """As they were sent, names lower-case."""
    headers: dict[str, Any] = {n[5:].replace("_", "-").lower(): v for n, v in environ.items() if n.startswith("HTTP_")}
    return {**headers, "content-type": environ.get("CONTENT_TYPE", ""), "content-length": environ["CONTENT_LENGTH"]}
