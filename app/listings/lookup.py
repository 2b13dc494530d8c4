"""Finding what a person means: a channel by its name, a listing by its key or SKU there, an item by its SKU.

Names are exact; whoever misses is told the nearest ones, and whoever hits several has to say which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from app.catalog.items import Item, get_item
from app.core.db import Session
from app.core.errors import InvalidInput, NotFound

NEAREST_MAX = 5
NAMED_MAX = 20
_CANDIDATES_MAX = 500
_ENDS = 3  # characters that a near one mostly shares at one of its ends
_COLUMNS = """listing_id, channel_id, listing_key, stock_key, sku, title, item_id, tracked, left_out,
    gone_at is not null as gone"""

_NEAR_LISTINGS = f"""
select coalesce(sku, listing_key) as name from listing
where merchant_id = %(merchant_id)s and channel_id = %(channel)s
  and (sku ilike %(like)s or listing_key ilike %(like)s or title ilike %(like)s or sku ilike %(first)s)
order by (sku ilike %(begin)s or sku ilike %(end)s) desc, 1 limit {_CANDIDATES_MAX}
"""  # noqa: S608  constants only
_NEAR_ITEMS = f"""
select sku as name from item
where merchant_id = %(merchant_id)s and (sku ilike %(like)s or name ilike %(like)s or barcode = %(text)s
                                         or sku ilike %(first)s)
order by (sku ilike %(begin)s or sku ilike %(end)s) desc, 1 limit {_CANDIDATES_MAX}
"""  # noqa: S608  constants only


@dataclass(frozen=True, slots=True)
class Listing:
    """A listing as stored. `item_id` None: not mapped; `left_out`: because a person said so."""

    listing_id: int
    channel_id: int
    listing_key: str
    stock_key: str
    sku: str | None
    title: str
    item_id: int | None
    tracked: bool
    left_out: bool
    gone: bool = False  # the channel does not have it any more

    @property
    def why_unmapped(self) -> str:
        """Of one without an item: a slug of `words.UNMAPPED`."""
        if self.left_out:
            return "taken_out"
        return "no_such_sku" if self.sku else "no_sku"


def get_channel_id(session: Session, name: str) -> int:
    """The channel of that name; raises NotFound with the names there are."""
    rows = session.rows("select channel_id, name from channel where merchant_id = %(merchant_id)s order by channel_id")
    for row in rows:
        if row.name == name:
            found: int = row.channel_id
            return found
    names = _either([row.name for row in rows[:NAMED_MAX]], "there is no channel yet: connect a shop first")
    raise NotFound("unknown_channel", f"no channel has that name; {names}", where="channel")


def get_listing(session: Session, listing_id: int) -> Listing:
    """Raises NotFound, also for another merchant's."""
    row = session.row(
        f"select {_COLUMNS} from listing where merchant_id = %(merchant_id)s and listing_id = %(id)s",  # noqa: S608
        id=listing_id,
    )
    if row is None:
        raise NotFound("unknown_listing", "no such product on any channel")
    return Listing(*row)


def find_one(session: Session, channel_id: int, text: str, *, by: str | None = None) -> Listing:
    """The listing with that key or SKU on the channel; `by` says which of the two is meant (`key`, `sku`). Raises
    NotFound with the nearest ones, InvalidInput (`ambiguous_listing`) when it could be several."""
    rows = session.rows(
        f"""select {_COLUMNS} from listing where merchant_id = %(merchant_id)s and channel_id = %(channel)s
            and (listing_key = %(text)s and %(key)s or sku = %(text)s and %(sku)s)
            order by listing_key limit {NAMED_MAX}""",  # noqa: S608  constants only
        channel=channel_id, text=text, key=by != "sku", sku=by != "key",
    )  # fmt: skip
    if len(rows) == 1:
        return Listing(*rows[0])
    if rows:
        keys = ", ".join(row.listing_key for row in rows)
        raise InvalidInput(
            "ambiguous_listing", f"several products there match: name one by its key, with --by key: {keys}", "listing"
        )
    near = nearest(session, _NEAR_LISTINGS, text, channel=channel_id)
    hint = _either(near, "`listing list` shows what is there")
    raise NotFound("unknown_listing", f"the channel has no product with that key or SKU; {hint}", where="listing")


def get_item_or_nearest(session: Session, sku: str) -> Item:
    """The item with that SKU; raises NotFound with the nearest ones."""
    try:
        return get_item(session, sku)
    except NotFound as error:
        near = nearest(session, _NEAR_ITEMS, sku)
        hint = _either(near, "import it first, or look at the list of items")
        raise NotFound(error.reason, f"{error.detail}; {hint}", where="item") from None


def nearest(session: Session, sql: str, text: str, **params: object) -> Sequence[str]:
    """Names like the text, the likest first."""
    plain = text.strip()
    if not plain:
        return ()
    rows = session.rows(
        sql, like=contains(plain), first=contains(plain[0])[1:], begin=contains(plain[:_ENDS])[1:],
        end=contains(plain[-_ENDS:])[:-1], text=plain, **params,
    )  # fmt: skip
    by_folded = {row.name.casefold(): row.name for row in rows}
    close = get_close_matches(plain.casefold(), by_folded, NEAREST_MAX, 0.5)
    others = [folded for folded in sorted(by_folded) if plain.casefold() in folded and folded not in close]
    return [by_folded[folded] for folded in [*close, *others][:NEAREST_MAX]]


def contains(search: str) -> str:
    """The pattern for "contains exactly this text": its own %, _ and \\ mean themselves."""
    return "%" + search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


def _either(names: Sequence[str], otherwise: str) -> str:
    return f"there is {', '.join(names)}" if names else otherwise
