"""Shops that throw back what they were asked with, and every page on which it could come out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest
from werkzeug.routing import BuildError

from app.reconcile.shop import ask_shop
from sandbox.base import Request, Response
from sandbox.shopify import PretendShopify
from sandbox.till import PretendTill
from sandbox.woocommerce import WooShop
from tests.street import Street
from tests.unit.web.site import Site

Asked = tuple[int, int, PretendShopify | WooShop | PretendTill]  # merchant, channel, shop


def echo(request: Request, status: int, kind: str) -> Response:
    """What badly made shops and the firewalls before them do: the whole request in the answer."""
    sent = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
    query = "&".join(f"{name}={value}" for name, value in request.query)
    told = request.body.decode(errors="replace")
    body = (
        f"<html><pre>{request.path}?{query}\n{sent}\n{told}</pre></html>"
        if "html" in kind
        else f'{{"message": "{query} {sent!r} {told!r}"}}'
    )
    return Response(status, {"Content-Type": kind}, body.encode())


def crash(request: Request) -> Response:
    """A bug of ours whose text holds what was being sent."""
    sent = " ".join(f"{name}: {value}" for name, value in request.headers.items())
    query = "&".join(f"{name}={value}" for name, value in request.query)
    raise RuntimeError(
        f"bug while asking https://anna:pass@shop.test{request.path}?{query} with {sent} and {request.body!r}"
    )


def suffer(street: Street, shops: Iterable[Asked], monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is asked of the shops comes back with what it was asked with."""
    asked = list(shops)
    for status, kind in ((401, "application/json"), (403, "text/html"), (500, "text/html"), (200, "text/html"),
                         (400, "application/json"), (404, "application/json")):  # fmt: skip
        for merchant_id, channel_id, shop in asked:
            monkeypatch.setattr(shop, "handle", lambda request, s=status, k=kind: echo(request, s, k))
            ask_shop(street.runtime, merchant_id, channel_id)
        street.world.move("mug", 1, "available@A > shrinkage")
        street.world.now += timedelta(hours=7)
        for _ in range(3):
            street.worker.step()
            street.world.now += timedelta(seconds=90)
    for _, _, shop in asked:
        monkeypatch.setattr(shop, "handle", crash)
    street.world.now += timedelta(hours=7)
    street.worker.step()
    monkeypatch.undo()


def paths(site: Site, channel_id: int) -> list[str]:
    """Every page and file that can be got, with the first thing there is where one has to be named."""
    named = {"sku": "mug", "channel_id": "1", "name": "app.css", "filename": "app.css"}
    rules = [
        rule for rule in site.app.url_map.iter_rules() if "GET" in (rule.methods or ()) and rule.endpoint != "live"
    ]
    adapter = site.app.url_map.bind("localhost")
    made = []
    for rule in rules:
        values = {name: named.get(name, str(channel_id)) for name in rule.arguments}
        try:
            made.append(adapter.build(rule.endpoint, values))
        except BuildError:  # a converter that wants a number
            made.append(adapter.build(rule.endpoint, dict.fromkeys(rule.arguments, channel_id)))
    return [path for path in made if not path.startswith(("/live", "/static"))]
