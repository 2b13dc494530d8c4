"""What number a listing shows: the sum, less the buffer, within its bounds, never below nothing."""

from __future__ import annotations

import pytest

from app.publishing.plan import Rule, plan

A, B = 10, 20


@pytest.mark.parametrize(
    ("available", "rule", "target"),
    [
        ({A: 7}, Rule(), 7),
        ({A: 7, B: 3}, Rule(), 10),
        ({A: 7, B: -3}, Rule(), 4),
        ({A: -2}, Rule(), 0),
        ({A: 7}, Rule(buffer=2), 5),
        ({A: 1}, Rule(buffer=2), 0),
        ({A: 10}, Rule(buffer_percent=25), 7),
        ({A: 100}, Rule(buffer=5, buffer_percent=10), 85),
        ({A: 100}, Rule(shown_max=20), 20),
        ({A: 1}, Rule(shown_min=5), 5),
        ({}, Rule(), 0),
    ],
)
def test_the_target_is_the_sum_less_the_buffer_within_its_bounds(
    available: dict[int, int], rule: Rule, target: int
) -> None:
    assert plan(available, rule).target == target


@pytest.mark.parametrize(
    ("units", "shown", "target"),
    [(-2, -5, -5), (-9, -5, -5), (0, -1, -1), (1, -5, 1), (-2, 0, 0), (-2, 3, 0), (-2, None, 0)],
)
def test_a_number_below_zero_is_raised_only_where_something_can_be_sold(
    units: int, shown: int | None, target: int
) -> None:
    assert plan({A: units}, Rule(), shown).target == target


def test_a_number_below_zero_is_raised_to_what_is_shown_at_least() -> None:
    assert plan({A: -2}, Rule(shown_min=3), -5).target == 3


def test_every_step_of_a_plan_is_a_reason_with_the_number_after_it() -> None:
    assert plan({A: 50}, Rule(buffer=3, shown_max=20)).reasons == (("available", 50), ("buffer", 47), ("at most", 20))
