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
from urllib.parse import urlsplit

import requests

from app.core.config import Settings, load_settings
from app.core.runtime import Runtime
from app.core.secrets import Sealer
from app.inbox.receive import Delivery, receive
from app.listings.catalogue import map_listing
from app.listings.channels import WEBHOOK_SECRETS, NewChannel
from app.listings.connect import connect
from app.wiring import CONNECTORS
from app.worker import Worker
from connectors.http import Http
from sandbox.base import Context
from sandbox.base import Delivery as Posted
from sandbox.faults import NONE, Faults, delivery_delays_s
from sandbox.inprocess import ShopAdapter
from sandbox.shopify import PretendShopify
from sandbox.shopify.shop import ACCESS_TOKEN, WEBHOOK_SECRET
from sandbox.woocommerce import Key, Options, WooShop
from tests.world import World

TICK_S = 0.25
ROUND_S = 0.01  # even a busy round takes time
ORIGIN = "http://perpetual.test"


@dataclass
class Street:
    """`world` holds the merchant; shops are opened by `open_shopify` and `open_woo`."""

    world: World
    data: Path
    faults: Faults = NONE
    sync: Mapping[str, int] = field(default_factory=dict)
    shops: dict[int, PretendShopify | WooShop] = field(default_factory=dict)
    adapters: dict[int, ShopAdapter] = field(default_factory=dict)
    late: list[tuple[datetime, Posted]] = field(default_factory=list)
    heard: Callable[[Posted], bool] = lambda posted: True

    def __post_init__(self) -> None:
        self.rng = Random(1)
        settings = load_settings(config=None, data_dir=self.data, environ={})
        pace = {"poll_interval_s": 30, "poll_overlap_s": 60, "audit_interval_s": 3600, **self.sync}
        self.settings: Settings = settings.model_copy(update={"sync": settings.sync.model_copy(update=pace)})
        self.session = requests.Session()
        self.session.trust_env = False
        keys = settings.security
        self.runtime = Runtime(
            settings=self.settings,
            database=self.world.database,
            clock=lambda: self.world.now,
            rng=self.rng,
            connectors=CONNECTORS,
            sealer=Sealer(keys.keys(), keys.active_key),
            open_http=lambda: Http(session=self.session, sleep=lambda s: None),
            worker="street",
            ring=lambda: None,
        )
        self.worker = Worker(self.runtime, only_merchant=self.world.merchant_id)

    def context(self) -> Context:
        return Context(now=lambda: self.world.now, rng=self.rng, faults=self.faults)

    def open_shopify(
        self, stock: Mapping[str, int], *, places: Mapping[str, int] | None = None, prices: str = "10.00"
    ) -> PretendShopify:
        """A Shopify shop with one location unless `places` (name → our location id) says more; `stock` is at the
        first."""
        shop = PretendShopify(
            self.context(),
            domain=f"shop-{self.world.merchant_id}-{len(self.shops)}.myshopify.com",
            sells_below_zero=True,
        )
        names = places or {"A": self.world.a}
        keys = [shop.add_location(name) for name in names]
        for sku, units in stock.items():
            shop.add_variant(sku, {key: units if key == keys[0] else 0 for key in keys}, prices)
        credentials = {"access_token": ACCESS_TOKEN, WEBHOOK_SECRETS: WEBHOOK_SECRET}
        new = NewChannel(
            "shopify", f"Shopify {len(self.shops)}", shop.domain, f"https://{shop.domain}", credentials, {}
        )
        self._open(shop, new, f"{ORIGIN}/webhooks/shopify", names)
        return shop

    def open_woo(self, stock: Mapping[str, int], **options: object) -> WooShop:
        """A WooCommerce shop."""
        base = f"https://woo-{self.world.merchant_id}-{len(self.shops)}.test"
        shop = WooShop(self.context(), Options(base_url=base, tls=True, **options))  # type: ignore[arg-type]
        for sku, units in stock.items():
            shop.add_product(sku, units)
        key = Key()
        credentials = {
            "consumer_key": key.consumer_key,
            "consumer_secret": key.consumer_secret,
            WEBHOOK_SECRETS: "whsec",
        }
        address = f"woo-key-{self.world.merchant_id}-{len(self.shops)}"
        new = NewChannel("woocommerce", f"Woo {len(self.shops)}", address, base, credentials, {})
        self._open(shop, new, f"{ORIGIN}/webhooks/woocommerce/{address}", None)
        return shop

    def _open(
        self, shop: PretendShopify | WooShop, new: NewChannel, url: str, places: Mapping[str, int] | None
    ) -> None:
        adapter = ShopAdapter(shop)
        self.session.mount(new.base_url, adapter)
        faults, shop.context.faults = shop.context.faults, NONE
        channel_id = connect(self.runtime, self.world.merchant_id, new, webhook_url=url, places=places)
        shop.context.faults = faults
        self.shops[channel_id] = shop
        self.adapters[channel_id] = adapter

    def channel_of(self, shop: PretendShopify | WooShop) -> int:
        return next(channel_id for channel_id, some in self.shops.items() if some is shop)

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
        parts = urlsplit(posted.url).path.strip("/").split("/")
        headers = {name.lower(): value for name, value in posted.headers.items()}
        delivery = Delivery(parts[1], parts[2] if len(parts) > 2 else None, headers, posted.body)
        status = receive(self.runtime, [delivery])[0].status
        shop.delivered(posted.hook_key, status)
        return status

    def settle(self, seconds: float = 5.0, *, rounds_max: int = 400) -> None:
        """Let the street live for that long, and until nothing is due any more."""
        until = self.world.now + timedelta(seconds=seconds)
        for _ in range(rounds_max):
            quiet = not self.deliver() and not self.worker.step()
            if quiet and self.world.now >= until:
                return
            self.world.now += timedelta(seconds=TICK_S if quiet else ROUND_S)
        raise AssertionError(f"the street does not come to rest: {self.worker._due()}")

    def live(self, seconds: float) -> None:
        """Let that much time pass with everything that is due in it."""
        until = self.world.now + timedelta(seconds=seconds)
        while self.world.now < until:
            self.deliver()
            self.worker.step()
            self.world.now += timedelta(seconds=0.1)

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
        secret = "whsec" if isinstance(shop, WooShop) else WEBHOOK_SECRET
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
