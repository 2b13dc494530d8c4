"""Currencies: those that exist, by their codes."""

from __future__ import annotations

import pytest

from app.core.currencies import CURRENCIES, check_currency, known_or_dollar
from app.core.errors import InvalidInput


@pytest.mark.parametrize("code", ["USD", "EUR", "GBP", "JPY", "BHD", "XOF", "XCG", "SLE", "ZWG", "JEP"])
def test_a_currency_that_somebody_pays_with_is_one(code: str) -> None:
    check_currency(code)


@pytest.mark.parametrize("code", ["ZZZ", "XTS", "XAU", "DEM", "usd", "US", "USDC", "", "١٢٣", "USD\n"])
def test_what_is_no_currency_is_refused_by_its_field_row_53(code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_currency(code)
    assert (refused.value.reason, refused.value.where) == ("bad_currency", "currency")


def test_every_code_is_three_capitals() -> None:
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in CURRENCIES)
    assert len(CURRENCIES) == 160


def test_a_shop_whose_currency_is_none_is_not_kept_from_being_connected() -> None:
    assert [known_or_dollar(code) for code in ("EUR", "HRK", "USDC", "")] == ["EUR", "USD", "USD", "USD"]
