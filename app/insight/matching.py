"""What a shop's products probably are, to be looked at page by page. Only reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.core.db import Session
from app.core.errors import InvalidInput
from app.listings.lookup import contains
from app.listings.matching import KINDS

PAGE_ROWS = 50
SEARCH_MAX = 200

_ROWS = """
select p.listing_id, p.kind, p.confidence, l.listing_key, l.sku, l.title, l.barcode, l.item_id is not null as mapped,
       coalesce(i.sku, p.item_sku) as item_sku, i.name as item_name, i.barcode as item_barcode,
       p.item_id is null and p.item_sku is not null as makes
from match_proposal p
join listing l on l.merchant_id = p.merchant_id and l.listing_id = p.listing_id
left join item i on i.merchant_id = p.merchant_id and i.item_id = p.item_id
where p.merchant_id = %(merchant_id)s and p.channel_id = %(channel)s and p.listing_id > %(after)s
  and (%(kind)s::text is null or p.kind = %(kind)s)
  and (%(like)s::text is null or l.sku ilike %(like)s or l.title ilike %(like)s or l.barcode ilike %(like)s
       or l.listing_key ilike %(like)s)
order by p.listing_id limit %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A product with the item that it probably is (`makes`: one that would be made), or why there is none."""

    listing_id: int
    kind: str
    confidence: int
    listing_key: str
    sku: str | None
    title: str
    barcode: str | None
    mapped: bool
    item_sku: str | None
    item_name: str | None
    item_barcode: str | None
    makes: bool


@dataclass(frozen=True, slots=True)
class ProposalPage:
    """A page of proposals; `next_after` leads on, None at the end."""

    rows: Sequence[Proposal]
    next_after: int | None


def list_proposals(
    session: Session, channel_id: int, *, kind: str | None = None, search: str = "", after: int = 0
) -> ProposalPage:
    """A page of a channel's proposals. Raises InvalidInput for an unknown kind or an overlong search."""
    if kind is not None and kind not in KINDS:
        raise InvalidInput("bad_kind", f"one of {', '.join(KINDS)}", where="kind")
    if len(search) > SEARCH_MAX or "\0" in search:
        raise InvalidInput("search_too_long", f"at most {SEARCH_MAX} characters of text", where="q")
    like = contains(search.strip()) if search.strip() else None
    found = session.rows(_ROWS, channel=channel_id, kind=kind, like=like, after=after, limit=PAGE_ROWS + 1)
    rows = [Proposal(*row) for row in found[:PAGE_ROWS]]
    return ProposalPage(rows, rows[-1].listing_id if len(found) > PAGE_ROWS else None)
