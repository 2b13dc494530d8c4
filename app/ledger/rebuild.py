"""Everything that is stored beside the movements and the journal, made again from them: levels, sums and layers.

Nothing is posted again: movements and journal stay as they are. Item by item, so memory does not grow with the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import groupby

from app.core.db import Row, Session
from app.ledger.booking import insert_layers
from app.ledger.cost import OUTSIDE, Books, Issue
from app.ledger.models import Account, CostMethod, State
from app.ledger.period import get_merchant
from app.ledger.verify import FLOWS

ITEMS_PER_READ = 200

_LEVELS = f"""
with {FLOWS}
insert into level (merchant_id, item_id, location_id, available, committed, damaged, quarantined, in_transit)
select %(merchant_id)s, item_id, location_id, available, committed, damaged, quarantined, in_transit from sums
"""  # noqa: S608  constants only
# Movements over the border and late costs in the order in which they were booked, with what came in.
_HISTORY = """
select m.item_id, m.movement_id as posting_id, m.quantity, m.from_state::text, m.to_state::text, m.occurred_at,
       m.reverses_movement_id, j.amount, j.provisional, null::bigint as adjusts, null::text as account
from movement m join journal j on j.merchant_id = m.merchant_id and j.posting_id = m.movement_id and j.line = 0
where m.merchant_id = %(merchant_id)s and m.item_id = any(%(items)s)
  and (m.from_location_id is null) <> (m.to_location_id is null)
union all
select a.item_id, a.posting_id, r.quantity, '', '', a.occurred_at, null, a.amount, false, a.movement_id, a.account
from cost_adjustment a join movement r on r.merchant_id = a.merchant_id and r.movement_id = a.movement_id
where a.merchant_id = %(merchant_id)s and a.item_id = any(%(items)s)
order by item_id, posting_id
"""


def rebuild(session: Session) -> int:
    """Make levels, item sums and layers anew; returns the number of items. Holds every row of them meanwhile."""
    session.run("select from item_cost where merchant_id = %(merchant_id)s order by item_id for update")
    session.run("select from level where merchant_id = %(merchant_id)s order by item_id, location_id for update")
    session.run("delete from level where merchant_id = %(merchant_id)s")
    session.run(_LEVELS)
    session.run("delete from cost_layer where merchant_id = %(merchant_id)s")
    session.run("delete from item_cost where merchant_id = %(merchant_id)s")
    method = get_merchant(session).cost_method
    items = 0
    for some in _item_pages(session):
        _rebuild_items(session, some, method)
        items += len(some)
    return items


def _item_pages(session: Session) -> Iterator[list[int]]:
    last = 0
    while True:
        rows = session.rows(
            """select item_id from item where merchant_id = %(merchant_id)s and item_id > %(last)s
               order by item_id limit %(n)s""",
            last=last,
            n=ITEMS_PER_READ,
        )
        if not rows:
            return
        last = rows[-1].item_id
        yield [row.item_id for row in rows]


def _rebuild_items(session: Session, items: Sequence[int], method: CostMethod) -> None:
    history = session.rows(_HISTORY, items=list(items))
    books = [replay(item, rows, method) for item, rows in groupby(history, key=lambda row: int(row.item_id))]
    insert_layers(session, [(b.item_id, layer) for b in books for layer in (*b.stock, *b.shortages)])
    session.run(
        """insert into item_cost (merchant_id, item_id, quantity, value, last_quantity, last_value)
           select %(merchant_id)s, b.* from unnest(%(items)s::bigint[], %(quantities)s::bigint[], %(values)s::numeric[],
                                                   %(last_quantities)s::bigint[], %(last_values)s::numeric[]) b""",
        items=[b.item_id for b in books],
        quantities=[b.quantity for b in books],
        values=[b.value for b in books],
        last_quantities=[b.last_quantity for b in books],
        last_values=[b.last_value for b in books],
    )


def replay(item_id: int, history: Iterator[Row], method: CostMethod) -> Books:
    """One item's books from its history, in the order of booking."""
    books = Books(item_id, method)
    for row in history:
        if row.adjusts is not None:
            books.adjust(row.posting_id, row.adjusts, row.quantity, row.amount, row.account)
        elif row.to_state in OUTSIDE:
            _replay_issue(books, row)
        elif row.reverses_movement_id is not None:
            books.take_back(row.posting_id, row.quantity, row.reverses_movement_id, row.occurred_at)
        elif row.from_state in (State.CUSTOMER, State.SHRINKAGE):
            books.find_again(row.posting_id, row.quantity, OUTSIDE[State(row.from_state)], row.occurred_at)
        else:
            value: Decimal | None = None if row.provisional else row.amount
            books.receive(row.posting_id, row.quantity, value, OUTSIDE[State(row.from_state)], row.occurred_at)
        books.forget_closed()
    return books


def _replay_issue(books: Books, row: Row) -> None:
    written_off = row.from_state == State.DAMAGED and row.to_state == State.SHRINKAGE
    account = Account.WRITE_OFF if written_off else OUTSIDE[State(row.to_state)]
    cost = books.issue(row.posting_id, row.quantity, account, row.occurred_at)
    books.issues[row.posting_id] = Issue(row.quantity, cost, account)
