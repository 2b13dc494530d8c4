"""Merchants: whose stock it is, in which currency, valued how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import available_timezones

from app.core.currencies import check_currency
from app.core.db import ConstraintViolated, Database
from app.core.errors import Conflict, InvalidInput, NotFound

NAME_MAX = 200


@dataclass(frozen=True, slots=True)
class MerchantRow:
    """A merchant as listed."""

    merchant_id: int
    name: str
    currency: str
    cost_method: str
    time_zone: str


def create_merchant(
    database: Database,
    now: datetime,
    *,
    name: str,
    currency: str = "USD",
    cost_method: str = "fifo",
    time_zone: str = "UTC",
) -> int:
    """A new merchant; returns its id. Raises InvalidInput, and Conflict when the name is taken."""
    _check(name, currency, cost_method, time_zone)
    with database.across(now) as session:
        merchant_id: int = session.value("select nextval('merchant_seq')")
    try:
        with database.begin(merchant_id, now) as session:
            session.run(
                """insert into merchant (merchant_id, name, currency, cost_method, time_zone, created_at)
                   values (%(merchant_id)s, %(name)s, %(currency)s, %(cost_method)s, %(time_zone)s, %(now)s)""",
                name=name, currency=currency, cost_method=cost_method, time_zone=time_zone, now=now,
            )  # fmt: skip
    except ConstraintViolated as error:
        raise Conflict("name_taken", "a merchant of that name exists") from error
    return merchant_id


def list_merchants(database: Database, now: datetime) -> Sequence[MerchantRow]:
    """All merchants, oldest first."""
    with database.across(now) as session:
        rows = session.rows("select merchant_id, name, currency, cost_method, time_zone from list_merchants()")
    return [MerchantRow(*row) for row in rows]


def get_merchant(database: Database, now: datetime, name: str | None) -> MerchantRow:
    """The merchant of that name; without a name the only one. Raises NotFound or InvalidInput saying which to give."""
    merchants = list_merchants(database, now)
    if name is None:
        if len(merchants) == 1:
            return merchants[0]
        raise InvalidInput(
            "which_merchant",
            "there are several merchants: name one with --merchant" if merchants else "no merchant yet",
        )
    for merchant in merchants:
        if merchant.name == name:
            return merchant
    raise NotFound("unknown_merchant", "no such merchant")


def _check(name: str, currency: str, cost_method: str, time_zone: str) -> None:
    if not 1 <= len(name) <= NAME_MAX:
        raise InvalidInput("bad_name", f"1 to {NAME_MAX} characters", where="name")
    check_currency(currency)
    if cost_method not in ("fifo", "average"):
        raise InvalidInput("bad_cost_method", "fifo or average", where="cost_method")
    if time_zone not in available_timezones():
        raise InvalidInput("bad_time_zone", "an IANA name such as Europe/London", where="time_zone")
