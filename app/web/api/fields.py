"""The kinds of value that the API takes and gives. Each says in its schema what it lets through."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from app.core.currencies import CURRENCIES
from app.ledger.models import QUANTITY_MAX
from app.web.api.cursor import CURSOR_MAX

ID_MAX = 2**63 - 1
LIMIT_MAX = 200
LIMIT = 50
LINES_MAX = 500
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"
_MONEY = re.compile(r"[0-9]{1,12}(\.[0-9]{1,4})?")
_RATE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,8})?")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")


class In(BaseModel):
    """What a request says: only what is named, each value of exactly its type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Asked(BaseModel):
    """A query: the same, but everything in it is text."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Out(BaseModel):
    """What an answer says."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Empty(Asked):
    """A query that takes nothing."""


def _money(value: Any) -> Decimal:
    if not isinstance(value, str) or not _MONEY.fullmatch(value):
        raise ValueError('an amount as text, from 0 up, with at most four decimal places, such as "12.50"')
    return Decimal(value)


def _rate(value: Any) -> Decimal:
    if not isinstance(value, str) or not _RATE.fullmatch(value) or not Decimal(value):
        raise ValueError('a rate as text, above 0, with at most eight decimal places, such as "1.0824"')
    return Decimal(value)


def _instant(value: Any) -> datetime:
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise ValueError("an instant with its offset from UTC, such as 2026-11-23T12:00:00Z")
    try:
        instant = datetime.fromisoformat(value)
        in_bounds = EARLIEST <= instant < LATEST
    except (ValueError, OverflowError):
        in_bounds = False
    if not in_bounds:
        raise ValueError("an instant that exists, from 2000 to 2099")
    return instant.astimezone(UTC)


def _day(value: Any) -> date:
    try:
        day = date.fromisoformat(value if isinstance(value, str) and len(value) == 10 else "")
    except ValueError:
        day = date.min
    if not EARLIEST.date() <= day < LATEST.date():
        raise ValueError("a day that exists, such as 2026-11-23, from 2000 to 2099")
    return day


def _currency(code: str) -> str:
    if code not in CURRENCIES:
        raise ValueError("the ISO 4217 code of a currency, such as EUR")
    return code


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("no control characters or other characters that can't be seen")
    return text


def _whole(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]{1,19}", value):
        raise ValueError("a whole number")
    return value


def _yes_or_no(value: Any) -> Any:
    if isinstance(value, str):
        if value not in ("true", "false"):
            raise ValueError("true or false")
        return value == "true"
    return value


Id = Annotated[int, Field(ge=1, le=ID_MAX)]
Quantity = Annotated[int, Field(ge=1, le=QUANTITY_MAX)]
Money = Annotated[
    Decimal,
    BeforeValidator(_money),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,4})?$", "examples": ["12.50"]}),
]
Rate = Annotated[
    Decimal,
    BeforeValidator(_rate),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,8})?$", "examples": ["1.0824"]}),
]
Currency = Annotated[
    str, AfterValidator(_currency), WithJsonSchema({"type": "string", "enum": sorted(CURRENCIES), "examples": ["EUR"]})
]
Instant = Annotated[datetime, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Text = Annotated[str, Field(max_length=500, pattern=_NO_CONTROLS), AfterValidator(_printable)]
Name = Annotated[str, Field(min_length=1, max_length=500, pattern=_NO_CONTROLS), AfterValidator(_printable)]
Sku = Annotated[str, Field(min_length=1, max_length=200, pattern=_NO_CONTROLS), AfterValidator(_printable)]
Search = Annotated[str, Field(max_length=200, pattern=_NO_CONTROLS)]
# Of a query, whose values are text.
AskedId = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=ID_MAX)]
AskedFlag = Annotated[bool, BeforeValidator(_yes_or_no)]
# Of an answer: amounts may be negative, and are never in the scientific form.
Amount = Annotated[
    Decimal,
    PlainSerializer(lambda value: f"{value:f}", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}),
]


class Paged(Asked):
    """A query for one page of a list."""

    limit: Annotated[int, BeforeValidator(_whole), Field(ge=1, le=LIMIT_MAX)] = LIMIT
    cursor: Annotated[str, Field(max_length=CURSOR_MAX)] | None = None
