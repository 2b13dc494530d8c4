"""A benchmark that is also a proof says no by its exit code."""

from __future__ import annotations

from typing import Any

import pytest

from bench import is_no


@pytest.mark.parametrize(
    ("figures", "no"),
    [
        ({"lost": 0, "doubled": 0, "verify": "ok", "kills": 10}, False),
        ({"hot_units_lost": 0, "numbers_that_differ": 0, "ratio_to_limit": 0.3}, False),
        ({"lost": 1}, True),
        ({"doubled": 1}, True),
        ({"hot_units_lost": 1}, True),
        ({"numbers_that_differ": 1}, True),
        ({"verify": "a level is not the sum of its movements"}, True),
    ],
)
def test_a_unit_that_is_lost_or_a_number_that_differs_is_a_no(figures: dict[str, Any], no: bool) -> None:
    assert is_no(figures) is no
