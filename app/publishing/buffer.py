"""How many units a listing holds back, so that sales elsewhere that it does not know of yet oversell no more often than
agreed.

    units sold elsewhere while our number is stale = a Poisson number of bursts
                                                     x a geometric number of orders in each
                                                     x the units that this item's orders take

Bursts start at `slope x orders a second x staleness + base`, measured for moments at which somebody buys: that is when
a stale number can hurt; apart for items with none, one and more orders right before. Pure; the check on real order
times is in docs/buffers.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import mul

UNITS_MAX = 1_000  # never holds back more; an order's size counts up to one more
STARTS_MAX = 700.0  # with more bursts the most is held back; exp(-starts) would be 0
RECENT_S = 900  # orders of so long before are "right before"
RECENT_MAX = 2  # two or more are one case
HALF_LIFE_S = 30 * 86_400  # what an order counts in the rate after so long is half
OWN_SIZES_AFTER = 20  # orders after which an item's own sizes count as much as all items' together
PRIOR_ORDERS = 500  # orders that what is known of shops in general weighs as much as
ORDINARY = 0.95  # a cap is worth naming if it leaves so many orders as they are

Sizes = tuple[tuple[int, float], ...]  # (units of an order, probability), ascending, together 1


@dataclass(frozen=True, slots=True)
class Pattern:
    """How orders cluster within one staleness. Bursts: `slope` x the orders that an even rate would bring + `base`;
    `follow`: the chance that one more order follows in the same burst, below 1."""

    slope: float
    base: float
    follow: float


@dataclass(frozen=True, slots=True)
class Demand:
    """What an item sells, in orders a second: on the listing's own channel, on all the others; and units an order."""

    own_per_s: float
    others_per_s: float
    sizes: Sizes


@dataclass(frozen=True, slots=True)
class HeldBack:
    """`units` to hold back while fewer than `low_below` are available; with more there is nothing to hold back for."""

    units: int
    low_below: int


@dataclass(frozen=True, slots=True)
class Cap:
    """With at most `order_max` units in an order, `units` held back would do."""

    order_max: int
    units: int


def hold_back(demand: Demand, pattern: Pattern, staleness_s: float, target: float) -> HeldBack:
    """The fewest units such that others sell more within the staleness with a chance of at most `target`, above 0.

    Stock is plentiful, and nothing is held back, when the number shown after holding back could not be sold within the
    staleness by this channel itself, at the same chance: `available >= units + what this channel sells at most + 1`.
    """
    units = fewest_units(*bursts_elsewhere(demand, pattern, staleness_s), demand.sizes, target)
    if not units:
        return HeldBack(0, 0)
    own = fewest_units(*_bursts(demand.own_per_s, demand, pattern, staleness_s), demand.sizes, target)
    return HeldBack(units, units + own + 1)


def cap_orders(demand: Demand, pattern: Pattern, staleness_s: float, target: float) -> Cap | None:
    """The largest cap per order with which half the units would meet the target; None when it would touch more than
    one order in twenty, so that bulk orders are not what drives the buffer."""
    others = bursts_elsewhere(demand, pattern, staleness_s)
    units = fewest_units(*others, demand.sizes, target)
    caps = [size for size, below in _cumulated(demand.sizes) if below >= ORDINARY]
    best = None
    while caps:  # halving: a smaller cap never needs more units
        middle = caps[len(caps) // 2]
        needed = fewest_units(*others, capped(demand.sizes, middle), target)
        if needed <= units // 2:
            best, caps = Cap(middle, needed), caps[len(caps) // 2 + 1 :]
        else:
            caps = caps[: len(caps) // 2]
    return best if units else None


def bursts_elsewhere(demand: Demand, pattern: Pattern, staleness_s: float) -> tuple[float, float]:
    """Bursts of orders expected on the other channels within the staleness, and the chance that one more follows."""
    return _bursts(demand.others_per_s, demand, pattern, staleness_s)


def fewest_units(starts: float, follow: float, sizes: Sizes, target: float) -> int:
    """The fewest units with P(more are sold) <= target, at most UNITS_MAX. `starts`: bursts expected."""
    if starts > STARTS_MAX:
        return UNITS_MAX
    left = 1.0
    for units, chance in enumerate(islice(_chances(starts, follow, sizes), UNITS_MAX)):
        left -= chance
        if left <= target:
            return units
    return UNITS_MAX


def chance_of_more(units: int, starts: float, follow: float, sizes: Sizes) -> float:
    """P(more than `units` are sold)."""
    return 1.0 - sum(islice(_chances(starts, follow, sizes), units + 1))


def capped(sizes: Sizes, order_max: int) -> Sizes:
    """The same orders with at most `order_max` units in each."""
    return _distribution((min(size, order_max), chance) for size, chance in sizes)


def mix_sizes(own: Mapping[int, float], everybody: Mapping[int, float]) -> Sizes:
    """An item's order sizes from counts by units, its own and all items': the fewer it has, the more the others'
    count. Without any, one unit an order."""
    orders, all_orders = sum(own.values()), sum(everybody.values())
    if not orders and not all_orders:
        return ((1, 1.0),)
    share = orders / (orders + OWN_SIZES_AFTER) if all_orders else 1.0
    parts = [(size, share * n / orders) for size, n in own.items() if orders]
    parts += [(size, (1 - share) * n / all_orders) for size, n in everybody.items() if all_orders]
    return _distribution((min(size, UNITS_MAX + 1), chance) for size, chance in parts)


def _distribution(parts: Iterator[tuple[int, float]]) -> Sizes:
    chances: dict[int, float] = {}
    for size, chance in parts:
        chances[size] = chances.get(size, 0.0) + chance
    return tuple(sorted((size, chance) for size, chance in chances.items() if chance > 0))


def _cumulated(sizes: Sizes) -> Iterator[tuple[int, float]]:
    below = 0.0
    for size, chance in sizes:
        below += chance
        yield size, below


def _bursts(per_s: float, demand: Demand, pattern: Pattern, staleness_s: float) -> tuple[float, float]:
    """(starts, follow) of the bursts as some channels see them that take `per_s` of the item's orders: of a burst each
    order falls to them by their share, so fewer begin there and fewer follow. Nothing sold, nothing starts."""
    everywhere = demand.own_per_s + demand.others_per_s
    if per_s <= 0:
        return 0.0, 0.0
    share = per_s / everywhere
    starts = pattern.slope * everywhere * staleness_s + pattern.base
    seen = 1 - pattern.follow + pattern.follow * share
    return starts * share / seen, pattern.follow * share / seen


def _chances(starts: float, follow: float, sizes: Sizes) -> Iterator[float]:
    """P(0 units), P(1), P(2) … without end (Panjer's recursion for a compound Poisson)."""
    weighted = [0.0]  # units x P(a burst has them)
    in_burst = [0.0]
    chances = [math.exp(-starts)]
    yield chances[0]
    size_chance = dict(sizes)
    units = 0
    while True:
        units += 1
        several = sum(chance * in_burst[units - size] for size, chance in sizes if size < units)
        in_burst.append((1 - follow) * size_chance.get(units, 0.0) + follow * several)
        weighted.append(units * in_burst[units])
        chances.append(starts / units * sum(map(mul, weighted[1:], reversed(chances))))
        yield chances[units]


@dataclass(frozen=True, slots=True)
class Sums:
    """What is counted over sales, for the orders within one staleness before each. x: what an even rate would bring,
    y: 1 if there were any, w: weight, 1 / (x + one tenth of an order a day)."""

    sales: int = 0
    orders: int = 0
    any_orders: int = 0
    w: float = 0.0
    wx: float = 0.0
    wxx: float = 0.0
    wy: float = 0.0
    wxy: float = 0.0


def fit(sums: Sequence[Sums], staleness_s: float) -> tuple[Pattern, ...]:
    """A pattern for none, one, more orders right before (RECENT_MAX + 1 of them): a weighted least-squares line, never
    falling or below 0, drawn towards what shops in general do as long as there are few sales."""
    return tuple(_fit_one(s, prior(recent, staleness_s)) for recent, s in enumerate(sums))


def _fit_one(sums: Sums, known: Pattern) -> Pattern:
    own = _line(sums) if sums.any_orders else Pattern(0.0, 0.0, known.follow)
    trust = sums.sales / (sums.sales + PRIOR_ORDERS)
    return Pattern(
        trust * own.slope + (1 - trust) * known.slope,
        trust * own.base + (1 - trust) * known.base,
        trust * own.follow + (1 - trust) * known.follow,
    )


def _line(sums: Sums) -> Pattern:
    spread = sums.w * sums.wxx - sums.wx**2
    slope = (sums.w * sums.wxy - sums.wx * sums.wy) / spread if spread > 0 else 0.0
    slope = max(slope, 0.0)
    base = (sums.wy - slope * sums.wx) / sums.w
    if base < 0:
        slope, base = sums.wy / sums.wx, 0.0
    any_chance = min(sums.any_orders / sums.sales, 1 - 1 / (2 * sums.sales))
    starts = -math.log1p(-any_chance)  # bursts behind the chance that there was one
    follow = 1 - starts / (sums.orders / sums.sales)
    return Pattern(slope * starts / any_chance, base * starts / any_chance, min(max(follow, 0.0), 0.95))


def prior(recent: int, staleness_s: float) -> Pattern:
    """What shops in general do, for a merchant whose own orders are few: two years of a web shop (Online Retail II),
    staleness from a minute to an hour."""
    slope, base, half_s = ((4.0, 0.05, 1800), (3.0, 0.20, 900), (2.0, 0.80, 600))[recent]
    return Pattern(slope, base * staleness_s / (staleness_s + half_s), 0.15)
