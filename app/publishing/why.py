"""Why a channel shows the number it shows: the tree from what customers see down to movements. Data first, read only.

Every figure comes from what the pusher itself uses: the target is planned by the same code, the units are the ledger's
levels, the belief is the row that the next write will expect. The number of statements does not depend on the item.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from app.catalog.items import get_item
from app.core.db import Row, Session
from app.core.errors import NotFound
from app.listings.unplaced import HOLDS, TAKEN
from app.publishing.due import read_plans
from app.publishing.held import explain_held
from app.publishing.plan import Plan
from app.publishing.whatif import Suppose, suppose_rule
from app.publishing.why_tree import Case, Commitment, Explained, Part, Place, Touch, Waiting, Why, Write

OWNERS_MAX = 200  # numbers of one item that are explained in one answer
MOVEMENTS_MAX = 5  # latest movements shown per place; the item's page lists all
MOVEMENTS_LOOKED_AT_MAX = 1_000
ORDERS_MAX = 20  # orders shown per place; the others are counted
ORDER_MOVEMENTS_MAX = 20  # latest movements shown of an order at a place

_OWNERS = f"""
select o.*, c.name as channel, c.platform, c.state as channel_state,
       %(now)s::timestamptz as now, o.observed_revision is not null as contradicted,
       w.attempt_id, w.key, w.closed_at, w.expected, w.target, w.relative, w.quantity_after,
       f.opened_at as in_flight_since, d.since as due_since, p.last_error as push_error, p.due_at as push_due_at,
       {HOLDS} as unlocated, {TAKEN} as taken, (select i.kind = 'kit' from item i where i.merchant_id = o.merchant_id
           and i.item_id = o.item_id) as kit
from stock_owner o join channel c using (merchant_id, channel_id)
left join channel_poll p on p.merchant_id = o.merchant_id and p.channel_id = o.channel_id and p.kind = 'push'
left join lateral (
    select r.attempt_id, a.key, a.closed_at, r.expected, r.target, r.relative, r.quantity_after
    from push_row r join push_attempt a using (merchant_id, attempt_id)
    where r.merchant_id = o.merchant_id and r.owner_id = o.owner_id and r.outcome = 'written'
    order by r.attempt_id desc limit 1) w on true
left join lateral (
    select a.opened_at from push_attempt a join push_row r using (merchant_id, attempt_id)
    where a.merchant_id = o.merchant_id and a.channel_id = o.channel_id and a.state <> 'done'
      and r.owner_id = o.owner_id limit 1) f on true
left join lateral (
    select min(marked_at) as since from due_listing l
    where l.merchant_id = o.merchant_id and l.channel_id = o.channel_id and l.owner_id = o.owner_id) d on true
where o.merchant_id = %(merchant_id)s and o.item_id = %(item)s and (%(channel)s::text is null or c.name = %(channel)s)
order by o.channel_id, o.location_key, o.stock_key limit {OWNERS_MAX}
"""  # noqa: S608  a constant only
# One row per owner, place and part: the item itself, or each component of a kit (none: a kit without components).
_PARTS = """
select o.owner_id, l.location_id, l.name as location, part.item_id, part.sku, part.quantity,
       part.item_id = o.item_id as own, o.location_ids is null or l.location_id = any(o.location_ids) as counted,
       coalesce(v.available, 0) as available, coalesce(v.committed, 0) as committed
from stock_owner o
join channel_location c using (merchant_id, channel_id, location_key)
join location l on l.merchant_id = c.merchant_id and l.location_id = c.location_id
left join lateral (
    select i.item_id, i.sku, 1::bigint as quantity from item i
    where i.merchant_id = o.merchant_id and i.item_id = o.item_id and i.kind <> 'kit'
    union all
    select i.item_id, i.sku, k.quantity from kit_component k
    join item i on i.merchant_id = k.merchant_id and i.item_id = k.component_item_id
    where k.merchant_id = o.merchant_id and k.kit_item_id = o.item_id) part on true
left join level v on v.merchant_id = o.merchant_id and v.item_id = part.item_id and v.location_id = l.location_id
where o.merchant_id = %(merchant_id)s and o.owner_id = any(%(owners)s)
order by l.priority, l.location_id, part.sku
"""
_TOUCHES = f"""
select k.item_id, k.location_id, m.movement_id, m.source, m.source_key, m.recorded_at, m.quantity
       * (case when m.to_state = 'available' and m.to_location_id = k.location_id then 1 else 0 end
        - case when m.from_state = 'available' and m.from_location_id = k.location_id then 1 else 0 end) as change
from unnest(%(items)s::bigint[], %(places)s::bigint[]) k(item_id, location_id)
cross join lateral (
    select * from (select * from movement m where m.merchant_id = %(merchant_id)s and m.item_id = k.item_id
                   order by m.movement_id desc limit {MOVEMENTS_LOOKED_AT_MAX}) m
    where (m.to_state = 'available' and m.to_location_id = k.location_id)
       or (m.from_state = 'available' and m.from_location_id = k.location_id)
    order by m.movement_id desc limit {MOVEMENTS_MAX}) m
order by m.movement_id desc
"""  # noqa: S608  constants only
_COMMITMENTS = f"""
select k.item_id, k.location_id, o.* from unnest(%(items)s::bigint[], %(places)s::bigint[]) k(item_id, location_id)
cross join lateral (
    select s.order_id, s.number, c.name as channel, s.placed_at, sum(p.committed)::bigint as units,
           count(*) over () as orders, (
        select array_agg(m.movement_id order by m.movement_id) from (
            select m.movement_id from movement m
            where m.merchant_id = %(merchant_id)s and m.source = 'order'
              and m.source_key >= s.order_id || '/' and m.source_key < s.order_id || '0' and m.item_id = k.item_id
              and (m.to_state = 'committed' and m.to_location_id = k.location_id
                   or m.from_state = 'committed' and m.from_location_id = k.location_id)
            order by m.movement_id desc limit {ORDER_MOVEMENTS_MAX}) m) as movement_ids
    from order_position p join sales_order s using (merchant_id, order_id)
    join channel c using (merchant_id, channel_id)
    where p.merchant_id = %(merchant_id)s and p.item_id = k.item_id and p.location_id = k.location_id
      and p.committed > 0
    group by s.order_id, s.number, c.name, s.placed_at order by s.order_id desc limit {ORDERS_MAX}) o
order by o.order_id desc
"""  # noqa: S608  constants only
_CASES = """
select case_id, channel_id, subject, kind, detail, opened_at from case_file
where merchant_id = %(merchant_id)s and state = 'open' and channel_id = any(%(channels)s)
  and subject = any(%(subjects)s)
order by case_id
"""


def why(session: Session, sku: str, channel: str | None = None) -> list[Why]:
    """Every number of the item, on all channels or the named one. Raises NotFound."""
    return list(run(session, sku, channel).numbers)


def run(session: Session, sku: str, channel: str | None = None, suppose: Suppose | None = None) -> Explained:
    """The item and its numbers explained, also as they would be with the rule of `suppose`. Raises NotFound for an
    unknown item or channel, another merchant's too, and InvalidInput for a rule that can't be."""
    item = get_item(session, sku)
    if channel is not None:
        _check_channel(session, channel)
    owners = session.rows(_OWNERS, item=item.item_id, channel=channel, now=session.now)
    plans = read_plans(session, [o for o in owners if o.state == "managed"])
    places = _read_places(session, [o.owner_id for o in owners])
    cases = _read_cases(session, owners)
    chances = explain_held(session, owners)
    supposed = {} if suppose is None else suppose_rule(session, suppose, owners, places)
    numbers = tuple(
        replace(
            _explain(o, plans.get(o.owner_id), places[o.owner_id], cases),
            by_chance=chances.get(o.owner_id), supposed=supposed.get(o.owner_id),
        )
        for o in owners
    )  # fmt: skip
    supposing = () if suppose is None else suppose.asked
    return Explained(item.item_id, item.sku, item.name, item.kind, session.now, numbers, supposing)


def _check_channel(session: Session, name: str) -> None:
    if session.row("select from channel where merchant_id = %(merchant_id)s and name = %(name)s", name=name) is None:
        raise NotFound("unknown_channel", "no such channel")


def _explain(
    owner: Row, plan: Plan | None, places: Sequence[Place], cases: Mapping[tuple[int, str], list[Case]]
) -> Why:
    return Why(
        owner_id=owner.owner_id,
        channel_id=owner.channel_id,
        channel=owner.channel,
        stock_key=owner.stock_key,
        location_key=owner.location_key,
        shown=owner.believed,
        target=None if plan is None else plan.target,
        steps=() if plan is None else plan.reasons,
        places=tuple(places),
        last_write=_write_of(owner),
        believed_at=owner.believed_at,
        belief_revision=owner.belief_revision,
        observed=owner.observed,
        observed_at=owner.observed_at,
        waiting=tuple(_waiting(owner, mapped=bool(places))),
        cases=tuple(cases.get((owner.channel_id, _subject(owner)), ())),
        due_since=owner.due_since,
    )


def _subject(owner: Row) -> str:
    """What a case about this number is filed under."""
    return f"{owner.stock_key} {owner.location_key}".strip()


def _write_of(owner: Row) -> Write | None:
    if owner.attempt_id is None:
        return None
    return Write(
        owner.attempt_id, owner.key, owner.closed_at, owner.expected, owner.target, owner.relative, owner.quantity_after
    )  # fmt: skip


def _waiting(owner: Row, *, mapped: bool) -> Iterable[Waiting]:
    """Everything that stands between the target and the channel, the most general first."""
    if owner.channel_state != "active":
        yield Waiting(f"channel_{owner.channel_state}")
    if owner.state != "managed":
        yield Waiting(f"listing_{owner.state}", detail=owner.reason)
    if owner.held:
        yield Waiting("held_by_case")
    if not mapped:
        yield Waiting("place_not_mapped", detail=owner.location_key)
    if owner.push_error:
        yield Waiting("push_failing", owner.push_due_at, owner.push_error)
    if owner.in_flight_since is not None:
        yield Waiting("write_in_flight", owner.in_flight_since)
    if owner.unclear_attempt_id is not None:
        yield Waiting("unclear_write", owner.look_since)
    if owner.awaiting_since is not None:
        yield Waiting("awaiting_orders", owner.awaiting_since)
    if owner.contradicted and owner.unclear_attempt_id is None:
        yield Waiting("contradicted", owner.observed_at)
    if owner.look_since is not None and owner.unclear_attempt_id is None:
        yield Waiting("to_be_looked_at", owner.look_since)
    if owner.unlocated:
        yield Waiting("unlocated_order")
    if owner.believed is None:
        yield Waiting("never_seen")


def _read_places(session: Session, owners: list[int]) -> defaultdict[int, list[Place]]:
    rows = session.rows(_PARTS, owners=owners)
    pairs = sorted({(r.item_id, r.location_id) for r in rows if r.item_id is not None})
    asked = {"items": [item for item, _ in pairs], "places": [place for _, place in pairs]}
    touches = _by_pair(session.rows(_TOUCHES, **asked))
    orders = _by_pair(session.rows(_COMMITMENTS, **asked))
    grouped: defaultdict[tuple[int, int, str], list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row.owner_id, row.location_id, row.location].append(row)
    places: defaultdict[int, list[Place]] = defaultdict(list)
    for (owner, location_id, name), parts in grouped.items():
        known = [p for p in parts if p.item_id is not None]
        details = tuple(_part(p, touches[p.item_id, location_id], orders[p.item_id, location_id]) for p in known)
        units = _units(details, kit=_is_kit(known))
        places[owner].append(Place(location_id, name, units, parts[0].counted, details))
    return places


def _is_kit(parts: Sequence[Row]) -> bool:
    return not (len(parts) == 1 and parts[0].own)


def _by_pair(rows: Iterable[Row]) -> defaultdict[tuple[int, int], list[Row]]:
    pairs: defaultdict[tuple[int, int], list[Row]] = defaultdict(list)
    for row in rows:
        pairs[row.item_id, row.location_id].append(row)
    return pairs


def _part(row: Row, touches: Sequence[Row], orders: Sequence[Row]) -> Part:
    return Part(
        row.item_id, row.sku, row.quantity, row.available, row.committed,
        movements=tuple(_balances(row.available, touches)),
        earlier=row.available - sum(t.change for t in touches),
        orders=tuple(_commitment(o) for o in orders),
        more_orders=orders[0].orders - len(orders) if orders else 0,
    )  # fmt: skip


def _commitment(row: Row) -> Commitment:
    ids = tuple(row.movement_ids or ())
    return Commitment(row.order_id, row.number, row.channel, row.units, row.placed_at, ids)


def _balances(available: int, touches: Sequence[Row]) -> Iterable[Touch]:
    """The latest movements, newest first, each with what was available after it."""
    after = available
    for t in touches:
        yield Touch(t.movement_id, t.change, after, t.source, t.source_key, t.recorded_at)
        after -= t.change


def _units(parts: Sequence[Part], *, kit: bool) -> int:
    if not kit:
        return parts[0].available
    return max(0, min((part.available // part.per_unit for part in parts), default=0))


def _read_cases(session: Session, owners: Sequence[Row]) -> Mapping[tuple[int, str], list[Case]]:
    cases: defaultdict[tuple[int, str], list[Case]] = defaultdict(list)
    channels, subjects = [o.channel_id for o in owners], [_subject(o) for o in owners]
    for row in session.rows(_CASES, channels=channels, subjects=subjects):
        cases[row.channel_id, row.subject].append(Case(row.case_id, row.kind, row.detail, row.opened_at))
    return cases
