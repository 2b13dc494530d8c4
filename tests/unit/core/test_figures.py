"""A number that could mean two things is refused with words that say what to write instead."""

from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidInput
from app.core.figures import read_money, read_quantity


@pytest.mark.parametrize(
    ("text", "quantity", "money"),
    [
        ("1.234,50", "grouped", "grouped"),
        ("1,234", "fraction", "decimal_comma"),
        ("1,234,567", "grouped", "grouped"),
        ("1 234", "grouped", "grouped"),
        ("1\u202f234", "grouped", "grouped"),
        ("٣", "other_digits", "other_digits"),
        ("３", "other_digits", "other_digits"),
        ("½", "other_digits", "other_digits"),
        ("1e3", "exponent", "exponent"),
        ("1E+05", "exponent", "exponent"),
        ("1e999", "exponent", "exponent"),
        ("", "blank", "blank"),
        (" \u00a0", "blank", "blank"),
        ("N/A", "not_given", "not_given"),
        ("NaN", "not_given", "not_given"),
        ("-", "not_given", "not_given"),
        ("Infinity", "not_given", "not_given"),
        ("twelve", "not_a_number", "not_a_number"),
        ("0x10", "not_a_number", "not_a_number"),
        ("1_000", "not_a_number", "not_a_number"),
        ("+5", "not_a_number", "not_a_number"),
        ("=1+1", "not_a_number", "not_a_number"),
        ("€5", "not_a_number", "currency_sign"),
        ("-5", "too_small", "too_small"),
        ("9" * 5_000, "too_large", "too_large"),
        ("1000000001", "too_large", "too_large"),
    ],
)
def test_a_number_in_doubt_is_refused_with_its_reason_40(text: str, quantity: str, money: str) -> None:
    for read, reason in ((read_quantity, quantity), (read_money, money)):
        with pytest.raises(InvalidInput) as caught:
            read(text)
        assert caught.value.reason == reason
        assert caught.value.detail
        assert not text.strip() or text not in caught.value.detail or text == "-"


def test_a_fraction_of_a_unit_is_refused_and_of_money_is_not() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_quantity("1.5")
    assert caught.value.reason == "fraction"
    assert read_money("1.5") == Decimal("1.5")


def test_money_with_more_decimals_than_we_keep_is_refused_and_never_rounded_53() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_money("1.00000000000000000001")
    assert caught.value.reason == "too_precise"


def test_limits_are_inclusive_and_a_negative_number_may_be_allowed() -> None:
    assert read_quantity("1000000000") == 1_000_000_000
    assert read_quantity("-5", minimum=-10) == -5
    with pytest.raises(InvalidInput):
        read_quantity("-11", minimum=-10)


@given(st.integers(min_value=0, max_value=1_000_000_000))
def test_every_plain_integer_is_read_as_itself(number: int) -> None:
    assert read_quantity(f" {number} ") == number


@given(st.decimals(min_value=0, max_value=1_000_000_000, places=4))
def test_every_plain_amount_is_read_as_itself(amount: Decimal) -> None:
    assert read_money(format(amount, "f")) == amount


@given(st.text(max_size=30))
def test_any_text_at_all_is_a_number_or_a_reason(text: str) -> None:
    for read in (read_quantity, read_money):
        with contextlib.suppress(InvalidInput):
            assert read(text) >= 0
