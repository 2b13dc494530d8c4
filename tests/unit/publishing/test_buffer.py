"""The fewest units for a chance: no more are sold elsewhere than that, one unit less would not do, and nothing is held
back for nothing."""

from __future__ import annotations

from math import exp, factorial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.publishing.buffer import (
    PRIOR_ORDERS,
    UNITS_MAX,
    Demand,
    HeldBack,
    Pattern,
    Sums,
    bursts_elsewhere,
    cap_orders,
    capped,
    chance_of_more,
    fewest_units,
    fit,
    hold_back,
    mix_sizes,
    prior,
)
from app.publishing.plan import Rule, plan

DAY_S = 86_400
counts = st.dictionaries(st.integers(1, 12), st.integers(1, 50), min_size=1, max_size=5)
sizes = counts.map(lambda some: mix_sizes(some, {}))
patterns = st.builds(Pattern, st.floats(0, 10), st.floats(0, 0.5), st.floats(0, 0.6))
rates = st.floats(0, 50).map(lambda per_day: per_day / DAY_S)
demands = st.builds(Demand, rates, rates, sizes)
targets = st.floats(0.0005, 0.2)
staleness = st.floats(1, 7_200)
ONE_EACH = ((1, 1.0),)


@settings(max_examples=60, deadline=None)
@given(demands, patterns, staleness, targets)
def test_more_is_sold_elsewhere_with_at_most_the_target_and_one_unit_less_would_not_do(
    demand: Demand, pattern: Pattern, staleness_s: float, target: float
) -> None:
    units = hold_back(demand, pattern, staleness_s, target).units
    bursts = bursts_elsewhere(demand, pattern, staleness_s)
    assert chance_of_more(units, *bursts, demand.sizes) <= target + 1e-12
    assert units == 0 or chance_of_more(units - 1, *bursts, demand.sizes) > target - 1e-12


@settings(max_examples=60, deadline=None)
@given(demands, patterns, staleness, targets, st.floats(1, 3))
def test_more_orders_a_longer_delay_or_a_stricter_target_never_hold_back_less(
    demand: Demand, pattern: Pattern, staleness_s: float, target: float, more: float
) -> None:
    units = hold_back(demand, pattern, staleness_s, target).units
    busier = Demand(demand.own_per_s, demand.others_per_s * more, demand.sizes)
    assert hold_back(busier, pattern, staleness_s, target).units >= units
    assert hold_back(demand, pattern, staleness_s * more, target).units >= units
    assert hold_back(demand, pattern, staleness_s, target / more).units >= units


@given(rates, sizes, patterns, staleness, targets)
def test_nothing_is_held_back_for_what_nobody_else_sells(
    own: float, some: tuple[tuple[int, float], ...], pattern: Pattern, staleness_s: float, target: float
) -> None:
    assert hold_back(Demand(own, 0.0, some), pattern, staleness_s, target) == HeldBack(0, 0)


@pytest.mark.parametrize("target", [0.01, 0.001])
def test_single_units_in_single_orders_are_plain_poisson(target: float) -> None:
    left, units = 1 - exp(-3), 0
    while left > target:
        units += 1
        left -= exp(-3) * 3**units / factorial(units)
    assert fewest_units(3.0, 0.0, ONE_EACH, target) == units


def test_orders_that_follow_one_another_ask_for_more_than_as_many_that_come_alone() -> None:
    alone, in_bursts = fewest_units(0.2, 0.0, ONE_EACH, 0.001), fewest_units(0.1, 0.5, ONE_EACH, 0.001)
    assert in_bursts > alone


def test_never_more_than_the_most_is_held_back_whatever_is_sold() -> None:
    assert hold_back(Demand(0.0, 1e6, ONE_EACH), Pattern(4, 0, 0), 3_600, 0.01).units == UNITS_MAX


def test_a_plan_holds_back_only_while_stock_is_low() -> None:
    demand = Demand(2 / DAY_S, 6 / DAY_S, mix_sizes({1: 30, 6: 10}, {}))
    held = hold_back(demand, prior(0, 600), 600, 0.001)
    assert 0 < held.units < held.low_below
    rule = Rule(buffer=3, by_chance=held)
    assert plan({1: held.low_below}, rule).reasons == (("available", held.low_below),)
    below = held.low_below - 1
    assert plan({1: below}, rule).reasons == (("available", below), ("chance", below - held.units))


def test_what_is_shown_of_plentiful_stock_could_not_be_sold_out_before_the_number_follows() -> None:
    demand = Demand(5 / DAY_S, 5 / DAY_S, mix_sizes({1: 30, 4: 10}, {}))
    pattern, target = prior(1, 900), 0.01
    held = hold_back(demand, pattern, 900, target)
    own = bursts_elsewhere(Demand(demand.others_per_s, demand.own_per_s, demand.sizes), pattern, 900)
    assert chance_of_more(held.low_below - held.units - 1, *own, demand.sizes) <= target


def test_few_orders_of_its_own_leave_an_item_the_sizes_of_all_and_many_its_own() -> None:
    assert mix_sizes({}, {2: 3}) == ((2, 1.0),)
    assert dict(mix_sizes({1: 20}, {2: 3})) == pytest.approx({1: 0.5, 2: 0.5})
    assert dict(mix_sizes({1: 1_980}, {2: 3}))[1] == pytest.approx(0.99)
    assert mix_sizes({}, {}) == ((1, 1.0),)


def test_a_cap_per_order_is_named_where_bulk_orders_are_what_the_buffer_is_for() -> None:
    bulk = mix_sizes({1: 970, 2: 20, 96: 10}, {})
    demand, pattern = Demand(0.0, 10 / DAY_S, bulk), Pattern(4, 0, 0.1)
    units = hold_back(demand, pattern, 600, 0.001).units
    cap = cap_orders(demand, pattern, 600, 0.001)
    assert units >= 90
    assert cap is not None
    assert cap.units <= units // 2
    assert fewest_units(*bursts_elsewhere(demand, pattern, 600), capped(bulk, cap.order_max), 0.001) == cap.units
    assert cap_orders(Demand(0.0, 10 / DAY_S, mix_sizes({6: 10}, {})), pattern, 600, 0.001) is None


def _sums(slope: float, base: float, sales: int) -> Sums:
    """Sums of sales at which exactly so many bursts were seen."""
    columns = [0.0] * 8
    for k in range(sales):
        x = 0.001 + 0.01 * (k % 7)
        y, w = slope * x + base, 1 / (x + 0.001)
        for i, value in enumerate((1, y, y, w, w * x, w * x * x, w * y, w * x * y)):
            columns[i] += value
    return Sums(int(columns[0]), round(columns[1]), round(columns[2]), *columns[3:])


def test_a_pattern_is_what_was_seen_once_there_is_enough_and_what_shops_do_before() -> None:
    none, many = fit([Sums()], 300)[0], fit([_sums(5, 0.02, 100 * PRIOR_ORDERS)], 300)[0]
    assert none == prior(0, 300)
    assert many.slope == pytest.approx(5, rel=0.15)
    assert many.base == pytest.approx(0.02, rel=0.25)


def test_a_pattern_never_falls_with_the_rate_nor_below_nothing() -> None:
    falling = fit([_sums(-0.2, 0.2, 100 * PRIOR_ORDERS)], 300)[0]
    steep = fit([_sums(9, -0.005, 100 * PRIOR_ORDERS)], 300)[0]
    assert falling.slope >= 0
    assert steep.base >= 0
