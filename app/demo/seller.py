"""The seller: buyers and staff of both shops, at a steady rate and by seeded dice.

A shop turns a buyer away when it shows 0, so units are oversold only where two shops sold the same one. What becomes of
an order later (shipped, refunded, cancelled, edited) is decided when it is placed.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from app.core.clock import monotonic_s
from app.core.errors import Unavailable
from app.core.runtime import Runtime
from app.demo.goods import KIT, Good, Merchant, Receipt, receive_goods
from app.demo.shops import SHOPIFY, WOO, Street
from app.demo.staff import shopify_steps, woo_steps

SHOPIFY_SHARE = 0.55
QUANTITIES = (1, 1, 1, 1, 1, 1, 2, 2, 3)
LINES = (1, 1, 1, 2, 2, 3)
KIT_WEIGHT = 0.25  # the hottest item has 1
ORDERS_PER_DELIVERY = 5  # a supplier comes so often, if something runs low
LOW = 4  # units shown; below it a supplier may deliver

# What becomes of an order, and how often: steps and the seconds before each.
STORIES: tuple[tuple[float, tuple[str, ...]], ...] = (
    (0.52, ("ship",)),
    (0.07, ("ship", "take_back")),
    (0.03, ("ship", "keep")),
    (0.07, ("cancel",)),
    (0.05, ("give_back",)),
    (0.03, ("hold_back",)),
    (0.08, ("edit", "ship")),
    (0.15, ()),
)
STEP_S = (1.0, 6.0)


@dataclass
class Tally:
    """What was sold so far."""

    orders: int = 0
    lines: int = 0
    units: int = 0
    turned_away: int = 0
    acts: int = 0


@dataclass
class Seller:
    """One thread. `receipts` are the deliveries that suppliers made, for the audit."""

    street: Street
    runtime: Runtime
    merchant: Merchant
    goods: list[Good]
    rate: float
    rng: Random
    tally: Tally = field(default_factory=Tally)
    receipts: list[Receipt] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    _later: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _count: int = 0

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, name="seller", daemon=True)
        self._skus = [KIT, *(good.sku for good in self.goods)]
        self._weights = [KIT_WEIGHT, *(1 / (1 + n) for n in range(len(self.goods)))]  # few are hot

    def start(self) -> None:
        """Begin to sell."""
        self._thread.start()

    @property
    def is_selling(self) -> bool:
        """Whether the thread is alive: a run whose buyers broke off proves nothing."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Sell no more; returns when the last act is over."""
        self.stopping.set()
        self._thread.join()

    def _run(self) -> None:
        """Orders come as a Poisson stream would; a late one is made up for, so that the rate holds."""
        next_order, next_delivery = monotonic_s(), monotonic_s() + ORDERS_PER_DELIVERY / self.rate
        while not self.stopping.is_set():
            now = monotonic_s()
            if self._later and self._later[0][0] <= now:
                heapq.heappop(self._later)[2]()
            elif next_delivery <= now:
                self._restock()
                next_delivery = now + ORDERS_PER_DELIVERY / self.rate
            elif next_order <= now:
                self._sell()
                next_order += self.rng.expovariate(self.rate)
            else:
                soonest = min(next_order, next_delivery, *(at for at, _, _ in self._later[:1]))
                self.stopping.wait(max(0.0, soonest - now))

    def _sell(self) -> None:
        wanted: dict[str, int] = {}
        for sku in self.rng.choices(self._skus, self._weights, k=self.rng.choice(LINES)):
            wanted[sku] = self.rng.choice(QUANTITIES)
        name = SHOPIFY if self.rng.random() < SHOPIFY_SHARE else WOO
        with self.street.fronts[name].lock:
            order = self._place(name, list(wanted.items()))
        if order is None:
            self.tally.turned_away += 1
            return
        self.tally.orders += 1
        self.tally.lines += len(wanted)
        self.tally.units += sum(wanted.values())
        steps = self.rng.choices([steps for _, steps in STORIES], [share for share, _ in STORIES])[0]
        at = monotonic_s()
        for step in steps:
            at += self.rng.uniform(*STEP_S)
            self._count += 1
            heapq.heappush(self._later, (at, self._count, self._act(name, order, step)))

    def _place(self, name: str, wanted: list[tuple[str, int]]) -> str | None:
        if name == SHOPIFY:
            return self.street.shopify.place_order(wanted)
        order = self.street.woo.place_order(wanted, self.rng.choice(("processing", "processing", "on-hold")))
        return None if order is None else str(order)

    def _act(self, name: str, order: str, step: str) -> Callable[[], None]:
        steps = shopify_steps(self.street.shopify) if name == SHOPIFY else woo_steps(self.street.woo)

        def act() -> None:
            with self.street.fronts[name].lock:
                steps[step](order, self.rng)
            self.tally.acts += 1

        return act

    def _restock(self) -> None:
        """A supplier delivers of what runs low."""
        with self.street.fronts[WOO].lock:
            shown = self.street.woo.shown()
        low = [good for good in self.goods if shown[good.sku] < LOW]
        if not low:
            return
        good = self.rng.choice(low)
        units, place = self.rng.randint(6, 30), self.rng.choice(self.merchant.places)
        receipt = Receipt(self.runtime.clock(), good.sku, units)
        self._receive(receipt, good, place)

    def _receive(self, receipt: Receipt, good: Good, place: int) -> None:
        """Book it, however often the database goes away meanwhile: the key makes it once."""
        while True:
            try:
                receive_goods(self.runtime, self.merchant, receipt, place, good.unit_cost)
                break
            except Unavailable:
                self.runtime.database.close()
                self.stopping.wait(0.2)
        self.receipts.append(receipt)
