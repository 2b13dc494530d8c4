"""Stock: levels, movements, and what a program may post: adjustments, receipts, transfers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from app.catalog.items import list_kits
from app.core.db import Session
from app.core.errors import InvalidInput, NotFound
from app.insight.history import HistoryFilter, Told, list_history
from app.insight.stock import Stock, list_stock, list_stock_at
from app.ledger.as_of import PastStock, Places, quantities_as_of
from app.ledger.by_hand import Fact, Foreign, Line, adjust_stock, receive_stock, transfer_stock
from app.ledger.models import QUANTITY_MAX, Posted
from app.ledger.period import end_of_day, get_merchant
from app.web.api.call import Call, Reply
from app.web.api.fields import (
    LINES_MAX,
    Amount,
    AskedId,
    Currency,
    Day,
    Id,
    In,
    Instant,
    Money,
    Out,
    Paged,
    Quantity,
    Rate,
    Sku,
    Text,
)
from app.web.api.lines import find_ids
from app.web.api.route import Route
from app.web.api.table import serves

SOURCE = "api"  # of movements that a program posts


class StockAsked(Paged):
    """Of one item, at one place, or all."""

    item_id: AskedId | None = None
    location_id: AskedId | None = None


class StockOut(Out):
    """Units of an item at a place. `on_hand` is what lies there: all but `in_transit`, which is on its way there."""

    item_id: int
    sku: str
    location_id: int
    available: int
    committed: int
    damaged: int
    quarantined: int
    in_transit: int
    on_hand: int


class LevelsAsked(StockAsked):
    """Now, or at the end of which day by when things happened, and as it was known at which instant."""

    as_of: Day | None = None
    known_at: Instant | None = None


class StocksOut(Out):
    """A page of levels."""

    data: list[StockOut]
    next_cursor: str | None


class MovementsAsked(StockAsked):
    """Since and until are of when it happened; until is the first instant that is out."""

    source: Annotated[str, StringConstraints(pattern=r"^[a-z_ ]{1,40}$")] | None = None
    since: Instant | None = None
    until: Instant | None = None


class PurchaseOut(Out):
    """What was paid for received goods in another currency, and how much of the merchant's own one of it was."""

    amount: Amount
    currency: str
    rate: Amount
    rate_on: date


class MovementOut(Out):
    """Units that went from one state to another; nothing else changes stock. `purchase` is null for a key without
    `reports:read`."""

    movement_id: int
    item_id: int
    sku: str
    quantity: int
    from_state: str
    from_location_id: int | None
    to_state: str
    to_location_id: int | None
    source: str
    source_key: str
    reason: str | None
    reverses_movement_id: int | None
    occurred_at: datetime
    posted_on: date
    recorded_at: datetime
    purchase: PurchaseOut | None = None


class MovementsOut(Out):
    """A page of movements, newest first."""

    data: list[MovementOut]
    next_cursor: str | None


class _Done(In):
    """What was done: when (now, if it is not said) and why."""

    occurred_at: Instant | None = None
    reason: Text | None = None


class AdjustmentLine(In):
    """Units found (positive) or lost (negative)."""

    sku: Sku
    change: Annotated[int, Field(ge=-QUANTITY_MAX, le=QUANTITY_MAX)]


class AdjustmentIn(_Done):
    """Differences found at a place."""

    location_id: Id
    lines: Annotated[list[AdjustmentLine], Field(min_length=1, max_length=LINES_MAX)]


class ReceiptLine(In):
    """Units that came in; without a cost it is not known yet."""

    sku: Sku
    quantity: Quantity
    unit_cost: Money | None = None


class ReceiptIn(_Done):
    """Goods from a supplier. Costs are in `currency`, the merchant's if none is said; in another one they need `rate`,
    how much of the merchant's one of it was, and the day of that rate."""

    location_id: Id
    currency: Currency | None = None
    rate: Rate | None = None
    rate_on: Day | None = None
    lines: Annotated[list[ReceiptLine], Field(min_length=1, max_length=LINES_MAX)]


class TransferLine(In):
    """Units that were moved."""

    sku: Sku
    quantity: Quantity


class TransferIn(_Done):
    """Goods from one place to another."""

    from_location_id: Id
    to_location_id: Id
    lines: Annotated[list[TransferLine], Field(min_length=1, max_length=LINES_MAX)]


class PostedOut(Out):
    """The movements, in the order of the lines, and what there is now of each item at each place they touched."""

    movement_ids: list[int]
    stock: list[StockOut]


@serves(Route("GET", "/stock", StocksOut, "Levels: units of each item at each place, now or as of a day", "stock:read",
              query=LevelsAsked))  # fmt: skip
def list_levels(call: Call) -> StocksOut:
    """A page of levels."""
    asked: LevelsAsked = call.query
    item, place = call.position() or (0, 0)
    rows = _levels(call.session, asked, (item, place))
    page = rows[: asked.limit]
    following = call.next_cursor(rows, [page[-1].item_id, page[-1].location_id] if page else None)
    return StocksOut(data=[StockOut.model_validate(row) for row in page], next_cursor=following)


def _levels(session: Session, asked: LevelsAsked, after: tuple[int, int]) -> Sequence[Stock | PastStock]:
    """One more than the page has."""
    limit = asked.limit + 1
    if asked.as_of is None and asked.known_at is None:
        return list_stock(session, item_id=asked.item_id, location_id=asked.location_id, after=after, limit=limit)
    zone = get_merchant(session).time_zone
    day = asked.as_of or session.now.astimezone(zone).date()
    places = Places(asked.item_id, asked.location_id, after)
    return quantities_as_of(session, end_of_day(day, zone), places, known_at=asked.known_at, limit=limit)


@serves(Route("GET", "/movements", MovementsOut, "Movements, newest first", "stock:read", query=MovementsAsked))
def list_movements(call: Call) -> MovementsOut:
    """A page of movements."""
    asked: MovementsAsked = call.query
    wanted = HistoryFilter(
        item_id=asked.item_id, location_id=asked.location_id, source=asked.source, since=asked.since, until=asked.until
    )
    rows = list_history(call.session, wanted, before=call.position(), limit=asked.limit + 1)
    page = rows[: asked.limit]
    following = call.next_cursor(rows, page[-1].movement_id if page else None)
    return MovementsOut(data=[_shown(call, row) for row in page], next_cursor=following)


@serves(Route("GET", "/movements/{movement_id}", MovementOut, "One movement", "stock:read"))
def get_movement(call: Call) -> MovementOut:
    """One movement."""
    rows = list_history(call.session, HistoryFilter(movement_id=call.path["movement_id"]), before=None, limit=1)
    if not rows:
        raise NotFound("unknown_movement", "no such movement")
    return _shown(call, rows[0])


def _shown(call: Call, row: Told) -> MovementOut:
    """A till's key that reads stock learns no costs."""
    shown = MovementOut.model_validate(row)
    return shown if call.sees_costs() else shown.model_copy(update={"purchase": None})


@serves(Route("POST", "/adjustments", PostedOut, "Post differences that were found", "stock:write", body=AdjustmentIn,
              status=201, refuses=(404,)))  # fmt: skip
def adjust(call: Call) -> Reply:
    """Units found or lost; refused where stock would become negative."""
    told: AdjustmentIn = call.body
    for number, line in enumerate(told.lines):
        if line.change == 0:
            raise InvalidInput("invalid", "units found or lost, not 0", where=f"lines.{number}.change")
    ids = _stocked(call.session, [line.sku for line in told.lines])
    lines = [Line(ids[line.sku], line.change) for line in told.lines]
    posted = adjust_stock(call.session, _fact(call), told.location_id, lines)
    return _reply(call, posted, lines, [told.location_id])


@serves(Route("POST", "/receipts", PostedOut, "Receive goods", "stock:write", body=ReceiptIn, status=201,
              refuses=(404,)))  # fmt: skip
def receive(call: Call) -> Reply:
    """Goods from a supplier, at cost."""
    told: ReceiptIn = call.body
    paid_in = _paid_in(call.session, told)
    ids = _stocked(call.session, [line.sku for line in told.lines])
    lines = [Line(ids[line.sku], line.quantity, line.unit_cost) for line in told.lines]
    posted = receive_stock(call.session, _fact(call), told.location_id, lines, paid_in)
    return _reply(call, posted, lines, [told.location_id])


@serves(Route("POST", "/transfers", PostedOut, "Move goods to another place", "stock:write", body=TransferIn,
              status=201, refuses=(404,)))  # fmt: skip
def transfer(call: Call) -> Reply:
    """Goods from one place to another; refused where stock would become negative."""
    told: TransferIn = call.body
    ids = _stocked(call.session, [line.sku for line in told.lines])
    lines = [Line(ids[line.sku], line.quantity) for line in told.lines]
    places = (told.from_location_id, told.to_location_id)
    return _reply(call, transfer_stock(call.session, _fact(call), places, lines), lines, places)


def _fact(call: Call) -> Fact:
    told: _Done = call.body
    return Fact(SOURCE, call.key, told.occurred_at or call.session.now, told.reason)


def _stocked(session: Session, skus: list[str]) -> dict[str, int]:
    """Ids of items that have stock of their own."""
    ids = find_ids(session, skus, "lines")
    kits = list_kits(session, list(ids.values()))
    for number, sku in enumerate(skus):
        if ids[sku] in kits:
            raise InvalidInput("kit_stock", "a kit has no stock of its own: name its components", f"lines.{number}.sku")
    return ids


def _paid_in(session: Session, told: ReceiptIn) -> Foreign | None:
    """The other currency that costs are in; None where they are in the merchant's."""
    own = get_merchant(session).currency
    if told.rate is None and told.rate_on is None and told.currency in (None, own):
        return None
    if told.currency is None:
        raise InvalidInput("missing", "which currency the rate is of", where="currency")
    if told.rate is None or told.rate_on is None:
        missing = "rate" if told.rate is None else "rate_on"
        raise InvalidInput(
            "other_currency", f"costs are kept in {own}: say the rate and its day as well", where=missing
        )
    return Foreign(told.currency, told.rate, told.rate_on)


def _reply(call: Call, posted: Posted, lines: list[Line], places: Any) -> Reply:
    ids = [posted.movement_ids[SOURCE, f"{call.key}/{number}"] for number in range(len(lines))]
    stock = list_stock_at(call.session, [(line.item_id, place) for line in lines for place in places])
    return Reply(PostedOut(movement_ids=ids, stock=[StockOut.model_validate(row) for row in stock]))
