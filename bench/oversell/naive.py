"""What tools do that know no better, each as its own adapter; and one that nobody can be better than.

They keep a number per SKU, take off what they are told of once, and write it to the shops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import ClassVar

from app.simulation.clockwork import Process
from app.simulation.town import AnyShop
from bench.oversell.market import OPENING, SKUS, CallFailed, Market, Port, show
from sandbox.base import Context
from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop

TRIES_MAX = 5


@dataclass
class Naive:
    """What they have in common. `number`: what they think is left."""

    name: ClassVar[str] = ""
    market: Market = field(init=False)
    ports: list[Port] = field(default_factory=list)
    number: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SKUS, OPENING))
    seen: set[str] = field(default_factory=set)
    due: list[tuple[Port, str]] = field(default_factory=list)
    process: Process = field(init=False)

    def open(self, market: Market) -> Sequence[AnyShop]:
        """A Shopify and a WooCommerce."""
        self.market = market
        weather = market.conditions.weather
        shops: list[AnyShop] = []
        for kind in (PretendShopify, WooShop):
            shop = kind(Context(lambda: market.clockwork.now, Random(market.dice.getrandbits(64)), weather.faults))
            _fill(shop)
            shops.append(shop)
            self.ports.append(Port(shop, market.conditions, Random(market.dice.getrandbits(64))))
        self.process = Process(market.clockwork, self.name)
        self.process.start(self.work)
        return shops

    def delays_s(self, shop: AnyShop) -> Sequence[float]:
        """As the weather is."""
        return shop.context.delays_s()

    def sold(self, shop: AnyShop, order: str, lines: Sequence[tuple[str, int]]) -> None:
        """Take it off, once, and have the other shop written."""
        key = f"{id(shop)} {order}"
        if key in self.seen:
            return
        self.seen.add(key)
        for sku, units in lines:
            self.number[sku] -= units
            self.due += [(port, sku) for port in self.ports if port.shop is not shop]
        self.process.wake()

    def restocked(self, sku: str, units: int) -> None:
        """Add it, and have both shops written."""
        self.number[sku] += units
        self.due += [(port, sku) for port in self.ports]
        self.process.wake()

    def close(self) -> None:
        """The end."""
        self.process.end()

    def work(self, process: Process) -> None:
        """Write what is due, until it is written."""
        while True:
            while self.due:
                port, sku = self.due[0]
                if self._tried(partial(self.write, process, port, sku)):
                    self.due.pop(0)
            process.rest(60)

    def write(self, process: Process, port: Port, sku: str) -> bool:
        """One number to one shop; whether that is done."""
        raise NotImplementedError

    def _tried(self, act: Callable[[], bool]) -> bool:
        try:
            return act()
        except CallFailed:
            return False


class PushOnChange(Naive):
    """Each order told of: the number as it is thought to be, written over whatever is there."""

    name = "push_on_change"

    def write(self, process: Process, port: Port, sku: str) -> bool:
        """Absolute."""
        return port.write(process, sku, max(0, self.number[sku]))


class BlindRetry(Naive):
    """Compare-and-set, and after a conflict the same number again, expecting what was found."""

    name = "compare_and_retry"

    def write(self, process: Process, port: Port, sku: str) -> bool:
        """Compare with what was just read, until it fits."""
        for _ in range(TRIES_MAX):
            found = port.read(process)[sku]
            if port.write(process, sku, max(0, self.number[sku]), found):
                return True
        return False


class Overwrite(Naive):
    """Every few minutes all orders are read and every number written."""

    name = "overwrite_every_5_min"
    every_s = 300.0

    def delays_s(self, shop: AnyShop) -> Sequence[float]:
        """Nobody listens."""
        return ()

    def work(self, process: Process) -> None:
        """Read the orders since the last time, write everything."""
        read = [0, 0]
        while True:
            process.pause(self.every_s)
            for place, port in enumerate(self.ports):
                try:
                    orders = port.read_orders(process, read[place])
                except CallFailed:
                    continue
                read[place] += len(orders)
                for sku, units in orders:
                    self.number[sku] -= units
            for port in self.ports:
                for sku in SKUS:
                    self._tried(partial(self.write, process, port, sku))

    def write(self, process: Process, port: Port, sku: str) -> bool:
        """Absolute."""
        return port.write(process, sku, max(0, self.number[sku]))


class Oracle(Naive):
    """Told of every order when its delivery is due, never late, lost or refused, and at once with the other shop: what
    it sells twice was sold inside the delay itself."""

    name = "nobody_could_be_better"

    def delays_s(self, shop: AnyShop) -> Sequence[float]:
        """Exactly the lag."""
        return (0.0,)

    def work(self, process: Process) -> None:
        """Nothing to do later."""
        process.rest(1e9)

    def sold(self, shop: AnyShop, order: str, lines: Sequence[tuple[str, int]]) -> None:
        """As a difference, which commutes."""
        for sku, units in lines:
            self._change([port.shop for port in self.ports if port.shop is not shop], sku, -units)

    def restocked(self, sku: str, units: int) -> None:
        """As a difference."""
        self._change([port.shop for port in self.ports], sku, units)

    def _change(self, shops: Sequence[AnyShop], sku: str, units: int) -> None:
        for shop in shops:
            show(shop, sku, shop.shown()[sku] + units)


def _fill(shop: AnyShop) -> None:
    if isinstance(shop, PretendShopify):
        shop.sells_below_zero = True
        place = shop.add_location("A")
        for sku in SKUS:
            shop.add_variant(sku, {place: OPENING})
    else:
        for sku in SKUS:
            shop.add_product(sku, OPENING)
