"""Cost that arrives after its goods: a bill, freight, a credit note. A new dated entry, never a rewritten one.

The share of what is left goes to the stock, the rest to the cost of what was sold.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from app.core.db import ConstraintViolated, Row, Session
from app.core.errors import InvalidInput, Unavailable
from app.ledger import booking, period
from app.ledger.cost import Layer
from app.ledger.models import Adjustment, CostMethod, KeyConflict, MissingRows, check_money
from app.ledger.post import TRIES_MAX, take_ids

KEY_MAX = 200
_RECEIPTS = """
select movement_id, item_id, quantity from movement
where merchant_id = %(merchant_id)s and movement_id = any(%(ids)s)
  and from_state in ('supplier', 'opening', 'assembly') and to_location_id is not null
"""
# A receipt's layer has its id; with an average there is one layer, whoever made it.
_LAYERS = """
select item_id, layer_id, kind, received_at, posting_id, account, received_quantity, quantity, value from cost_layer
where merchant_id = %(merchant_id)s and item_id = any(%(items)s) and is_open and kind = 'stock'
  and (%(average)s or layer_id = any(%(ids)s))
order by item_id, received_at, layer_id
"""
_KNOWN = """
select source, source_key, movement_id, amount, account from cost_adjustment
join unnest(%(sources)s::text[], %(keys)s::text[]) k(source, source_key) using (source, source_key)
where merchant_id = %(merchant_id)s
"""
_INSERT = """
insert into cost_adjustment (merchant_id, posting_id, item_id, movement_id, amount, account, source, source_key,
                             occurred_at, posted_on, recorded_at)
select %(merchant_id)s, a.*, %(now)s
from unnest(%(ids)s::bigint[], %(items)s::bigint[], %(movements)s::bigint[], %(amounts)s::numeric[],
            %(accounts)s::text[], %(sources)s::text[], %(keys)s::text[], %(occurred)s::timestamptz[],
            %(posted)s::date[]) a
"""


def adjust(session: Session, adjustments: Sequence[Adjustment]) -> int:
    """Book late cost; returns how many were new. The same key again does nothing; with another amount KeyConflict.
    Raises InvalidInput when a movement named is not a receipt or an amount is none."""
    for adjustment in adjustments:
        _check(adjustment)
    fresh = _without_known(session, adjustments)
    for _ in range(TRIES_MAX):
        if not fresh:
            return 0
        try:
            with session.savepoint():
                _adjust_new(session, fresh)
            return len(fresh)
        except MissingRows:
            period.make_months(session, [a.occurred_at for a in fresh])
        except ConstraintViolated as error:
            if error.name != "cost_adjustment_source_key":
                raise
            fresh = _without_known(session, fresh)
    raise Unavailable("posting_contended", "others keep posting the same facts; try again")


def _check(adjustment: Adjustment) -> None:
    if not adjustment.amount.is_finite() or not adjustment.amount:
        raise InvalidInput("bad_amount", "an amount that is not 0", where="amount")
    check_money(abs(adjustment.amount))
    if not 1 <= len(adjustment.source_key) <= KEY_MAX or not adjustment.source_key.isprintable():
        raise InvalidInput("bad_key", f"1 to {KEY_MAX} characters that can be printed", where="key")


def _without_known(session: Session, adjustments: Sequence[Adjustment]) -> list[Adjustment]:
    wanted = {(a.source, a.source_key): a for a in adjustments}
    for row in session.rows(_KNOWN, sources=[s for s, _ in wanted], keys=[k for _, k in wanted]):
        known = wanted.pop((row.source, row.source_key))
        if tuple(row[2:]) != (known.movement_id, known.amount, known.account):
            raise KeyConflict(row.source, row.source_key)
    return list(wanted.values())


def _adjust_new(session: Session, adjustments: Sequence[Adjustment]) -> None:
    occurred = [a.occurred_at for a in adjustments]
    with session.pipeline() as line:
        merchant, posted_on = period.days(line, period.ask(line, occurred), occurred)
    receipts = {row.movement_id: row for row in session.rows(_RECEIPTS, ids=[a.movement_id for a in adjustments])}
    missing = {a.movement_id for a in adjustments} - receipts.keys()
    if missing:
        raise InvalidInput("unknown_receipt", f"movement {min(missing)} is not a receipt", where="movement_id")
    books = _open(session, receipts, merchant.cost_method)
    ids = take_ids(session, len(adjustments))
    for posting_id, a in zip(ids, adjustments, strict=True):
        receipt = receipts[a.movement_id]
        books.by_item[receipt.item_id].adjust(posting_id, a.movement_id, receipt.quantity, a.amount, a.account)
    _insert(session, ids, adjustments, receipts, posted_on)
    booking.write(session, session.now, books, dict(zip(ids, posted_on, strict=True)))


def _open(session: Session, receipts: dict[int, Row], method: CostMethod) -> booking.OpenBooks:
    items = sorted({row.item_id for row in receipts.values()})
    books = booking.lock_items(session, items, method)
    average = method is CostMethod.AVERAGE
    for row in session.rows(_LAYERS, items=items, ids=list(receipts), average=average):
        books.by_item[row.item_id].load(Layer(*row[1:]))
    return books


def _insert(
    session: Session,
    ids: Sequence[int],
    adjustments: Sequence[Adjustment],
    receipts: dict[int, Row],
    posted_on: Sequence[date],
) -> None:
    session.run(
        _INSERT,
        now=session.now,
        ids=list(ids),
        items=[receipts[a.movement_id].item_id for a in adjustments],
        movements=[a.movement_id for a in adjustments],
        amounts=[a.amount for a in adjustments],
        accounts=[str(a.account) for a in adjustments],
        sources=[a.source for a in adjustments],
        keys=[a.source_key for a in adjustments],
        occurred=[a.occurred_at for a in adjustments],
        posted=list(posted_on),
    )
