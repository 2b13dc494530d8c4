"""Everything that is stored beside the movements and the journal, made again from them: levels, sums and layers.

Nothing is posted again: movements and journal stay as they are. Item by item, so memory does not grow with the ledger.
What was stored wrong is told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby
from typing import Any

from app.accounts import audit
from app.core.db import Row, Session
from app.ledger.booking import insert_layers
from app.ledger.cost import OUTSIDE, Books, Issue
from app.ledger.models import OWNED, Account, CostMethod, State
from app.ledger.period import get_merchant
from app.ledger.verify import FLOWS

ITEMS_PER_READ = 200
SHOWN_MAX = 100  # of what had been wrong

_ADD_LEVELS = f"""
with {FLOWS}
insert into level (merchant_id, item_id, location_id)
select %(merchant_id)s, s.item_id, s.location_id from sums s
where not exists (select from level l where l.merchant_id = %(merchant_id)s and l.item_id = s.item_id
                  and l.location_id = s.location_id)
returning item_id, location_id
"""  # noqa: S608  constants only
# Only levels that are wrong are written, as a change, so that what channels show follows them; those that were missing
# were just added as zeroes.
_LEVELS = f"""
with {FLOWS}, wrong as (
    select item_id, location_id, (item_id, location_id) in (
               select k.* from unnest(%(items)s::bigint[], %(places)s::bigint[]) k) as is_missing,
           array[l.available, l.committed, l.damaged, l.quarantined, l.in_transit] as stored,
           array[coalesce(s.available, 0), coalesce(s.committed, 0), coalesce(s.damaged, 0),
                 coalesce(s.quarantined, 0), coalesce(s.in_transit, 0)]::bigint[] as right_ones
    from sums s full join (select * from level where merchant_id = %(merchant_id)s) l using (item_id, location_id)
), changed as (
    update level l set (available, committed, damaged, quarantined, in_transit)
        = (select right_ones[1], right_ones[2], right_ones[3], right_ones[4], right_ones[5])
    from wrong w where l.merchant_id = %(merchant_id)s and l.item_id = w.item_id and l.location_id = w.location_id
      and w.stored <> w.right_ones
)
select w.item_id, i.sku, p.name, case when not is_missing then stored end as stored, right_ones
from wrong w join item i on i.merchant_id = %(merchant_id)s and i.item_id = w.item_id
join location p on p.merchant_id = %(merchant_id)s and p.location_id = w.location_id
where is_missing or stored <> right_ones order by w.item_id, w.location_id
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
_TAKE_SUMS = """
delete from item_cost where merchant_id = %(merchant_id)s and item_id = any(%(items)s)
returning item_id, quantity, value, last_quantity, last_value
"""
_TAKE_LAYERS = """
delete from cost_layer where merchant_id = %(merchant_id)s and item_id = any(%(items)s)
returning item_id, layer_id, quantity, value
"""
_INSERT_SUMS = """
insert into item_cost (merchant_id, item_id, quantity, value, last_quantity, last_value)
select %(merchant_id)s, b.* from unnest(%(items)s::bigint[], %(quantities)s::bigint[], %(values)s::numeric[],
                                        %(last_quantities)s::bigint[], %(last_values)s::numeric[]) b
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something stored that was not what history says: of an item (`place` empty: its cost, over all places)."""

    sku: str
    place: str
    what: str
    stored: str
    right: str


@dataclass(slots=True)
class Rebuilt:
    """What was made anew: how many items, how many things had been wrong, and the first of those."""

    items: int = 0
    wrong: int = 0
    differences: list[Difference] = field(default_factory=list)

    def add(self, found: Sequence[Difference]) -> None:
        """Count all, keep what can be shown."""
        self.wrong += len(found)
        self.differences += found[: SHOWN_MAX - len(self.differences)]


def rebuild(session: Session) -> Rebuilt:
    """Make levels, item sums and layers anew, and tell what differed. Holds every row of them meanwhile."""
    session.run("select from item_cost where merchant_id = %(merchant_id)s order by item_id for update")
    session.run("select from level where merchant_id = %(merchant_id)s order by item_id, location_id for update")
    rebuilt = Rebuilt()
    added = session.rows(_ADD_LEVELS)
    bound = {"items": [row.item_id for row in added], "places": [row.location_id for row in added]}
    rebuilt.add([difference for row in session.rows(_LEVELS, **bound) for difference in _of_level(row)])
    method = get_merchant(session).cost_method
    for skus in _item_pages(session):
        rebuilt.add(_rebuild_items(session, skus, method))
        rebuilt.items += len(skus)
    audit.note(session, None, "ledger.rebuilt", "levels and costs", after={"wrong": rebuilt.wrong})
    return rebuilt


def _of_level(row: Row) -> list[Difference]:
    stored = row.stored or [None] * len(OWNED)
    return [
        Difference(row.sku, row.name, str(state), "none" if was is None else str(was), str(right))
        for state, was, right in zip(OWNED, stored, row.right_ones, strict=True)
        if was != right
    ]


def _item_pages(session: Session) -> Iterator[dict[int, str]]:
    """SKUs by item."""
    last = 0
    while True:
        rows = session.rows(
            """select item_id, sku from item where merchant_id = %(merchant_id)s and item_id > %(last)s
               order by item_id limit %(n)s""",
            last=last,
            n=ITEMS_PER_READ,
        )
        if not rows:
            return
        last = rows[-1].item_id
        yield {row.item_id: row.sku for row in rows}


def _rebuild_items(session: Session, skus: dict[int, str], method: CostMethod) -> list[Difference]:
    items = list(skus)
    stored = _Costs(session.rows(_TAKE_SUMS, items=items), session.rows(_TAKE_LAYERS, items=items))
    history = session.rows(_HISTORY, items=items)
    books = [replay(item, rows, method) for item, rows in groupby(history, key=lambda row: int(row.item_id))]
    insert_layers(session, [(b.item_id, layer) for b in books for layer in (*b.stock, *b.shortages)])
    sums = [(b.item_id, b.quantity, b.value, b.last_quantity, b.last_value) for b in books]
    names = ("items", "quantities", "values", "last_quantities", "last_values")
    session.run(_INSERT_SUMS, **{name: [row[column] for row in sums] for column, name in enumerate(names)})
    layers = [(b.item_id, x.layer_id, x.quantity, x.value) for b in books for x in (*b.stock, *b.shortages)]
    return stored.against(_Costs(sums, layers), skus)


class _Costs:
    """Sums and open layers of some items, as stored or as history has them."""

    def __init__(self, sums: Iterable[Sequence[Any]], layers: Iterable[Sequence[Any]]) -> None:
        self.by_item: defaultdict[int, dict[str, str]] = defaultdict(dict)
        for item_id, quantity, value, last_quantity, last_value in sums:
            if quantity or value or last_quantity or last_value:  # a row of zeroes is as good as none
                self.by_item[item_id] = {
                    "quantity": str(quantity), "value": str(value), "last cost": f"{last_value} for {last_quantity}",
                }  # fmt: skip
        for item_id, layer_id, quantity, value in layers:
            if quantity:
                self.by_item[item_id][f"layer {layer_id}"] = f"{value} for {quantity}"

    def against(self, right: _Costs, skus: dict[int, str]) -> list[Difference]:
        """What differs, by item."""
        return [
            Difference(sku, "", what, stored.get(what, "none"), wanted.get(what, "none"))
            for item_id, sku in skus.items()
            for stored, wanted in [(self.by_item[item_id], right.by_item[item_id])]
            for what in dict.fromkeys([*stored, *wanted])
            if stored.get(what) != wanted.get(what)
        ]


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
    if row.to_state == State.OPENING and row.reverses_movement_id is not None:
        books.undo_receipt(row.posting_id, row.quantity, row.reverses_movement_id, row.amount, account)
        return
    cost = books.issue(row.posting_id, row.quantity, account, row.occurred_at)
    books.issues[row.posting_id] = Issue(row.quantity, cost, account)
