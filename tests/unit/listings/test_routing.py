"""Where an order that says no place goes: priority among those that have enough, never the same unit twice."""

from __future__ import annotations

from app.listings.routing import choose_place

A, B, C = 10, 20, 30


def test_the_first_place_by_priority_that_has_enough_serves() -> None:
    assert choose_place({1: 3}, [A, B, C], {(1, A): 2, (1, B): 3, (1, C): 9}) == B


def test_when_no_place_has_enough_the_one_with_most_serves() -> None:
    assert choose_place({1: 5}, [A, B, C], {(1, A): 1, (1, B): 4, (1, C): 4}) == B


def test_when_nobody_has_any_the_first_place_owes_it() -> None:
    assert choose_place({1: 1}, [A, B], {(1, A): -3}) == A


def test_one_batch_does_not_promise_the_same_unit_twice() -> None:
    available = {(1, A): 1, (1, B): 1}
    assert [choose_place({1: 1}, [A, B], available) for _ in range(3)] == [A, B, A]


def test_a_kit_goes_where_all_of_its_components_are() -> None:
    assert choose_place({1: 1, 2: 2}, [A, B], {(1, A): 1, (2, A): 1, (1, B): 1, (2, B): 2}) == B
