"""Do buffers from probability keep what they promise on real order times, and with how few units? A replay.

The orders of a file fall to two channels by lot. Every sale of the second half is a moment at which a stale number
would have hurt: what the other channel had sold within the staleness before it is held against the units held back,
which are worked out from what came before alone. No database.
`python -m bench.buffers [--orders FILE] [--json]`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from app.demo.retail import read_orders
from app.publishing.buffer import (
    HALF_LIFE_S,
    RECENT_MAX,
    RECENT_S,
    Demand,
    Pattern,
    Sizes,
    Sums,
    fewest_units,
    fit,
    hold_back,
    mix_sizes,
)  # fmt: skip

DAY_S = 86_400
ORDERS = Path(__file__).parent / "data" / "online_retail_slice.csv.gz"
STALENESS_S = (60, 300, 900, 3_600)
TARGETS = (0.01, 0.003, 0.001)
SOLD_OUT = (900, 0.003)  # staleness and target of `bench.buffers_loop`
TAU_S = HALF_LIFE_S / math.log(2)
LIFE_MIN_S = 7 * DAY_S  # a rate is never taken over less
RELEARN_S = 7 * DAY_S  # rates, sizes and patterns are taken anew so often; the product does it every hour
LEARN_PERIODS = 13
LEVEL = 0.01  # more than the target is a miss where so many came by chance in less than this share of all runs


@dataclass(frozen=True, slots=True)
class Sale:
    """An order's units of one item, on channel 0 or 1; `at` in seconds."""

    at: float
    units: int
    channel: int


@dataclass(frozen=True, slots=True)
class Moment:
    """A sale, and what was known of its item one staleness before: orders a second by channel, sizes, orders right
    before; and how many of the item's latest sales came too late to be known."""

    sale: Sale
    unknown: Sequence[Sale]
    per_s: tuple[float, float]
    sizes: Mapping[int, float]
    recent: int


@dataclass(slots=True)
class Outcome:
    """Moments, and at how many of them others had sold more than was held back; units held back, over all moments."""

    moments: int = 0
    broken: int = 0
    units: int = 0
    with_buffer: int = 0  # moments at which anything is held back
    broken_with_buffer: int = 0
    broken_with_one_less: int = 0  # of those
    broken_by_poisson: int = 0
    units_by_poisson: int = 0

    def as_figures(self, target: float) -> dict[str, Any]:
        """Shares of moments, units a moment."""
        return {
            "target": target,
            "moments": self.moments,
            "broken": self.broken,
            "verdict": judge(self.broken, self.moments, target),
            "rate": round(self.broken / self.moments, 5),
            "units": round(self.units / self.moments, 2),
            "rate_where_held": round(self.broken_with_buffer / max(self.with_buffer, 1), 5),
            "rate_where_held_with_one_less": round(self.broken_with_one_less / max(self.with_buffer, 1), 5),
            "poisson_rate": round(self.broken_by_poisson / self.moments, 5),
            "poisson_units": round(self.units_by_poisson / self.moments, 2),
        }


def judge(broken: int, moments: int, target: float) -> str:
    """`kept`, `missed`, or `within_sampling_error`: more than the target, and no more than counting so few may show of
    one that is kept. Moments come in bursts and scatter more than the binomial says: it errs towards `missed`."""
    if broken <= target * moments:
        return "kept"
    return "missed" if chance_of_so_many(broken, moments, target) < LEVEL else "within_sampling_error"


def chance_of_so_many(broken: int, moments: int, target: float) -> float:
    """P(X >= broken) of the binomial, term by term."""
    all_ways = math.lgamma(moments + 1)
    return math.fsum(
        math.exp(
            all_ways - math.lgamma(n + 1) - math.lgamma(moments - n + 1)
            + n * math.log(target) + (moments - n) * math.log1p(-target)
        )
        for n in range(broken, moments + 1)
    )  # fmt: skip


Items = Mapping[str, Sequence[Sale]]


def read_sales(path: Path, rng: Random, *, items_max: int | None = None) -> Items:
    """Sales by SKU in order of time. The file has whole minutes: an order gets a second by lot, and a channel."""
    sales: defaultdict[str, list[Sale]] = defaultdict(list)
    for order in read_orders(path):
        at, channel = order.at.timestamp() + rng.uniform(0, 60), rng.randrange(2)
        for sku, units in order.units.items():
            if units > 0:
                sales[sku].append(Sale(at, units, channel))
    chosen = sorted(sales)[:items_max]
    return {sku: sorted(sales[sku], key=lambda sale: sale.at) for sku in chosen}


@dataclass(slots=True)
class _Known:
    """What is known of an item: its decayed orders by channel, its order sizes."""

    first_at: float
    at: float
    weights: list[float] = field(default_factory=lambda: [0.0, 0.0])
    sizes: Counter[int] = field(default_factory=Counter)

    def add(self, sale: Sale) -> None:
        decay = math.exp(-(sale.at - self.at) / TAU_S)
        self.weights = [weight * decay for weight in self.weights]
        self.weights[sale.channel] += 1
        self.sizes[sale.units] += 1
        self.at = sale.at

    def per_s(self, now: float) -> tuple[float, float]:
        life = max(now - self.first_at, LIFE_MIN_S)
        scale = math.exp(-(now - self.at) / TAU_S) / (TAU_S * -math.expm1(-life / TAU_S))
        return self.weights[0] * scale, self.weights[1] * scale


def moments(sales: Sequence[Sale], staleness_s: float) -> Iterator[Moment]:
    """Every sale of an item that was known at all one staleness before."""
    known = _Known(sales[0].at, sales[0].at)
    count = late = 0
    for i, sale in enumerate(sales):
        then = sale.at - staleness_s
        while sales[count].at <= then and count < i:
            known.add(sales[count])
            count += 1
        while sales[late].at <= then - RECENT_S:
            late += 1
        if count:
            recent = min(max(count - late, 0), RECENT_MAX)
            yield Moment(sale, sales[count:i], known.per_s(then), known.sizes, recent)


def learn(items: Items, staleness_s: float) -> Mapping[int, tuple[Pattern, ...]]:
    """How orders cluster, by period of RELEARN_S: always from all items' sales of the 13 before it."""
    by_period: defaultdict[int, list[Moment]] = defaultdict(list)
    for sales in items.values():
        for moment in moments(sales, staleness_s):
            by_period[period_of(moment.sale.at)].append(moment)
    counted = {period: count_sums(some, staleness_s) for period, some in by_period.items()}
    return {
        period: fit(add_sums([counted[p] for p in range(period - LEARN_PERIODS, period) if p in counted]), staleness_s)
        for period in range(min(counted) + 1, max(counted) + 1)
    }


def count_sums(some: Iterable[Moment], staleness_s: float) -> list[Sums]:
    """What the product counts in the database: by how many orders were known right before."""
    counted = [[0.0] * 8 for _ in range(RECENT_MAX + 1)]
    for moment in some:
        x, orders = sum(moment.per_s) * staleness_s, len(moment.unknown)
        y, w = float(orders > 0), 1 / (x + 0.1 * staleness_s / DAY_S)
        for k, value in enumerate((1, orders, y, w, w * x, w * x * x, w * y, w * x * y)):
            counted[moment.recent][k] += value
    return [Sums(int(c[0]), int(c[1]), int(c[2]), *c[3:]) for c in counted]


def add_sums(parts: Sequence[Sequence[Sums]]) -> list[Sums]:
    """The sums of several times as one."""
    fields = [f.name for f in dataclasses.fields(Sums)]
    return [
        Sums(**{name: sum(getattr(part[recent], name) for part in parts) for name in fields})
        for recent in range(RECENT_MAX + 1)
    ]


def period_of(at: float) -> int:
    return int(at // RELEARN_S)


def check(
    items: Items, staleness_s: float, target: float, *, since: float, patterns: Mapping[int, tuple[Pattern, ...]]
) -> Outcome:
    """Every sale from `since` on against the units that would have been held back for it, and against the units that a
    Poisson number of units would have asked for."""
    everybody = Counter(sale.units for sales in items.values() for sale in sales if sale.at < since)
    outcome = Outcome()
    for sales in items.values():
        held: dict[tuple[int, int, int], tuple[int, int]] = {}
        for moment in moments(sales, staleness_s):
            if moment.sale.at < since:
                continue
            key = (period_of(moment.sale.at), moment.sale.channel, moment.recent)
            if key not in held:
                held[key] = _held(moment, patterns[key[0]][moment.recent], staleness_s, target, everybody=everybody)
            _count(outcome, moment, *held[key])
    return outcome


def demand_of(moment: Moment, channel: int, everybody: Mapping[int, float]) -> Demand:
    """The item's demand as seen from a channel at that moment."""
    return Demand(moment.per_s[channel], moment.per_s[1 - channel], mix_sizes(moment.sizes, everybody))


def _held(
    moment: Moment, pattern: Pattern, staleness_s: float, target: float, *, everybody: Mapping[int, float]
) -> tuple[int, int]:
    demand = demand_of(moment, moment.sale.channel, everybody)
    units = hold_back(demand, pattern, staleness_s, target).units
    return units, poisson_units(demand.others_per_s * staleness_s, demand.sizes, target)


def poisson_units(orders: float, sizes: Sizes, target: float) -> int:
    """What the usual formula holds back: units one by one, evenly in time."""
    mean = sum(size * chance for size, chance in sizes)
    return fewest_units(orders * mean, 0.0, ((1, 1.0),), target)


def _count(outcome: Outcome, moment: Moment, units: int, poisson: int) -> None:
    elsewhere = sum(sale.units for sale in moment.unknown if sale.channel != moment.sale.channel)
    outcome.moments += 1
    outcome.units += units
    outcome.units_by_poisson += poisson
    outcome.broken += elsewhere > units
    outcome.broken_by_poisson += elsewhere > poisson
    if units:
        outcome.with_buffer += 1
        outcome.broken_with_buffer += elsewhere > units
        outcome.broken_with_one_less += elsewhere > units - 1


def middle_of(items: Items) -> float:
    """Half of the time that the file covers."""
    times = [sale.at for sales in items.values() for sale in (sales[0], sales[-1])]
    return (min(times) + max(times)) / 2


def run(path: Path) -> dict[str, Any]:
    """Every staleness and target."""
    items = read_sales(path, Random(1))
    since = middle_of(items)
    result: dict[str, Any] = {"items": len(items), "sales": sum(map(len, items.values()))}
    for staleness_s in STALENESS_S:
        patterns = learn(items, staleness_s)
        for target in TARGETS:
            outcome = check(items, staleness_s, target, since=since, patterns=patterns)
            result[f"staleness_{staleness_s}_s_target_{target}"] = outcome.as_figures(target)
    result["sold_out"] = _sold_out(items, since)
    return result


def _sold_out(items: Items, since: float) -> dict[str, Any]:
    from bench.buffers_loop import Loop, by_chance, by_poisson, nothing

    patterns = learn(items, *SOLD_OUT[:1])
    figures: dict[str, dict[str, Any]] = {}
    for rule in (nothing, by_poisson, by_chance):
        played = Loop(*SOLD_OUT, since, patterns, rule).play(items, Random(2))
        figures[rule.__name__] = {"rate": round(played.rate, 5), "units": round(played.units / played.asked, 2)}
        if rule is by_chance:
            figures[rule.__name__]["verdict"] = judge(played.oversold, played.taken, SOLD_OUT[1])
    return figures


def missed(result: Mapping[str, Any]) -> list[str]:
    """The names of what missed its target."""
    judged = {**result, **{f"sold_out_{name}": figures for name, figures in result["sold_out"].items()}}
    return [
        name for name, figures in judged.items() if isinstance(figures, dict) and figures.get("verdict") == "missed"
    ]


def main(given: Sequence[str] | None = None) -> int:
    """Print the figures; 1 when a target was missed, which is named then."""
    parser = argparse.ArgumentParser(prog="python -m bench.buffers", description=__doc__)
    parser.add_argument("--orders", type=Path, default=ORDERS, help="order_id,occurred_at,sku,quantity,unit_price")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(given)
    from bench import as_text

    result = run(arguments.orders)
    print(json.dumps(result) if arguments.json else as_text(result))
    for name in missed(result):
        print(f"missed: {name}", file=sys.stderr)
    return 1 if missed(result) else 0


if __name__ == "__main__":
    sys.exit(main())
