"""The replay: real order lines through both shops as fast as they go, on the data's own clock.

The shops speak their wire format (signed bodies, REST, GraphQL), handed over in this process, and Perpetual's own steps
run in turns with them: webhooks are received in batches, processed, answered with reads and writes. Every few hours of
the data's time everything is brought to rest.
"""

from __future__ import annotations

import argparse
import heapq
import zlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from app.core.clock import monotonic_s
from app.core.config import Settings
from app.core.log import configure
from app.demo.home import only_one, prepare_home
from app.demo.mall import Mall, open_mall
from app.demo.report import as_json, as_text
from app.demo.retail import RetailOrder, read_catalogue, read_orders
from app.demo.shops import SHOPIFY, SHOPS_FILE, WOO, dice
from app.demo.stockroom import Stockroom
from app.wiring import build, embedded_of

REST_EVERY = timedelta(hours=3)
SHIP_AFTER_H = (2.0, 96.0)
RECEIVE_EVERY = timedelta(days=7)
# For returns to find. They bound the memory and nothing else: in two years of a real shop's 600,000 lines no return
# reaches further back than 1,000 sales of its item, or 400 days.
SALES_KEPT = 1_000
ORDERS_KEPT = timedelta(days=400)
READ_AGAIN = timedelta(days=60)  # at the end; no shop's last orders are read further back than that
TELL_EVERY_S = 15.0
PACE = {
    "push_batch_max": 250,
    "process_batch_max": 200,
    "poll_interval_s": 604_800,
    "audit_interval_s": 604_800,
}


@dataclass
class Replay:
    """One replay of a file."""

    mall: Mall
    stockroom: Stockroom
    say: Callable[[str], None]
    orders: int = 0
    lines: int = 0
    short_units: int = 0
    _shipping: list[tuple[datetime, int, str, str]] = field(default_factory=list)
    _sold: defaultdict[str, deque[tuple[str, str]]] = field(  # by item: shop and order, the latest last
        default_factory=lambda: defaultdict(lambda: deque(maxlen=SALES_KEPT))
    )
    _numbers: Iterator[int] = field(default_factory=count)

    def run(self, orders: Iterator[RetailOrder]) -> None:
        """Sell everything; the street is at rest afterwards."""
        mall = self.mall
        rest_at = receive_at = mall.now
        tell_at = monotonic_s() + TELL_EVERY_S
        for order in orders:
            if order.at >= rest_at:
                self._rest(rest_at)
                rest_at = order.at + REST_EVERY
            if order.at >= receive_at:
                self._rest(receive_at)
                self.stockroom.receive(mall)
                mall.rest()
                mall.forget(mall.now - ORDERS_KEPT)
                receive_at += RECEIVE_EVERY
            self._ship_until(order.at)
            mall.now = max(mall.now, order.at)
            self._play(order)
            if monotonic_s() >= tell_at:
                self.say(f"  {mall.now:%Y-%m-%d}: {self.lines} lines")
                tell_at += TELL_EVERY_S
        self._rest(mall.now)
        self._rest(mall.now + timedelta(hours=SHIP_AFTER_H[1]))
        mall.forget(mall.now - READ_AGAIN)

    def _rest(self, at: datetime) -> None:
        """What is sold by then is known everywhere, before the next buyer comes."""
        self._ship_until(at)
        self.mall.now = max(self.mall.now, at)
        self.mall.rest()

    def _ship_until(self, at: datetime) -> None:
        while self._shipping and self._shipping[0][0] <= at:
            due, _, shop, order = heapq.heappop(self._shipping)
            self.mall.now = max(self.mall.now, due)
            self.mall.ship(shop, order)

    def _play(self, order: RetailOrder) -> None:
        shop = SHOPIFY if zlib.crc32(order.order_id.encode()) % 2 else WOO
        bought = {sku: units for sku, units in order.units.items() if units > 0}
        self.orders += 1
        self.lines += order.lines
        if bought:
            self._sell(shop, bought)
        for sku, units in order.units.items():
            if units < 0:
                self._take_back(sku, -units)

    def _sell(self, shop: str, wanted: dict[str, int]) -> None:
        """A buyer takes what is shown and leaves the rest."""
        self.stockroom.note(wanted)
        basket = {sku: min(units, self.mall.shown(shop, sku)) for sku, units in wanted.items()}
        self.short_units += sum(wanted.values()) - sum(max(0, units) for units in basket.values())
        basket = {sku: units for sku, units in basket.items() if units > 0}
        key = self.mall.sell(shop, list(basket.items())) if basket else None
        if key is None:
            return
        for sku in basket:
            self._sold[sku].append((shop, key))
        due = self.mall.now + timedelta(hours=self.mall.rng.uniform(*SHIP_AFTER_H))
        heapq.heappush(self._shipping, (due, next(self._numbers), shop, key))

    def _take_back(self, sku: str, units: int) -> None:
        """Back on the shelf: from the latest orders that still have some, each in its own shop, the rest without an
        order."""
        sales = self._sold[sku]
        while units and sales:
            shop, order = sales[-1]
            units -= self.mall.refund(shop, order, sku, units)
            if units:
                sales.pop()
        if units:
            self.stockroom.take_back(self.mall, sku, units)


def replay(args: argparse.Namespace, settings: Settings) -> int:
    """The replay from the command line."""
    settings = settings.model_copy(update={"sync": settings.sync.model_copy(update=PACE)})
    say: Callable[[str], None] = (lambda text: None) if args.json else (lambda text: print(text, flush=True))
    folder = settings.data.dir.resolve()
    with only_one(folder):
        configure(settings.log.format, "ERROR" if settings.log.level == "INFO" else settings.log.level)
        catalogue = read_catalogue(args.replay)
        prepare_home(settings, empty=True, durable=False)
        (folder / SHOPS_FILE).unlink(missing_ok=True)  # those shops sold from what was emptied just now
        runtime = build(settings, name="replay")
        try:
            began = monotonic_s()
            first = min(item.first_at for item in catalogue.values())
            stockroom = Stockroom(catalogue, dice(args.seed))
            mall = open_mall(runtime, stockroom, first - timedelta(hours=12), args.seed)
            say(f"{len(catalogue)} items are in both shops; selling {args.replay.name}.")
            played = Replay(mall, stockroom, say)
            played.run(read_orders(args.replay))
            report = mall.report(stockroom, played.orders, played.lines, monotonic_s() - began)
            print(as_json(report) if args.json else as_text(report), flush=True)
            return 0 if report.is_good else 1
        except KeyboardInterrupt:
            say("Stopped before the end; nothing was compared.")
            return 1
        finally:
            runtime.database.close()
            embedded = embedded_of(settings)
            if embedded is not None:
                embedded.stop()
