"""What buffers are for: two channels sell one stock until it is gone, again and again, each learning of the other's
sales one staleness late. How many orders are taken that cannot be filled, and what is held back for it?

Unlike `bench.buffers`, which counts every moment as one at which the last unit is sold, most orders here leave units.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from app.publishing.buffer import Demand, HeldBack, Pattern, hold_back
from bench.buffers import Items, Moment, Sale, demand_of, moments, period_of, poisson_units

LOT_ORDERS_MAX = 12  # a delivery is worth 1 to so many of an item's ordinary orders: stock is often low

Rule = Callable[[Demand, Pattern, float, float], HeldBack]


def by_chance(demand: Demand, pattern: Pattern, staleness_s: float, target: float) -> HeldBack:
    """What the product does."""
    return hold_back(demand, pattern, staleness_s, target)


def by_poisson(demand: Demand, pattern: Pattern, staleness_s: float, target: float) -> HeldBack:
    """What the usual formula does; it never ends."""
    units = poisson_units(demand.others_per_s * staleness_s, demand.sizes, target)
    return HeldBack(units, 1_000_000)


def nothing(demand: Demand, pattern: Pattern, staleness_s: float, target: float) -> HeldBack:
    """No buffer at all."""
    return HeldBack(0, 0)


@dataclass(slots=True)
class Played:
    """Orders taken, those of them that could not be filled, and units held back over all orders asked for."""

    asked: int = 0
    taken: int = 0
    oversold: int = 0
    units: int = 0

    @property
    def rate(self) -> float:
        """Oversold orders as a share of those taken."""
        return self.oversold / self.taken


@dataclass(slots=True)
class _Shelf:
    """One item's stock; `late`: sales that the other channel does not know of yet. A delivery is known at once."""

    rng: Random
    order: int
    stock: int = 0
    late: deque[Sale] = field(default_factory=deque)

    def refill(self) -> None:
        self.stock = self.order * self.rng.randint(1, LOT_ORDERS_MAX)
        self.late.clear()

    def forget(self, before: float) -> None:
        while self.late and self.late[0].at <= before:
            self.late.popleft()

    def known(self) -> int:
        return self.stock + sum(sale.units for sale in self.late)

    def shown(self, channel: int, held: int) -> int:
        return self.stock + sum(sale.units for sale in self.late if sale.channel != channel) - held


@dataclass(frozen=True, slots=True)
class Loop:
    """A replay from `since` on, under `rule`."""

    staleness_s: float
    target: float
    since: float
    patterns: Mapping[int, Sequence[Pattern]]
    rule: Rule

    def play(self, items: Items, rng: Random) -> Played:
        """All items, one after the other."""
        everybody = Counter(sale.units for sales in items.values() for sale in sales if sale.at < self.since)
        played = Played()
        for sales in items.values():
            self._play_item(
                sales, _Shelf(rng, sorted(sale.units for sale in sales)[len(sales) // 2]), everybody, played
            )
        return played

    def _play_item(self, sales: Sequence[Sale], shelf: _Shelf, everybody: Mapping[int, float], played: Played) -> None:
        shelf.refill()
        held: dict[tuple[int, int, int], HeldBack] = {}
        for moment in moments(sales, self.staleness_s):
            if moment.sale.at < self.since:
                continue
            key = (period_of(moment.sale.at), moment.sale.channel, moment.recent)
            if key not in held:
                demand = demand_of(moment, moment.sale.channel, everybody)
                held[key] = self.rule(demand, self.patterns[key[0]][moment.recent], self.staleness_s, self.target)
            self._sell(moment, held[key], shelf, played)

    def _sell(self, moment: Moment, held: HeldBack, shelf: _Shelf, played: Played) -> None:
        sale = moment.sale
        shelf.forget(sale.at - self.staleness_s)
        units = held.units if shelf.known() < held.low_below else 0
        played.asked += 1
        played.units += units
        if sale.units > shelf.shown(sale.channel, units):
            shelf.refill()
            return
        played.taken += 1
        shelf.stock -= sale.units
        shelf.late.append(sale)
        if shelf.stock < 0:
            played.oversold += 1
            shelf.refill()
