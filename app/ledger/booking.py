"""Booking cost: read the books of the items that cross the border of what we own, let `cost` do the arithmetic, write.

Reads and writes are set-based; what happens in between is pure and in the order of the batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from app.core.db import Pipeline, Row, Session
from app.core.errors import InvalidInput
from app.ledger.cost import OUTSIDE, ZERO, Books, Issue, Layer
from app.ledger.models import OWNED_SET, Account, CostMethod, MissingRows, Movement, State

_INSERT_ITEMS = """
insert into item_cost (merchant_id, item_id)
select %(merchant_id)s, i from unnest(%(items)s::bigint[]) i
where not exists (select from item_cost c where c.merchant_id = %(merchant_id)s and c.item_id = i)
order by i on conflict do nothing
"""
_LOCK_ITEMS = """
select item_id, quantity, value, last_quantity, last_value from item_cost
where merchant_id = %(merchant_id)s and item_id = any(%(items)s) order by item_id for update
"""
# Only as deep as the batch can reach: an open layer holds at least one unit.
_LAYERS = """
select l.item_id, layer_id, kind, received_at, posting_id, account, received_quantity, quantity, value
from unnest(%(items)s::bigint[], %(needs)s::bigint[]) n(item_id, need)
cross join lateral (
    select * from cost_layer l where l.merchant_id = %(merchant_id)s and l.item_id = n.item_id and l.is_open
    order by l.received_at, l.layer_id limit n.need
) l
"""
# What a movement names may lie deeper: a shortage has the id of its issue, stock that of its receipt.
_NAMED_LAYERS = """
select item_id, layer_id, kind, received_at, posting_id, account, received_quantity, quantity, value
from cost_layer
where merchant_id = %(merchant_id)s and item_id = any(%(items)s) and layer_id = any(%(named)s) and is_open
"""
_ISSUES = """
select m.movement_id, m.item_id,
       m.quantity - coalesce((
           select sum(r.quantity) from movement r
           where r.merchant_id = %(merchant_id)s and r.reverses_movement_id = m.movement_id), 0) as quantity,
       j.debit as account,
       j.amount + coalesce((
           select sum(case when c.debit = j.debit then c.amount else -c.amount end) from journal c
           where c.merchant_id = %(merchant_id)s and c.corrects_posting_id = m.movement_id), 0) as value
from movement m join journal j on j.merchant_id = m.merchant_id and j.posting_id = m.movement_id
where m.merchant_id = %(merchant_id)s and m.movement_id = any(%(issues)s)
  and j.credit = 'inventory' and j.corrects_posting_id is null
"""
# Where most merchants are small, the planner takes all of a merchant's rows for fewer than the ten that it expects of
# an array, and would read them all to find those. What `abs` keeps it can't know: it expects one.
_WRITE_ITEMS = """
update item_cost c
set quantity = n.quantity, value = n.value, last_quantity = n.last_quantity, last_value = n.last_value
from (select unnest(%(items)s::bigint[]) as item_id, unnest(%(quantities)s::bigint[]) as quantity,
             unnest(%(values)s::numeric[]) as value, unnest(%(last_quantities)s::bigint[]) as last_quantity,
             unnest(%(last_values)s::numeric[]) as last_value) n
where c.merchant_id = %(merchant_id)s and c.item_id = n.item_id and n.item_id = abs(n.item_id)
"""
_CHANGE_LAYERS = """
update cost_layer l
set received_quantity = n.received, quantity = n.quantity, value = n.value, is_open = n.quantity <> 0
from (select unnest(%(items)s::bigint[]) as item_id, unnest(%(layers)s::bigint[]) as layer_id,
             unnest(%(received_quantities)s::bigint[]) as received, unnest(%(quantities)s::bigint[]) as quantity,
             unnest(%(values)s::numeric[]) as value) n
where l.merchant_id = %(merchant_id)s and l.item_id = n.item_id and l.layer_id = n.layer_id
  and n.item_id = abs(n.item_id)
"""
_INSERT_LAYERS = """
insert into cost_layer (merchant_id, item_id, layer_id, kind, received_at, posting_id, account, received_quantity,
                        quantity, value, is_open)
select %(merchant_id)s, l.*, l.quantity <> 0
from unnest(%(items)s::bigint[], %(layers)s::bigint[], %(kinds)s::text[], %(received)s::timestamptz[],
            %(postings)s::bigint[], %(accounts)s::text[], %(received_quantities)s::bigint[], %(quantities)s::bigint[],
            %(values)s::numeric[])
     l(item_id, layer_id, kind, received_at, posting_id, account, received_quantity, quantity, value)
"""
_INSERT_JOURNAL = """
insert into journal (merchant_id, posting_id, line, item_id, debit, credit, amount, provisional, corrects_posting_id,
                     posted_on, recorded_at)
select %(merchant_id)s, unnest(%(postings)s::bigint[]), unnest(%(lines)s::smallint[]), unnest(%(items)s::bigint[]),
       unnest(%(debits)s::text[]), unnest(%(credits)s::text[]), unnest(%(amounts)s::numeric[]),
       unnest(%(provisional)s::boolean[]), unnest(%(corrects)s::bigint[]), unnest(%(posted)s::date[]),
       %(now)s::timestamptz
"""


@dataclass(slots=True)
class OpenBooks:
    """The books a batch works on, by item; the issues its returns name; what each assembly has cost so far."""

    by_item: dict[int, Books] = field(default_factory=dict)
    issues: dict[int, Issue] = field(default_factory=dict)
    named: frozenset[int] = frozenset()  # issues of this very batch that its returns name
    assemblies: dict[str, Decimal] = field(default_factory=dict)


def crosses(movement: Movement) -> bool:
    """Whether a movement crosses the border between owned and not owned; only then has it a cost."""
    return (movement.from_state in OWNED_SET) != (movement.to_state in OWNED_SET)


def is_valued(movement: Movement) -> bool:
    """Whether what comes in is worth what the movement says, and not what the books do."""
    return (
        movement.from_state in (State.SUPPLIER, State.OPENING, State.ASSEMBLY)
        and movement.to_state in OWNED_SET
        and all(x is None for x in (movement.assembly, movement.reverses_movement_id, movement.reverses_key))
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """Answers on their way: the cost rows of these items (locked, in order), as much of their layers as the batch can
    reach, and the issues that its returns name."""

    items: Sequence[int]
    rows: Any
    layers: Sequence[Any]
    issues: Any | None


def ask(line: Pipeline, movements: Sequence[Movement]) -> Asked | None:
    """Lock the items whose cost the batch changes and ask for their books; None when it changes none."""
    needs: defaultdict[int, int] = defaultdict(int)
    for movement in movements:
        if crosses(movement):
            needs[movement.item_id] += movement.quantity
    if not needs:
        return None
    items = sorted(needs)
    named = sorted({m.reverses_movement_id for m in movements if m.reverses_movement_id is not None})
    rows = line.run(_LOCK_ITEMS, items=items)
    layers = [line.run(_LAYERS, items=items, needs=[needs[item] for item in items])]
    if named:
        layers.append(line.run(_NAMED_LAYERS, items=items, named=named))
    return Asked(items, rows, layers, line.run(_ISSUES, issues=named) if named else None)


def open_books(asked: Asked | None, method: CostMethod) -> OpenBooks:
    """The books that were asked for. Raises MissingRows when an item has none yet."""
    if asked is None:
        return OpenBooks()
    books = _books_of(asked.rows.fetchall(), asked.items, method)
    for layers in asked.layers:
        for item_id, *layer in layers.fetchall():
            books.by_item[item_id].load(Layer(*layer))
    for movement_id, _, quantity, account, value in asked.issues.fetchall() if asked.issues is not None else ():
        books.issues[movement_id] = Issue(int(quantity), value, account)
    return books


def insert_items(session: Session, items: Sequence[int]) -> None:
    """Zero rows for items that have no cost row yet."""
    session.run(_INSERT_ITEMS, items=list(items))


def lock_items(session: Session, items: Sequence[int], method: CostMethod) -> OpenBooks:
    """The items' cost rows locked in order, without layers. Raises MissingRows when an item has none yet."""
    return _books_of(session.rows(_LOCK_ITEMS, items=list(items)), items, method)


def _books_of(rows: Sequence[Row], items: Sequence[int], method: CostMethod) -> OpenBooks:
    if len(rows) < len(items):
        raise MissingRows
    books = OpenBooks()
    for item_id, quantity, value, last_quantity, last_value in rows:
        sums = (quantity, value, last_quantity, last_value)
        books.by_item[item_id] = Books(item_id, method, *sums, issues=books.issues)
    return books


def book(books: OpenBooks, numbered: Sequence[tuple[int, Movement]]) -> None:
    """Book every movement that crosses the border, in order. An assembly must come out even."""
    books.named = frozenset(m.reverses_movement_id for _, m in numbered if m.reverses_movement_id is not None)
    for movement_id, movement in numbered:
        if crosses(movement):
            if movement.from_state in OWNED_SET:
                _book_out(books, movement_id, movement)
            else:
                _book_in(books, movement_id, movement)
    if any(books.assemblies.values()):
        raise InvalidInput("uneven_assembly", "what goes into an assembly must come out of it in the same posting")


def _book_out(books: OpenBooks, movement_id: int, movement: Movement) -> None:
    written_off = movement.from_state is State.DAMAGED and movement.to_state is State.SHRINKAGE
    account = Account.WRITE_OFF if written_off else OUTSIDE[movement.to_state]
    item = books.by_item[movement.item_id]
    if movement.to_state is State.OPENING and movement.reverses_movement_id is not None:
        item.undo_receipt(
            movement_id, movement.quantity, movement.reverses_movement_id, movement.value or ZERO, account
        )  # fmt: skip
        return
    cost = item.issue(movement_id, movement.quantity, account, movement.occurred_at)
    if movement.assembly is not None:
        books.assemblies[movement.assembly] = books.assemblies.get(movement.assembly, ZERO) + cost
    if movement_id in books.named:
        books.issues[movement_id] = Issue(movement.quantity, cost, account)


def _book_in(books: OpenBooks, movement_id: int, movement: Movement) -> None:
    item, quantity, at = books.by_item[movement.item_id], movement.quantity, movement.occurred_at
    named = movement.reverses_movement_id
    if named is not None:
        if named not in books.issues:
            raise InvalidInput("unknown_issue", "the movement named is not an issue", where="reverses_movement_id")
        item.take_back(movement_id, quantity, named, at)
    elif movement.assembly is not None:
        item.receive(movement_id, quantity, books.assemblies.pop(movement.assembly, ZERO), Account.ASSEMBLY, at)
    elif movement.from_state in (State.CUSTOMER, State.SHRINKAGE):
        item.find_again(movement_id, quantity, OUTSIDE[movement.from_state], at)
    else:
        item.receive(movement_id, quantity, movement.value, OUTSIDE[movement.from_state], at)


def write(session: Session | Pipeline, now: datetime, books: OpenBooks, posted_on: Mapping[int, date]) -> None:
    """Write sums, layers and journal of all the books; `posted_on` is the accounting day by posting id."""
    items = list(books.by_item.values())
    if not items:
        return
    session.run(
        _WRITE_ITEMS,
        items=[b.item_id for b in items],
        quantities=[b.quantity for b in items],
        values=[b.value for b in items],
        last_quantities=[b.last_quantity for b in items],
        last_values=[b.last_value for b in items],
    )
    written = [(b.item_id, layer) for b in items for layer in b.layers()]
    insert_layers(session, [pair for pair in written if pair[1].is_new])
    _change_layers(session, [pair for pair in written if not pair[1].is_new])
    _insert_journal(session, now, items, posted_on)


def _change_layers(session: Session | Pipeline, layers: Sequence[tuple[int, Layer]]) -> None:
    if layers:
        session.run(
            _CHANGE_LAYERS,
            items=[item for item, _ in layers],
            layers=[layer.layer_id for _, layer in layers],
            received_quantities=[layer.received_quantity for _, layer in layers],
            quantities=[layer.quantity for _, layer in layers],
            values=[layer.value for _, layer in layers],
        )


def insert_layers(session: Session | Pipeline, layers: Sequence[tuple[int, Layer]]) -> None:
    """New layers by item."""
    if layers:
        session.run(
            _INSERT_LAYERS,
            items=[item for item, _ in layers],
            layers=[layer.layer_id for _, layer in layers],
            kinds=[layer.kind for _, layer in layers],
            received=[layer.received_at for _, layer in layers],
            postings=[layer.posting_id for _, layer in layers],
            accounts=[str(layer.account) for _, layer in layers],
            received_quantities=[layer.received_quantity for _, layer in layers],
            quantities=[layer.quantity for _, layer in layers],
            values=[layer.value for _, layer in layers],
        )


def _insert_journal(
    session: Session | Pipeline, now: datetime, items: Sequence[Books], posted_on: Mapping[int, date]
) -> None:
    entries = [entry for b in items for entry in b.entries]
    lines: defaultdict[int, count[int]] = defaultdict(count)
    session.run(
        _INSERT_JOURNAL,
        now=now,
        postings=[e.posting_id for e in entries],
        lines=[next(lines[e.posting_id]) for e in entries],
        items=[e.item_id for e in entries],
        debits=[str(e.debit) for e in entries],
        credits=[str(e.credit) for e in entries],
        amounts=[e.amount for e in entries],
        provisional=[e.provisional for e in entries],
        corrects=[e.corrects for e in entries],
        posted=[posted_on[e.posting_id] for e in entries],
    )
