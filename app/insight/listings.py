"""What the channels sell and which of our items that is: pages of listings with their rule, their number and its
target, and for those that are not mapped the items they probably are. Only reads.

Every page is found by its key and takes a constant number of statements.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.core.db import Row, Session
from app.core.errors import InvalidInput
from app.listings.lookup import Listing, contains
from app.listings.rules import Owner, list_owners
from app.publishing.due import read_plans

PAGE_ROWS = 50
SEARCH_MAX = 200
SUGGESTED_MAX = 3  # for one listing
SOLD_MAX = 20

_FILTERS = """
l.merchant_id = %(merchant_id)s and (%(channel)s::bigint is null or l.channel_id = %(channel)s)
  and (not %(unmapped)s or l.item_id is null and l.gone_at is null)
  and (%(like)s::text is null or l.sku ilike %(like)s or l.title ilike %(like)s or l.listing_key ilike %(like)s)
  and (%(after)s::bigint is null or (l.channel_id, l.listing_key) > (
        select a.channel_id, a.listing_key from listing a
        where a.merchant_id = %(merchant_id)s and a.listing_id = %(after)s))
"""
_SELECT = """
select l.listing_id, l.channel_id, l.listing_key, l.stock_key, l.sku, l.title, l.item_id, l.tracked, l.left_out,
       l.gone_at is not null as gone,
       c.name as channel, i.sku as item_sku, i.name as item_name
from listing l join channel c using (merchant_id, channel_id)
left join item i on i.merchant_id = l.merchant_id and i.item_id = l.item_id
"""
_LISTINGS = f"{_SELECT} where {_FILTERS} order by l.channel_id, l.listing_key limit %(limit)s"
_ONE = f"{_SELECT} where l.merchant_id = %(merchant_id)s and l.listing_id = %(id)s"
# Shops often keep the barcode as the SKU, and the case of a SKU as it comes.
_SUGGESTIONS = """
select sku, name, barcode from item
where merchant_id = %(merchant_id)s and (lower(sku) = any(%(folded)s::text[]) or barcode = any(%(skus)s::text[]))
order by sku
"""
_SOLD = f"""
select distinct c.name as channel, coalesce(o.sku, '') as sku, coalesce(o.listing_key, '') as listing_key
from (select channel_id, resource_key from inbox
      where merchant_id = %(merchant_id)s and state = 'parked' and reason = 'unknown_listing' limit 1000) p
join sales_order s on s.merchant_id = %(merchant_id)s and s.channel_id = p.channel_id and s.order_key = p.resource_key
join order_line o on o.merchant_id = s.merchant_id and o.order_id = s.order_id and o.item_id is null
join channel c on c.merchant_id = s.merchant_id and c.channel_id = s.channel_id
where not exists (select from listing l where l.merchant_id = s.merchant_id and l.channel_id = s.channel_id
                  and l.listing_key = o.listing_key)
order by 1, 2, 3 limit {SOLD_MAX}
"""  # noqa: S608  constants only


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An item that a listing probably is, and why: a slug of `words.SUGGESTED`."""

    sku: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a listing with its rule. `target` None: nothing is written there."""

    owner: Owner
    target: int | None


@dataclass(frozen=True, slots=True)
class ListingView:
    """A listing with its channel's name, our item if it is mapped, its numbers, and suggestions if it is not.
    `shared`: listings of other items carry the same number, so that it belongs to none of them."""

    listing: Listing
    channel: str
    item_sku: str | None
    item_name: str | None
    numbers: tuple[Number, ...]
    suggestions: tuple[Suggestion, ...]

    @property
    def shared(self) -> bool:
        """Whether its number can't be written for that reason."""
        return self.item_sku is not None and any(number.owner.item_id is None for number in self.numbers)


@dataclass(frozen=True, slots=True)
class ListingPage:
    """A page of listings; `next_after` leads on, None at the end."""

    rows: Sequence[ListingView]
    next_after: int | None


@dataclass(frozen=True, slots=True)
class Sold:
    """Something in an order that waits and is not in the channel's catalogue as it was read."""

    channel: str
    sku: str
    listing_key: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which listings: of one channel or all, only those not mapped, those that contain a text, behind a listing."""

    channel_id: int | None = None
    unmapped: bool = False
    search: str = ""
    after: int | None = None


def list_listings(session: Session, wanted: Wanted, *, rows_max: int = PAGE_ROWS) -> ListingPage:
    """A page of listings by channel and key. Raises InvalidInput (`search_too_long`)."""
    if len(wanted.search) > SEARCH_MAX or "\0" in wanted.search:
        raise InvalidInput("search_too_long", f"at most {SEARCH_MAX} characters of text", where="q")
    found = session.rows(
        _LISTINGS,
        channel=wanted.channel_id,
        unmapped=wanted.unmapped,
        like=contains(wanted.search.strip()) if wanted.search.strip() else None,
        after=wanted.after,
        limit=rows_max + 1,
    )
    views = _views(session, found[:rows_max])
    return ListingPage(views, views[-1].listing.listing_id if len(found) > rows_max else None)


def get_view(session: Session, listing: Listing) -> ListingView:
    """One listing that was just read, with everything that is shown of it."""
    return _views(session, session.rows(_ONE, id=listing.listing_id))[0]


def list_sold(session: Session) -> Sequence[Sold]:
    """What orders that wait name and no catalogue has; bounded."""
    return [Sold(*row) for row in session.rows(_SOLD)]


def _views(session: Session, rows: Sequence[Row]) -> Sequence[ListingView]:
    listings = [Listing(*row[:10]) for row in rows]
    numbers = _read_numbers(session, listings)
    suggestions = _suggest(session, [listing for listing in listings if listing.item_id is None])
    return [
        ListingView(
            listing, row.channel, row.item_sku, row.item_name,
            numbers=tuple(numbers[listing.channel_id, listing.stock_key]),
            suggestions=suggestions.get(listing.listing_id, ()),
        )
        for listing, row in zip(listings, rows, strict=True)
    ]  # fmt: skip


def _read_numbers(session: Session, listings: Sequence[Listing]) -> Mapping[tuple[int, str], list[Number]]:
    owners = list_owners(session, [(listing.channel_id, listing.stock_key) for listing in listings])
    plans = read_plans(session, [o for o in owners if o.state == "managed" and o.item_id is not None])
    numbers: defaultdict[tuple[int, str], list[Number]] = defaultdict(list)
    for owner in owners:
        plan = plans.get(owner.owner_id)
        numbers[owner.channel_id, owner.stock_key].append(Number(owner, None if plan is None else plan.target))
    return numbers


def _suggest(session: Session, listings: Sequence[Listing]) -> Mapping[int, tuple[Suggestion, ...]]:
    skus = {listing.listing_id: listing.sku.strip() for listing in listings if listing.sku and listing.sku.strip()}
    if not skus:
        return {}
    items = session.rows(_SUGGESTIONS, folded=sorted({s.lower() for s in skus.values()}), skus=sorted(skus.values()))
    return {id_: tuple(_like(sku, items))[:SUGGESTED_MAX] for id_, sku in skus.items()}


def _like(sku: str, items: Sequence[Row]) -> Iterator[Suggestion]:
    for item in sorted(items, key=lambda i: i.sku != sku):
        if item.sku.lower() == sku.lower():
            yield Suggestion(item.sku, item.name, "same_sku" if item.sku == sku else "like_sku")
        elif item.barcode == sku:
            yield Suggestion(item.sku, item.name, "same_barcode")
