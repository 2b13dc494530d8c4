"""Connecting a shop: its places become ours, its catalogue becomes listings, and it is told where to ring.

Each step is repeatable: a connection that broke off is finished by connecting again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from app.catalog.locations import create_location, list_locations
from app.core.db import Session
from app.core.errors import InvalidInput
from app.core.runtime import Runtime
from app.listings.catalogue import Mapped, import_entries
from app.listings.channels import (
    Channel,
    NewChannel,
    create_channel,
    find_channel_of,
    get_channel,
    list_mapped_places,
    map_location,
    note_facts,
    renew_channel,
    shop_of,
    store_credentials,
)
from app.listings.credentials import WEBHOOK_SECRETS, read_credentials
from app.listings.importing import request_import
from app.listings.matching import propose
from app.listings.places import NO_PLACE
from app.listings.shop_clock import note_skew
from connectors.base import ChannelLocation, Connector, Shop
from connectors.join import Joins

SUBSCRIBED_BY = "subscribed_by"  # the fact that says who made the subscriptions
HISTORY = timedelta(days=60)  # what an app may read of a Shopify shop's orders; older ones hardly change any more


def connect(
    runtime: Runtime,
    merchant_id: int,
    new: NewChannel,
    *,
    webhook_url: str,
    places: Mapping[str, int] | None = None,
    later: bool = False,
) -> int:
    """Connect a shop and import its catalogue; returns the channel's id, the same when the shop is connected again. A
    large catalogue is imported by the worker, from a file that the channel prepares; any by the worker if `later`, a
    small one by pages.

    `places`: our location ids by the names of the shop's locations; what is not named is matched by name or created. A
    shop without locations is fed by all of ours. What is mapped already stays so. Raises Conflict, ChannelError.
    """
    with runtime.begin(merchant_id, runtime.clock()) as session:
        channel_id = _create_or_renew(runtime, session, new)
    connector, shop = runtime.connectors[new.platform], _shop(runtime, merchant_id, channel_id)
    found, http = connector.read_locations(runtime.open_http(), shop), runtime.open_http()
    facts = connector.read_facts(http, shop)
    with runtime.begin(merchant_id, runtime.clock()) as session:
        note_skew(session, channel_id, timedelta(0), http.ahead)
        _map_places(session, channel_id, found, places or {})
        note_facts(session, channel_id, facts)
    shop = _shop(runtime, merchant_id, channel_id)
    is_large = _is_large(connector, facts)
    if later or is_large:
        _import_later(runtime, merchant_id, channel_id, paged=not is_large)
    else:
        import_catalogue(runtime, merchant_id, channel_id, connector, shop)
    with runtime.database.across(runtime.clock()) as session:
        session.run("select refresh_statistics()")
    subscribe(runtime, merchant_id, channel_id, webhook_url)
    return channel_id


def read_history(runtime: Runtime, merchant_id: int, channel_id: int) -> None:
    """Have the worker read the orders of the last weeks as well, so that what becomes of them from now on is
    understood."""
    with runtime.begin(merchant_id, runtime.clock()) as session:
        request_import(session, channel_id, "orders", since=session.now - HISTORY, until=session.now)


def subscribe(runtime: Runtime, merchant_id: int, channel_id: int, url: str, *, renew: bool = False) -> None:
    """Tell the shop where to ring, and remember where that is. `renew` also writes what looks right. Raises
    ChannelError."""
    with runtime.begin(merchant_id, runtime.clock()) as session:
        channel = get_channel(session, channel_id)
        shop = shop_of(runtime, merchant_id, channel)
    if not is_subscribed_by_app(channel):
        secret = shop.credentials.get(WEBHOOK_SECRETS, "").split(" ")[0]
        connector = runtime.connectors[channel.platform]
        connector.write_webhooks(runtime.open_http(), shop, url=url, secret=secret, renew=renew)
    with runtime.begin(merchant_id, runtime.clock()) as session:
        session.run(
            """update channel set facts = facts || jsonb_build_object('webhook_url', %(url)s::text)
               where merchant_id = %(merchant_id)s and channel_id = %(id)s""",
            id=channel_id, url=url,
        )  # fmt: skip


def is_subscribed_by_app(channel: Channel) -> bool:
    """Whether the app's own configuration names what it listens to (shopify.app.toml): such subscriptions are listed
    nowhere and never deleted."""
    return channel.facts.get(SUBSCRIBED_BY) == "app"


def renew_credentials(runtime: Runtime, merchant_id: int, channel_id: int, given: Mapping[str, str]) -> None:
    """Store credentials that the shop accepts for all that is needed, by the names that it has, and the way it takes
    them; what is not given stays. What failed is tried again at once. Raises InvalidInput, and ChannelError when the
    shop refuses them: then nothing was changed."""
    with runtime.begin(merchant_id, runtime.clock()) as session:
        channel = get_channel(session, channel_id)
        shop, known = shop_of(runtime, merchant_id, channel), read_credentials(runtime.sealer, session, channel_id)
    if not given or not given.keys() <= known.keys():
        names = ", ".join(sorted(known))
        raise InvalidInput("unknown_credential", f"give name=value lines; its names are {names}", where="credentials")
    renewed = replace(shop, credentials={**shop.credentials, **given})
    connector = runtime.connectors[channel.platform]
    facts = connector.read_facts(runtime.open_http(), renewed)
    if isinstance(connector, Joins):
        connector.prove(runtime.open_http(), renewed)
    with runtime.begin(merchant_id, runtime.clock()) as session:
        note_facts(session, channel_id, facts)
        store_credentials(runtime, session, channel_id, {**known, **given})
    if WEBHOOK_SECRETS in given and channel.facts.get("webhook_url"):
        subscribe(runtime, merchant_id, channel_id, channel.facts["webhook_url"], renew=True)


def _is_large(connector: Connector, facts: Mapping[str, str]) -> bool:
    """Whether the channel had better prepare a file of its catalogue."""
    worth = connector.abilities.exports_from
    return worth is not None and int(facts.get("variant_count", "0")) >= worth


def _import_later(runtime: Runtime, merchant_id: int, channel_id: int, *, paged: bool) -> None:
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        request_import(session, channel_id, "catalogue", since=now, until=now, paged=paged)


def _create_or_renew(runtime: Runtime, session: Session, new: NewChannel) -> int:
    channel_id = find_channel_of(session, new)
    if channel_id is None:
        return create_channel(runtime, session, new)
    renew_channel(runtime, session, channel_id, new)
    return channel_id


def import_catalogue(runtime: Runtime, merchant_id: int, channel_id: int, connector: Connector, shop: Shop) -> Mapped:
    """The whole catalogue, page by page, each page a transaction. Raises ChannelError."""
    total, began = Mapped(0, 0), runtime.clock()
    for page in connector.read_catalogue(runtime.open_http(), shop):
        with runtime.begin(merchant_id, runtime.clock()) as session:
            mapped = import_entries(session, channel_id, page.entries, began=began)
        total = replace(total, listings=total.listings + mapped.listings, unmapped=total.unmapped + mapped.unmapped)
    with runtime.begin(merchant_id, runtime.clock()) as session:
        propose(session, channel_id)
    return total


def _shop(runtime: Runtime, merchant_id: int, channel_id: int) -> Shop:
    with runtime.begin(merchant_id, runtime.clock()) as session:
        return shop_of(runtime, merchant_id, get_channel(session, channel_id))


def _map_places(session: Session, channel_id: int, found: Sequence[ChannelLocation], places: Mapping[str, int]) -> None:
    ours = {location.name: location.location_id for location in list_locations(session)}
    mapped = list_mapped_places(session, channel_id)
    if not found and NO_PLACE not in mapped:
        for location_id in places.values() or ours.values() or [create_location(session, "Main")]:
            map_location(session, channel_id, NO_PLACE, location_id)
    for place in found:
        if place.location_key not in mapped:
            named = places.get(place.name) or ours.get(place.name)
            ours[place.name] = named or create_location(session, place.name)
            map_location(session, channel_id, place.location_key, ours[place.name])
