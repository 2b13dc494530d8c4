"""The audit against order books made by hand and by chance: exactly what is wrong is found, and it knows no table."""

from __future__ import annotations

import ast
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.demo.audit import Books, Change, changes_of, expand, oversold
from app.demo.goods import KIT, KIT_OF, SCARCE, goods
from app.demo.lag import lags_s, percentiles
from sandbox.base import Sale, Shown
from tests.architecture.source import ROOT
from tests.unit.demo.test_audit import judge

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SKUS = ("mug", "bowl", "plate")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def sale(seconds: float, units: int, sku: str = "mug", order: str = "1") -> Sale:
    return Sale(at(seconds), order, sku, units, 0)


def test_the_audit_and_the_lags_read_the_shops_books_and_nothing_of_ours() -> None:
    for name in ("audit", "lag"):
        tree = ast.parse((ROOT / "app" / "demo" / f"{name}.py").read_text("utf-8"))
        known = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        ours = {module for module in known if module and module.split(".")[0] in ("app", "connectors", "sqlalchemy")}
        assert ours <= {"app.demo.audit", "app.core.percentile"}  # which is arithmetic alone


@given(
    sold=st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from(SKUS), st.integers(1, 3)), max_size=30),
    opening=st.integers(90, 120),
    gap=st.integers(-5, 5),
    where=st.sampled_from(["ledger", "A", "B"]),
)
def test_one_wrong_number_is_found_with_its_size_and_direction_and_nothing_else_is(
    sold: list[tuple[str, str, int]], opening: int, gap: int, where: str
) -> None:
    sales: dict[str, list[Sale]] = {"A": [], "B": []}
    left = Counter(dict.fromkeys(SKUS, opening))
    for number, (shop, sku, units) in enumerate(sold):
        sales[shop].append(sale(number, units, sku))
        left[sku] -= units
    levels = {sku: {1: left[sku] + (gap if (where, sku) == ("ledger", "mug") else 0)} for sku in SKUS}
    shown = {shop: {sku: left[sku] + (gap if (where, sku) == (shop, "mug") else 0) for sku in SKUS} for shop in "AB"}
    found = judge(Books(dict.fromkeys(SKUS, opening), changes_of(sales, []), {}), levels, shown, [])
    assert (found.lost_units, found.double_units) == (max(0, -gap), max(0, gap))
    assert list(found.where) == ([f"mug: {where} {gap:+d}"] if gap else [])


def test_what_suppliers_bring_and_buyers_take_adds_up_to_what_is_left() -> None:
    sales = {"A": [sale(1, 3), sale(9, 2)], "B": [sale(5, 4), sale(6, -1)]}
    books = Books({"mug": 10}, changes_of(sales, [(at(4), "mug", 7), (at(8), "mug", 1)]), {})
    assert books.expected().for_sale == {"mug": 10}
    assert [change.units for change in books.changes] == [3, -7, 4, -1, -1, 2]


def test_faults_of_several_items_and_shops_are_counted_once_for_each_item() -> None:
    books = Books({"mug": 10, "bowl": 10}, [], {})
    levels = {"mug": {1: 12}, "bowl": {1: 10}}
    found = judge(books, levels, {"A": {"mug": 11, "bowl": 7}, "B": {"mug": 6, "bowl": 9}}, [])
    assert (found.double_units, found.lost_units) == (2, 4 + 3)
    assert set(found.where) == {"mug: ledger +2", "mug: A +1", "mug: B -4", "bowl: A -3", "bowl: B -1"}


def test_an_item_that_the_ledger_does_not_know_is_lost_whole() -> None:
    assert judge(Books({"mug": 4}, [], {}), {}, {"A": {"mug": 4}}, []).lost_units == 4


def test_a_shop_that_is_asked_for_more_than_there_is_must_show_nothing() -> None:
    books = Books({"mug": 1}, changes_of({"A": [sale(1, 3)]}, []), {})
    assert judge(books, {"mug": {1: -2}}, {"A": {"mug": 0}, "B": {"mug": 0}}, []).where == []
    assert judge(books, {"mug": {1: -2}}, {"A": {"mug": 0}, "B": {"mug": 1}}, []).double_units == 1


def test_a_kit_is_as_many_as_its_scarcest_component_at_each_place_allows() -> None:
    books = Books({"mug": 9, "bowl": 6}, [], {"set": {"mug": 2, "bowl": 1}})
    levels = {"mug": {1: 5, 2: 4}, "bowl": {1: 1, 2: 5}}
    good = {"A": {"mug": 9, "bowl": 6, "set": 3}}
    assert judge(books, levels, good, []).where == []
    many = judge(books, levels, {"A": {**good["A"], "set": 4}}, [])
    few = judge(books, levels, {"A": {**good["A"], "set": 1}}, [])
    assert (many.double_units, many.lost_units, few.double_units, few.lost_units) == (1, 0, 0, 2)


def test_a_kit_whose_component_is_owed_at_one_place_does_not_owe_kits() -> None:
    books = Books({"mug": 1, "bowl": 9}, [], {"set": {"mug": 1, "bowl": 1}})
    levels = {"mug": {1: -3, 2: 4}, "bowl": {1: 5, 2: 4}}
    assert judge(books, levels, {"A": {"mug": 4, "bowl": 9, "set": 4}}, ["A"]).where == []


def test_a_kit_in_the_books_is_so_many_of_each_component_at_that_moment() -> None:
    changes = list(expand([Change(at(1), "A", "7", "set", 3)], {"set": {"mug": 2, "bowl": 1}}))
    assert [(c.sku, c.units, c.shop, c.order_key, c.at) for c in changes] == [
        ("mug", 6, "A", "7", at(1)), ("bowl", 3, "A", "7", at(1)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("units", "expected"),
    [([5, 5], 0), ([5, 6], 1), ([11], 1), ([6, 6, 6], 8), ([6, 6, -6, 4], 2), ([6, 6, -2, 3], 5), ([-3, 13], 0)],
)
def test_oversold_is_what_was_sold_beyond_what_was_there_at_that_moment(units: list[int], expected: int) -> None:
    book = [sale(second, count, order=str(second)) for second, count in enumerate(units)]
    assert oversold(Books({"mug": 10}, changes_of({"A": book}, []), {})) == expected


def test_a_kit_can_oversell_its_components() -> None:
    made = Books({"mug": 3, "bowl": 9}, changes_of({"A": [sale(1, 2, "set")]}, []), {"set": {"mug": 2, "bowl": 1}})
    assert oversold(made) == 1


def books(a: list[Sale], b: list[Sale], receipts: list[tuple[datetime, str, int]] | None = None) -> Books:
    return Books({"mug": 10}, changes_of({"A": a, "B": b}, receipts or []), {})


def test_a_sale_that_no_write_ever_tells_of_has_no_lag_and_makes_no_other_shorter() -> None:
    assert lags_s(books([sale(1, 3)], []), {"B": []}) == []
    assert lags_s(books([sale(1, 3), sale(2, 1, order="2")], []), {"B": [Shown(at(9), "mug", 10)]}) == []


def test_one_write_that_tells_of_several_sales_ends_the_lag_of_each() -> None:
    made = books([sale(1, 1, order="1"), sale(2, 2, order="2"), sale(4, 1, order="3")], [])
    assert lags_s(made, {"B": [Shown(at(5), "mug", 6)]}) == [4.0, 3.0, 1.0]


def test_a_write_of_another_item_ends_no_lag() -> None:
    assert lags_s(books([sale(1, 3)], []), {"B": [Shown(at(2), "bowl", 7), Shown(at(6), "mug", 7)]}) == [5.0]


def test_goods_that_come_in_are_waited_for_but_are_no_sale() -> None:
    made = books([sale(1, 3)], [], [(at(2), "mug", 5)])
    assert lags_s(made, {"B": [Shown(at(4), "mug", 12)]}) == [3.0]


def test_each_shop_waits_for_the_sales_of_the_other() -> None:
    made = books([sale(1, 1, order="1")], [sale(2, 2, order="2")])
    writes = {"A": [Shown(at(6), "mug", 7)], "B": [Shown(at(3), "mug", 7)]}
    assert sorted(lags_s(made, writes)) == [2.0, 4.0]


def test_percentiles_are_values_that_occurred_and_never_smaller_than_the_share_says() -> None:
    values = [float(n) for n in range(1, 101)]
    assert percentiles(values) == {"p50": 51.0, "p95": 96.0, "p99": 100.0, "max": 100.0}
    assert percentiles(values[::-1]) == percentiles(values)
    assert percentiles([0.12345]) == {"p50": 0.123, "p95": 0.123, "p99": 0.123, "max": 0.123}


@given(st.lists(st.floats(0, 1_000), min_size=1, max_size=60))
def test_percentiles_rise_with_their_share_and_end_with_the_worst(values: list[float]) -> None:
    found = percentiles(values)
    assert list(found.values()) == sorted(found.values())
    assert found["max"] == round(max(values), 3)
    assert set(found.values()) <= {round(value, 3) for value in values}
    assert sum(value <= found["p95"] + 0.001 for value in values) >= 0.95 * len(values)


def test_the_demo_sells_forty_items_of_which_one_is_a_kit_and_one_is_nearly_gone() -> None:
    by_sku = {good.sku: good for good in goods()}
    assert len(by_sku) == len(goods()) == 39
    assert KIT not in by_sku
    assert set(KIT_OF) <= set(by_sku)
    assert sum(by_sku[SCARCE].opening) == 3 == min(sum(good.opening) for good in goods())
    assert all(good.price > good.unit_cost > 0 for good in goods())
