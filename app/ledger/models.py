"""What the ledger is made of: states, movements to post, and what it refuses.

One merchant's stock is a set of disjoint states per item; a movement takes a positive whole quantity from one state to
another. Nothing else changes stock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum

from app.core.currencies import check_currency
from app.core.errors import Conflict, InvalidInput
from app.core.record import record

QUANTITY_MAX = 1_000_000_000_000
MONEY_PLACES = Decimal("0.0001")
MONEY_MAX = Decimal("99999999999999")
RATE_PLACES = Decimal("0.00000001")
RATE_MAX = Decimal("999999999")
BATCH_MAX = 5_000  # movements in one posting


class State(StrEnum):
    """Where units are. The first five are owned and have value; the last five are the outside world."""

    AVAILABLE = "available"
    COMMITTED = "committed"
    DAMAGED = "damaged"
    QUARANTINED = "quarantined"
    IN_TRANSIT = "in_transit"
    SUPPLIER = "supplier"
    CUSTOMER = "customer"
    SHRINKAGE = "shrinkage"
    OPENING = "opening"
    ASSEMBLY = "assembly"


OWNED = (State.AVAILABLE, State.COMMITTED, State.DAMAGED, State.QUARANTINED, State.IN_TRANSIT)
OWNED_SET = frozenset(OWNED)


class Account(StrEnum):
    """The accounts that postings use; what they are called in a merchant's books is the export's business."""

    INVENTORY = "inventory"
    GOODS_RECEIVED = "goods_received_not_invoiced"
    COGS = "cost_of_goods_sold"
    SHRINKAGE = "shrinkage"
    WRITE_OFF = "write_off"
    OPENING = "opening_balance"
    ASSEMBLY = "assembly_clearing"
    PRICE_VARIANCE = "purchase_price_variance"
    LANDED_COST = "landed_cost_clearing"


class CostMethod(StrEnum):
    """How an issue is valued: the oldest layers, or the perpetual moving average. Per merchant."""

    FIFO = "fifo"
    AVERAGE = "average"


@record
class Purchase:
    """What was paid for received goods in another currency: `amount` for all units; `rate`, of the day `rate_on`, says
    how much of the merchant's currency one of `currency` was."""

    amount: Decimal
    currency: str
    rate: Decimal
    rate_on: date

    @property
    def value(self) -> Decimal:
        """In the merchant's currency, rounded half-even once."""
        return (self.amount * self.rate).quantize(MONEY_PLACES, ROUND_HALF_EVEN)


@record
class Movement:
    """A movement to post.

    `from_location_id` and `to_location_id` are set exactly where the state is at a place (for in_transit: the place it
    is bound for). `source` and `source_key` name the fact once and for ever: the same key with the same content again
    is a success that does nothing. `value` is the total cost that comes in with the goods (receipt, opening), in the
    merchant's currency; None means unknown: booked at 0 and marked provisional. `reverses_movement_id` names the issue
    that a return undoes; it comes back at that cost; or the opening that was a mistake and leaves again whole, `value`
    being what it was booked at; `reverses_key` names one earlier in the same batch by its
    source_key. `assembly` joins the components and the product of one assembly. `purchase` is kept as it was paid and
    says the value of a receipt: give the one that follows from it.
    """

    item_id: int
    quantity: int
    from_state: State
    to_state: State
    source: str
    source_key: str
    occurred_at: datetime
    from_location_id: int | None = None
    to_location_id: int | None = None
    value: Decimal | None = None
    reason: str | None = None
    reverses_movement_id: int | None = None
    reverses_key: str | None = None
    assembly: str | None = None
    purchase: Purchase | None = None


@dataclass(frozen=True, slots=True)
class Posted:
    """What a posting did: the ids of new movements by their (source, source_key), and how many were there already."""

    movement_ids: dict[tuple[str, str], int]
    repeated: int


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Cost that arrives after its goods. `amount` may be negative; `account` is credited for a positive one."""

    movement_id: int
    amount: Decimal
    account: Account
    source: str
    source_key: str
    occurred_at: datetime


class MissingRows(Exception):
    """A row to lock is not there yet: give the locks back, insert it, begin again."""


class KeyConflict(Conflict):
    """The same key was posted before with other content."""

    def __init__(self, source: str, source_key: str) -> None:
        super().__init__("key_conflict", f"{source} {source_key} was posted before with other content")


class InsufficientStock(Conflict):
    """A movement by hand would make stock negative; `available` is what is there."""

    def __init__(self, item_id: int, location_id: int, available: int) -> None:
        super().__init__(
            "insufficient_stock", f"only {available} available", where=f"item {item_id}, location {location_id}"
        )
        self.available = available
        self.more = {"item_id": item_id, "location_id": location_id, "available": available}


class ReturnExceedsIssue(Conflict):
    """More comes back than went out."""

    def __init__(self, movement_id: int) -> None:
        super().__init__("return_exceeds_issue", f"more is returned than movement {movement_id} issued")


class ReceiptUsed(Conflict):
    """What came in is not all there any more, or is worth something else by now."""

    def __init__(self, movement_id: int) -> None:
        super().__init__(
            "receipt_used", f"some of what movement {movement_id} brought is gone, or its cost was changed"
        )


class PeriodClosed(Conflict):
    """The accounting month is closed."""


def check_movement(movement: Movement, now: datetime) -> None:
    """Refuse what can't be a movement; raises InvalidInput naming the field. The database's checks stand behind it."""
    if not 0 < movement.quantity <= QUANTITY_MAX:
        raise InvalidInput("bad_quantity", f"a whole number from 1 to {QUANTITY_MAX}", where="quantity")
    for state, place, field in (
        (movement.from_state, movement.from_location_id, "from_location_id"),
        (movement.to_state, movement.to_location_id, "to_location_id"),
    ):
        if (state in OWNED_SET) != (place is not None):
            raise InvalidInput(
                "bad_place", f"{state} is {'at' if state in OWNED_SET else 'not at'} a location", where=field
            )
    if movement.value is not None:
        check_money(movement.value)
    if movement.occurred_at.tzinfo is None:
        raise InvalidInput("bad_instant", "an instant needs its offset from UTC", where="occurred_at")
    if movement.purchase is not None:
        _check_purchase(movement, movement.purchase, now.date())


def _check_purchase(movement: Movement, paid: Purchase, today: date) -> None:
    check_money(paid.amount)
    check_currency(paid.currency)
    if not (paid.rate.is_finite() and 0 < paid.rate <= RATE_MAX and paid.rate == paid.rate.quantize(RATE_PLACES)):
        raise InvalidInput("bad_rate", "above 0, with at most eight decimal places", where="rate")
    if paid.rate_on > today + timedelta(days=1):  # somewhere it is tomorrow already
        raise InvalidInput("in_the_future", "that day's rate is not known yet", where="rate_on")
    if movement.from_state is not State.SUPPLIER or movement.value != paid.value:
        raise InvalidInput("bad_purchase", "it is not what a supplier's goods are booked at", where="purchase")


def check_money(value: Decimal) -> None:
    """Refuse a negative, endless or finer than 0.0001 amount."""
    if not value.is_finite() or value < 0 or value > MONEY_MAX:
        raise InvalidInput("bad_amount", "an amount from 0 up", where="value")
    if value != value.quantize(MONEY_PLACES):
        raise InvalidInput("bad_amount", "at most four decimal places", where="value")
