"""A town: one merchant, the pretend shops that sell for it, and how deliveries find their way to us. No sockets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from itertools import zip_longest
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import requests

from app.core.clock import Clock
from app.core.config import Settings, load_settings
from app.core.db import Database
from app.core.packages import GROUP, with_packages
from app.core.runtime import Runtime
from app.core.secrets import Sealer
from app.inbox.receive import Delivery, receive
from app.listings.channels import NewChannel
from app.listings.connect import connect
from app.listings.credentials import WEBHOOK_SECRETS
from app.wiring import CONNECTORS, platforms_of
from connectors.http import Http
from sandbox.base import Context
from sandbox.base import Delivery as Posted
from sandbox.faults import NONE, Faults
from sandbox.inprocess import ShopAdapter
from sandbox.shopify import PretendShopify
from sandbox.shopify.cost import Bucket
from sandbox.shopify.shop import ACCESS_TOKEN, WEBHOOK_SECRET
from sandbox.till import SECRET as TILL_SECRET
from sandbox.till import TOKEN as TILL_TOKEN
from sandbox.till import PretendTill
from sandbox.woocommerce import Key, Options, WooShop

ORIGIN = "http://perpetual.test"
WOO_SECRET = "whsec"  # noqa: S105  a pretend shop's
TILL = EntryPoint("till", "connectors.till:Till", GROUP)  # as a package brings it
AnyShop = PretendShopify | WooShop | PretendTill


@dataclass
class Town:
    """`clock` and `rng` are those of all; `data` holds the installation's keys. `places`: our location ids by name,
    for shops that keep stock at several. Shops and the transports to them are known by their channel's id."""

    database: Database
    merchant_id: int
    clock: Clock
    rng: Random
    data: Path
    faults: Faults = NONE
    sync: Mapping[str, int] = field(default_factory=dict)
    name: str = "town"
    state: str = "active"  # in which shops are connected from now on
    shops: dict[int, AnyShop] = field(default_factory=dict)
    adapters: dict[int, ShopAdapter] = field(default_factory=dict)
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.trust_env = False
        settings = load_settings(config=None, data_dir=self.data, environ={})
        self.settings: Settings = settings.model_copy(update={"sync": settings.sync.model_copy(update=dict(self.sync))})
        keys = settings.security
        self.runtime = Runtime(
            settings=self.settings,
            database=self.database,
            clock=self.clock,
            rng=self.rng,
            connectors=with_packages(CONNECTORS, [TILL]),
            sealer=Sealer(keys.keys(), keys.active_key),
            open_http=lambda: Http(session=self.session, sleep=lambda s: None, clock=self.clock),
            worker=self.name,
            ring=lambda: None,
            platforms=platforms_of(self.settings),
        )

    def context(self, clock: Clock | None = None) -> Context:
        """What a shop of this town gets; `clock`: its own, where it differs from ours."""
        return Context(now=clock or self.clock, rng=self.rng, faults=self.faults)

    def open_shopify(
        self, stock: Mapping[str, int], places: Mapping[str, int], *, prices: str = "10.00", clock: Clock | None = None,
        bucket: Bucket | None = None,
    ) -> PretendShopify:  # fmt: skip
        """A Shopify shop with these places (name → our location id); `stock` is at the first. `bucket`: what calls are
        paid from, by the shop's plan."""
        shop = PretendShopify(
            self.context(clock),
            domain=f"shop-{self.merchant_id}-{len(self.shops)}.myshopify.com",
            sells_below_zero=True,
            bucket=bucket,
        )
        keys = [shop.add_location(name) for name in places]
        for sku, units in stock.items():
            shop.add_variant(sku, {key: units if key == keys[0] else 0 for key in keys}, prices)
        credentials = {"access_token": ACCESS_TOKEN, WEBHOOK_SECRETS: WEBHOOK_SECRET}
        new = NewChannel(
            "shopify", f"Shopify {len(self.shops)}", shop.domain, f"https://{shop.domain}", credentials, {}, self.state
        )
        self._open(shop, new, f"{ORIGIN}/webhooks/shopify", places)
        return shop

    def open_woo(self, stock: Mapping[str, int], *, clock: Clock | None = None, **options: object) -> WooShop:
        """A WooCommerce shop."""
        base = f"https://woo-{self.merchant_id}-{len(self.shops)}.test"
        shop = WooShop(self.context(clock), Options(base_url=base, tls=True, **options))  # type: ignore[arg-type]
        for sku, units in stock.items():
            shop.add_product(sku, units)
        key = Key()
        credentials = {
            "consumer_key": key.consumer_key,
            "consumer_secret": key.consumer_secret,
            WEBHOOK_SECRETS: WOO_SECRET,
        }
        address = f"woo-key-{self.merchant_id}-{len(self.shops)}"
        new = NewChannel("woocommerce", f"Woo {len(self.shops)}", address, base, credentials, {}, self.state)
        self._open(shop, new, f"{ORIGIN}/webhooks/woocommerce/{address}", None)
        return shop

    def open_till(self, stock: Mapping[str, int], *, clock: Clock | None = None) -> PretendTill:
        """A counter's till."""
        shop = PretendTill(self.context(clock))
        for sku, units in stock.items():
            shop.add_product(sku, units)
        number = f"{self.merchant_id}-{len(self.shops)}"
        address, base = f"till-key-{number}", f"https://till-{number}.test"
        credentials = {"token": TILL_TOKEN, WEBHOOK_SECRETS: TILL_SECRET}
        new = NewChannel("till", f"Till {len(self.shops)}", address, base, credentials, {}, self.state)
        self._open(shop, new, f"{ORIGIN}/webhooks/till/{address}", None)
        return shop

    def _open(self, shop: AnyShop, new: NewChannel, url: str, places: Mapping[str, int] | None) -> None:
        adapter = ShopAdapter(shop)
        self.session.mount(new.base_url, adapter)
        faults, shop.context.faults = shop.context.faults, NONE
        channel_id = connect(self.runtime, self.merchant_id, new, webhook_url=url, places=places)
        shop.context.faults = faults
        self.shops[channel_id] = shop
        self.adapters[channel_id] = adapter

    def channel_of(self, shop: AnyShop) -> int:
        """The channel that this shop is."""
        return next(channel_id for channel_id, some in self.shops.items() if some is shop)

    def wired(self, wire: Callable[[AnyShop], ShopAdapter]) -> requests.Session:
        """A session of its own for another process, with its own transport to each shop."""
        session = requests.Session()
        session.trust_env = False
        for prefix, adapter in self.session.adapters.items():
            if isinstance(adapter, ShopAdapter):
                session.mount(prefix, wire(adapter.shop))  # type: ignore[arg-type]
        return session


def hand_over(runtime: Runtime, posts: Sequence[tuple[AnyShop, Posted]]) -> list[int]:
    """Webhooks to RECEIVE in one batch, as the web process would; the shops learn the answers. A shop whose delivery
    was not answered, because we died meanwhile, learns that."""
    statuses: list[int] = []
    try:
        statuses += [receipt.status for receipt in receive(runtime, [_delivery(posted) for _, posted in posts])]
    finally:
        for (shop, posted), status in zip_longest(posts, statuses):
            shop.delivered(posted.hook_key, status)
    return statuses


def _delivery(posted: Posted) -> Delivery:
    parts = urlsplit(posted.url).path.strip("/").split("/")
    headers = {name.lower(): value for name, value in posted.headers.items()}
    return Delivery(parts[1], parts[2] if len(parts) > 2 else None, headers, posted.body)
