"""Reading listings in batches: channel keys to our items, places and stock owners."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from app.core.db import Session


@dataclass(frozen=True, slots=True)
class ListingRow:
    """A listing as an order line needs it. `item_id` None: nobody said yet which item it is."""

    listing_key: str
    stock_key: str
    item_id: int | None
    tracked: bool


@dataclass(frozen=True, slots=True)
class Places:
    """A channel's places: by its key, and in the order in which they serve orders that say no place."""

    by_key: Mapping[str, tuple[int, ...]]
    in_order: tuple[int, ...]


def find_listings(session: Session, channel_id: int, keys: Collection[str]) -> dict[str, ListingRow]:
    """Listings by their key."""
    rows = session.rows(
        """select listing_key, stock_key, item_id, tracked from listing
           where merchant_id = %(merchant_id)s and channel_id = %(channel)s and listing_key = any(%(keys)s)""",
        channel=channel_id, keys=list(keys),
    )  # fmt: skip
    return {row.listing_key: ListingRow(*row) for row in rows}


def find_owners(session: Session, channel_id: int, stock_keys: Collection[str]) -> dict[tuple[str, str], int]:
    """Owner ids by (stock key, location key)."""
    rows = session.rows(
        """select stock_key, location_key, owner_id from stock_owner
           where merchant_id = %(merchant_id)s and channel_id = %(channel)s and stock_key = any(%(keys)s)""",
        channel=channel_id, keys=list(stock_keys),
    )  # fmt: skip
    return {(row.stock_key, row.location_key): row.owner_id for row in rows}


def get_places(session: Session, channel_id: int) -> Places:
    """The channel's places as ours, first to serve first; what is at one that we gave up is still there."""
    rows = session.rows(
        """select c.location_key, c.location_id, l.active
           from channel_location c join location l using (merchant_id, location_id)
           where c.merchant_id = %(merchant_id)s and c.channel_id = %(channel)s
           order by l.active desc, l.priority, l.location_id""",
        channel=channel_id,
    )
    by_key: defaultdict[str, list[int]] = defaultdict(list)
    for row in rows:
        by_key[row.location_key].append(row.location_id)
    return Places(
        {key: tuple(ids) for key, ids in by_key.items()},
        tuple(dict.fromkeys(row.location_id for row in rows if row.active)),
    )


def find_kits(session: Session, items: Collection[int]) -> dict[int, dict[int, int]]:
    """Component item id → quantity, for those of the items that are kits."""
    rows = session.rows(
        """select kit_item_id, component_item_id, quantity from kit_component
           where merchant_id = %(merchant_id)s and kit_item_id = any(%(items)s) order by 1, 2""",
        items=list(items),
    )
    kits: defaultdict[int, dict[int, int]] = defaultdict(dict)
    for row in rows:
        kits[row.kit_item_id][row.component_item_id] = row.quantity
    return dict(kits)


def read_available(session: Session, items: Collection[int], places: Sequence[int]) -> dict[tuple[int, int], int]:
    """Available units by (item, place); absent means 0."""
    rows = session.rows(
        """select item_id, location_id, available from level
           where merchant_id = %(merchant_id)s and item_id = any(%(items)s) and location_id = any(%(places)s)""",
        items=list(items), places=list(places),
    )  # fmt: skip
    return {(row.item_id, row.location_id): row.available for row in rows}
