"""A channel's catalogue as listings: what it sells, which of our items that is, and who carries the stock number.

Matching is by exact SKU; what matches nothing stays unmapped and is shown. The same import again changes only what
changed there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.accounts import audit
from app.catalog.imports import BARCODE_MAX
from app.core.db import Row, Session
from app.core.errors import NotFound
from app.listings.cases import Case, open_cases
from app.listings.wanted import retire
from connectors.base import CatalogueEntry, StockReading

COST_MAX, COST_PLACES = Decimal(1_000_000_000), Decimal("0.0001")
_LISTINGS = """
insert into listing (merchant_id, listing_id, channel_id, listing_key, stock_key, item_id, sku, title, tracked,
    barcode, unit_cost, seen_at)
select %(merchant_id)s, nextval('listing_seq'), %(channel)s, l.listing_key, l.stock_key, i.item_id, l.sku, l.title,
    l.tracked, l.barcode, l.unit_cost, %(now)s
from unnest(%(keys)s::text[], %(stock_keys)s::text[], %(skus)s::text[], %(titles)s::text[], %(tracked)s::boolean[],
            %(barcodes)s::text[], %(unit_costs)s::numeric[])
     l(listing_key, stock_key, sku, title, tracked, barcode, unit_cost)
left join item i on i.merchant_id = %(merchant_id)s and i.sku = l.sku
order by l.listing_key
on conflict on constraint listing_key do update
set stock_key = excluded.stock_key, sku = excluded.sku, title = excluded.title, tracked = excluded.tracked,
    barcode = excluded.barcode, unit_cost = excluded.unit_cost, seen_at = excluded.seen_at, gone_at = null,
    item_id = case when not listing.left_out then coalesce(listing.item_id, excluded.item_id) end
"""
# What the page changes of listings that are there: the number that carries them, or the SKU to that of another item.
# The mapping stays: orders of it are booked, and whether the label was wrong or the thing is another, only a person
# knows.
_CHANGED = """
select l.listing_key, l.stock_key, l.stock_key <> n.stock_key as moved, l.sku as sku_before, n.sku, i.sku as mapped,
       l.sku is distinct from n.sku and l.item_id <> o.item_id as renamed
from unnest(%(keys)s::text[], %(stock_keys)s::text[], %(skus)s::text[]) n(listing_key, stock_key, sku)
join listing l on l.merchant_id = %(merchant_id)s and l.channel_id = %(channel)s and l.listing_key = n.listing_key
left join item i on i.merchant_id = l.merchant_id and i.item_id = l.item_id
left join item o on o.merchant_id = l.merchant_id and o.sku = n.sku
where l.stock_key <> n.stock_key or l.sku is distinct from n.sku and l.item_id <> o.item_id
"""
# A stock owner is mapped only when all listings that share it are the same item.
_OWNERS = """
insert into stock_owner (merchant_id, owner_id, channel_id, stock_key, location_key, item_id, state)
select %(merchant_id)s, nextval('stock_owner_seq'), %(channel)s, s.stock_key, p.location_key, s.item_id, s.state
from (select l.stock_key, case when count(distinct l.item_id) = 1 then min(l.item_id) end as item_id,
             case when bool_or(b.bundle) then 'bundle' when bool_and(l.tracked) then 'managed' else 'untracked' end as
                 state
      from listing l join unnest(%(stock_keys)s::text[], %(bundles)s::boolean[]) b(stock_key, bundle) using (stock_key)
      where l.merchant_id = %(merchant_id)s and l.channel_id = %(channel)s and l.gone_at is null group by l.stock_key) s
cross join (select distinct location_key from channel_location
            where merchant_id = %(merchant_id)s and channel_id = %(channel)s) p
order by s.stock_key, p.location_key
on conflict on constraint stock_owner_key do update set state = excluded.state
"""
_PLACED = _OWNERS.partition("on conflict")[0] + "on conflict on constraint stock_owner_key do nothing"
_FIRST_BELIEF = """
update stock_owner o set believed = r.quantity, believed_at = %(now)s, counted_since = %(began)s
from unnest(%(keys)s::text[], %(places)s::text[], %(quantities)s::bigint[]) r(stock_key, location_key, quantity)
where o.merchant_id = %(merchant_id)s and o.channel_id = %(channel)s and o.stock_key = r.stock_key
  and o.location_key = r.location_key and o.believed is null and r.quantity is not null
"""
# The same after a mapping or who shares the number has changed, for the owners of these (channel, stock key). Whether
# orders that waited for it were made before or after its number was last read nobody knows: the number is read again.
_FOLLOW = """
with waiting as materialized (
    select distinct l.channel_id, l.stock_key from inbox i
    join channel c on c.merchant_id = i.merchant_id and c.channel_id = i.channel_id
    join sales_order s on s.merchant_id = i.merchant_id and s.channel_id = i.channel_id and s.order_key = i.resource_key
                      and s.placed_at >= c.created_at + make_interval(secs => c.clock_skew_s)
    join order_line w on w.merchant_id = s.merchant_id and w.order_id = s.order_id and w.item_id is null
    join listing l on l.merchant_id = s.merchant_id and l.channel_id = s.channel_id and l.listing_key = w.listing_key
    where i.merchant_id = %(merchant_id)s and i.state = 'parked' and i.reason = 'unknown_listing'
), s as materialized (
    select l.channel_id, l.stock_key, case when count(distinct l.item_id) = 1 then min(l.item_id) end as item_id
    from listing l
    join (select distinct * from unnest(%(channels)s::bigint[], %(stock_keys)s::text[])) c(channel_id, stock_key)
         using (channel_id, stock_key)
    where l.merchant_id = %(merchant_id)s and (l.gone_at is null or not exists (
        select from listing a where a.merchant_id = l.merchant_id and a.channel_id = l.channel_id
                              and a.stock_key = l.stock_key and a.gone_at is null))
    group by l.channel_id, l.stock_key
), k as materialized (
    select o.owner_id, s.item_id, o.item_id is null and exists (
               select from waiting w where w.channel_id = o.channel_id and w.stock_key = o.stock_key) as waited
    from stock_owner o join s using (channel_id, stock_key)
    where o.merchant_id = %(merchant_id)s and o.item_id is distinct from s.item_id order by o.owner_id for update of o
)
update stock_owner o
set item_id = k.item_id, believed = case when k.waited then null else o.believed end,
    belief_revision = o.belief_revision + case when k.waited then 1 else 0 end,
    observed_revision = case when k.waited then null else o.observed_revision end,
    look_since = case when k.waited then %(now)s else o.look_since end
from k where o.merchant_id = %(merchant_id)s and o.owner_id = k.owner_id
"""
_MATCH = """
update listing l set item_id = i.item_id
from item i
where l.merchant_id = %(merchant_id)s and l.item_id is null and not l.left_out
  and i.merchant_id = %(merchant_id)s and i.sku = l.sku
returning l.channel_id, l.stock_key
"""
_DECIDED = """
delete from match_proposal p using listing l
where l.merchant_id = %(merchant_id)s and l.channel_id = %(channel)s and l.listing_key = %(key)s
  and p.merchant_id = l.merchant_id and p.listing_id = l.listing_id
"""
# Parked orders whose listing, SKU or place is known now.
_REOPEN = """
update inbox set state = 'open', reason = null, detail = null
where merchant_id = %(merchant_id)s and state = 'parked' and reason in ('unknown_listing', 'unknown_location')
  and (%(channel)s::bigint is null or channel_id = %(channel)s)
"""


@dataclass(frozen=True, slots=True)
class Mapped:
    """What an import found."""

    listings: int
    unmapped: int


def import_entries(
    session: Session, channel_id: int, entries: Sequence[CatalogueEntry], *, began: datetime | None = None
) -> Mapped:
    """One page of a channel's catalogue, of a reading that `began` then (None: now); opens again what waited for it. A
    listing that is named twice (a plugin's translated products) counts as named last."""
    entries = list({entry.listing_key: entry for entry in entries}.values())
    left = _changes(session, channel_id, entries)
    session.run(
        _LISTINGS,
        channel=channel_id,
        now=session.now,
        keys=[e.listing_key for e in entries],
        stock_keys=[e.stock_key for e in entries],
        skus=[e.sku for e in entries],
        titles=[e.title for e in entries],
        tracked=[e.tracked for e in entries],
        barcodes=[_barcode(e.barcode) for e in entries],
        unit_costs=[_cost(e.unit_cost) for e in entries],
    )
    bundles = {e.stock_key: e.bundle for e in entries}
    session.run(_OWNERS, channel=channel_id, stock_keys=list(bundles), bundles=list(bundles.values()))
    retire(session, channel_id, left)
    follow(session, channel_id, [*bundles, *left])
    _first_beliefs(session, channel_id, [reading for e in entries for reading in e.stock], began or session.now)
    session.run(_REOPEN, channel=channel_id)
    unmapped = session.value(
        """select count(*) from listing where merchant_id = %(merchant_id)s and channel_id = %(channel)s
           and listing_key = any(%(keys)s) and item_id is null""",
        channel=channel_id,
        keys=[e.listing_key for e in entries],
    )
    return Mapped(len(entries), unmapped)


def _barcode(text: str | None) -> str | None:
    """One that an item can have; anything longer or unprintable is none."""
    plain = (text or "").strip()
    return plain if 1 <= len(plain) <= BARCODE_MAX and plain.isprintable() else None


def _cost(cost: Decimal | None) -> Decimal | None:
    """One that the ledger can hold; anything else is no known cost."""
    if cost is None or not cost.is_finite() or not 0 <= cost <= COST_MAX:
        return None
    return cost.quantize(COST_PLACES)


def _changes(session: Session, channel_id: int, entries: Sequence[CatalogueEntry]) -> list[str]:
    """A case for each listing that has another item's SKU now; returns the stock keys that listings left."""
    rows = session.rows(
        _CHANGED, channel=channel_id, keys=[e.listing_key for e in entries],
        stock_keys=[e.stock_key for e in entries], skus=[e.sku for e in entries],
    )  # fmt: skip
    renamed = [row for row in rows if row.renamed]
    open_cases(session, channel_id, [_renamed_case(row) for row in renamed])
    return [row.stock_key for row in rows if row.moved]


def _renamed_case(row: Row) -> Case:
    detail = f"its SKU in the shop is {row.sku} now, another item's; it stays {row.mapped} until somebody maps it"
    return "listing_renamed", row.listing_key, detail, {"sku_before": row.sku_before, "sku": row.sku}


def open_place(session: Session, channel_id: int) -> None:
    """A place of the channel was mapped: each of its products has a number there, and orders that waited open again."""
    rows = session.rows(
        """select l.stock_key, coalesce(bool_or(o.state = 'bundle'), false) as bundle
           from listing l left join stock_owner o using (merchant_id, channel_id, stock_key)
           where l.merchant_id = %(merchant_id)s and l.channel_id = %(channel)s and l.gone_at is null
           group by l.stock_key""",
        channel=channel_id,
    )
    session.run(
        _PLACED, channel=channel_id, stock_keys=[row.stock_key for row in rows], bundles=[row.bundle for row in rows]
    )
    session.run(_REOPEN, channel=channel_id)


def _first_beliefs(session: Session, channel_id: int, readings: Sequence[StockReading], began: datetime) -> None:
    if readings:
        session.run(
            _FIRST_BELIEF,
            channel=channel_id,
            now=session.now,
            began=began,
            keys=[r.key.stock_key for r in readings],
            places=[r.key.location_key for r in readings],
            quantities=[r.quantity for r in readings],
        )


def map_listing(session: Session, channel_id: int, listing_key: str, item_id: int) -> None:
    """Say which item a listing is; its stock owner follows and waiting orders open again. Raises NotFound. An owner
    that listings of several items share belongs to none of them: its number can't be all of theirs."""
    _set_item(session, channel_id, listing_key, item_id)
    session.run(_REOPEN, channel=channel_id)
    audit.note(session, None, "listing.mapped", _told(channel_id, listing_key), after={"item_id": item_id})


def unmap_listing(session: Session, channel_id: int, listing_key: str) -> None:
    """Say that a listing is none of our items: its number is written no more, new orders of it wait, and no import
    matches it again. What is booked stays booked. Raises NotFound."""
    _set_item(session, channel_id, listing_key, None)
    audit.note(session, None, "listing.unmapped", _told(channel_id, listing_key))


def _told(channel_id: int, listing_key: str) -> str:
    return f"listing {listing_key} of channel {channel_id}"


def _set_item(session: Session, channel_id: int, listing_key: str, item_id: int | None) -> None:
    stock_key = session.value(
        """select stock_key from listing
           where merchant_id = %(merchant_id)s and channel_id = %(channel)s and listing_key = %(key)s""",
        channel=channel_id, key=listing_key,
    )  # fmt: skip
    if stock_key is None:
        raise NotFound("unknown_listing", "the channel has no such listing")
    lock_sharers(session, channel_id, stock_key)
    session.run(
        """update listing set item_id = %(item)s, left_out = %(item)s::bigint is null
           where merchant_id = %(merchant_id)s and channel_id = %(channel)s and listing_key = %(key)s""",
        channel=channel_id, key=listing_key, item=item_id,
    )  # fmt: skip
    session.run(_FOLLOW, now=session.now, channels=[channel_id], stock_keys=[stock_key])
    session.run(_DECIDED, channel=channel_id, key=listing_key)


def follow(session: Session, channel_id: int, stock_keys: Sequence[str]) -> None:
    """Listings of these numbers came, left, were mapped or unmapped: each number belongs to the one item that all of
    them are."""
    if stock_keys:
        unique = list(dict.fromkeys(stock_keys))
        session.run(_FOLLOW, now=session.now, channels=[channel_id] * len(unique), stock_keys=unique)


def reopen(session: Session, channel_id: int) -> None:
    """Orders of the channel that waited for a mapping are looked at again."""
    session.run(_REOPEN, channel=channel_id)


def lock_sharers(session: Session, channel_id: int, stock_key: str) -> None:
    """Lock the listings that share a number: who maps another of them at the same time comes after."""
    session.rows(
        """select from listing where merchant_id = %(merchant_id)s and channel_id = %(channel)s
           and stock_key = %(stock_key)s order by listing_id for update""",
        channel=channel_id, stock_key=stock_key,
    )  # fmt: skip


def match_by_sku(session: Session) -> int:
    """New items came: listings of every channel that wait for one of exactly their SKU are mapped, and the orders that
    waited for a SKU are looked at again; how many listings."""
    found = session.rows(_MATCH)
    session.run(
        _FOLLOW,
        now=session.now,
        channels=[row.channel_id for row in found],
        stock_keys=[row.stock_key for row in found],
    )
    session.run(_REOPEN, channel=None)
    return len(found)
