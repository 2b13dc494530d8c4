"""The replay's two shops and Perpetual, in turns on one clock that the data moves. No sockets, the wire format all the
same; nobody waits for anybody.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from urllib.parse import urlsplit

import requests

from app.accounts.merchants import create_merchant
from app.catalog.items import NewItem, create_items
from app.catalog.locations import create_location
from app.core.clock import monotonic_s
from app.core.errors import Unavailable
from app.core.runtime import Runtime
from app.demo.audit import Books, Expected, audit, changes_of
from app.demo.goods import MERCHANT
from app.demo.lag import lags_s, percentiles
from app.demo.months import read_months
from app.demo.outcome import read_counts, read_stock
from app.demo.report import Report
from app.demo.settle import channel_mismatches
from app.demo.shops import DOMAIN, SHOPIFY, WOO, WOO_ADDRESS, channel_drafts, dice, numbers_of
from app.demo.stockroom import Stockroom
from app.inbox.receive import Delivery, receive
from app.ledger.models import BATCH_MAX, Movement
from app.ledger.post import post
from app.ledger.verify import verify
from app.listings.connect import connect
from app.worker import ACTS
from connectors.http import Http
from sandbox.base import Context
from sandbox.inprocess import ShopAdapter
from sandbox.shopify import PretendShopify
from sandbox.shopify.cost import Bucket
from sandbox.shopify.shop import ALL_ORDERS
from sandbox.woocommerce import Options, WooShop

PLACE = "Warehouse"
WOO_BASE, SHOPIFY_BASE = "https://replay-woo.localhost", f"https://{DOMAIN}"
ORIGIN = "https://perpetual.localhost"
RECEIVE_MAX = 200  # deliveries stored at once
ROUNDS_MAX = 10_000  # of one rest
TOPICS = {"ORDERS_CREATE", "ORDERS_UPDATED", "order.updated"}  # one that tells of everything that happens to an order
TURNS = tuple(ACTS)  # reading before writing
PATIENCE = timedelta(seconds=1)  # where an act wants some time to pass
TICK = timedelta(milliseconds=1)  # an act takes that long: one that is asked for while it runs would never be over
ENDLESS = Bucket(10**12, 10**9)  # the data's clock hardly moves while a batch is worked off


@dataclass
class Mall:
    """One merchant, one place, two shops. `now` is the data's time."""

    now: datetime
    rng: Random
    runtime: Runtime = field(init=False)
    merchant_id: int = 0
    place: int = 0
    items: dict[str, int] = field(default_factory=dict)
    channels: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)  # for sale, by the shops' books
    on_hand: dict[str, int] = field(default_factory=dict)  # in the house, by the same
    oversold: int = 0
    written: int = 0
    adapters: Mapping[str, ShopAdapter] = field(init=False)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2))
    _local: threading.local = field(default_factory=threading.local)
    lags: array[float] = field(default_factory=lambda: array("d"))

    def __post_init__(self) -> None:
        contexts = [Context(lambda: self.now, dice(self.rng.getrandbits(32))) for _ in range(2)]
        self.shopify = PretendShopify(contexts[0], domain=DOMAIN, currency="GBP", bucket=ENDLESS)
        self.shopify.endpoint.scopes.add(ALL_ORDERS)  # goods come back after months
        options = Options(base_url=WOO_BASE, tls=True, currency="GBP", timezone="Europe/London", sells_below_zero=False)
        self.woo = WooShop(contexts[1], replace(options, oauth_window_s=None))
        self.shops: dict[str, PretendShopify | WooShop] = {SHOPIFY: self.shopify, WOO: self.woo}
        self.adapters = {SHOPIFY_BASE: ShopAdapter(self.shopify), WOO_BASE: ShopAdapter(self.woo)}

    # What buyers and staff do.

    def shown(self, shop: str, sku: str) -> int:
        """What a buyer sees there."""
        if shop == SHOPIFY:
            return self.shopify.inventory.for_sale(self.shopify.variant(sku).item_id)
        return max(0, self.woo.state.product_of_sku(sku).stock or 0)

    def on_sale(self, sku: str) -> int:
        """Units that can be sold; ask while all is at rest."""
        return self.shown(WOO, sku)

    def sell(self, shop: str, basket: Sequence[tuple[str, int]]) -> str | None:
        """A sale; the order's key."""
        if shop == SHOPIFY:
            return self.shopify.place_order(basket)
        order = self.woo.place_order(basket)
        return None if order is None else str(order)

    def ship(self, shop: str, order: str) -> None:
        """What is left of the order leaves."""
        if shop == SHOPIFY:
            if self.shopify.order(order).open_allocations():
                self.shopify.fulfill(order)
        elif self.woo.get_order(int(order)).status == "processing":
            self.woo.set_status(int(order), "completed")

    def refund(self, shop: str, order: str, sku: str, units: int) -> int:
        """Give back up to so many units and put them on sale; how many the order still had."""
        return self._shopify_refund(order, sku, units) if shop == SHOPIFY else self._woo_refund(order, sku, units)

    def _shopify_refund(self, order: str, sku: str, units: int) -> int:
        found = self.shopify.orders.get(int(order.rpartition("/")[2]))
        if found is None:
            return 0
        line = found.line(sku)
        shipped = found.shipped(line) > 0
        units = min(units, line.current)
        if units:
            self.shopify.refund(order, {line.id: units}, "RETURN" if shipped else "CANCEL")
        return units

    def _woo_refund(self, order: str, sku: str, units: int) -> int:
        found = self.woo.state.orders.get(int(order))
        line = next((line for line in found.lines if line.sku == sku), None) if found else None
        if found is None or line is None:
            return 0
        units = min(units, line.reduced or 0)
        if units:
            self.woo.refund(found.id, {line.id: units}, restock=True)
        return units

    # What the ledger is told by hand.

    def post(self, movements: Sequence[Movement]) -> None:
        """Book goods that come in."""
        self._read_books()
        for start in range(0, len(movements), BATCH_MAX):
            with self.runtime.begin(self.merchant_id, self.now) as session:
                post(session, movements[start : start + BATCH_MAX])
        names = {item_id: sku for sku, item_id in self.items.items()}
        for movement in movements:
            self.left[names[movement.item_id]] += movement.quantity
            self.on_hand[names[movement.item_id]] += movement.quantity

    # Perpetual's turn.

    def rest(self) -> None:
        """Deliver, process, write, until nothing is left to do. Raises Unavailable when there is no end to it."""
        for _ in range(ROUNDS_MAX):
            if not self._deliver() and not self._work():
                self._read_books()
                for adapter in self.adapters.values():
                    adapter.calls.clear()  # noted for tests
                return
        raise Unavailable("never_at_rest", "the replay does not come to rest")

    def _work(self) -> bool:
        """The most urgent kind of act that is due, for both channels: all that was heard is understood before a
        number is written. False when nothing is due."""
        with self.runtime.database.across(self.now) as session:
            due = session.rows("select channel_id, act from list_work(%(now)s)", now=self.now)
        if not due:
            return False
        self.now += TICK
        act = ACTS[min((row.act for row in due), key=TURNS.index)]
        channels = [row.channel_id for row in due if ACTS[row.act] is act]
        done = list(self._pool.map(lambda channel_id: act(self.runtime, self.merchant_id, channel_id), channels))
        if not any(done):
            self.now += PATIENCE
        return True

    def open_http(self) -> Http:
        """This thread's way to both shops."""
        if not hasattr(self._local, "http"):
            session = requests.Session()
            session.trust_env = False
            for base, adapter in self.adapters.items():
                session.mount(base, adapter)
            self._local.http = Http(session=session, sleep=lambda seconds: None, clock=lambda: self.now)
        http: Http = self._local.http
        return http

    def _deliver(self) -> int:
        count = 0
        for shop in self.shops.values():
            posted = shop.due_deliveries()
            for start in range(0, len(posted), RECEIVE_MAX):
                batch = posted[start : start + RECEIVE_MAX]
                receipts = receive(self.runtime, [_delivery(p.url, p.headers, p.body) for p in batch])
                for one, receipt in zip(batch, receipts, strict=True):
                    shop.delivered(one.hook_key, receipt.status)
            count += len(posted)
        return count

    def _read_books(self) -> None:
        """Take what the shops wrote down since the last look."""
        sales = {name: shop.context.sales for name, shop in self.shops.items()}
        writes = {name: shop.context.writes for name, shop in self.shops.items()}
        changes = changes_of(sales, [])
        self.lags.extend(lags_s(Books(dict(self.left), changes, {}), writes))
        for change in changes:
            before = self.left[change.sku]
            self.left[change.sku] = before - change.units
            self.oversold += max(0, max(0, -self.left[change.sku]) - max(0, -before))
        for name, shop in self.shops.items():
            for parcel in shop.context.parcels:
                self.on_hand[parcel.sku] -= parcel.units
            self.written += len(writes[name])
            for book in (sales[name], writes[name], shop.context.parcels):
                book.clear()

    def forget(self, before: datetime) -> None:
        """Orders that nobody will ask for again leave the shops."""
        for key in [key for key, order in self.shopify.orders.items() if order.updated_at < before]:
            del self.shopify.orders[key]
        for order in [order for order in self.woo.state.orders.values() if order.modified_at < before]:
            self.woo.state.drop_order(order)

    # The end.

    def report(self, stockroom: Stockroom, orders: int, lines: int, took_s: float) -> Report:
        """A last complete reading of orders and numbers, then the comparison."""
        began = monotonic_s()
        self._make_polls_due()
        self.now += timedelta(seconds=1)
        self.rest()
        settle_s = monotonic_s() - began
        with self.runtime.begin(self.merchant_id, self.now) as session:
            stock, findings = read_stock(session), verify(session)
            movements, parked = read_counts(session)
            months = read_months(session)
        shown = {name: shop.for_sale() for name, shop in self.shops.items()}
        verdict = audit(Expected(self.left, self.on_hand, {}), stock, shown, [SHOPIFY])
        unequal = [
            found
            for name, channel_id in self.channels.items()
            for found in channel_mismatches(self.runtime, self.merchant_id, channel_id, numbers_of(self.shops[name]))
        ]
        return Report(
            orders=orders, lines=lines, movements=movements, pushes=self.written, lag_s=percentiles(self.lags),
            settle_s=round(settle_s, 2), oversold_units=self.oversold, lost_units=verdict.lost_units,
            double_units=verdict.double_units, parked=parked, mismatches=len(unequal),
            verify="ok" if not findings else ", ".join(sorted({finding.check for finding in findings})),
            findings=[*verdict.where, *unequal],
            replay_s=round(took_s, 1), months=months,
        )  # fmt: skip

    def _make_polls_due(self) -> None:
        with self.runtime.begin(self.merchant_id, self.now) as session:
            session.run(
                """update channel_poll set due_at = %(now)s
                   where merchant_id = %(merchant_id)s and kind in ('orders', 'sweep', 'stock')""",
                now=self.now,
            )

    def put_polls_off(self) -> None:
        """Nothing is lost here, so the webhooks tell everything; the polls come once, at the end, and check them."""
        with self.runtime.begin(self.merchant_id, self.now) as session:
            session.run(
                """update channel_poll set due_at = 'infinity'
                   where merchant_id = %(merchant_id)s and kind not in ('push', 'look')"""
            )


def open_mall(runtime: Runtime, stockroom: Stockroom, opened_at: datetime, seed: int) -> Mall:
    """The merchant with the whole catalogue in both shops, connected and at rest."""
    mall = Mall(opened_at, dice(seed))
    mall.runtime = replace(
        runtime, clock=lambda: mall.now, rng=dice(seed + 1), open_http=mall.open_http, ring=lambda: None
    )
    _fill(mall, stockroom)
    bases = {SHOPIFY: SHOPIFY_BASE, WOO: WOO_BASE}
    for new in channel_drafts(bases):
        url = f"{ORIGIN}/webhooks/{new.platform}" + ("" if new.name == SHOPIFY else f"/{WOO_ADDRESS}")
        mall.channels[new.name] = connect(mall.runtime, mall.merchant_id, new, webhook_url=url)
    _keep_order_topics(mall)
    mall.put_polls_off()
    mall.rest()
    return mall


def _fill(mall: Mall, stockroom: Stockroom) -> None:
    mall.merchant_id = create_merchant(
        mall.runtime.database, mall.now, name=MERCHANT, currency="GBP", time_zone="Europe/London"
    )
    with mall.runtime.begin(mall.merchant_id, mall.now) as session:
        mall.place = create_location(session, PLACE)
        mall.items = create_items(session, [NewItem(sku, f"Item {sku}") for sku in stockroom.catalogue])
    mall.left = dict.fromkeys(stockroom.opening, 0)
    mall.on_hand = dict(mall.left)
    mall.post(stockroom.open_stock(mall))
    place = mall.shopify.add_location(PLACE)
    for sku, units in stockroom.opening.items():
        price = str(stockroom.catalogue[sku].price)
        mall.shopify.add_variant(sku, {place: units}, price)
        mall.woo.add_product(sku, units, price)


def _keep_order_topics(mall: Mall) -> None:
    """Numbers are read back by every write here; what a shop says about each of them besides would only be repeated."""
    subscriptions = mall.shopify.webhooks.subscriptions
    subscriptions[:] = [subscription for subscription in subscriptions if subscription.topic in TOPICS]
    for hook in mall.woo.hooks():
        if hook.topic not in TOPICS:
            hook.status = "paused"


def _delivery(url: str, headers: Mapping[str, str], body: bytes) -> Delivery:
    parts = urlsplit(url).path.strip("/").split("/")
    lower = {name.lower(): value for name, value in headers.items()}
    return Delivery(parts[1], parts[2] if len(parts) > 2 else None, lower, body)
