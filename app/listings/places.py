"""Which of our locations stands behind each place of a channel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from app.accounts import audit
from app.catalog.locations import create_location
from app.core.errors import Conflict, NotFound
from app.core.runtime import Runtime
from app.listings.catalogue import open_place
from app.listings.channels import get_channel, map_location, shop_of
from connectors.base import ChannelLocation

NO_PLACE = ""  # the location key of a channel that has no places
_FEEDING = """
select p.location_key, l.name from channel_location p join location l using (merchant_id, location_id)
where p.merchant_id = %(merchant_id)s and p.channel_id = %(channel)s order by l.priority, l.location_id
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A place of a channel as the channel names it now, and the names of ours behind it: none, nothing is counted
    there. `key` is `NO_PLACE` for the one number of a channel without places."""

    key: str
    name: str
    ours: tuple[str, ...]


def list_places(runtime: Runtime, merchant_id: int, channel_id: int) -> Sequence[Place]:
    """Asks the channel. Raises NotFound, ChannelError."""
    found = _ask(runtime, merchant_id, channel_id)
    feeding: defaultdict[str, list[str]] = defaultdict(list)
    with runtime.begin(merchant_id, runtime.clock()) as session:
        for row in session.rows(_FEEDING, channel=channel_id):
            feeding[row.location_key].append(row.name)
    return [Place(one.location_key, one.name, tuple(feeding[one.location_key])) for one in found] or [
        Place(NO_PLACE, "", tuple(feeding[NO_PLACE]))
    ]


def map_place(runtime: Runtime, merchant_id: int, channel_id: int, place: str, location_id: int | None) -> str:
    """One of our locations behind a place of the channel, told by its key or name, and orders that waited for it are
    booked; returns the place's name. `location_id` None: a new one of the place's name. A channel without places has
    one number for all of them, whatever `place` says. Raises NotFound with the places there are, Conflict for a place
    that has a location (an order of it would be of either), and ChannelError."""
    found = _ask(runtime, merchant_id, channel_id)
    chosen = next((one for one in found if place in (one.location_key, one.name)), None)
    if found and chosen is None:
        names = ", ".join(f"{one.name} ({one.location_key})" for one in found)
        raise NotFound("unknown_place", f"the channel has no such place; there is {names}", where="place")
    with runtime.begin(merchant_id, runtime.clock()) as session:
        name = get_channel(session, channel_id).name if chosen is None else chosen.name
        key = NO_PLACE if chosen is None else chosen.location_key
        mapped = [row for row in session.rows(_FEEDING, channel=channel_id) if row.location_key == key]
        if mapped and chosen is not None:
            raise Conflict("place_taken", f"{name} is {mapped[0].name} already", where="place")
        ours = create_location(session, name) if location_id is None else location_id
        map_location(session, channel_id, key, ours)
        open_place(session, channel_id)
        told = {"channel": channel_id, "location": ours, "new": location_id is None}
        audit.note(session, None, "place.mapped", f"place {name}", after=told)
    return name


def _ask(runtime: Runtime, merchant_id: int, channel_id: int) -> Sequence[ChannelLocation]:
    with runtime.begin(merchant_id, runtime.clock()) as session:
        channel = get_channel(session, channel_id)
        shop = shop_of(runtime, merchant_id, channel)
    return runtime.connectors[channel.platform].read_locations(runtime.open_http(), shop)
