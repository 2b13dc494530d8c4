"""From a channel's words to ours: lines to items, places to locations, kits to components.

What can't be resolved is a reason, not an error: the rest of the order is still posted, so that the other channels
learn of it, and the document waits for the mapping. Units at a place that is none of ours are taken from none that is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace

from app.catalog.items import find_items
from app.core.db import Session
from app.inbox.difference import NOTHING, Counts, Place
from app.inbox.orders import Held, Line, LineMemory, Positions, Seen
from app.listings.queries import ListingRow, Places, find_kits, find_listings, find_owners, get_places, read_available
from app.listings.routing import choose_place
from connectors.base import OrderLine, Units


@dataclass(slots=True)
class Resolved:
    """The target of every line that could be resolved, the item of each line, and why an order has to wait."""

    targets: Positions = field(default_factory=lambda: defaultdict(dict))
    items: dict[Line, int | None] = field(default_factory=dict)
    waiting: dict[int, tuple[str, str]] = field(default_factory=dict)  # order id → (reason, detail)
    unlisted: set[str] = field(default_factory=set)  # listing keys that no listing has


@dataclass(slots=True)
class Known:
    """Everything a batch's lines are resolved with, read once per batch."""

    listings: Mapping[str, ListingRow]
    skus: Mapping[str, int]
    owners: Mapping[tuple[str, str], int]
    kits: Mapping[int, Mapping[int, int]]
    places: Places
    available: MutableMapping[tuple[int, int], int]
    memory: Mapping[Line, LineMemory]
    positions: Positions


def resolve(
    session: Session,
    channel_id: int,
    seen: Sequence[tuple[int, Seen]],
    memory: Mapping[Line, LineMemory],
    positions: Positions,
) -> Resolved:
    """The targets of all lines of (order id, snapshot); a constant number of statements."""
    known = _look_up(session, channel_id, seen, memory, positions)
    resolved = Resolved()
    for order_id, one in seen:
        for line in one.snapshot.lines:
            _resolve_line(known, resolved, (order_id, line.line_key), line)
    return resolved


def _look_up(
    session: Session,
    channel_id: int,
    seen: Sequence[tuple[int, Seen]],
    memory: Mapping[Line, LineMemory],
    positions: Positions,
) -> Known:
    lines = [((order_id, line.line_key), line) for order_id, s in seen for line in s.snapshot.lines]
    keys = {key for at, line in lines if (key := _listing_key(at, line, memory)) is not None}
    listings = find_listings(session, channel_id, keys)
    unlisted = {line.sku for _, line in lines if line.sku and (line.listing_key not in listings)}
    skus = find_items(session, unlisted) if unlisted else {}
    items = {row.item_id for row in listings.values() if row.item_id} | set(skus.values())
    items |= {m.item_id for m in memory.values() if m.item_id}
    kits = find_kits(session, items)
    places = get_places(session, channel_id)
    owners = find_owners(session, channel_id, {row.stock_key for row in listings.values()})
    known = Known(listings, skus, owners, kits, places, {}, memory, positions)
    if len(places.in_order) > 1 and any(u.location_key is None for _, line in lines for u in line.units):
        components = {component for kit in kits.values() for component in kit}
        known.available = read_available(session, items | components, places.in_order)
    return known


def _listing_key(at: Line, line: OrderLine, memory: Mapping[Line, LineMemory]) -> str | None:
    """The listing as the channel names it, or as it was named before the channel forgot it."""
    return line.listing_key or (memory[at].listing_key if at in memory else None)


def _resolve_line(known: Known, resolved: Resolved, at: Line, line: OrderLine) -> None:
    listing = known.listings.get(_listing_key(at, line, known.memory) or "")
    if line.listing_key is not None and listing is None:
        resolved.unlisted.add(line.listing_key)
    item = _item_of(known, at, line, listing)
    resolved.items[at] = item
    if not _counts(known, at, line, listing):
        return
    if item is None:
        if any(u != Units(u.location_key) for u in line.units):
            resolved.waiting[at[0]] = (
                "unknown_listing",
                f"no item is mapped to {line.sku or line.listing_key or 'a line without SKU'}",
            )
        _keep(known, resolved, at)
        return
    resolved.targets.setdefault(
        at, {}
    )  # what is now at a place that is none of ours leaves the one where it was taken to be
    for units in line.units:
        if not _place_units(known, resolved, at, item, units, owner=_owner_of(known, listing, units)):
            resolved.waiting[at[0]] = ("unknown_location", f"the channel's location {units.location_key} is not mapped")


def _counts(known: Known, at: Line, line: OrderLine, listing: ListingRow | None) -> bool:
    """Whether the line moves stock of ours. Where the channel keeps none for what was sold, it is ours if somebody has
    mapped it, and what is booked is followed to its end, whatever the channel stops to keep meanwhile."""
    if _is_booked(known, at):
        return True
    if listing is None:
        return line.tracked
    return (line.tracked and listing.tracked) or listing.item_id is not None


def _is_booked(known: Known, at: Line) -> bool:
    return any(held.counts != NOTHING for held in known.positions.get(at, {}).values())


def _item_of(known: Known, at: Line, line: OrderLine, listing: ListingRow | None) -> int | None:
    """What is booked of the line stays what it was booked as, whatever the listing is mapped to since. Else by the
    listing's mapping; else what the line was before; else, for what is not listed, the item of exactly that SKU: a
    listing without an item waits for somebody to say which it is."""
    before = known.memory[at].item_id if at in known.memory else None
    if before is not None and _is_booked(known, at):
        return before
    if listing is not None and listing.item_id is not None:
        return listing.item_id
    if before is not None:
        return before
    return known.skus.get(line.sku) if line.sku and listing is None else None


def _owner_of(known: Known, listing: ListingRow | None, units: Units) -> int | None:
    return None if listing is None else known.owners.get((listing.stock_key, units.location_key or ""))


def _keep(known: Known, resolved: Resolved, at: Line) -> None:
    """What is posted for a line that can't be resolved now stays as it is."""
    resolved.targets[at] = dict(known.positions.get(at, {}))


def _place_units(known: Known, resolved: Resolved, at: Line, item: int, units: Units, *, owner: int | None) -> bool:
    """Add a line's units at one of the channel's places to its target; False when the place is unknown."""
    parts = known.kits.get(item, {item: 1})
    counts = Counts(units.committed, units.shipped, units.restocked, units.damaged, units.held)
    place = _place_of(known, at, parts, counts, units.location_key)
    if place is None:
        return counts == NOTHING and not units.taken
    target = resolved.targets[at]
    for component, quantity in parts.items():
        if component != item:
            _add(target, (component, place), Held(_times(counts, quantity)))
    _add(target, (item, place), Held(counts if item in parts else NOTHING, owner, units.taken))
    return True


def _add(target: dict[Place, Held], place: Place, more: Held) -> None:
    held = target.get(place)
    if held is None:
        target[place] = more
    else:
        target[place] = replace(
            held,
            counts=held.counts + more.counts,
            owner_id=held.owner_id or more.owner_id,
            taken=held.taken + more.taken,
        )


def _place_of(known: Known, at: Line, parts: Mapping[int, int], counts: Counts, location_key: str | None) -> int | None:
    if location_key is not None:
        mapped = known.places.by_key.get(location_key, ())
        return mapped[0] if mapped else None
    before = _place_before(known.positions.get(at, {}))
    if before is not None:
        return before
    if len(known.places.in_order) <= 1:
        return known.places.in_order[0] if known.places.in_order else None
    held = counts.committed + counts.held
    return choose_place({c: q * held for c, q in parts.items()}, known.places.in_order, known.available)


def _place_before(places: Mapping[Place, Held]) -> int | None:
    """The place that was chosen for the line before: where most of its units are."""
    weights: defaultdict[int, int] = defaultdict(int)
    for (_, place), held in places.items():
        weights[place] += 1 + sum(held.counts.as_tuple())
    return max(weights, key=lambda place: (weights[place], -place)) if weights else None


def _times(counts: Counts, quantity: int) -> Counts:
    return Counts(*(n * quantity for n in counts.as_tuple()))


def line_targets(places: Mapping[Place, Held]) -> dict[Place, Counts]:
    """Only the units, without belief."""
    return {place: held.counts for place, held in places.items()}


def lines_of(*positions: Iterable[Line]) -> set[Line]:
    """Every line that is named in any of them."""
    return {line for some in positions for line in some}
