"""Posting: the only writer of movements, levels, layers and journal.

A batch of any size is a constant number of set-based statements in the caller's transaction. The order of locks is the
same for everybody: the period FOR SHARE, the item cost rows by item, the levels by item and place. Rows that are
missing are inserted as zeroes, in order and before any lock is held (the first try gives its locks back), so two
writers can neither lose an update nor wait for each other in a circle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from app.core.db import ConstraintViolated, Pipeline, Session, array
from app.core.errors import InvalidInput, NotFound, Unavailable
from app.ledger import booking, period
from app.ledger.models import (
    BATCH_MAX,
    OWNED,
    InsufficientStock,
    KeyConflict,
    MissingRows,
    Movement,
    Posted,
    check_movement,
)

_Deltas = dict[tuple[int, int], list[int]]
_COLUMN = {state: column for column, state in enumerate(OWNED)}
_KEY_CONSTRAINT = "movement_source_key"
TRIES_MAX = 3

_INSERT_MOVEMENTS = """
insert into movement (merchant_id, movement_id, item_id, quantity, from_state, from_location_id, to_state,
                      to_location_id, source, source_key, reason, reverses_movement_id, occurred_at, posted_on,
                      recorded_at)
select %(merchant_id)s, unnest(%(ids)s::bigint[]), unnest(%(items)s::bigint[]) as item_id,
       unnest(%(quantities)s::bigint[]), unnest(%(from_states)s::stock_state[]), unnest(%(from_places)s::bigint[]),
       unnest(%(to_states)s::stock_state[]), unnest(%(to_places)s::bigint[]), unnest(%(sources)s::text[]),
       unnest(%(keys)s::text[]), unnest(%(reasons)s::text[]), unnest(%(reverses)s::bigint[]),
       unnest(%(occurred)s::timestamptz[]), unnest(%(posted)s::date[]), %(now)s::timestamptz
order by item_id
"""
_INSERT_PURCHASES = """
insert into movement_purchase (merchant_id, movement_id, amount, currency, rate, rate_on)
select %(merchant_id)s, unnest(%(ids)s::bigint[]), unnest(%(amounts)s::numeric[]), unnest(%(currencies)s::text[]),
       unnest(%(rates)s::numeric[]), unnest(%(days)s::date[])
"""
_INSERT_LEVELS = """
insert into level (merchant_id, item_id, location_id)
select %(merchant_id)s, k.item_id, k.location_id
from unnest(%(items)s::bigint[], %(places)s::bigint[]) k(item_id, location_id)
where not exists (select from level l where l.merchant_id = %(merchant_id)s
                  and l.item_id = k.item_id and l.location_id = k.location_id)
order by k.item_id, k.location_id
on conflict do nothing
"""
_ADD_TO_LEVELS = """
update level l
set available = l.available + d.available, committed = l.committed + d.committed, damaged = l.damaged + d.damaged,
    quarantined = l.quarantined + d.quarantined, in_transit = l.in_transit + d.in_transit
from (select unnest(%(items)s::bigint[]) as item_id, unnest(%(places)s::bigint[]) as location_id,
             unnest(%(available)s::bigint[]) as available, unnest(%(committed)s::bigint[]) as committed,
             unnest(%(damaged)s::bigint[]) as damaged, unnest(%(quarantined)s::bigint[]) as quarantined,
             unnest(%(in_transit)s::bigint[]) as in_transit) d
where l.merchant_id = %(merchant_id)s and l.item_id = d.item_id and l.location_id = d.location_id
  and d.item_id = abs(d.item_id)  -- as in `booking._WRITE_ITEMS`
"""
_TAKE_IDS = "select array_agg(nextval('posting_seq')) from generate_series(1, %(n)s)"
# The first line of a posting is its own value; what it changed of others' follows.
_KNOWN = """
select m.source, m.source_key, m.movement_id, m.item_id, m.quantity, m.from_state::text, m.from_location_id,
       m.to_state::text, m.to_location_id, m.reverses_movement_id,
       case when not j.provisional then j.amount end as value, p.amount, p.currency, p.rate, p.rate_on
from movement m join unnest(%(sources)s::text[], %(keys)s::text[]) k(source, source_key) using (source, source_key)
left join journal j on j.merchant_id = m.merchant_id and j.posting_id = m.movement_id and j.line = 0
left join movement_purchase p on p.merchant_id = m.merchant_id and p.movement_id = m.movement_id
where m.merchant_id = %(merchant_id)s
"""


def post(session: Session, movements: Sequence[Movement], *, forbid_negative: bool = False) -> Posted:
    """Post a batch, all or nothing, in the given order.

    A movement whose key was posted before with the same content does nothing; with other content it raises KeyConflict.
    `forbid_negative` is for movements by hand: InsufficientStock if an available number would end below 0 (a channel's
    order always posts). Raises InvalidInput for what can't be a movement, NotFound for an unknown item or location.
    """
    fresh = _without_repeats(session, movements)
    repeated = len(movements) - len(fresh)
    ids: dict[tuple[str, str], int] = {}
    for _ in range(TRIES_MAX):
        try:
            return Posted(ids | _post_new(session, fresh, forbid_negative=forbid_negative), repeated)
        except MissingRows:
            _insert_rows(session, fresh)
        except ConstraintViolated as error:
            if error.name != _KEY_CONSTRAINT:
                raise
            known = _known_ids(session, fresh)
            ids |= known
            repeated += len(known)
            fresh = [m for m in fresh if (m.source, m.source_key) not in known]
    raise Unavailable("posting_contended", "others keep posting the same facts; try again")


def _without_repeats(session: Session, movements: Sequence[Movement]) -> list[Movement]:
    if len(movements) > BATCH_MAX:
        raise InvalidInput("batch_too_large", f"at most {BATCH_MAX} movements in one posting")
    seen: dict[tuple[str, str], Movement] = {}
    for movement in movements:
        check_movement(movement, session.now)
        first = seen.setdefault((movement.source, movement.source_key), movement)
        if first is movement:
            continue
        if (first.reverses_key, _content(first)) != (movement.reverses_key, _content(movement)):
            raise KeyConflict(movement.source, movement.source_key)
    return list(seen.values())


def _content(movement: Movement) -> tuple[Any, ...]:
    """What the same fact says again: what moved, what it reverses, what it is worth if it says so, how it was paid."""
    paid = movement.purchase
    return (
        movement.item_id, movement.quantity, movement.from_state, movement.from_location_id,
        movement.to_state, movement.to_location_id, movement.reverses_movement_id,
        movement.value if booking.is_valued(movement) else None,
        *((None,) * 4 if paid is None else (paid.amount, paid.currency, paid.rate, paid.rate_on)),
    )  # fmt: skip


def _known_ids(session: Session, movements: Sequence[Movement]) -> dict[tuple[str, str], int]:
    """The ids of those posted before; raises KeyConflict where the content differs."""
    wanted = {(m.source, m.source_key): m for m in movements}
    rows = session.rows(_KNOWN, sources=[s for s, _ in wanted], keys=[k for _, k in wanted])
    again = [wanted[row.source, row.source_key] for row in rows]
    for row, movement in zip(rows, _name_issues(again, [row.movement_id for row in rows]), strict=True):
        value = row.value if booking.is_valued(movement) else None
        if (*row[3:10], value, *row[11:]) != _content(movement):
            raise KeyConflict(row.source, row.source_key)
    return {(row.source, row.source_key): row.movement_id for row in rows}


def _post_new(session: Session, movements: Sequence[Movement], *, forbid_negative: bool) -> dict[tuple[str, str], int]:
    if not movements:
        return {}
    occurred = [m.occurred_at for m in movements]
    with session.pipeline() as line:
        months = period.ask(line, occurred)
        asked = booking.ask(line, movements)
        deltas = _deltas(movements)
        levels = _change_levels(line, deltas)
        numbers = line.run(_TAKE_IDS, n=len(movements))
        keys = [(m.source, m.source_key) for m in movements]
        columns = _columns(movements)
        ids = numbers.fetchone()[0]
        if levels.rowcount < len(deltas):
            raise MissingRows
        merchant, posted_on = period.days(line, months, occurred)
        numbered = list(zip(ids, _name_issues(movements, ids), strict=True))
        reverses = [m.reverses_movement_id for _, m in numbered]
        line.run(_INSERT_MOVEMENTS, now=session.now, ids=ids, posted=posted_on, reverses=reverses, **columns)
        _keep_purchases(line, movements, ids)
        books = booking.open_books(asked, merchant.cost_method)
        booking.book(books, numbered)
        booking.write(line, session.now, books, dict(zip(ids, posted_on, strict=True)))
        if forbid_negative:
            _refuse_negative(line, [key for key, delta in deltas.items() if delta[0] < 0], deltas)
    return dict(zip(keys, ids, strict=True))


def _keep_purchases(line: Pipeline, movements: Sequence[Movement], ids: Sequence[int]) -> None:
    paid = [(movement_id, m.purchase) for m, movement_id in zip(movements, ids, strict=True) if m.purchase is not None]
    if paid:
        line.run(
            _INSERT_PURCHASES, ids=[movement_id for movement_id, _ in paid], amounts=[p.amount for _, p in paid],
            currencies=[p.currency for _, p in paid], rates=[p.rate for _, p in paid],
            days=[p.rate_on for _, p in paid],
        )  # fmt: skip


def take_ids(session: Session, number: int) -> list[int]:
    """Posting ids, taken while the items are locked: for one item their order is the order of booking (`rebuild`)."""
    ids: list[int] = session.value(_TAKE_IDS, n=number)
    return ids


def _name_issues(movements: Sequence[Movement], ids: Sequence[int]) -> list[Movement]:
    """Returns that name an issue of the same batch by its key get its id."""
    if all(m.reverses_key is None for m in movements):
        return list(movements)
    by_key = {m.source_key: movement_id for m, movement_id in zip(movements, ids, strict=True)}
    return [m if m.reverses_key is None else replace(m, reverses_movement_id=by_key[m.reverses_key]) for m in movements]


def _columns(movements: Sequence[Movement]) -> dict[str, str]:
    """What is known of the movements before they have ids, as it travels; the server locks and counts meanwhile."""
    columns: dict[str, list[Any]] = {
        "items": [m.item_id for m in movements],
        "quantities": [m.quantity for m in movements],
        "from_states": [m.from_state for m in movements],
        "from_places": [m.from_location_id for m in movements],
        "to_states": [m.to_state for m in movements],
        "to_places": [m.to_location_id for m in movements],
        "sources": [m.source for m in movements],
        "keys": [m.source_key for m in movements],
        "reasons": [m.reason for m in movements],
        "occurred": [m.occurred_at for m in movements],
    }
    return {name: array(values) for name, values in columns.items()}


def _deltas(movements: Sequence[Movement]) -> _Deltas:
    """What a batch changes, by (item, place) in the order of locking: one number per owned state, as in `OWNED`."""
    deltas: defaultdict[tuple[int, int], list[int]] = defaultdict(lambda: [0] * len(OWNED))
    for m in movements:
        if m.from_location_id is not None:
            deltas[m.item_id, m.from_location_id][_COLUMN[m.from_state]] -= m.quantity
        if m.to_location_id is not None:
            deltas[m.item_id, m.to_location_id][_COLUMN[m.to_state]] += m.quantity
    return dict(sorted(deltas.items()))


def _insert_rows(session: Session, movements: Sequence[Movement]) -> None:
    """Zero rows for whatever the batch needs and is not there; while nothing is locked."""
    deltas = _deltas(movements)
    period.make_months(session, [m.occurred_at for m in movements])
    try:
        booking.insert_items(session, sorted({m.item_id for m in movements if booking.crosses(m)}))
        session.run(_INSERT_LEVELS, items=[item for item, _ in deltas], places=[place for _, place in deltas])
    except ConstraintViolated as error:
        raise _typed(error) from error


def _change_levels(line: Pipeline, deltas: _Deltas) -> Any:
    changes = dict(zip(OWNED, map(list, zip(*deltas.values(), strict=True)), strict=True))
    keys = {"items": [item for item, _ in deltas], "places": [place for _, place in deltas]}
    return line.run(_ADD_TO_LEVELS, **keys, **changes)


def _refuse_negative(line: Pipeline, lowered: Sequence[tuple[int, int]], deltas: _Deltas) -> None:
    row = line.run(
        """select item_id, location_id, available from level
           join unnest(%(items)s::bigint[], %(places)s::bigint[]) k(item_id, location_id) using (item_id, location_id)
           where merchant_id = %(merchant_id)s and available < 0 limit 1""",
        items=[item for item, _ in lowered],
        places=[place for _, place in lowered],
    ).fetchone()
    if row is not None:
        item, place, available = row
        raise InsufficientStock(item, place, available - deltas[item, place][0])


def _typed(error: ConstraintViolated) -> Exception:
    if error.name in ("level_merchant_id_item_id_fkey", "item_cost_merchant_id_item_id_fkey"):
        return NotFound("unknown_item", "no such item")
    if error.name == "level_merchant_id_location_id_fkey":
        return NotFound("unknown_location", "no such location")
    return error
