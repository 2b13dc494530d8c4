"""Buffers from probability in a replay: the chance is kept, one unit less would break it, the usual formula does.

Real order times are a slice of Online Retail II (bench/data/README.md); the made-up ones come in bursts, by seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from random import Random

import pytest

from bench.buffers import DAY_S, ORDERS, Items, Outcome, Sale, check, learn, middle_of, read_sales
from bench.buffers_loop import Loop, Played, Rule, by_chance, by_poisson, nothing

NOISE = 1.1  # 22,000 moments tell a chance of one in a hundred to within a tenth


@cache
def real() -> Items:
    return read_sales(ORDERS, Random(1))


@cache
def made_up() -> Items:
    """Forty items over a year; of their orders, every third brings another within minutes; one in fifty is bulk."""
    rng = Random(7)
    return {f"item {n}": _bursts(rng, per_day=0.2 + 0.1 * n) for n in range(40)}


def _bursts(rng: Random, per_day: float) -> Sequence[Sale]:
    sales = []
    at = 0.0
    while (at := at + rng.expovariate(per_day) * DAY_S) < 365 * DAY_S:
        then = at
        while True:
            units = 12 if rng.random() < 0.02 else rng.choice((1, 1, 1, 2, 3))
            sales.append(Sale(then, units, rng.randrange(2)))
            if rng.random() > 1 / 3:
                break
            then += rng.expovariate(1 / 180)
    return sorted(sales, key=lambda sale: sale.at)


@cache
def _checked(shop: Callable[[], Items], staleness_s: float, target: float) -> Outcome:
    items = shop()
    return check(items, staleness_s, target, since=middle_of(items), patterns=learn(items, staleness_s))


@pytest.mark.parametrize(("staleness_s", "target"), [(300, 0.01), (900, 0.01), (900, 0.003), (3_600, 0.01)])
def test_on_real_order_times_the_chance_is_kept_and_one_unit_less_would_break_it(
    staleness_s: float, target: float
) -> None:
    outcome = _checked(real, staleness_s, target)
    assert outcome.moments > 20_000
    assert outcome.broken <= target * outcome.moments
    assert outcome.broken_with_buffer <= target * outcome.with_buffer
    assert outcome.broken_with_one_less > target * outcome.with_buffer


@pytest.mark.parametrize(("staleness_s", "target"), [(300, 0.02), (900, 0.02), (900, 0.005)])
def test_on_made_up_bursts_the_chance_is_kept_and_one_unit_less_would_break_it(
    staleness_s: float, target: float
) -> None:
    outcome = _checked(made_up, staleness_s, target)
    assert outcome.broken <= NOISE * target * outcome.moments
    assert outcome.broken_with_one_less > target * outcome.with_buffer


@pytest.mark.parametrize("shop", [real, made_up])
def test_single_units_evenly_in_time_break_the_promise_many_times_over(
    shop: Callable[[], Items],
) -> None:
    outcome = _checked(shop, 900, 0.003)
    assert outcome.broken_by_poisson > 4 * 0.003 * outcome.moments


@cache
def _played(rule: Rule, staleness_s: float, target: float) -> Played:
    items = real()
    loop = Loop(staleness_s, target, middle_of(items), learn(items, staleness_s), rule)
    return loop.play(items, Random(2))


def test_two_channels_that_sell_one_stock_out_oversell_less_than_agreed_and_without_buffers_more() -> None:
    assert _played(by_chance, 900, 0.003).rate <= 0.003
    assert _played(nothing, 900, 0.003).rate > 0.003
    assert _played(by_chance, 900, 0.003).oversold < _played(by_poisson, 900, 0.003).oversold / 4
