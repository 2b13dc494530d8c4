"""What a person or a program books: counted differences, goods received, goods moved between places, late cost.

They are refused where stock would become negative: unlike a channel's order, what they speak of has not happened yet or
was miscounted. Each fact has a key, so that sent twice it is posted once, however much later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from app.accounts import audit
from app.core.db import Session
from app.core.errors import InvalidInput
from app.ledger.adjust import adjust
from app.ledger.models import MONEY_MAX, Adjustment, Movement, Posted, State
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


def adjust_stock(session: Session, fact: Fact, location_id: int, lines: Sequence[Line]) -> Posted:
    """Units found (positive) or lost (negative) at a place."""
    found = (State.SHRINKAGE, None, State.AVAILABLE, location_id)
    lost = (State.AVAILABLE, location_id, State.SHRINKAGE, None)
    return _post(session, fact, [(line, found if line.quantity > 0 else lost) for line in lines])


def receive_stock(session: Session, fact: Fact, location_id: int, lines: Sequence[Line]) -> Posted:
    """Goods that came from a supplier, at cost; a cost that is not known yet is adjusted when the bill comes."""
    return _post(session, fact, [(line, (State.SUPPLIER, None, State.AVAILABLE, location_id)) for line in lines])


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


def _post(session: Session, fact: Fact, lines: Sequence[tuple[Line, _Way]]) -> Posted:
    _refuse_future(session, fact.occurred_at)
    movements = [
        Movement(
            line.item_id, abs(line.quantity), way[0], way[2], fact.source, f"{fact.key}/{number}", fact.occurred_at,
            from_location_id=way[1], to_location_id=way[3], value=_value(line, number), reason=fact.reason,
        )
        for number, (line, way) in enumerate(lines)
    ]  # fmt: skip
    return post(session, movements, forbid_negative=True)


def _value(line: Line, number: int) -> Decimal | None:
    if line.unit_cost is None:
        return None
    value = line.unit_cost * line.quantity
    if value > MONEY_MAX:
        raise InvalidInput(
            "too_large", "the units together are worth more than can be kept", f"lines.{number}.unit_cost"
        )
    return value
