"""How long until the other shop shows a sale, and what it takes: two pretend shops over HTTP, as slow as real ones,
sell from one stock while the real service (`serve`) keeps them equal.

Lags come from the shops' own books: a write shows how many of the other shop's units it knows of, since with enough
stock a number can be nothing but opening − sold here − sold there as far as known. The shops run in this process, on
the machine of the service. Latencies are those measured on real shops: a Shopify write 0.3 s, WooCommerce's batch 1.3 s
for 50 rows, reads 0.1 to 0.3 s.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from random import Random
from time import perf_counter
from typing import Any, Literal

from app.accounts.merchants import create_merchant
from app.catalog.items import NewItem, create_items
from app.catalog.locations import create_location
from app.core.clock import system_clock
from app.core.percentile import percentile
from app.ledger.models import BATCH_MAX, Movement, State
from app.ledger.post import post
from app.ledger.verify import verify
from app.listings.channels import NewChannel
from app.listings.connect import connect
from app.listings.credentials import WEBHOOK_SECRETS
from bench import process
from bench.scratch import Scratch, free_port, scratch, wait_until_answers
from sandbox.base import Context, Request, Shown
from sandbox.front import HOST, Front
from sandbox.shopify import PretendShopify
from sandbox.shopify.cost import Bucket
from sandbox.shopify.shop import ACCESS_TOKEN, WEBHOOK_SECRET
from sandbox.woocommerce import Key, Options, WooShop

Delivery = Literal["instant", "cron"]
STOCK, PLACE, WOO_ADDRESS, WOO_SECRET = 100_000, "Main", "bench-woo-key", "benchwoosecret"
RATE = 50.0  # orders a second, both shops together
SETTLE_MAX_S, LOOK_EVERY_S = 90.0, 0.5  # longer than the latest delivery takes
SHOPIFY, WOO = "shopify", "woo"
DIRECTIONS = {"shopify_to_woo": (SHOPIFY, WOO), "woo_to_shopify": (WOO, SHOPIFY)}


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    items: int
    seconds: float
    idle_s: float


FULL, QUICK, CRON = Size(1_000, 30.0, 20.0), Size(500, 10.0, 10.0), Size(1_000, 150.0, 20.0)


@dataclass
class Meter(Bucket):
    """A Standard plan's bucket that also says how many points were used."""

    used: float = 0.0

    def take(self, points: int, now: datetime) -> bool:
        """As the shop's own."""
        taken = super().take(points, now)
        self.used += points if taken else 0
        return taken

    def give_back(self, points: int) -> None:
        """As the shop's own."""
        super().give_back(points)
        self.used -= points


@dataclass
class Shops:
    """Both shops behind their fronts, and the calls that they got."""

    fronts: dict[str, Front]
    calls: Counter[str] = field(default_factory=Counter)
    meter: Meter = field(default_factory=Meter)

    @property
    def shopify(self) -> PretendShopify:
        """Hold its front's lock."""
        shop = self.fronts[SHOPIFY].shop
        assert isinstance(shop, PretendShopify)
        return shop

    @property
    def woo(self) -> WooShop:
        """Hold its front's lock."""
        shop = self.fronts[WOO].shop
        assert isinstance(shop, WooShop)
        return shop

    def shopify_s(self, request: Request) -> float:
        """Seconds that a call to Shopify takes."""
        write = b"mutation" in request.body[:200]
        self.calls[f"{SHOPIFY}_{'write' if write else 'read'}"] += 1
        return 0.3 if write else 0.1

    def woo_s(self, request: Request) -> float:
        """Seconds that a call to WooCommerce takes; a batch's by its rows."""
        write = request.method in ("POST", "PUT")
        self.calls[f"{WOO}_{'write' if write else 'read'}"] += 1
        return max(0.1, 1.3 * request.body.count(b'"id"') / 50) if write else 0.2


def run(*, quick: bool = False, woo: Delivery = "instant") -> dict[str, Any]:
    """Measure on a database of its own; one to four minutes."""
    size = QUICK if quick else CRON if woo == "cron" else FULL
    with scratch() as home, _open_shops(size.items, woo) as shops:
        merchant_id = _connect(home, shops, size.items)
        home.start("serve", "app", "serve")
        wait_until_answers(home.settings.server.port)
        idle = _idle_percent(home, size.idle_s)
        shops.calls.clear()
        shops.meter.used, began = 0.0, perf_counter()
        orders = _sell(shops, size, Random(1))
        selling_s = perf_counter() - began
        points, calls = shops.meter.used / selling_s, dict(shops.calls)
        settled_s = _wait_until_equal(home, merchant_id, shops, size.items)
        result = {
            "lag_s": _lags(home, merchant_id, shops, size.items),
            "calls_per_order": round(sum(calls.values()) / orders, 3),
            "calls": calls,
            "orders": orders,
            "orders_per_s": round(orders / selling_s, 1),
            "shopify_points_per_s": round(points, 1),
            "settled_s": round(settled_s, 1),
            "numbers_that_differ": _differing(shops, size.items),
            "idle_cpu_percent": idle,
            "memory_mb": {name: round(sum(map(process.memory_mb, pids))) for name, pids in _by_command(home).items()},
            "woo_delivers": woo,
        }
        with home.runtime.begin(merchant_id, system_clock()) as session:
            result["verify"] = "ok" if not verify(session) else "findings"
        return result


@contextmanager
def _open_shops(items: int, woo: Delivery) -> Iterator[Shops]:
    shops = Shops({})
    shopify = PretendShopify(Context(system_clock, Random(2)), bucket=shops.meter)
    port = free_port()
    shop = WooShop(Context(system_clock, Random(3)), Options(base_url=f"http://{HOST}:{port}", webhooks=woo))
    shops.fronts[SHOPIFY] = Front(shopify, latency_s=shops.shopify_s)
    shops.fronts[WOO] = Front(shop, port=port, latency_s=shops.woo_s)
    place = shopify.add_location(PLACE)
    for number in range(items):
        shopify.add_variant(f"{number}", {place: STOCK})
        shop.add_product(f"{number}", STOCK)
    with shops.fronts[SHOPIFY], shops.fronts[WOO]:
        yield shops


def _connect(home: Scratch, shops: Shops, items: int) -> int:
    """The merchant with the same stock, and both shops connected; returns its id."""
    runtime, key = home.runtime, Key()
    now = runtime.clock()
    merchant_id = create_merchant(runtime.database, now, name="bench", currency="EUR")
    with runtime.begin(merchant_id, now) as session:
        place = create_location(session, PLACE)
        ids = create_items(session, [NewItem(f"{n}", f"Item {n}") for n in range(items)])
        receipts = [
            Movement(item, STOCK, State.SUPPLIER, State.AVAILABLE, "receipt", sku, now, to_location_id=place,
                     value=Decimal(STOCK))
            for sku, item in ids.items()
        ]  # fmt: skip
        for start in range(0, items, BATCH_MAX):
            post(session, receipts[start : start + BATCH_MAX])
    tokens = {"access_token": ACCESS_TOKEN, WEBHOOK_SECRETS: WEBHOOK_SECRET}
    keys = {"consumer_key": key.consumer_key, "consumer_secret": key.consumer_secret, WEBHOOK_SECRETS: WOO_SECRET}
    bases = {name: front.base_url for name, front in shops.fronts.items()}
    shopify = NewChannel("shopify", SHOPIFY, shops.shopify.domain, bases[SHOPIFY], tokens, {}, "active")
    woo = NewChannel("woocommerce", WOO, WOO_ADDRESS, bases[WOO], keys, {}, "active")
    connect(runtime, merchant_id, shopify, webhook_url=f"{home.origin}/webhooks/shopify")
    connect(runtime, merchant_id, woo, webhook_url=f"{home.origin}/webhooks/woocommerce/{WOO_ADDRESS}")
    return merchant_id


def _sell(shops: Shops, size: Size, dice: Random) -> int:
    """Orders at the rate until the time is over; how many."""
    weights = [1 / (10 + n) for n in range(size.items)]  # some sell ten times as well as others
    pause, orders, began = threading.Event(), 0, perf_counter()
    skus = [f"{n}" for n in range(size.items)]
    due = 0.0
    while due < size.seconds:
        pause.wait(max(0.0, began + due - perf_counter()))
        lines = [(sku, 1) for sku in dict.fromkeys(dice.choices(skus, weights, k=dice.choice((1, 1, 2))))]
        name = SHOPIFY if dice.random() < 0.5 else WOO
        with shops.fronts[name].lock:
            if name == SHOPIFY:
                shops.shopify.place_order(lines)
            else:
                shops.woo.place_order(lines)
        orders += 1
        due += dice.expovariate(RATE)
    return orders


def _wait_until_equal(home: Scratch, merchant_id: int, shops: Shops, items: int) -> float:
    """Seconds until both shops showed what is left by their own books and nothing was open or due; the bound when that
    never was."""
    began = perf_counter()
    while (took := perf_counter() - began) < SETTLE_MAX_S:
        if not _differing(shops, items) and not _busy(home, merchant_id):
            return took
        process.rest(LOOK_EVERY_S)
    return SETTLE_MAX_S


def _busy(home: Scratch, merchant_id: int) -> bool:
    with home.runtime.begin(merchant_id, system_clock()) as session:
        busy: bool = session.value(
            """select exists (select from inbox where merchant_id = %(merchant_id)s
                              and state in ('open', 'reading'))
               or exists (select from due_listing where merchant_id = %(merchant_id)s)
               or exists (select from push_attempt where merchant_id = %(merchant_id)s and state <> 'done')"""
        )
    return busy


def _differing(shops: Shops, items: int) -> int:
    """SKUs that the two shops show otherwise than what is left by their books."""
    shown, sold = {}, Counter[str]()
    for name, front in shops.fronts.items():
        with front.lock:
            shown[name] = front.shop.shown()
            for sale in front.shop.context.sales:
                sold[sale.sku] += sale.units
    return sum(any(numbers[sku] != STOCK - sold[sku] for numbers in shown.values()) for sku in map(str, range(items)))


def _lags(home: Scratch, merchant_id: int, shops: Shops, items: int) -> dict[str, dict[str, dict[str, float]]]:
    """From the sale itself, and from when its document was stored ("known"), by direction."""
    known = _known_at(home, merchant_id)
    found: dict[str, dict[str, dict[str, float]]] = {"known": {}, "sale": {}}
    for direction, (source, target) in DIRECTIONS.items():
        theirs, ours = shops.fronts[source].shop.context, shops.fronts[target].shop.context
        by_sku: defaultdict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
        for sale in theirs.sales:
            told = known.get((source, sale.order_key.rpartition("/")[2]))
            by_sku[sale.sku] += [(sale.at, told or datetime.max.replace(tzinfo=sale.at.tzinfo))] * sale.units
        own: defaultdict[str, list[datetime]] = defaultdict(list)
        for sale in ours.sales:
            own[sale.sku] += [sale.at] * sale.units
        writes: defaultdict[str, list[Shown]] = defaultdict(list)
        for write in ours.writes:
            writes[write.sku].append(write)
        pairs = [pair for sku in by_sku for pair in _shown(by_sku[sku], own[sku], writes[sku])]
        found["sale"][direction] = _percentiles([sale_s for sale_s, _ in pairs])
        found["known"][direction] = _percentiles([known_s for _, known_s in pairs])
        for of in found.values():
            of[direction]["units_not_shown"] = sum(map(len, by_sku.values())) - len(pairs)
    return found


def _known_at(home: Scratch, merchant_id: int) -> Mapping[tuple[str, str], datetime]:
    """When the first row about each order was stored, by shop and the last part of its key."""
    with home.runtime.begin(merchant_id, system_clock()) as session:
        rows = session.rows(
            """select c.name, i.resource_key, min(i.received_at) as at
               from inbox i join channel c using (merchant_id, channel_id)
               where i.merchant_id = %(merchant_id)s and i.resource = 'order' group by 1, 2"""
        )
    return {(row.name, row.resource_key.rpartition("/")[2]): row.at for row in rows}


def _shown(
    sold: Sequence[tuple[datetime, datetime]], own: Sequence[datetime], writes: Sequence[Shown]
) -> Iterator[tuple[float, float]]:
    """Seconds since (sale, known) of each of the other shop's units that a write accounts for, in the order known."""
    waiting = sorted(sold, key=lambda unit: unit[1])
    shown = 0
    for write in writes:
        sold_here = sum(at <= write.at for at in own)
        knows = min(STOCK - write.quantity - sold_here, len(waiting))
        for sale_at, known_at in waiting[shown:knows]:
            yield (write.at - sale_at).total_seconds(), (write.at - known_at).total_seconds()
        shown = max(shown, knows)


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    return {f"p{n}": round(percentile(values, n / 100), 3) for n in (50, 95, 99)}


def _idle_percent(home: Scratch, seconds: float) -> dict[str, float]:
    """Processor time with nothing to do, in percent of one processor, after a moment to come to rest."""
    process.rest(5.0)
    before = {name: sum(map(process.cpu_s, pids)) for name, pids in _by_command(home).items()}
    process.rest(seconds)
    after = {name: sum(map(process.cpu_s, pids)) for name, pids in _by_command(home).items()}
    return {name: round(100 * (after[name] - before.get(name, 0.0)) / seconds, 2) for name in after}


def _by_command(home: Scratch) -> dict[str, list[int]]:
    """Process ids by what they are: serve, web, worker, postgres."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for name, pids in home.trees().items():
        for pid in pids:
            words = process.command(pid)
            found[next((w for w in ("serve", "web", "worker") if w in words), name)].append(pid)
    return dict(found)
