"""A Shopify connector and its pretend shop behind HTTP, for the contract tests."""

from __future__ import annotations

from random import Random

from connectors.base import Shop, StockKey
from connectors.http import Http
from connectors.shopify import Shopify
from sandbox.base import Context
from sandbox.front import Front
from sandbox.shopify import PretendShopify
from sandbox.shopify.cost import Bucket
from sandbox.shopify.shop import WEBHOOK_SECRET
from sandbox.shopify.state import gid
from tests.contract.rig import Clock

HOOK_URL = "http://127.0.0.1:9/hook"


class ShopifyRig:
    """See `rig.Rig`. One location, `shelf`; more with `add_location`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.secret = WEBHOOK_SECRET
        self.connector = Shopify()
        plentiful = Bucket(size=10_000_000, restored_per_s=100)
        self.pretend = PretendShopify(Context(now=clock, rng=Random(7)), bucket=plentiful)
        self.shelf = self.pretend.add_location("Shelf")
        self.front = Front(self.pretend, pump=False)
        self.http = Http(sleep=clock.tick)
        self.shop = self.seen_with(self.shelf)

    def seen_with(self, *locations: str, **facts: str) -> Shop:
        """The shop as it is mapped to these locations."""
        credentials = {"access_token": self.pretend.access_token}
        return Shop(self.front.base_url, self.pretend.domain, credentials, locations, facts)

    def add_location(self, name: str) -> str:
        """Another place; both are mapped then."""
        key = self.pretend.add_location(name)
        self.shop = self.seen_with(*self.shop.location_keys, key)
        return key

    def key(self, sku: str, location: str | None = None) -> StockKey:
        """Where an item's number is kept."""
        item = gid("InventoryItem", self.pretend.variant(sku).item_id)
        return StockKey(item, location or self.shelf)

    def add(self, sku: str, stock: int) -> StockKey:
        self.pretend.add_variant(sku, {self.shelf: stock})
        return self.key(sku)

    def add_untracked(self, sku: str) -> StockKey:
        self.pretend.add_variant(sku, {self.shelf: 0}, tracked=False)
        return self.key(sku)

    def gone_stock(self) -> StockKey:
        return StockKey("gid://shopify/InventoryItem/1", self.shelf)

    def gone_order(self) -> str:
        return "gid://shopify/Order/1"

    def order(self, sku: str, units: int) -> str:
        order = self.pretend.place_order([(sku, units)])
        assert order is not None
        return order

    def ship(self, order_key: str) -> None:
        self.pretend.fulfill(order_key)

    def cancel(self, order_key: str) -> None:
        self.pretend.cancel(order_key)

    def refund(self, order_key: str, units: int, *, restock: bool) -> None:
        order = self.pretend.order(order_key)
        (line,) = order.lines
        kind = "RETURN" if order.shipped(line) else "CANCEL"
        self.pretend.refund(order_key, {line.id: units}, kind if restock else "NO_RESTOCK")

    def touch(self, order_key: str) -> None:
        self.pretend.fulfill(order_key)

    def subscribe(self) -> None:
        self.connector.write_webhooks(self.http, self.shop, url=HOOK_URL)
