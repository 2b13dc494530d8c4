"""Which item a listing of a shop probably is, worked out for the whole channel at once; shown, and accepted in bulk.

Nothing is guessed silently: an exact SKU maps by itself (`app.listings.catalogue`), everything else is a proposal with
a confidence, or a reason why there is none. Listings that share one number (a product that manages its variations'
stock, translations of a product) get one item. What was accepted at once can be taken back at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.accounts import audit
from app.core.db import ConstraintViolated, Session
from app.core.errors import Conflict, InvalidInput, NotFound
from app.listings.catalogue import follow, match_by_sku, reopen

# Kinds, and whether one can be accepted in bulk; `CERTAIN` ones follow from keys that nothing else has.
CERTAIN = ("new", "same_number", "sku")
PROBABLE = ("barcode", "like_sku", "shared", "same_barcode", "name")
UNDECIDED = ("duplicate_sku", "twice", "two_items", "blank", "bad_sku", "untracked")
KINDS = (*CERTAIN, *PROBABLE, *UNDECIDED)
BATCHES_SHOWN = 5

_CLEAR = "delete from match_proposal where merchant_id = %(merchant_id)s and channel_id = %(channel)s"
# A stock key is what is counted: listings that share one are one thing. `plain` names are compared without case, signs
# and spaces.
_PROPOSE = """
with live as materialized (
    select l.listing_id, l.stock_key, l.item_id, l.tracked, l.left_out, l.title,
           nullif(btrim(l.barcode), '') as barcode, nullif(btrim(l.sku), '') as sku,
           lower(regexp_replace(l.title, '[^[:alnum:]]+', '', 'g')) as plain
    from listing l
    where l.merchant_id = %(merchant_id)s and l.channel_id = %(channel)s and l.gone_at is null
), number as materialized (
    select stock_key, count(*) as listings, count(distinct coalesce(sku, '')) as skus,
           min(sku collate "C") filter (where sku is not null) as sku,
           count(distinct item_id) as items, min(item_id) as item_id
    from live group by stock_key
), same_sku as materialized (
    select sku, count(distinct stock_key) as numbers from live where sku is not null group by sku
), same_barcode as materialized (
    select barcode, count(distinct stock_key) as numbers from live where barcode is not null group by barcode
), same_fold as materialized (
    select lower(sku) as folded, count(distinct stock_key) as numbers from live where sku is not null group by 1
), same_name as materialized (
    select plain, count(distinct stock_key) as numbers from live group by plain
), taken as materialized (
    select distinct item_id from live where item_id is not null
), item_barcode as materialized (
    select barcode, count(*) as items, min(item_id) as item_id from item
    where merchant_id = %(merchant_id)s and barcode is not null group by barcode
), item_folded as materialized (
    select lower(sku) as folded, count(*) as items, min(item_id) as item_id from item
    where merchant_id = %(merchant_id)s group by 1
), item_name as materialized (
    select plain, count(*) as items, min(item_id) as item_id
    from (select item_id, lower(regexp_replace(name, '[^[:alnum:]]+', '', 'g')) as plain from item
          where merchant_id = %(merchant_id)s) i where plain <> '' group by plain
), found as (
    select l.listing_id, l.sku, n.sku as number_sku, n.item_id as number_item, e.item_id as exact_item,
           f.item_id as folded_item, b.item_id as barcode_item, m.item_id as named_item,
           sf.numbers as fold_numbers, sm.numbers as name_numbers,
           exists (select from taken t where t.item_id = f.item_id) as folded_taken,
           exists (select from taken t where t.item_id = b.item_id) as barcode_taken,
           exists (select from taken t where t.item_id = m.item_id) as named_taken,
           n.items as number_items, n.listings, n.skus, s.numbers as sku_numbers, sb.numbers as barcode_numbers,
           f.items as folded_items, b.items as barcode_items, m.items as named_items,
           l.tracked and not exists (
               select from stock_owner o where o.merchant_id = %(merchant_id)s and o.channel_id = %(channel)s
               and o.stock_key = l.stock_key and o.state = 'bundle') as counted,
           length(l.sku) <= 200 and l.sku !~ '[[:cntrl:]]' as fit
    from live l join number n using (stock_key)
    left join same_sku s on s.sku = l.sku
    left join same_fold sf on sf.folded = lower(l.sku)
    left join same_name sm on sm.plain = l.plain
    left join same_barcode sb on sb.barcode = l.barcode
    left join item e on e.merchant_id = %(merchant_id)s and e.sku = coalesce(l.sku, n.sku)
    left join item_folded f on f.folded = lower(l.sku)
    left join item_barcode b on b.barcode = l.barcode
    left join item_name m on m.plain = l.plain
    where l.item_id is null and not l.left_out
), judged as (
    select *, case
        when number_items = 1 then 'same_number'
        when number_items > 1 then 'two_items'
        when sku_numbers > 1 then 'duplicate_sku'
        when not counted then 'untracked'
        when skus > 1 and number_sku is not null then 'shared'
        when exact_item is not null then 'sku'
        when folded_items = 1 and fold_numbers = 1 and not folded_taken then 'like_sku'
        when folded_items > 0 or barcode_items > 1 then 'two_items'
        when barcode_items = 1 and barcode_numbers = 1 and not barcode_taken then 'barcode'
        when barcode_items = 1 then 'two_items'
        when named_items = 1 and name_numbers = 1 and not named_taken then 'name'
        when sku is null then 'blank'
        when not fit then 'bad_sku'
        when barcode_numbers > 1 then 'same_barcode'
        else 'new' end as kind
    from found
)
insert into match_proposal (merchant_id, channel_id, listing_id, kind, item_id, item_sku, confidence, made_at)
select %(merchant_id)s, %(channel)s, listing_id, kind,
       case kind when 'same_number' then number_item when 'sku' then exact_item when 'shared' then exact_shared
                 when 'like_sku' then folded_item when 'barcode' then barcode_item when 'name' then named_item end,
       case when kind in ('new', 'same_barcode') then sku when kind = 'shared' then number_sku end,
       case kind when 'new' then 100 when 'same_number' then 100 when 'sku' then 100 when 'barcode' then 95
                 when 'like_sku' then 90 when 'shared' then 80 when 'same_barcode' then 80 when 'name' then 70
                 else 0 end, %(now)s
from judged j
left join lateral (select i.item_id as exact_shared from item i
                   where j.kind = 'shared' and i.merchant_id = %(merchant_id)s and i.sku = j.number_sku) x on true
"""
# What is mapped, but to an item that has another number in the same shop as well.
_TWICE = """
insert into match_proposal (merchant_id, channel_id, listing_id, kind, item_id, confidence, made_at)
select %(merchant_id)s, %(channel)s, l.listing_id, 'twice', l.item_id, 0, %(now)s
from listing l
where l.merchant_id = %(merchant_id)s and l.channel_id = %(channel)s and l.gone_at is null and l.item_id in (
    select item_id from listing where merchant_id = %(merchant_id)s and channel_id = %(channel)s and gone_at is null
      and item_id is not null
    group by item_id having count(distinct stock_key) > 1)
"""
_COUNTS = """
select kind, count(*) as listings, count(distinct item_sku) filter (where item_id is null) as items,
       max(made_at) as made_at
from match_proposal where merchant_id = %(merchant_id)s and channel_id = %(channel)s group by kind
"""
_MAKE = """
insert into item (merchant_id, item_id, sku, name, barcode, kind, created_at)
select %(merchant_id)s, nextval('item_seq'), n.sku, left(n.name, 500), n.barcode, 'stock', %(now)s
from (select p.item_sku as sku, coalesce(nullif(min(l.title), ''), p.item_sku) as name,
             case when count(distinct l.barcode) = 1 then min(l.barcode) end as barcode
      from match_proposal p join listing l using (merchant_id, listing_id)
      where p.merchant_id = %(merchant_id)s and p.channel_id = %(channel)s and p.kind = any(%(kinds)s)
        and p.item_id is null and p.item_sku is not null and l.item_id is null and not l.left_out
      group by p.item_sku order by p.item_sku) n
on conflict on constraint item_sku do nothing
returning item_id
"""
_ACCEPT = """
update listing l set item_id = i.item_id
from match_proposal p left join item n on n.merchant_id = %(merchant_id)s and n.sku = p.item_sku
     cross join lateral (select coalesce(p.item_id, n.item_id) as item_id) i
where p.merchant_id = %(merchant_id)s and p.channel_id = %(channel)s and p.kind = any(%(kinds)s)
  and l.merchant_id = p.merchant_id and l.listing_id = p.listing_id and l.item_id is null and not l.left_out
  and i.item_id is not null
returning l.listing_id, l.stock_key, l.item_id
"""
_BATCH_ROWS = """
insert into match_batch_row (merchant_id, batch_id, listing_id, item_id, item_made)
select %(merchant_id)s, %(batch)s, r.listing_id, r.item_id, r.made
from unnest(%(listings)s::bigint[], %(items)s::bigint[], %(made)s::boolean[]) r(listing_id, item_id, made)
"""
_UNMAP = """
update listing l set item_id = null from match_batch_row r
where r.merchant_id = %(merchant_id)s and r.batch_id = %(batch)s and l.merchant_id = r.merchant_id
  and l.listing_id = r.listing_id and l.item_id = r.item_id
returning l.stock_key
"""
# An item that anything is known of stays.
_DROP_ITEMS = """
delete from item i using (select distinct item_id from match_batch_row
                          where merchant_id = %(merchant_id)s and batch_id = %(batch)s and item_made) r
where i.merchant_id = %(merchant_id)s and i.item_id = r.item_id
  and not exists (select from movement m where m.merchant_id = i.merchant_id and m.item_id = i.item_id)
  and not exists (select from listing l where l.merchant_id = i.merchant_id and l.item_id = i.item_id)
  and not exists (select from stock_owner o where o.merchant_id = i.merchant_id and o.item_id = i.item_id)
  and not exists (select from level v where v.merchant_id = i.merchant_id and v.item_id = i.item_id)
  and not exists (select from order_line o where o.merchant_id = i.merchant_id and o.item_id = i.item_id)
  and not exists (select from kit_component k where k.merchant_id = i.merchant_id
                  and i.item_id in (k.component_item_id, k.kit_item_id))
"""


@dataclass(frozen=True, slots=True)
class Group:
    """Listings of one kind; `items` are those that accepting them would make."""

    kind: str
    listings: int
    items: int


@dataclass(frozen=True, slots=True)
class Matching:
    """A channel's proposals by kind, in the order of `KINDS`; `made_at` is when they were worked out."""

    groups: Sequence[Group]
    made_at: datetime | None

    def of(self, kinds: Sequence[str]) -> tuple[int, int]:
        """(listings, items to make) of these kinds together."""
        chosen = [group for group in self.groups if group.kind in kinds]
        return sum(group.listings for group in chosen), sum(group.items for group in chosen)


@dataclass(frozen=True, slots=True)
class MatchBatch:
    """What was accepted at once."""

    batch_id: int
    channel_id: int
    kinds: Sequence[str]
    items: int
    listings: int
    made_at: datetime
    made_by: str
    undone_at: datetime | None


def propose(session: Session, channel_id: int) -> Matching:
    """Work out anew what the channel's unmapped listings are; a constant number of statements for any of them."""
    session.run(_CLEAR, channel=channel_id)
    with session.over_all():
        session.run(_PROPOSE, channel=channel_id, now=session.now)
        session.run(_TWICE, channel=channel_id, now=session.now)
    return read_matching(session, channel_id)


def propose_again(session: Session) -> None:
    """Items came or went: work out anew what the products of every shop are that is still being set up."""
    for row in session.rows(
        """select channel_id from channel where merchant_id = %(merchant_id)s and approved_at is null
           and state <> 'disconnected' order by channel_id"""
    ):
        propose(session, row.channel_id)


def read_matching(session: Session, channel_id: int) -> Matching:
    """The proposals as they were worked out last."""
    rows = {row.kind: row for row in session.rows(_COUNTS, channel=channel_id)}
    groups = [Group(kind, rows[kind].listings, rows[kind].items) for kind in KINDS if kind in rows]
    return Matching(groups, max((row.made_at for row in rows.values()), default=None))


def accept(session: Session, channel_id: int, kinds: Sequence[str], *, listings: int, by: str) -> MatchBatch:
    """Map all listings of these kinds, making the items that are not there yet. `listings` is how many were shown:
    raises Conflict when they are others by now, InvalidInput for kinds that only a person can decide one by one."""
    if not kinds or not set(kinds) <= {*CERTAIN, *PROBABLE}:
        raise InvalidInput("bad_kind", f"one of {', '.join((*CERTAIN, *PROBABLE))}", where="kind")
    session.run(
        """select from channel where merchant_id = %(merchant_id)s and channel_id = %(channel)s for no key update""",
        channel=channel_id,
    )
    found, _ = propose(session, channel_id).of(kinds)
    if found != listings:
        raise Conflict("matching_changed", f"{found} products now, {listings} when it was shown: look again")
    with session.over_all():
        made = [row.item_id for row in session.rows(_MAKE, channel=channel_id, kinds=list(kinds), now=session.now)]
        mapped = session.rows(_ACCEPT, channel=channel_id, kinds=list(kinds))
    follow(session, channel_id, [row.stock_key for row in mapped])
    reopen(session, channel_id)
    batch_id = _note_batch(session, channel_id, kinds, by, counts=(len(made), len(mapped)))
    new = set(made)
    session.run(
        _BATCH_ROWS, batch=batch_id, listings=[row.listing_id for row in mapped],
        items=[row.item_id for row in mapped], made=[row.item_id in new for row in mapped],
    )  # fmt: skip
    match_by_sku(session)  # other shops' listings of exactly these SKUs
    propose_again(session)
    told = {"kinds": list(kinds), "listings": len(mapped), "items": len(made)}
    audit.note(session, by, "matching.accepted", f"acceptance {batch_id}", after=told)
    return get_batch(session, batch_id)


def _note_batch(session: Session, channel_id: int, kinds: Sequence[str], by: str, *, counts: tuple[int, int]) -> int:
    batch_id: int = session.value(
        """insert into match_batch (merchant_id, batch_id, channel_id, kinds, items, listings, made_at, made_by)
           values (%(merchant_id)s, nextval('match_batch_seq'), %(channel)s, %(kinds)s, %(items)s, %(listings)s,
                   %(now)s, %(by)s) returning batch_id""",
        channel=channel_id, kinds=list(kinds), items=counts[0], listings=counts[1], now=session.now, by=by,
    )  # fmt: skip
    return batch_id


def undo(session: Session, batch_id: int) -> tuple[int, int]:
    """Take an acceptance back: (listings that are unmapped again, items that are gone again). What was mapped to
    something else since stays, and so does an item that anything is known of. Raises NotFound, and Conflict the second
    time."""
    batch = get_batch(session, batch_id)
    if not session.run(
        """update match_batch set undone_at = %(now)s
           where merchant_id = %(merchant_id)s and batch_id = %(batch)s and undone_at is null""",
        batch=batch_id, now=session.now,
    ):  # fmt: skip
        raise Conflict("undone_already", "this was taken back already")
    keys = [row.stock_key for row in session.rows(_UNMAP, batch=batch_id)]
    follow(session, batch.channel_id, keys)
    try:
        with session.savepoint():
            dropped = session.run(_DROP_ITEMS, batch=batch_id)
    except ConstraintViolated:  # something else speaks of one of them: all of them stay
        dropped = 0
    propose_again(session)
    told = {"listings": len(keys), "items": dropped}
    audit.note(session, None, "matching.taken_back", f"acceptance {batch_id}", after=told)
    return len(keys), dropped


_BATCH = """
select batch_id, channel_id, kinds, items, listings, made_at, made_by, undone_at from match_batch
where merchant_id = %(merchant_id)s and {which}
"""


def get_batch(session: Session, batch_id: int) -> MatchBatch:
    """Raises NotFound, also for another merchant's."""
    row = session.row(_BATCH.format(which="batch_id = %(batch)s"), batch=batch_id)
    if row is None:
        raise NotFound("unknown_batch", "no such acceptance")
    return MatchBatch(*row)


def list_batches(session: Session, channel_id: int) -> Sequence[MatchBatch]:
    """The latest few of a channel, newest first."""
    which = "channel_id = %(channel)s order by batch_id desc limit %(limit)s"
    rows = session.rows(_BATCH.format(which=which), channel=channel_id, limit=BATCHES_SHOWN)
    return [MatchBatch(*row) for row in rows]


def count_by_state(session: Session, channel_id: int) -> Mapping[str, int]:
    """How many live listings are mapped, left out by a person, or neither (`open`)."""
    row = session.row(
        """select count(*) filter (where item_id is not null) as mapped, count(*) filter (where left_out) as left_out,
                  count(*) filter (where item_id is null and not left_out) as open
           from listing where merchant_id = %(merchant_id)s and channel_id = %(channel)s and gone_at is null""",
        channel=channel_id,
    )
    assert row is not None  # noqa: S101  an aggregate has a row
    return {"mapped": row.mapped, "left_out": row.left_out, "open": row.open}
