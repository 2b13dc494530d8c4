"""The market: two shops, one stock, buyers by dice, all in virtual time; and what an adapter is given to keep them
equal.

A shop sells what it shows, whether it is there or not, and turns buyers away from what it does not show. Its own order
book and the shelf are the truth; nothing that an adapter believes is looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from random import Random
from typing import ClassVar, Protocol, TypeVar

from app.demo.audit import Books, Change
from app.demo.lag import lags_s, percentiles
from app.simulation.clockwork import Clockwork, Process
from app.simulation.network import GIVEN_UP_S, LATENCY_S
from app.simulation.town import AnyShop
from app.simulation.weather import Fate, Weather, fate_of
from sandbox.base import Shown
from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop

Answer = TypeVar("Answer")

START = datetime(2026, 11, 23, 6, tzinfo=UTC)
SKUS = tuple(f"item {number}" for number in range(20))
OPENING = 40
RESTOCK_S, RESTOCK = 1_800.0, 25  # per SKU, about as much as is bought
CALM_S = 1_200.0
CALLS_S = 4 * 1.25 * LATENCY_S[1]  # after a delivery: what reading and writing, twice, take at their slowest


@dataclass(frozen=True, slots=True)
class Conditions:
    """`orders` in all, bought at `demand` a second over both shops; deliveries take `lag_s`; what goes wrong."""

    orders: int
    seed: int
    demand: float
    lag_s: float
    weather: Weather


class CallFailed(Exception):
    """No answer, or a no; whether it was done is not known."""


@dataclass
class Port:
    """One shop as a tool meets it: calls that take time and fail. Only for tools that bring no connector of their
    own."""

    shop: AnyShop
    conditions: Conditions
    dice: Random

    def read(self, process: Process) -> dict[str, int]:
        """What every SKU shows."""
        return self._call(process, self.shop.shown)

    def read_orders(self, process: Process, after: int) -> list[tuple[str, int]]:
        """(SKU, units) sold, from the `after`th on."""
        return self._call(process, lambda: [(s.sku, s.units) for s in self.shop.context.sales[after:]])

    def write(self, process: Process, sku: str, number: int, expected: int | None = None) -> bool:
        """Make it show a number; False when it does not show the expected one (None: whatever it shows)."""
        return self._call(process, lambda: self._set(sku, number, expected))

    def _set(self, sku: str, number: int, expected: int | None) -> bool:
        if expected is not None and self.shop.shown()[sku] != expected:
            return False
        show(self.shop, sku, number)
        return True

    def _call(self, process: Process, act: Callable[[], Answer]) -> Answer:
        fate = fate_of(self.conditions.weather, self.dice)
        process.pause(self.dice.uniform(*LATENCY_S))
        if fate in (Fate.THROTTLED, Fate.REFUSED):
            raise CallFailed
        if fate in (Fate.LOST_BEFORE, Fate.LATE):
            process.pause(GIVEN_UP_S)
            raise CallFailed
        answer = act()
        process.pause(self.dice.uniform(*LATENCY_S) / 4)
        if fate is not Fate.GOOD:
            raise CallFailed
        return answer


def show(shop: AnyShop, sku: str, number: int) -> None:
    """Make a shop show a number, and have it remember that it was written."""
    if isinstance(shop, PretendShopify):
        shop.inventory.put(shop.variant(sku).item_id, next(iter(shop.locations)), number)
    elif isinstance(shop, WooShop):
        shop.state.product_of_sku(sku).stock = number
    else:
        raise TypeError(f"{type(shop).__name__} has no place in this market")
    shop.context.writes.append(Shown(shop.context.now(), sku, number))


class Adapter(Protocol):
    """A way of keeping shops equal."""

    name: ClassVar[str]

    def open(self, market: Market) -> Sequence[AnyShop]:
        """Two shops that each show `OPENING` of every SKU, known to the tool."""

    def delays_s(self, shop: AnyShop) -> Sequence[float]:
        """By how much each copy of a delivery is late; none for a tool that gets the shops' own deliveries."""

    def sold(self, shop: AnyShop, order: str, lines: Sequence[tuple[str, int]]) -> None:
        """A delivery that tells of an order."""

    def restocked(self, sku: str, units: int) -> None:
        """Goods have come in."""

    def close(self) -> None:
        """The end."""


@dataclass
class Market:
    """One adapter under some conditions."""

    conditions: Conditions
    clockwork: Clockwork = field(default_factory=lambda: Clockwork(START))
    shelf: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(SKUS, OPENING)))
    oversold: int = 0
    beyond_delay: int = 0
    stranded: int = 0
    received: list[tuple[datetime, str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = Random(self.conditions.seed)

    def run(self, adapter: Adapter) -> dict[str, float]:
        """Sell, calm down; the figures per 100,000 orders."""
        shops = adapter.open(self)
        try:
            for _ in range(self.conditions.orders):
                self.clockwork.run(self.dice.expovariate(self.conditions.demand))
                self._restock(adapter)
                self._buy(adapter, shops)
            self.clockwork.run(CALM_S)
        finally:
            adapter.close()
        return self._figures(shops)

    def _restock(self, adapter: Adapter) -> None:
        due = int((self.clockwork.now - START).total_seconds() / RESTOCK_S * len(SKUS))
        while len(self.received) < due:
            sku = SKUS[len(self.received) % len(SKUS)]
            self.received.append((self.clockwork.now, sku, RESTOCK))
            self.shelf[sku] += RESTOCK
            adapter.restocked(sku, RESTOCK)

    def _buy(self, adapter: Adapter, shops: Sequence[AnyShop]) -> None:
        shop, units = self.dice.choice(shops), self.dice.choice((1, 1, 1, 2, 3))
        sku = SKUS[min(int(self.dice.expovariate(0.25)), len(SKUS) - 1)]  # some sell far better than others
        if shop.shown().get(sku, 0) < units:
            self.stranded += units if self.shelf[sku] >= units else 0
            return
        order = shop.place_order([(sku, units)])
        assert order is not None
        oversold = max(0, units - max(0, self.shelf[sku]))
        self.oversold += oversold
        self.beyond_delay += max(0, oversold - self._just_sold(sku, shops, but=shop)) if oversold else 0
        self.shelf[sku] -= units
        for delay in adapter.delays_s(shop):
            told = self.conditions.lag_s + delay
            self.clockwork.after(told, lambda: adapter.sold(shop, str(order), [(sku, units)]))

    def _just_sold(self, sku: str, shops: Sequence[AnyShop], but: AnyShop) -> int:
        """Units that the other shop sold so lately that nobody could have told this one: as many may be sold twice."""
        since = self.clockwork.now - timedelta(seconds=self.conditions.lag_s + CALLS_S)
        sales = (reversed(shop.context.sales) for shop in shops if shop is not but)
        lately = (takewhile(lambda sale: sale.at > since, of_shop) for of_shop in sales)
        return sum(sale.units for of_shop in lately for sale in of_shop if sale.sku == sku)

    def _figures(self, shops: Sequence[AnyShop]) -> dict[str, float]:
        changes = [
            Change(sale.at, str(number), sale.order_key, sale.sku, sale.units)
            for number, shop in enumerate(shops)
            for sale in shop.context.sales
        ] + [Change(at, "", "", sku, -units) for at, sku, units in self.received]
        books = Books(dict.fromkeys(SKUS, OPENING), sorted(changes, key=lambda change: change.at), {})
        writes: Mapping[str, Sequence[Shown]] = {str(n): shop.context.writes for n, shop in enumerate(shops)}
        per = 100_000 / self.conditions.orders
        return {
            "oversold_units": round(self.oversold * per, 1),
            "oversold_beyond_delay_units": round(self.beyond_delay * per, 1),
            "stranded_units": round(self.stranded * per, 1),
            "writes": sum(map(len, writes.values())),
            "lag_p99_s": round(percentiles(lags_s(books, writes))["p99"], 2),
        }
