"""The webhook addresses: raw bytes in, a durable row, an answer in milliseconds.

`/webhooks/shopify` serves every shop (the domain is a header); `/webhooks/woocommerce/<key>` is one shop's own address.
"""

from __future__ import annotations

from flask import Blueprint, Response, current_app, request

from app.core.errors import TooLarge
from app.core.runtime import Runtime
from app.inbox.receive import Delivery, receive
from app.web.flusher import Flusher

BODY_MAX = 10_000_000  # a webhook; larger ones are refused before they are read

blueprint = Blueprint("webhooks", __name__, url_prefix="/webhooks")


def make_flusher(runtime: Runtime) -> Flusher:
    """The process's flusher for its runtime."""
    return Flusher(lambda deliveries: receive(runtime, deliveries))


@blueprint.post("/<platform>")
@blueprint.post("/<platform>/<key>")
def deliver(platform: str, key: str | None = None) -> Response:
    """One delivery. 413 over the bound, 503 with Retry-After when it can't be stored now."""
    if (request.content_length or 0) > BODY_MAX:
        raise TooLarge("body_too_large", f"a delivery has at most {BODY_MAX} bytes")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise TooLarge("compressed_body", "no shop compresses its deliveries, and nothing is inflated here")
    headers = {name.lower(): value for name, value in request.headers.items()}
    flusher: Flusher = current_app.extensions["flusher"]
    receipt = flusher.submit(Delivery(platform, key, headers, request.get_data(cache=False)))
    return Response(status=receipt.status)
