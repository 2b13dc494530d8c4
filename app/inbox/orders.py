"""Orders as we hold them: the row that is locked while one is processed, its lines, and the vector posted for each
line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.core.db import Session
from app.core.record import record
from app.inbox.difference import Counts, Place
from connectors.base import OrderSnapshot

# `offset 0` keeps the planner from joining: each key is looked up, in order, however little it knows of the table. Left
# to itself it reads all of a merchant's orders while statistics lag, and with many merchants always.
_INSERT_ORDERS = """
insert into sales_order (merchant_id, order_id, channel_id, order_key, recorded_at)
select %(merchant_id)s, nextval('sales_order_seq'), %(channel)s, k, %(now)s from unnest(%(keys)s::text[]) k
where not exists (select from sales_order o where o.merchant_id = %(merchant_id)s and o.channel_id = %(channel)s
                  and o.order_key = k offset 0)
order by k collate "C" on conflict do nothing
"""
_LOCK_ORDERS = """
select o.* from unnest(%(keys)s::text[]) k cross join lateral (
    select order_id, order_key, version, digest, observed_at, posting_no, complete, located, frozen, currency
    from sales_order
    where merchant_id = %(merchant_id)s and channel_id = %(channel)s and order_key = k offset 0 for update) o
"""
_POSITIONS = """
select p.* from unnest(%(orders)s::bigint[]) k cross join lateral (
    select order_id, line_key, item_id, location_id, owner_id, committed, shipped, restocked, damaged, held, taken
    from order_position where merchant_id = %(merchant_id)s and order_id = k offset 0) p
"""
_LINES = """
select l.* from unnest(%(orders)s::bigint[]) k cross join lateral (
    select order_id, line_key, listing_key, item_id from order_line
    where merchant_id = %(merchant_id)s and order_id = k offset 0) l
"""
# Only who holds the order's row writes its positions, so what was not read is not there. An insert that may find a
# rival costs twice as much; to change what is there, an upsert that never inserts, for the same reason as above.
_INSERT_POSITIONS = """
insert into order_position (merchant_id, order_id, line_key, item_id, location_id, owner_id, committed, shipped,
                            restocked, damaged, held, taken)
select %(merchant_id)s, unnest(%(orders)s::bigint[]), unnest(%(lines)s::text[]), unnest(%(items)s::bigint[]),
       unnest(%(places)s::bigint[]), unnest(%(owners)s::bigint[]), unnest(%(committed)s::bigint[]),
       unnest(%(shipped)s::bigint[]), unnest(%(restocked)s::bigint[]), unnest(%(damaged)s::bigint[]),
       unnest(%(held)s::bigint[]), unnest(%(taken)s::bigint[])
"""
_CHANGE_POSITIONS = f"""{_INSERT_POSITIONS}
on conflict (merchant_id, order_id, line_key, item_id, location_id) do update
set owner_id = excluded.owner_id, committed = excluded.committed, shipped = excluded.shipped,
    restocked = excluded.restocked, damaged = excluded.damaged, held = excluded.held, taken = excluded.taken
"""
_WRITE_LINES = """
insert into order_line (merchant_id, order_id, line_key, listing_key, item_id, sku, quantity, unit_price)
select %(merchant_id)s, l.* from unnest(%(orders)s::bigint[], %(lines)s::text[], %(listings)s::text[],
    %(items)s::bigint[],
    %(skus)s::text[], %(quantities)s::bigint[], %(prices)s::numeric[]) l
on conflict (merchant_id, order_id, line_key) do update
set listing_key = coalesce(excluded.listing_key, order_line.listing_key), item_id = coalesce(excluded.item_id,
    order_line.item_id),
    sku = coalesce(excluded.sku, order_line.sku), quantity = excluded.quantity,
    unit_price = coalesce(excluded.unit_price, order_line.unit_price)
"""
# An upsert that never inserts, for the same reason.
_WRITE_ORDERS = """
insert into sales_order as o (merchant_id, order_id, channel_id, order_key, recorded_at, posting_no, number, status,
                              version, digest, read_digest, read_at, observed_at, complete, located, frozen,
                              placed_at, currency)
select %(merchant_id)s, u.order_id, there.channel_id, there.order_key, there.recorded_at, there.posting_no, u.number,
       u.status, u.version, u.digest, u.read_digest, u.read_at, u.observed_at, u.complete, u.located, u.frozen,
       u.placed_at, u.currency
from unnest(%(orders)s::bigint[], %(numbers)s::text[], %(statuses)s::text[], %(versions)s::timestamptz[],
            %(digests)s::bytea[], %(read_digests)s::bytea[], %(read)s::timestamptz[],
            %(observed)s::timestamptz[], %(complete)s::boolean[], %(located)s::boolean[], %(frozen)s::boolean[],
            %(placed)s::timestamptz[], %(currencies)s::text[])
     u(order_id, number, status, version, digest, read_digest, read_at, observed_at, complete, located, frozen,
       placed_at, currency)
cross join lateral (select channel_id, order_key, recorded_at, posting_no from sales_order k
                    where k.merchant_id = %(merchant_id)s and k.order_id = u.order_id offset 0) there
on conflict (merchant_id, order_id) do update
set number = excluded.number, status = excluded.status, version = excluded.version, digest = excluded.digest,
    read_digest = excluded.read_digest, read_at = excluded.read_at, observed_at = excluded.observed_at,
    posting_no = o.posting_no + 1,
    complete = excluded.complete, located = excluded.located, frozen = excluded.frozen, placed_at = excluded.placed_at,
    currency = coalesce(o.currency, excluded.currency)
"""


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order as held, locked until the transaction ends. `version` None: nothing of it was processed yet."""

    order_id: int
    order_key: str
    version: datetime | None
    digest: bytes | None
    observed_at: datetime | None
    posting_no: int
    complete: bool
    located: bool
    frozen: bool
    currency: str | None = None


@record
class Held:
    """What is posted for one line at one (item, place), and what the channel took off its own number for it."""

    counts: Counts
    owner_id: int | None = None
    taken: int = 0


Line = tuple[int, str]  # order id, line key
Positions = dict[Line, dict[Place, Held]]
_Place = tuple[Line, Place, Held]


@dataclass(frozen=True, slots=True)
class LineMemory:
    """What a line was when it was first seen: the channel may forget its product later."""

    listing_key: str | None
    item_id: int | None


@dataclass(frozen=True, slots=True)
class Seen:
    """A snapshot with what is stored of its document."""

    inbox_id: int
    snapshot: OrderSnapshot
    digest: bytes
    read_digest: bytes | None
    observed_at: datetime
    complete: bool = True


def lock_orders(session: Session, channel_id: int, keys: Collection[str]) -> dict[str, OrderRow]:
    """The orders' rows by key, inserted where missing and locked in order."""
    wanted = sorted(keys)
    session.run(_INSERT_ORDERS, channel=channel_id, keys=wanted, now=session.now)
    rows = session.rows(_LOCK_ORDERS, channel=channel_id, keys=wanted)
    return {row.order_key: OrderRow(*row) for row in rows}


def read_positions(session: Session, orders: Sequence[int]) -> Positions:
    """The posted vectors of the orders' lines."""
    positions: Positions = defaultdict(dict)
    rows = session.rows(_POSITIONS, orders=list(orders)) if orders else ()
    for order, line, item, place, owner, committed, shipped, restocked, damaged, held, taken in rows:
        counts = Counts(committed, shipped, restocked, damaged, held)
        positions[order, line][item, place] = Held(counts, owner, taken)
    return positions


def read_lines(session: Session, orders: Sequence[int]) -> dict[Line, LineMemory]:
    """What is remembered of the orders' lines."""
    rows = session.rows(_LINES, orders=list(orders)) if orders else ()
    return {(row.order_id, row.line_key): LineMemory(row.listing_key, row.item_id) for row in rows}


def note_read(session: Session, readings: Mapping[int, Seen]) -> None:
    """Readings that said nothing new, by order id: the next one that says the same is not stored again."""
    if readings:
        session.run(
            """update sales_order o set read_digest = d.digest, read_at = greatest(o.read_at, d.read_at)
               from unnest(%(orders)s::bigint[], %(digests)s::bytea[], %(read)s::timestamptz[])
                    d(order_id, digest, read_at)
               where o.merchant_id = %(merchant_id)s and o.order_id = d.order_id""",
            orders=list(readings),
            digests=[seen.read_digest for seen in readings.values()],
            read=[seen.observed_at for seen in readings.values()],
        )


def write_positions(session: Session, before: Positions, after: Positions) -> None:
    """Write the vectors as they now are; `before`: as they were read, with the order's row held."""
    new: list[_Place] = []
    known: list[_Place] = []
    for line, places in after.items():
        there = before.get(line, {})
        for place, held in places.items():
            (known if place in there else new).append((line, place, held))
    for sql, rows in ((_INSERT_POSITIONS, new), (_CHANGE_POSITIONS, known)):
        if rows:
            _write_positions(session, sql, rows)


def _write_positions(session: Session, sql: str, rows: Sequence[_Place]) -> None:
    session.run(
        sql,
        orders=[line[0] for line, _, _ in rows],
        lines=[line[1] for line, _, _ in rows],
        items=[place[0] for _, place, _ in rows],
        places=[place[1] for _, place, _ in rows],
        owners=[held.owner_id for _, _, held in rows],
        committed=[held.counts.committed for _, _, held in rows],
        shipped=[held.counts.shipped for _, _, held in rows],
        restocked=[held.counts.restocked for _, _, held in rows],
        damaged=[held.counts.damaged for _, _, held in rows],
        held=[held.counts.held for _, _, held in rows],
        taken=[held.taken for _, _, held in rows],
    )


def write_lines(session: Session, seen: Sequence[tuple[int, Seen]], items: Mapping[Line, int | None]) -> None:
    """Remember the lines of (order id, snapshot) with the items they were found to be."""
    rows = [(order_id, line) for order_id, s in seen for line in s.snapshot.lines]
    if rows:
        session.run(
            _WRITE_LINES,
            orders=[order_id for order_id, _ in rows],
            lines=[line.line_key for _, line in rows],
            listings=[line.listing_key for _, line in rows],
            items=[items.get((order_id, line.line_key)) for order_id, line in rows],
            skus=[line.sku for _, line in rows],
            quantities=[line.ordered for _, line in rows],
            prices=[line.unit_price for _, line in rows],
        )


def write_orders(session: Session, seen: Sequence[tuple[int, Seen]]) -> None:
    """Store what was processed of each order and count its posting."""
    session.run(
        _WRITE_ORDERS,
        orders=[order_id for order_id, _ in seen],
        numbers=[s.snapshot.number for _, s in seen],
        statuses=[s.snapshot.status for _, s in seen],
        versions=[s.snapshot.version for _, s in seen],
        digests=[s.digest for _, s in seen],
        read_digests=[s.read_digest for _, s in seen],
        read=[s.observed_at if s.read_digest is not None else None for _, s in seen],
        observed=[s.observed_at for _, s in seen],
        complete=[s.complete for _, s in seen],
        located=[s.snapshot.located for _, s in seen],
        frozen=[s.snapshot.frozen for _, s in seen],
        placed=[s.snapshot.placed_at for _, s in seen],
        currencies=[s.snapshot.currency for _, s in seen],
    )
