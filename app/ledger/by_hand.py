"""What a person or a program books: counted differences, goods received, goods moved between places, late cost.

They are refused where stock would become negative: unlike a channel's order, what they speak of has not happened yet or
was miscounted. Each fact has a key, so that sent twice it is posted once, however much later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from app.accounts import audit
from app.core.db import Session
from app.core.errors import Conflict, InvalidInput
from app.ledger.adjust import adjust
from app.ledger.models import MONEY_MAX, Adjustment, Movement, Posted, Purchase, State
from app.ledger.period import get_merchant
from app.ledger.post import post

FUTURE_MAX = timedelta(minutes=5)  # by which another machine's clock may be ahead


@dataclass(frozen=True, slots=True)
class Fact:
    """What all lines of one thing done share: by whom (`source`), under which key, when, why."""

    source: str
    key: str
    occurred_at: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """Units of an item; `unit_cost` where they come in and it is known."""

    item_id: int
    quantity: int
    unit_cost: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Foreign:
    """Another currency that goods were paid in, and how much of the merchant's own one of it was on which day."""

    currency: str
    rate: Decimal
    rate_on: date


def adjust_stock(session: Session, fact: Fact, location_id: int, lines: Sequence[Line]) -> Posted:
    """Units found (positive) or lost (negative) at a place."""
    found = (State.SHRINKAGE, None, State.AVAILABLE, location_id)
    lost = (State.AVAILABLE, location_id, State.SHRINKAGE, None)
    return _post(session, fact, [(line, found if line.quantity > 0 else lost) for line in lines])


def receive_stock(
    session: Session, fact: Fact, location_id: int, lines: Sequence[Line], paid_in: Foreign | None = None
) -> Posted:
    """Goods that came from a supplier, at cost; a cost that is not known yet is adjusted when the bill comes.
    `paid_in`: the currency of the lines' costs, if it is not the merchant's."""
    if paid_in is not None and paid_in.currency == get_merchant(session).currency:
        raise InvalidInput("own_currency", "costs in the merchant's own currency have no rate", where="rate")
    way = (State.SUPPLIER, None, State.AVAILABLE, location_id)
    return _post(session, fact, [(line, way) for line in lines], paid_in)


def transfer_stock(session: Session, fact: Fact, places: tuple[int, int], lines: Sequence[Line]) -> Posted:
    """Goods that are at another place now; `places`: from, to."""
    origin, target = places
    if origin == target:
        raise InvalidInput("same_place", "choose two places", where="to_location_id")
    return _post(session, fact, [(line, (State.AVAILABLE, origin, State.AVAILABLE, target)) for line in lines])


def add_cost(session: Session, late: Adjustment) -> bool:
    """Cost of a receipt that came after its goods; False when it was booked before. A credit is negative."""
    _refuse_future(session, late.occurred_at)
    is_new = adjust(session, [late]) > 0
    if is_new:
        told = {"amount": str(late.amount), "account": str(late.account), "key": late.source_key}
        audit.note(session, None, "cost.added", f"movement {late.movement_id}", after=told)
    return is_new


def _refuse_future(session: Session, occurred_at: datetime) -> None:
    if occurred_at > session.now + FUTURE_MAX:
        raise InvalidInput("in_the_future", "it can't have happened yet", where="occurred_at")


_Way = tuple[State, int | None, State, int | None]


def _post(session: Session, fact: Fact, lines: Sequence[tuple[Line, _Way]], paid_in: Foreign | None = None) -> Posted:
    _refuse_future(session, fact.occurred_at)
    movements = []
    for number, (line, way) in enumerate(lines):
        amount = _amount(line, number, paid_in)
        paid = None
        if amount is not None and paid_in is not None:
            paid = Purchase(amount, paid_in.currency, paid_in.rate, paid_in.rate_on)
        movements.append(Movement(
            line.item_id, abs(line.quantity), way[0], way[2], fact.source, f"{fact.key}/{number}", fact.occurred_at,
            from_location_id=way[1], to_location_id=way[3], value=amount if paid is None else paid.value,
            reason=fact.reason, purchase=paid,
        ))  # fmt: skip
    posted = post(session, movements, forbid_negative=True)
    if posted.repeated < len(movements):
        _refuse_unused(session, [m.to_location_id for m in movements if m.to_location_id is not None])
    return posted


def _refuse_unused(session: Session, places: Sequence[int]) -> None:
    if session.value(
        """select exists (select from location where merchant_id = %(merchant_id)s
           and location_id = any(%(places)s::bigint[]) and not active)""",
        places=list(places),
    ):
        raise Conflict("location_not_in_use", "nothing comes to a location that is not in use: activate it first")


def _amount(line: Line, number: int, paid_in: Foreign | None) -> Decimal | None:
    """What all units of a line cost, in the currency that was paid. Raises InvalidInput for more than can be kept."""
    if line.unit_cost is None:
        return None
    amount = line.unit_cost * line.quantity
    if max(amount, amount * (paid_in.rate if paid_in else 1)) > MONEY_MAX:
        raise InvalidInput(
            "too_large", "the units together are worth more than can be kept", f"lines.{number}.unit_cost"
        )
    return amount
