"""The till's connector and its pretend shop behind HTTP: what the entry point of `perpetual.contract` leads to."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from connectors.base import Shop, StockKey
from connectors.http import Http
from connectors.till import Till
from sandbox.base import Context
from sandbox.front import Front
from sandbox.till import SECRET, PretendTill
from tests.contract.rig import Clock, Rig

HOOK_URL = "http://127.0.0.1:9/hook"


class TillRig:
    """See `rig.Rig`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.secret = SECRET
        self.connector = Till()
        self.pretend = PretendTill(Context(now=clock, rng=Random(7)))
        self.front = Front(self.pretend, pump=False)
        self.http = Http(sleep=clock.tick)
        self.shop = Shop(self.front.base_url, "till.example", {"token": self.pretend.token})

    def add(self, sku: str, stock: int) -> StockKey:
        return StockKey(self.pretend.add_product(sku, stock))

    def add_untracked(self, sku: str) -> StockKey:
        return StockKey(self.pretend.add_product(sku, None))

    def gone_stock(self) -> StockKey:
        return StockKey("999999")

    def gone_order(self) -> str:
        return "999999"

    def order(self, sku: str, units: int) -> str:
        order = self.pretend.place_order([(sku, units)])
        assert order is not None
        return order

    def ship(self, order_key: str) -> None:
        self.pretend.hand_over(order_key)

    def cancel(self, order_key: str) -> None:
        self.pretend.cancel(order_key)

    def refund(self, order_key: str, units: int, *, restock: bool) -> None:
        (line,) = self.pretend.orders[order_key].lines
        self.pretend.refund(order_key, {line.id: units}, restock=restock)

    def touch(self, order_key: str) -> None:
        self.pretend.hand_over(order_key)

    def subscribe(self) -> None:
        self.connector.write_webhooks(self.http, self.shop, url=HOOK_URL, secret=SECRET)


def running(clock: Clock) -> Iterator[Rig]:
    """A rig whose front serves; one per test."""
    made = TillRig(clock)
    with made.front:
        yield made
    made.http.session.close()
