"""The ledger opened from a shop: what it shows becomes our stock, once, at the unit cost that it or a table tells.

Which shop that is is asked once (`opening_choice`). An item is taken over from one shop only, if only as none: every
other shop's number is compared with it and never added. What the shop has taken off its number for orders that are
booked here already is put back, so that ledger and shop agree after it. The postings have the keys of
`app.ledger.opening`: the same SKU at the same place is opened by one of them, whichever comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.accounts import audit
from app.core.db import Row, Session
from app.core.errors import Conflict, InvalidInput
from app.ledger.models import BATCH_MAX, Movement, State
from app.ledger.opening import SOURCE
from app.ledger.post import post
from app.listings.channels import get_channel

SOURCES = ("shop", "csv", "zero")
EXAMPLES_MAX = 20

# Every number of the shop that is one of our stocked items, with what becomes of it. `known`: the ledger has it from
# elsewhere. The shop's own orders that are booked moved the number and the ledger alike, but for what those from before
# it was connected had taken then. Only items behind `after` up to `upto`, if that is said.
_NUMBERS = """
with place as materialized (
    select distinct on (c.location_key) c.location_key, c.location_id
    from channel_location c join location l using (merchant_id, location_id)
    where c.merchant_id = %(merchant_id)s and c.channel_id = %(channel)s
    order by c.location_key, l.priority, l.location_id
), number as materialized (
    select o.owner_id, o.item_id, i.sku, o.stock_key, p.location_id, o.believed,
           o.observed_revision is not null or o.look_since is not null as moving,
           count(*) over (partition by o.item_id, p.location_id) > 1 as twice,
           exists (select from opened_item k where k.merchant_id = o.merchant_id and k.item_id = o.item_id)
           or exists (select from movement m where m.merchant_id = o.merchant_id and m.item_id = o.item_id
                      and m.source not in ('order', 'before')) as known
    from stock_owner o join item i on i.merchant_id = o.merchant_id and i.item_id = o.item_id
    join place p using (location_key)
    where o.merchant_id = %(merchant_id)s and o.channel_id = %(channel)s and o.state = 'managed' and i.kind = 'stock'
      and (%(upto)s::bigint is null or o.item_id > %(after)s and o.item_id <= %(upto)s)
), sold as materialized (
    select q.owner_id, sum(q.taken - q.taken_before) as units from order_position q
    join sales_order s using (merchant_id, order_id)
    where q.merchant_id = %(merchant_id)s and s.channel_id = %(channel)s group by q.owner_id
), told as (
    select n.*, n.believed + coalesce(g.units, 0)::bigint as units,
           coalesce((select k.unit_cost from known_cost k
                     where k.merchant_id = %(merchant_id)s and k.item_id = n.item_id),
                    case when %(shop_costs)s then (
                        select min(l.unit_cost) from listing l where l.merchant_id = %(merchant_id)s
                        and l.channel_id = %(channel)s and l.stock_key = n.stock_key and l.gone_at is null) end
           ) as unit_cost
    from number n left join sold g using (owner_id)
)
select *, case when twice then 'twice' when known then 'known' when believed is null then 'unread'
               when moving then 'moving' when units < 0 then 'negative' else 'open' end as fate
from told
"""
_SUMMARY = f"""
with n as materialized ({_NUMBERS})
select fate, count(distinct item_id) as items, coalesce(sum(units) filter (where fate = 'open'), 0)::bigint as units,
       coalesce(sum(units * unit_cost) filter (where fate = 'open'), 0) as value,
       count(distinct item_id) filter (where fate = 'open' and units > 0 and unit_cost is null) as without_cost
from n group by fate
"""  # noqa: S608  constants only
# The last of the next so many items of the channel.
_UPTO = """
select max(item_id) from (
    select distinct item_id from stock_owner
    where merchant_id = %(merchant_id)s and channel_id = %(channel)s and item_id > %(after)s
    order by item_id limit %(limit)s) i
"""
_OPEN = f"""
with n as materialized ({_NUMBERS}), ready as (
    select item_id from n group by item_id having bool_and(fate = 'open')
)
select item_id, sku, location_id, units, unit_cost from n join ready using (item_id) order by item_id, location_id
"""  # noqa: S608  constants only
_EXAMPLES = f"""
with n as materialized ({_NUMBERS})
select sku, fate, units, unit_cost from n
where fate not in ('open', 'known') or fate = 'open' and units > 0 and unit_cost is null
order by fate, sku limit {EXAMPLES_MAX}
"""  # noqa: S608  constants only
# What other shops' numbers are compared with.
_COMPARE = f"""
with n as materialized ({_NUMBERS}), ours as (
    select o.owner_id, sum(coalesce(v.available, 0)) as available
    from n o join stock_owner w on w.merchant_id = %(merchant_id)s and w.owner_id = o.owner_id
    join channel_location c on c.merchant_id = %(merchant_id)s and c.channel_id = %(channel)s
                           and c.location_key = w.location_key
    left join level v on v.merchant_id = %(merchant_id)s and v.item_id = o.item_id and v.location_id = c.location_id
    group by o.owner_id
)
select count(*) filter (where n.believed = ours.available) as equal,
       count(*) filter (where n.believed <> ours.available) as differ
from n join ours using (owner_id) where n.known
"""  # noqa: S608  constants only
_MARK = """
insert into opened_item (merchant_id, item_id, channel_id, opened_at)
select %(merchant_id)s, i, %(channel)s, %(now)s from unnest(%(items)s::bigint[]) i on conflict do nothing
"""
# What was noted while the ledger was empty says nothing.
_CLEAN = (
    "delete from shadow_write where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
    "delete from shadow_sale where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
    """update stock_owner o set shadow_shown = o.believed from (
           select owner_id from stock_owner where merchant_id = %(merchant_id)s and channel_id = %(channel)s
             and shadow_shown is distinct from believed order by owner_id for update) k
       where o.merchant_id = %(merchant_id)s and o.owner_id = k.owner_id""",
)


@dataclass(frozen=True, slots=True)
class Choice:
    """Where the opening stock comes from, as it was chosen: a shop, tables, or nowhere (everything is counted)."""

    source: str
    channel_id: int | None
    chosen_at: datetime
    chosen_by: str


@dataclass(frozen=True, slots=True)
class Opening:
    """What opening from this shop would do now. `items`: how many items by what becomes of them: open, known (in the
    ledger already: compared, not added), twice (two numbers at one place), unread, moving (just being looked at),
    negative. `units` and `value` are those that would be opened; `without_cost` items would be worth 0 until their
    cost is known. `equal` and `differ`: numbers of known items beside the ledger. `examples`: (SKU, what, units)."""

    items: dict[str, int]
    units: int
    value: Decimal
    without_cost: int
    equal: int
    differ: int
    examples: Sequence[tuple[str, str, int | None]]
    costs_apply: bool  # the shop's costs are in the merchant's currency


def find_choice(session: Session) -> Choice | None:
    """What was chosen; tables, where stock was opened from one before anybody was asked."""
    row = session.row(
        """select source, channel_id, chosen_at, chosen_by from opening_choice
           where merchant_id = %(merchant_id)s"""
    )
    if row is not None:
        return Choice(*row)
    first = session.row(
        """select recorded_at from movement where merchant_id = %(merchant_id)s and source = 'opening'
           order by movement_id limit 1"""
    )
    return None if first is None else Choice("csv", None, first.recorded_at, "")


def choose(session: Session, source: str, channel_id: int | None, by: str) -> Choice:
    """Say once where the opening stock comes from. Raises Conflict when something else was said before."""
    if source not in SOURCES or (source == "shop") != (channel_id is not None):
        raise InvalidInput("bad_source", f"one of {', '.join(SOURCES)}", where="source")
    session.run(
        """insert into opening_choice (merchant_id, source, channel_id, chosen_at, chosen_by)
           values (%(merchant_id)s, %(source)s, %(channel)s, %(now)s, %(by)s) on conflict do nothing""",
        source=source, channel=channel_id, now=session.now, by=by,
    )  # fmt: skip
    chosen = find_choice(session)
    assert chosen is not None  # noqa: S101  it was just written, or was there
    if (chosen.source, chosen.channel_id) != (source, channel_id):
        raise Conflict("chosen_already", "where the opening stock comes from was said before")
    return chosen


def preview_opening(session: Session, channel_id: int) -> Opening:
    """What `open_from_shop` would do; four statements, whatever the number of items."""
    bound = {**_bound(session, channel_id), "after": None, "upto": None}
    with session.over_all():
        fates = {row.fate: row for row in session.rows(_SUMMARY, **bound)}
        compared = session.row(_COMPARE, **bound)
        examples = session.rows(_EXAMPLES, **bound)
    assert compared is not None  # noqa: S101  an aggregate has a row
    opening = fates.get("open")
    return Opening(
        items={fate: row.items for fate, row in fates.items()},
        units=opening.units if opening else 0,
        value=opening.value if opening else Decimal(0),
        without_cost=opening.without_cost if opening else 0,
        equal=compared.equal,
        differ=compared.differ,
        examples=[(row.sku, "without_cost" if row.fate == "open" else row.fate, row.units) for row in examples],
        costs_apply=bool(bound["shop_costs"]),
    )


def open_from_shop(session: Session, channel_id: int) -> tuple[int, int]:
    """Post what the shop shows as opening stock: (items, units). Again, it does nothing but for items that came since.
    Raises Conflict once the channel was written to: its numbers are ours then."""
    row = session.row(
        """select approved_at from channel where merchant_id = %(merchant_id)s and channel_id = %(channel)s
           for no key update""",
        channel=channel_id,
    )
    if row is not None and row.approved_at is not None:
        raise Conflict("written_already", "numbers were written to this shop: they say nothing about the stock")
    bound, after, items, units = _bound(session, channel_id), 0, 0, 0
    reason = f"opening stock from {get_channel(session, channel_id).name}"[:200]
    limit = BATCH_MAX // _places(session, channel_id)
    while upto := session.value(_UPTO, channel=channel_id, after=after, limit=limit):
        with session.over_all():
            rows = session.rows(_OPEN, **bound, after=after, upto=upto)
        post(session, [_movement(session, row, reason) for row in rows if row.units])
        ids = list(dict.fromkeys(row.item_id for row in rows))
        session.run(_MARK, channel=channel_id, items=ids, now=session.now)
        after, items, units = upto, items + len(ids), units + sum(row.units for row in rows)
    for statement in _CLEAN:
        session.run(statement, channel=channel_id)
    audit.note(session, None, "stock.opened", reason, after={"items": items, "units": units})
    return items, units


def _places(session: Session, channel_id: int) -> int:
    """How many numbers an item may have: a batch must hold all of an item's."""
    count: int = session.value(
        """select greatest(count(distinct location_key), 1) from channel_location
           where merchant_id = %(merchant_id)s and channel_id = %(channel)s""",
        channel=channel_id,
    )
    return count


def _movement(session: Session, row: Row, reason: str) -> Movement:
    value = None if row.unit_cost is None else row.unit_cost * row.units
    return Movement(
        row.item_id, row.units, State.OPENING, State.AVAILABLE, SOURCE, f"{row.location_id}/{row.sku}", session.now,
        to_location_id=row.location_id, value=value, reason=reason,
    )  # fmt: skip


def _bound(session: Session, channel_id: int) -> dict[str, object]:
    """The statements' parameters. Raises NotFound."""
    channel = get_channel(session, channel_id)
    row = session.row(
        """select m.currency from channel c join merchant m using (merchant_id)
           where c.merchant_id = %(merchant_id)s and c.channel_id = %(channel)s""",
        channel=channel_id,
    )
    assert row is not None  # noqa: S101  the channel was just read
    applies = channel.facts.get("currency") in (None, "", row.currency)
    return {"channel": channel_id, "shop_costs": applies}
