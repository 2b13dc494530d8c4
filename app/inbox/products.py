"""READ of products: those that something named and no listing is, by their key and at once; and the whole catalogue
now and then, for what no delivery told of.
"""

from __future__ import annotations

from datetime import timedelta

from app.core.runtime import Runtime
from app.inbox.documents import open_source
from app.inbox.polls import Claim, claim_poll, end_poll, fail_poll
from app.listings import wanted
from app.listings.catalogue import import_entries
from app.listings.importing import request_import
from app.listings.matching import propose
from app.listings.states import get_standing
from connectors.errors import ChannelError

WANTED_MAX = 50  # keys read in one call


def read_products(runtime: Runtime, merchant_id: int, channel_id: int) -> bool:
    """Read what is wanted of a channel's products, if that is due and nobody else is at it; orders that waited for it
    are open again. True when something was read."""
    now, every = runtime.clock(), timedelta(seconds=runtime.settings.sync.catalogue_interval_s)
    with runtime.begin(merchant_id, now) as session:
        claimed = claim_poll(runtime, session, channel_id, "products")
        if claimed is None:
            return False
        source = open_source(runtime, session, channel_id)
        keys = wanted.list_due(session, channel_id, min(WANTED_MAX, source.connector.abilities.read_orders_max))
        whole = now >= claimed.read_through + every
        if whole:
            request_import(session, channel_id, "catalogue", since=now, until=now)
    try:
        entries = source.connector.read_entries(runtime.open_http(), source.shop, keys) if keys else []
    except ChannelError as error:
        fail_poll(runtime, Claim(merchant_id, channel_id, "products", claimed.attempt), error)
        return False
    with runtime.begin(merchant_id, runtime.clock()) as session:
        if entries:
            import_entries(session, channel_id, entries, began=now)
            if not get_standing(session, channel_id).approved:
                propose(session, channel_id)  # somebody is matching them
        if keys:
            wanted.answer(session, channel_id, keys, entries)
        if whole:
            wanted.forget(session, channel_id)
        through = now if whole else claimed.read_through
        due = min(at for at in (through + every, wanted.find_next(session, channel_id)) if at is not None)
        pause_s = max(0.0, (due - session.now).total_seconds())
    end_poll(runtime, Claim(merchant_id, channel_id, "products", claimed.attempt), through=through, every_s=pause_s)
    return bool(keys)
