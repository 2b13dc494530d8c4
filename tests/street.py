"""A street with two pretend shops and one Perpetual, in virtual time and without sockets.

`run` lets everything happen that is due: webhooks are delivered, the worker does its round, the clock moves.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from app.inbox.read import poll_orders
from app.listings.catalogue import map_listing
from app.simulation.town import WOO_SECRET, Town, hand_over
from app.worker import Worker
from sandbox.base import Delivery as Posted
from sandbox.faults import NONE, Faults, delivery_delays_s
from sandbox.shopify import PretendShopify
from sandbox.shopify.shop import WEBHOOK_SECRET
from sandbox.till import PretendTill
from sandbox.woocommerce import WooShop
from tests.world import World

TICK_S = 0.25
ROUND_S, LIVE_S = 0.01, 0.1  # even a busy round takes time


@dataclass
class Street:
    """`world` holds the merchant; shops are opened by `open_shopify`, `open_woo` and `open_till`."""

    world: World
    data: Path
    faults: Faults = NONE
    sync: Mapping[str, int] = field(default_factory=dict)
    heard: Callable[[Posted], bool] = lambda posted: True

    def __post_init__(self) -> None:
        pace = {"poll_interval_s": 30, "poll_overlap_s": 60, "audit_interval_s": 3600, **self.sync}
        world = self.world
        self.town = Town(
            world.database, world.merchant_id, lambda: self.world.now, Random(1), self.data, self.faults, pace, "street"
        )
        self.rng, self.settings, self.session = self.town.rng, self.town.settings, self.town.session
        self.runtime, self.shops, self.adapters = self.town.runtime, self.town.shops, self.town.adapters
        self.worker = Worker(self.runtime, only_merchant=self.world.merchant_id)

    def open_shopify(
        self, stock: Mapping[str, int], *, places: Mapping[str, int] | None = None, prices: str = "10.00"
    ) -> PretendShopify:
        """A Shopify shop with one location unless `places` (name → our location id) says more; `stock` is at the
        first."""
        return self.town.open_shopify(stock, places or {"A": self.world.a}, prices=prices)

    def open_woo(self, stock: Mapping[str, int], **options: object) -> WooShop:
        """A WooCommerce shop."""
        return self.town.open_woo(stock, **options)

    def open_till(self, stock: Mapping[str, int]) -> PretendTill:
        """A counter's till."""
        return self.town.open_till(stock)

    def channel_of(self, shop: PretendShopify | WooShop | PretendTill) -> int:
        return self.town.channel_of(shop)

    def deliver(self) -> int:
        """Hand over every delivery that is due; how many."""
        count = 0
        for shop in self.shops.values():
            for posted in shop.due_deliveries():
                if self.heard(posted):
                    self.hand_over(shop, posted)
                    count += 1
        return count

    def hand_over(self, shop: PretendShopify | WooShop, posted: Posted) -> int:
        """One webhook to RECEIVE, as the web process would."""
        return hand_over(self.runtime, [(shop, posted)])[0]

    def settle(self, seconds: float = 5.0, *, rounds_max: int = 400) -> None:
        """Let the street live for that long, and until nothing is due any more."""
        until = self.world.now + timedelta(seconds=seconds)
        for _ in range(rounds_max):
            quiet = not self.deliver() and not self.worker.step()
            if quiet and self.world.now >= until:
                return
            self._pass(TICK_S if quiet else ROUND_S, until if quiet else None)
        raise AssertionError(f"the street does not come to rest: {self.worker.due()}")

    def live(self, seconds: float) -> None:
        """Let that much time pass with everything that is due in it."""
        until = self.world.now + timedelta(seconds=seconds)
        while self.world.now < until:
            quiet = not self.deliver() and not self.worker.step()
            self._pass(TICK_S if quiet else LIVE_S, until if quiet else None)

    def _pass(self, seconds: float, until: datetime | None) -> None:
        """The clock moves on; while nothing falls due, in longer and longer strides up to `until`."""
        began = self.world.now
        self.world.now = began + timedelta(seconds=seconds)
        while until is not None and (at := began + 2 * (self.world.now - began)) <= until:
            if not self._idle_until(at):
                return
            self.world.now = at

    def _idle_until(self, at: datetime) -> bool:
        """Whether nothing falls due before."""
        now, self.world.now = self.world.now, at
        try:
            if any(
                due and due <= shop.context.now() for shop in self.shops.values() for due in [shop.next_delivery_at()]
            ):
                return False
            return not self.worker.due()
        finally:
            self.world.now = now

    def poll(self, shop: PretendShopify | WooShop | PretendTill) -> None:
        """What changed there since the last reading is read now, and not booked yet."""
        with self.world.session() as session:
            session.run(
                """update channel_poll set due_at = %(now)s
                   where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = 'orders'""",
                now=session.now, channel=self.channel_of(shop),
            )  # fmt: skip
        poll_orders(self.runtime, self.world.merchant_id, self.channel_of(shop))

    def cases(self, state: str = "open") -> list[str]:
        """Kinds of the cases in that state, sorted."""
        with self.world.session() as session:
            rows = session.rows(
                "select kind from case_file where merchant_id = %(merchant_id)s and state = %(state)s order by 1",
                state=state,
            )
        return [row.kind for row in rows]

    def parked(self) -> list[str]:
        """Reasons of the parked documents."""
        with self.world.session() as session:
            rows = session.rows(
                "select reason from inbox where merchant_id = %(merchant_id)s and state = 'parked' order by 1"
            )
        return [row.reason for row in rows]

    def map(self, shop: PretendShopify | WooShop, sku: str) -> None:
        """A person says which item a listing is."""
        with self.world.session() as session:
            key = session.value(
                "select listing_key from listing where merchant_id = %(merchant_id)s and sku = %(sku)s", sku=sku
            )
            map_listing(session, self.channel_of(shop), key, self.world.items[sku])

    def signed(self, shop: PretendShopify | WooShop, posted: Posted, body: bytes) -> Posted:
        """The same delivery with another body, signed by the shop."""
        name = "X-WC-Webhook-Signature" if isinstance(shop, WooShop) else "X-Shopify-Hmac-Sha256"
        secret = WOO_SECRET if isinstance(shop, WooShop) else WEBHOOK_SECRET
        signature = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
        headers = {n: v for n, v in posted.headers.items() if n.lower() != name.lower()}
        return Posted(posted.due_at, posted.url, {**headers, name: signature}, body, posted.hook_key)

    def shown_at(self, shop: PretendShopify, sku: str) -> dict[str, int]:
        """What a Shopify shop shows at each of its places."""
        item = shop.variant(sku).item_id
        return {place.name: shop.inventory.available(item, place.id) for place in shop.locations.values()}

    def calls(self, shop: PretendShopify | WooShop) -> int:
        return len(self.adapters[self.channel_of(shop)].calls)


__all__ = ["Street", "delivery_delays_s"]
