"""What a shop can mean: amounts and dates beyond are faults of its document, and would fail later, where they can be
kept or reckoned with no more."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

YEARS = range(1970, 2200)
DIGITS_MAX = 12  # of an amount, before the point
DECIMALS_MAX = 20  # places after which nothing follows


def instant(at: datetime) -> datetime | None:
    """The same in UTC; None for a year that nothing happens in."""
    if at.year not in YEARS:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def is_amount(value: Decimal) -> bool:
    """Whether somebody can mean so much money, or so little."""
    return value.is_finite() and (value == 0 or -DECIMALS_MAX < value.adjusted() < DIGITS_MAX)
