"""The demo's two pretend shops: opened over HTTP in this process, connected, and kept in a file between starts."""

from __future__ import annotations

import pickle
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from app.core.clock import Clock
from app.core.runtime import Runtime
from app.demo.goods import KIT, KIT_OF, Good, Merchant
from app.listings.channels import NewChannel, list_channels
from app.listings.connect import connect, subscribe
from app.listings.credentials import WEBHOOK_SECRETS
from connectors.base import StockKey
from sandbox.base import Context, Request
from sandbox.faults import Faults, quiet
from sandbox.front import HOST, Front
from sandbox.memory import recall, remember
from sandbox.shopify import PretendShopify
from sandbox.shopify.cost import Bucket
from sandbox.shopify.shop import ACCESS_TOKEN, WEBHOOK_SECRET
from sandbox.shopify.state import gid, number
from sandbox.woocommerce import Key, Options, WooShop

SHOPIFY, WOO = "Shopify", "WooCommerce"  # the channels' names
DOMAIN = "demo-shop.myshopify.com"
WOO_ADDRESS = "demo-woo-5b1c7b1e"
WOO_SECRET = "demowebhooksecret"  # noqa: S105  a pretend shop's
LATENCY_S = {SHOPIFY: 0.06, WOO: 0.08}
KEPT = timedelta(hours=2)  # of finished orders while serving; no poll reaches further back
OPEN = frozenset({"processing", "on-hold"})  # WooCommerce's orders that hold stock
BOOK_MAX = 50_000
PORT_TRIES, PORT_PAUSE_S = 15, 0.2
SHOPS_FILE = "shops.pickle"
FORM = 2  # of that file; another number when what a shop remembers changes
# A shop with orders every second is on Plus: 1,000 points a second (limits page, 2026-11), ten times a Standard plan's.
PLUS_POINTS = (20_000, 1_000)

Pretend = PretendShopify | WooShop


def dice(seed: int) -> Random:
    """Seeded chance: the demo's only source of it."""
    return Random(seed)  # noqa: S311


@dataclass
class Street:
    """The two shops by name, each with its HTTP front, and the channel that it is to us."""

    fronts: Mapping[str, Front]
    shops: Mapping[str, Pretend]
    places: tuple[str, ...]  # Shopify's locations in the order of the merchant's
    channels: dict[str, int] = field(default_factory=dict)
    _running: ExitStack = field(default_factory=ExitStack)

    @property
    def shopify(self) -> PretendShopify:
        """The Shopify shop. Hold its front's lock."""
        shop = self.shops[SHOPIFY]
        assert isinstance(shop, PretendShopify)  # noqa: S101
        return shop

    @property
    def woo(self) -> WooShop:
        """The WooCommerce shop. Hold its front's lock."""
        shop = self.shops[WOO]
        assert isinstance(shop, WooShop)  # noqa: S101
        return shop

    def start(self) -> None:
        """Answer calls and deliver webhooks."""
        for front in self.fronts.values():
            self._running.enter_context(front)

    def stop(self) -> None:
        """Close the shops' ports."""
        self._running.close()

    def calm(self) -> None:
        """From now on nothing goes wrong."""
        for name, front in self.fronts.items():
            with front.lock:
                self.shops[name].context.faults = quiet(self.shops[name].context.faults)

    def save(self, path: Path) -> None:
        """Write both shops down, whole or not at all."""
        memory: dict[str, object] = {"form": FORM, "places": self.places}
        for name, front in self.fronts.items():
            with front.lock:
                memory[name] = (int(front.base_url.rpartition(":")[2]), remember(self.shops[name]))
        written = path.with_suffix(".new")
        written.write_bytes(pickle.dumps(memory))
        written.replace(path)

    def forget(self, now: datetime) -> None:
        """Drop orders that nobody will ask about, so that a demo left running stays small. What stood open for so long
        is shipped, as a shop would: one that holds stock and is gone would be missed."""
        before = now - KEPT
        with self.fronts[SHOPIFY].lock:
            for key, order in list(self.shopify.orders.items()):
                if order.updated_at < before:
                    if order.open_allocations():
                        self.shopify.fulfill(gid("Order", key))
                    else:
                        del self.shopify.orders[key]
        with self.fronts[WOO].lock:
            for placed in list(self.woo.state.orders.values()):
                if placed.modified_at < before:
                    if placed.status in OPEN:
                        self.woo.set_status(placed.id, "completed")
                    else:
                        self.woo.state.drop_order(placed)
        for name, front in self.fronts.items():
            with front.lock:
                context = self.shops[name].context
                for book in (context.sales, context.parcels, context.writes):
                    del book[:-BOOK_MAX]


def open_street(clock: Clock, seed: int, faults: Faults, ports: Mapping[str, int] | None = None) -> Street:
    """Two empty shops, not serving yet."""
    rng = dice(seed)
    contexts = {name: Context(clock, dice(rng.getrandbits(32)), faults) for name in (SHOPIFY, WOO)}
    found = {name: _port((ports or {}).get(name)) for name in contexts}
    shopify = PretendShopify(contexts[SHOPIFY], domain=DOMAIN, bucket=Bucket(*PLUS_POINTS))
    woo = WooShop(
        contexts[WOO],
        Options(
            base_url=f"http://{HOST}:{found[WOO]}",
            currency="EUR",
            timezone="Europe/Paris",
            sells_below_zero=False,
            callback_over_tls=False,  # the demo is not reached by https
        ),
    )
    shops: dict[str, Pretend] = {SHOPIFY: shopify, WOO: woo}
    fronts = {name: Front(shop, port=found[name], latency_s=_latency(name)) for name, shop in shops.items()}
    return Street(fronts, shops, ())


def fill(street: Street, places: Sequence[str], stock: Sequence[Good]) -> None:
    """Put the goods on both shelves, as many as the ledger has."""
    shopify, woo = street.shopify, street.woo
    keys = tuple(shopify.add_location(name) for name in places)
    street.places = keys
    by_sku = {good.sku: good for good in stock}
    for good in stock:
        shopify.add_variant(good.sku, dict(zip(keys, good.opening, strict=True)), str(good.price), title=good.name)
        woo.add_product(good.sku, sum(good.opening), str(good.price), name=good.name)
    sets = [min(by_sku[sku].opening[n] // units for sku, units in KIT_OF.items()) for n in range(len(keys))]
    shopify.add_variant(KIT, dict(zip(keys, sets, strict=True)), "79.00", title="Breakfast set for two")
    woo.add_product(KIT, sum(sets), "79.00", name="Breakfast set for two")


def connect_street(street: Street, runtime: Runtime, merchant: Merchant, origin: str, names: Sequence[str]) -> None:
    """Connect both shops; `origin` is where Perpetual's web process will be."""
    ours = dict(zip(names, merchant.places, strict=True))
    for new in channel_drafts({name: front.base_url for name, front in street.fronts.items()}):
        places = ours if new.name == SHOPIFY else None
        street.channels[new.name] = connect(
            runtime, merchant.merchant_id, new, webhook_url=_webhook_url(origin, new.name), places=places
        )


def can_reopen(path: Path) -> bool:
    """Whether there are shops that this version wrote down. `path` is our own file."""
    return path.exists() and pickle.loads(path.read_bytes()).get("form") == FORM  # noqa: S301


def reopen_street(path: Path, clock: Clock, seed: int, faults: Faults) -> Street:
    """The shops as `save` left them, at the same ports if those are free."""
    memory = pickle.loads(path.read_bytes())  # noqa: S301  our own file
    street = open_street(clock, seed, faults, {name: memory[name][0] for name in (SHOPIFY, WOO)})
    for name, shop in street.shops.items():
        recall(shop, memory[name][1])
    street.places = memory["places"]
    return street


def reconnect_street(street: Street, runtime: Runtime, merchant: Merchant, origin: str) -> None:
    """Tell the database where the shops are now, and the shops where we are."""
    merchant_id = merchant.merchant_id
    with runtime.begin(merchant_id, runtime.clock()) as session:
        street.channels = {channel.name: channel.channel_id for channel in list_channels(session)}
        for name, channel_id in street.channels.items():
            session.run(
                "update channel set base_url = %(url)s where merchant_id = %(merchant_id)s and channel_id = %(id)s",
                url=street.fronts[name].base_url, id=channel_id,
            )  # fmt: skip
    for name, channel_id in street.channels.items():
        subscribe(runtime, merchant_id, channel_id, _webhook_url(origin, name))


def channel_drafts(bases: Mapping[str, str]) -> list[NewChannel]:
    """Both channels as they are connected; `bases` by the channels' names."""
    tokens = {"access_token": ACCESS_TOKEN, WEBHOOK_SECRETS: WEBHOOK_SECRET}
    key = Key()
    keys = {"consumer_key": key.consumer_key, "consumer_secret": key.consumer_secret, WEBHOOK_SECRETS: WOO_SECRET}
    return [
        NewChannel("shopify", SHOPIFY, DOMAIN, bases[SHOPIFY], tokens, {}, "active"),
        NewChannel("woocommerce", WOO, WOO_ADDRESS, bases[WOO], keys, {}, "active"),
    ]


def numbers_of(shop: Pretend) -> Callable[[StockKey], int | None]:
    """What a shop shows under a stock key, None where it has no number. Hold the lock while asking."""
    if isinstance(shop, PretendShopify):
        inventory = shop.inventory
        return lambda key: inventory.available(number(key.stock_key), number(key.location_key))
    products = shop.state.products
    return lambda key: products[int(key.stock_key.rpartition("/")[2])].stock


def _webhook_url(origin: str, name: str) -> str:
    return f"{origin}/webhooks/shopify" if name == SHOPIFY else f"{origin}/webhooks/woocommerce/{WOO_ADDRESS}"


def _latency(name: str) -> Callable[[Request], float]:
    return lambda request: LATENCY_S[name]


def free_port() -> int:
    """A port that nobody listens on now."""
    return _port(None)


def port_becomes_free(port: int) -> bool:
    """Whether nobody listens there, waiting a little for somebody who is just leaving."""
    for _ in range(PORT_TRIES):
        if _port(port) == port:
            return True
        threading.Event().wait(PORT_PAUSE_S)
    return False


def _port(wanted: int | None) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted or 0))
        except OSError:
            if wanted is None:
                raise
            return _port(None)
        port: int = probe.getsockname()[1]
        return port
