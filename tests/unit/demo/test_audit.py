"""The audit by the shops' own books: it finds what is lost, what could be sold twice, and what was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from app.demo.audit import Books, Levels, Stock, Verdict, audit, changes_of, oversold
from app.demo.lag import lags_s, percentiles
from sandbox.base import Parcel, Sale, Shown

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def sale(seconds: float, units: int, sku: str = "mug", order: str = "1") -> Sale:
    return Sale(at(seconds), order, sku, units, 0)


def books(a: list[Sale], b: list[Sale], opening: int = 10) -> Books:
    return Books({"mug": opening}, changes_of({"A": a, "B": b}, []), {})


def judge(made: Books, levels: Levels, shown: Mapping[str, Mapping[str, int]], with_places: Sequence[str]) -> Verdict:
    """The verdict where as much is in the house as the books say."""
    expected = made.expected()
    return audit(expected, Stock(levels, expected.on_hand), shown, with_places)


def parcel(seconds: float, units: int, sku: str = "mug", order: str = "1") -> Parcel:
    return Parcel(at(seconds), order, sku, units)


def in_the_house(on_hand: int, *parcels: Parcel, receipts: Sequence[tuple[datetime, str, int]] = ()) -> Verdict:
    """The verdict on a ledger that is right about what can be sold, of 10 and three mugs sold, and has so many."""
    made = Books({"mug": 10}, changes_of({"A": [sale(1, 3)]}, receipts), {}, changes_of({"A": parcels}, receipts))
    left = made.expected().for_sale["mug"]
    return audit(made.expected(), Stock({"mug": {1: left}}, {"mug": on_hand}), {"A": {"mug": left}}, [])


def test_books_and_numbers_that_agree_have_nothing_lost_and_nothing_double() -> None:
    found = judge(books([sale(1, 3)], [sale(2, 2)]), {"mug": {1: 5}}, {"A": {"mug": 5}, "B": {"mug": 5}}, [])
    assert found == Verdict(0, 0, [])


def test_a_sale_that_the_ledger_never_heard_of_is_a_unit_that_could_be_sold_twice() -> None:
    found = judge(books([sale(1, 3)], []), {"mug": {1: 10}}, {"A": {"mug": 7}, "B": {"mug": 10}}, [])
    assert (found.lost_units, found.double_units) == (0, 3)


def test_a_sale_that_was_booked_twice_is_lost_units() -> None:
    found = judge(books([sale(1, 3)], []), {"mug": {1: 4}}, {"A": {"mug": 4}, "B": {"mug": 4}}, [])
    assert (found.lost_units, found.double_units) == (3, 0)


def test_a_shop_that_shows_too_few_is_found_though_the_ledger_is_right() -> None:
    found = judge(books([], []), {"mug": {1: 10}}, {"A": {"mug": 10}, "B": {"mug": 9}}, [])
    assert (found.lost_units, found.double_units, list(found.where)) == (1, 0, ["mug: B -1"])


def test_units_put_back_on_sale_can_be_sold_again() -> None:
    found = judge(books([sale(1, 3), sale(2, -3)], []), {"mug": {1: 10}}, {"A": {"mug": 10}, "B": {"mug": 10}}, [])
    assert found == Verdict(0, 0, [])


def test_a_shop_with_places_shows_what_one_has_while_another_owes() -> None:
    levels = {"mug": {1: -1, 2: 3}}
    found = judge(books([sale(1, 8)], []), levels, {"A": {"mug": 3}, "B": {"mug": 2}}, ["A"])
    assert found == Verdict(0, 0, [])


@pytest.mark.parametrize(
    ("on_hand", "lost", "double"),
    [(7, 0, 0), (10, 0, 3), (4, 3, 0), (6, 1, 0)],
    ids=["shipped once", "never shipped", "shipped twice", "one of them lost afterwards"],
)
def test_goods_that_left_are_off_the_ledgers_hand_once(on_hand: int, lost: int, double: int) -> None:
    found = in_the_house(on_hand, parcel(2, 3))
    assert (found.lost_units, found.double_units) == (lost, double)
    assert list(found.where) == ([f"mug: on hand {on_hand - 7:+d}"] if on_hand != 7 else [])


def test_what_is_promised_and_has_not_left_is_still_in_the_house() -> None:
    assert in_the_house(10) == Verdict(0, 0, [])
    assert list(in_the_house(7).where) == ["mug: on hand -3"]


def test_what_came_back_is_in_the_house_whether_it_is_for_sale_or_not() -> None:
    assert in_the_house(9, parcel(2, 3), parcel(3, -2)) == Verdict(0, 0, [])
    assert in_the_house(7, parcel(2, 3), parcel(3, -2)).lost_units == 2


def test_a_delivery_comes_into_the_house_and_is_for_sale() -> None:
    assert in_the_house(12, parcel(2, 3), receipts=[(at(4), "mug", 5)]) == Verdict(0, 0, [])
    assert in_the_house(7, parcel(2, 3), receipts=[(at(4), "mug", 5)]).lost_units == 5


def test_a_kit_that_left_took_its_components_along() -> None:
    kits = {"set": {"mug": 2}}
    made = Books({"mug": 10}, changes_of({"A": [sale(1, 2, "set")]}, []), kits,
                 changes_of({"A": [parcel(2, 2, "set")]}, []))  # fmt: skip
    shown = {"A": {"mug": 6, "set": 3}}
    assert audit(made.expected(), Stock({"mug": {1: 6}}, {"mug": 6}), shown, []) == Verdict(0, 0, [])
    assert audit(made.expected(), Stock({"mug": {1: 6}}, {"mug": 10}), shown, []).double_units == 4


def test_a_kit_sold_is_its_components_sold() -> None:
    kits = {"set": {"mug": 2}}
    made = Books({"mug": 10}, changes_of({"A": [sale(1, 2, "set")]}, []), kits)
    found = judge(made, {"mug": {1: 6}}, {"A": {"mug": 6, "set": 3}}, [])
    assert found == Verdict(0, 0, [])


def test_only_units_that_two_shops_sold_are_oversold() -> None:
    assert oversold(books([sale(1, 6)], [sale(2, 6)])) == 2
    assert oversold(books([sale(1, 6), sale(3, -6)], [sale(2, 4), sale(4, 6)])) == 0


def test_a_lag_lasts_until_a_write_whose_number_explains_the_sale() -> None:
    made = books([sale(1, 3, order="1"), sale(2, 1, order="2")], [])
    writes = {"B": [Shown(at(1.5), "mug", 10), Shown(at(3), "mug", 7), Shown(at(5), "mug", 6)]}
    assert lags_s(made, writes) == [2.0, 3.0]


def test_a_sale_undone_before_anything_was_written_has_no_lag() -> None:
    made = books([sale(1, 3), sale(2, -3), sale(3, 1, order="2")], [])
    assert lags_s(made, {"B": [Shown(at(4), "mug", 9)]}) == [1.0]


def test_what_a_shop_sold_itself_explains_its_number_without_a_write() -> None:
    made = books([sale(1, 3)], [sale(2, 2, order="9")])
    assert lags_s(made, {"B": [Shown(at(4), "mug", 5)]}) == [3.0]


def test_percentiles_of_nothing_are_zero() -> None:
    assert percentiles([]) == {"p50": 0.0, "p95": 0.0, "p99": 0.0, "max": 0.0}
