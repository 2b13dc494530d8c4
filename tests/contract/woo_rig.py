"""A WooCommerce connector and its pretend shop behind HTTP, for the contract tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

from connectors.base import Shop, StockKey
from connectors.http import Http
from connectors.woocommerce import WooCommerce
from connectors.woocommerce.auth import OneTime, _nonce
from sandbox.base import Context, Request, Response
from sandbox.front import Front
from sandbox.woocommerce import Options, WooShop
from tests.contract.rig import Clock

SECRET = "contractsecret"
HOOK_URL = "http://127.0.0.1:9/hook"


class WooRig:
    """See `rig.Rig`."""

    bare_lists = True

    def __init__(self, clock: Clock, options: Options = Options(), *, pump: bool = False) -> None:  # noqa: B008
        self.clock = clock
        self.pretend = WooShop(Context(now=clock, rng=Random(7)), options)
        self.front = Front(self.pretend, pump=pump)
        self.connector = WooCommerce(OneTime(nonce=_nonce, timestamp=lambda: int(clock().timestamp())))
        key = options.keys[0]
        credentials = {"consumer_key": key.consumer_key, "consumer_secret": key.consumer_secret}
        self.shop = Shop(self.front.base_url, "shop.example", credentials, facts={"version": options.version})
        self.http = Http(sleep=lambda seconds: None)
        self.secret = SECRET

    def add(self, sku: str, stock: int) -> StockKey:
        return StockKey(str(self.pretend.add_product(sku, stock)))

    def add_untracked(self, sku: str) -> StockKey:
        return StockKey(str(self.pretend.add_product(sku, None)))

    def gone_stock(self) -> StockKey:
        return StockKey("999999")

    def gone_order(self) -> str:
        return "999999"

    def order(self, sku: str, units: int) -> str:
        return str(self.pretend.place_order([(sku, units)]))

    def ship(self, order_key: str) -> None:
        self.pretend.set_status(int(order_key), "completed")

    def cancel(self, order_key: str) -> None:
        self.pretend.set_status(int(order_key), "cancelled")

    def refund(self, order_key: str, units: int, *, restock: bool) -> None:
        (line,) = self.pretend.line_ids(int(order_key))
        self.pretend.refund(int(order_key), {line: units}, restock=restock)

    def touch(self, order_key: str) -> None:
        self.pretend.set_status(int(order_key), "on-hold")

    def subscribe(self) -> None:
        self.connector.write_webhooks(self.http, self.shop, url=HOOK_URL, secret=SECRET)


def running(**options: Any) -> Iterator[WooRig]:
    """A rig whose front serves; the body of a fixture."""
    made = WooRig(Clock(), Options(**options))
    with made.front:
        yield made
    made.http.session.close()


class Answer:
    """A shop that always answers this JSON."""

    def __init__(self, pretend: WooShop, body: bytes) -> None:
        self.context, self._body = pretend.context, body

    def handle(self, request: Request) -> Response:
        return Response(200, {"Content-Type": "application/json"}, self._body)


def fresh(rig: WooRig, **changed: str) -> Shop:
    """The shop with other credentials."""
    return replace(rig.shop, credentials={**rig.shop.credentials, **changed})
