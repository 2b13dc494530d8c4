"""Numbers that people and spreadsheets write, read strictly: what could mean two things is refused with plain words.

`1.234,50` is twelve hundred to one reader and nonsense to another, `1e3` and `٣` are a spreadsheet's or a keyboard's
idea; stock and money are worth a question. Quantities are integers in the base unit, money is `Decimal`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TypeVar

from app.core.errors import InvalidInput

QUANTITY_MAX = 1_000_000_000
MONEY_MAX = Decimal(1_000_000_000)
MONEY_DECIMALS_MAX = 4

Number = TypeVar("Number", int, Decimal)

_INTEGER = re.compile(r"-?[0-9]{1,15}")
_MONEY = re.compile(r"-?[0-9]{1,15}(\.[0-9]+)?")
_NOT_GIVEN = frozenset({"n/a", "na", "nan", "#n/a", "null", "none", "-", "–", "—", "?", "tbd", "inf", "infinity"})


def read_quantity(text: str, *, minimum: int = 0, maximum: int = QUANTITY_MAX) -> int:
    """Whole units. `InvalidInput`: `blank`, `not_given`, `exponent`, `other_digits`, `fraction`, `grouped`,
    `not_a_number`, `too_small`, `too_large`."""
    written = _plain(text)
    if not _INTEGER.fullmatch(written):
        raise _quantity_fault(written)
    return _within(int(written), minimum, maximum)


def read_money(text: str, *, minimum: Decimal = Decimal(0), maximum: Decimal = MONEY_MAX) -> Decimal:
    """An amount with a point before at most four decimals. `InvalidInput` as for quantities, `too_precise` instead of
    `fraction`."""
    written = _plain(text)
    if not _MONEY.fullmatch(written):
        raise _money_fault(written)
    if len(written.partition(".")[2]) > MONEY_DECIMALS_MAX:
        raise InvalidInput("too_precise", f"use at most {MONEY_DECIMALS_MAX} decimals")
    return _within(Decimal(written), minimum, maximum)


def _plain(text: str) -> str:
    """The text without outer space; what is no number in any notation is refused here."""
    written = text.strip()
    if not written:
        raise InvalidInput("blank", "a number is missing; write 0 if you mean none")
    if written.casefold() in _NOT_GIVEN:
        raise InvalidInput("not_given", "this is not a number; write 0 if you mean none")
    if any(char.isnumeric() and not char.isascii() for char in written):
        raise InvalidInput("other_digits", "write the number with the digits 0 to 9")
    if re.fullmatch(r"[+-]?[0-9.,]+[eE][+-]?[0-9]+", written):
        raise InvalidInput("exponent", "write the number in full: a spreadsheet shortened it, as 1E3 for 1000")
    return written


def _quantity_fault(written: str) -> InvalidInput:
    if re.fullmatch(r"-?[0-9]+[.,][0-9]+", written):
        return InvalidInput("fraction", "write whole units, without a point or a comma")
    if re.fullmatch(r"-?[0-9]+([.,'\s][0-9]+)+", written):
        return InvalidInput("grouped", "write the number without separators: 1234")
    return _not_a_number(written, "write whole units, such as 12")


def _money_fault(written: str) -> InvalidInput:
    if re.fullmatch(r"-?[0-9]+,[0-9]+", written):
        return InvalidInput("decimal_comma", "write decimals with a point and nothing between thousands: 1234.50")
    if re.fullmatch(r"-?[0-9]+([.,'\s][0-9]+)+", written):
        return InvalidInput("grouped", "write the amount without separators between thousands: 1234.50")
    if any(char in "$€£¥₹﷼" for char in written):
        return InvalidInput("currency_sign", "write the amount alone, without a currency: 1234.50")
    return _not_a_number(written, "write an amount such as 12.50")


def _not_a_number(written: str, example: str) -> InvalidInput:
    if re.fullmatch(r"-?[0-9]{16,}(\.[0-9]*)?", written):
        return InvalidInput("too_large", "the number is too large")
    return InvalidInput("not_a_number", example)


def _within(value: Number, minimum: Number, maximum: Number) -> Number:
    if value < minimum:
        detail = "the number must not be negative" if minimum == 0 else f"the number must be at least {minimum}"
        raise InvalidInput("too_small", detail)
    if value > maximum:
        raise InvalidInput("too_large", f"the number must be at most {maximum}")
    return value
