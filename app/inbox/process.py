"""PROCESS: open documents of one channel become movements, in one transaction and without network.

An order document is a snapshot; only its difference from what is posted is posted. An older snapshot is ignored, an
    equal one does nothing, one of the same version with other content is read afresh first. A document that can't be
    understood is parked with its reason; the ones behind it go on.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from app.core.db import Row, Session
from app.core.errors import PerpetualError, Unavailable
from app.core.runtime import Runtime
from app.inbox import cases, rings
from app.inbox.before import first_lines, lines_from_before, note_taken_before, opened_with
from app.inbox.difference import NOTHING, Place
from app.inbox.documents import end_parked
from app.inbox.orders import (
    Held,
    Line,
    OrderRow,
    Positions,
    Seen,
    lock_orders,
    note_read,
    read_lines,
    read_positions,
    write_lines,
    write_orders,
    write_positions,
)
from app.inbox.pace import delays_s, follow, found_s
from app.inbox.postings import movements_of
from app.inbox.resolve import lines_of, resolve
from app.ledger.post import post
from app.listings import belief, wanted
from app.listings.channels import Channel, get_channel, shown_from
from app.listings.shadow_sales import note_sales
from app.listings.shop_clock import MARGIN, read_connection
from connectors.base import Connector, OrderSnapshot, StockKey, StockReading, WriteMode
from connectors.errors import Malformed

_CLAIM = """
select inbox_id, received_on, kind, origin, topic, resource, resource_key, body, observed_at, attempts from inbox
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind in ('document', 'observation') and state =
    'open' and (%(only)s::bigint[] is null or inbox_id = any(%(only)s))
order by inbox_id limit %(limit)s for update skip locked
"""
# An upsert that never inserts: rows are looked up by key, however little the planner knows of today's partition.
_FINISH = """
insert into inbox as i (merchant_id, received_on, inbox_id, channel_id, kind, origin, topic, resource, resource_key,
                        observed_at, received_at, state, reason, detail, done_at)
select %(merchant_id)s, d.received_on, d.inbox_id, k.channel_id, k.kind, k.origin, k.topic, k.resource, k.resource_key,
       k.observed_at, k.received_at, d.state, d.reason, d.detail, %(now)s
from unnest(%(ids)s::bigint[], %(days)s::date[], %(states)s::text[], %(reasons)s::text[], %(details)s::text[])
     d(inbox_id, received_on, state, reason, detail)
cross join lateral (select * from inbox k where k.merchant_id = %(merchant_id)s and k.received_on = d.received_on
                    and k.inbox_id = d.inbox_id offset 0) k
on conflict (merchant_id, received_on, inbox_id) do update
set state = excluded.state, reason = excluded.reason, detail = excluded.detail, done_at = excluded.done_at,
    attempts = i.attempts + 1
"""


@dataclass(frozen=True, slots=True)
class Processed:
    """What one call did."""

    documents: int
    movements: int
    parked: int


@dataclass(slots=True)
class _Batch:
    """The claimed rows and what becomes of each: state, reason, detail."""

    rows: dict[int, Row]
    outcomes: dict[int, tuple[str, str | None, str | None]] = field(default_factory=dict)
    again: dict[str, datetime] = field(default_factory=dict)  # orders to read afresh, → what came of them last
    unreadable: list[str] = field(default_factory=list)  # orders of which a document could not be read
    unplaced: list[str] = field(default_factory=list)  # orders that were read, and the channel has not placed them yet
    readable: dict[str, datetime | None] = field(default_factory=dict)  # orders → when they were read as they are known
    unlisted: set[str] = field(default_factory=set)  # products named in orders that no listing is
    read: dict[int, Seen] = field(default_factory=dict)  # order id → the reading that said nothing new
    hints: list[StockReading] = field(default_factory=list)  # numbers that deliveries spoke of
    told: list[dict[str, Any]] = field(default_factory=list)  # products that they spoke of
    new: list[Seen] = field(default_factory=list)  # of orders that nothing was known of
    doubted: bool = False  # a write of ours may have replaced what its orders did to its numbers
    skew: timedelta = timedelta(0)  # how far the shop's clock is ahead of ours
    connected_at: datetime | None = None  # by the shop's clock
    shown_from: datetime | None = None  # orders placed before are hidden from us

    def done(self, inbox_id: int, reason: str | None = None) -> None:
        self.outcomes[inbox_id] = ("done", reason, None)

    def read_again(self, seen: Seen) -> None:
        """Only a reading that began after this came can tell."""
        key = seen.snapshot.order_key
        self.again[key] = max(seen.observed_at, self.again.get(key, seen.observed_at))

    def park(self, inbox_id: int, reason: str, detail: str) -> None:
        self.outcomes[inbox_id] = ("parked", reason, detail)


def process(runtime: Runtime, merchant_id: int, channel_id: int) -> Processed:
    """Process up to a batch of a channel's open documents. A batch that the ledger refuses is taken apart, so that only
    the document that is at fault is parked."""
    limit = runtime.settings.sync.process_batch_max
    try:
        return _process(runtime, merchant_id, channel_id, limit)
    except Unavailable:
        raise
    except PerpetualError:
        total = Processed(0, 0, 0)
        for _ in range(limit):
            one = _process_one(runtime, merchant_id, channel_id)
            total = Processed(*map(sum, zip(astuple(total), astuple(one), strict=True)))
            if not one.documents:
                break
        return total


def _process_one(runtime: Runtime, merchant_id: int, channel_id: int) -> Processed:
    taken: list[int] = []
    try:
        return _process(runtime, merchant_id, channel_id, 1, taken)
    except Unavailable:
        raise
    except PerpetualError as error:
        with runtime.begin(merchant_id, runtime.clock()) as session:
            batch = _claim(session, channel_id, 1, taken)  # none, when somebody else has it by now
            for inbox_id in batch.rows:
                batch.park(inbox_id, error.reason, error.detail)
            return _finish(session, channel_id, batch, 0)


def _process(
    runtime: Runtime, merchant_id: int, channel_id: int, limit: int, ids: list[int] | None = None
) -> Processed:
    """`ids` is told what was claimed."""
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        batch = _claim(session, channel_id, limit)
        if ids is not None:
            ids += batch.rows
        if not batch.rows:
            return Processed(0, 0, 0)
        channel = get_channel(session, channel_id)
        connector = runtime.connectors[channel.platform]
        batch.shown_from = shown_from(connector.abilities, channel.facts, now)
        batch.doubted = connector.abilities.write_mode is WriteMode.ABSOLUTE
        seen = _parse(connector, batch)
        _hear(batch)
        batch.skew, batch.connected_at = read_connection(session, channel_id)
        movements = _orders(session, channel, batch, seen)
        belief.ask_to_look(session, channel_id, batch.hints)  # after the orders, which may explain them
        wanted.want_told(session, channel_id, batch.unlisted, batch.told)
        if seen:
            follow(
                session, channel_id, delays_s(seen, batch.skew),
                found_s([(batch.rows[one.inbox_id].topic, one) for one in batch.new], batch.skew),
                assumed_s=connector.abilities.told_after_s, usual_s=runtime.settings.sync.poll_interval_s,
            )  # fmt: skip
        return _finish(session, channel_id, batch, movements)


def _claim(session: Session, channel_id: int, limit: int, only: Sequence[int] | None = None) -> _Batch:
    rows = session.rows(_CLAIM, channel=channel_id, limit=limit, only=only)
    return _Batch({row.inbox_id: row for row in rows})


def _finish(session: Session, channel_id: int, batch: _Batch, movements: int) -> Processed:
    rows = [(batch.rows[inbox_id], *outcome) for inbox_id, outcome in batch.outcomes.items()]
    session.run(
        _FINISH,
        now=session.now,
        ids=[row.inbox_id for row, *_ in rows],
        days=[row.received_on for row, *_ in rows],
        states=[state for _, state, _, _ in rows],
        reasons=[reason for _, _, reason, _ in rows],
        details=[detail for _, _, _, detail in rows],
    )
    rings.ring_again(session, channel_id, batch.again)
    rings.ring_unreadable(session, channel_id, batch.unreadable)
    rings.ring_unplaced(session, channel_id, batch.unplaced)
    return Processed(len(batch.rows), movements, sum(state == "parked" for _, state, _, _ in rows))


def _hear(batch: _Batch) -> None:
    """Numbers that a delivery spoke of: hints to look, never movements. Products that it or an order spoke of are read
    where the listings do not say the same."""
    for row in batch.rows.values():
        if row.kind == "observation":
            body = orjson.loads(bytes(row.body))
            batch.told += body.get("listings", [body])
            if "stock_key" in body:
                key = StockKey(body["stock_key"], body.get("location_key", ""))
                batch.hints.append(StockReading(key, body["quantity"]))
            batch.done(row.inbox_id)


def _parse(connector: Connector, batch: _Batch) -> list[Seen]:
    """The order documents as snapshots; malformed ones are parked, missing ones are set aside by `_orders`."""
    seen = []
    for row in batch.rows.values():
        if row.kind == "observation" or row.body is None:
            continue
        body = bytes(row.body)
        try:
            snapshot = connector.parse_order(body)
        except Malformed as error:
            batch.park(row.inbox_id, error.reason, error.detail)
            batch.unreadable.append(row.resource_key)
            continue
        read = hashlib.blake2b(body, digest_size=16).digest() if row.origin == "read" else None
        seen.append(Seen(row.inbox_id, snapshot, _digest(snapshot), read, row.observed_at))
    return seen


def _digest(snapshot: OrderSnapshot) -> bytes:
    """Of what the snapshot says about stock: two documents that say the same are the same, whatever else they carry."""
    lines = [
        (line.line_key, line.listing_key, line.sku, line.ordered, line.tracked, line.units) for line in snapshot.lines
    ]
    says = (snapshot.status, snapshot.frozen, lines)
    return hashlib.blake2b(repr(says).encode(), digest_size=16).digest()


def _orders(session: Session, channel: Channel, batch: _Batch, seen: Sequence[Seen]) -> int:
    channel_id = channel.channel_id
    gone = {
        row.resource_key: row.inbox_id for row in batch.rows.values() if row.kind == "document" and row.body is None
    }
    keys = {s.snapshot.order_key for s in seen} | gone.keys()
    if not keys:
        return 0
    orders = lock_orders(session, channel_id, keys)
    chosen = _choose(batch, orders, seen)
    batch.new = [seen for seen in chosen if orders[seen.snapshot.order_key].version is None]
    note_read(session, batch.read)
    for key, inbox_id in gone.items():
        known = orders[key].version is not None
        if not known or cases.order_gone(session, channel_id, orders[key].order_id, key, shown_from=batch.shown_from):
            batch.done(inbox_id, "gone")
            batch.readable[key] = batch.rows[inbox_id].observed_at
        else:
            batch.park(inbox_id, *cases.HIDDEN)
    end_parked(session, channel_id, batch.readable)
    if not chosen:
        return 0
    return _post_orders(session, channel, batch, [(orders[s.snapshot.order_key], s) for s in chosen])


def _choose(batch: _Batch, orders: dict[str, OrderRow], seen: Sequence[Seen]) -> list[Seen]:
    """The newest snapshot of each order that says something new; the others are done."""
    newest: dict[str, Seen] = {}
    for one in seen:
        order = orders[one.snapshot.order_key]
        verdict = _verdict(order, one)
        if verdict == "again":
            batch.read_again(one)
        if verdict != "new":
            batch.done(one.inbox_id, verdict)
            if verdict == "same" and one.read_digest is not None:
                batch.read[order.order_id] = one
                batch.readable[order.order_key] = one.observed_at
                batch.unplaced += [] if order.located else [order.order_key]
            continue
        rival = newest.get(one.snapshot.order_key)
        if rival is not None:
            one, rival = sorted((one, rival), key=_rank, reverse=True)
            batch.done(rival.inbox_id, "superseded")
            if _ambiguous(one, rival):
                batch.read_again(one)
                batch.read_again(rival)
        newest[one.snapshot.order_key] = one
    return list(newest.values())


def _ambiguous(chosen: Seen, other: Seen) -> bool:
    """Documents of the same version that say different things: which is newer, only the channel knows, unless one was
    read after the other had come."""
    if chosen.snapshot.version != other.snapshot.version or chosen.digest == other.digest:
        return False
    return chosen.read_digest is None or chosen.observed_at <= other.observed_at


def _rank(seen: Seen) -> tuple[object, ...]:
    return (seen.snapshot.version, seen.read_digest is not None, seen.snapshot.located, seen.observed_at, seen.inbox_id)


def _verdict(order: OrderRow, seen: Seen) -> str:
    """`new` is processed, `again` is read afresh, the rest says nothing: `older`, `same`."""
    snapshot = seen.snapshot
    if order.version is None or snapshot.version > order.version:
        return "new"
    if snapshot.version < order.version:
        return "older"
    if seen.digest == order.digest:
        known = order.complete and (order.located or not snapshot.located)  # the same, and now we know where
        return "same" if known else "new"
    if not snapshot.located and order.located:
        return "same"  # the same version without the places: nothing new in it
    if seen.read_digest is not None:
        return "new" if order.observed_at is None or seen.observed_at >= order.observed_at else "older"
    return "again"


def _post_orders(session: Session, channel: Channel, batch: _Batch, chosen: Sequence[tuple[OrderRow, Seen]]) -> int:
    channel_id = channel.channel_id
    live = [(order, seen) for order, seen in chosen if not seen.snapshot.frozen]
    known = [order.order_id for order, _ in live if order.version is not None]
    positions, memory = read_positions(session, known), read_lines(session, known)
    resolved = resolve(session, channel_id, [(order.order_id, seen) for order, seen in live], memory, positions)
    changed = _changed(positions, resolved.targets)
    first = first_lines(live, memory, changed)
    older = lines_from_before(live, first, batch.connected_at) if batch.connected_at else {}
    known_before = {**positions, **older}
    movements = opened_with(session, channel_id, older) + movements_of(session, live, known_before, changed)
    post(session, movements)
    write_positions(session, positions, changed)
    note_taken_before(session, older)
    moves = _belief_changes(known_before, changed, _times(live, first, changed, batch.skew), first)
    belief.lock(session, channel_id, moves, batch.hints)
    belief.move(session, moves, doubted=batch.doubted)
    if channel.state == "shadow":
        note_sales(session, moves)
    write_lines(session, [(order.order_id, seen) for order, seen in live], resolved.items)
    done = [(o.order_id, replace(s, complete=False) if o.order_id in resolved.waiting else s) for o, s in chosen]
    write_orders(session, done)
    cases.of_orders(session, channel_id, chosen, changed)
    batch.unlisted |= resolved.unlisted
    end_parked(session, channel_id, {order.order_key: None for order, _ in chosen})
    placed = [order.order_key for order, seen in chosen if seen.snapshot.located and not order.located]
    rings.end_unplaced(session, channel_id, placed)
    for order, seen in chosen:
        if order.order_id in resolved.waiting:
            batch.park(seen.inbox_id, *resolved.waiting[order.order_id])
        else:
            batch.done(seen.inbox_id)
        if not seen.snapshot.located:
            batch.read_again(seen)
            batch.unplaced += [] if seen.read_digest is None else [order.order_key]
    return len(movements)


def _changed(positions: Positions, targets: Positions) -> Positions:
    """Lines whose vector or belief is not what is stored; places that are left count zero."""
    changed: Positions = {}
    for line in lines_of(positions, targets):
        now = _with_left_places(positions.get(line, {}), targets.get(line, {}))
        if now != positions.get(line, {}):
            changed[line] = now
    return changed


def _with_left_places(before: dict[Place, Held], after: dict[Place, Held]) -> dict[Place, Held]:
    left = {place: Held(NOTHING, held.owner_id) for place, held in before.items() if place not in after}
    return {**after, **left}


def _times(
    live: Sequence[tuple[OrderRow, Seen]], first: Positions, changed: Positions, skew: timedelta
) -> dict[Line, tuple[datetime, datetime]]:
    """When what is new of each line began and ended at the latest, by our clock."""
    orders = {order.order_id: seen.snapshot for order, seen in live}
    ends = {line: orders[line[0]].version - skew + MARGIN for line in changed}
    return {
        line: (orders[line[0]].placed_at - skew + MARGIN if line in first else end, end) for line, end in ends.items()
    }


def _belief_changes(
    positions: Positions, changed: Positions, times: Mapping[Line, tuple[datetime, datetime]], first: Collection[Line]
) -> list[belief.Move]:
    """The channel's numbers went down by what it took more, up by what it put back; what is understood for the first
    time and took nothing may have done both."""
    deltas: defaultdict[tuple[int, Line], int] = defaultdict(int)
    for line, places in changed.items():
        for held, sign in (*((h, -1) for h in places.values()), *((h, 1) for h in positions.get(line, {}).values())):
            if held.owner_id is not None:
                deltas[held.owner_id, line] += sign * held.taken
    return [
        belief.Move(owner, delta, *times[line]) for (owner, line), delta in deltas.items() if delta or line in first
    ]
