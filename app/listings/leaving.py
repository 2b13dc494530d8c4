"""Disconnecting a shop: it is told to ring no more, its keys are forgotten, what was booked stays."""

from __future__ import annotations

from app.core.packages import NO_CONNECTOR
from app.core.runtime import Runtime
from app.listings.channels import get_channel, shop_of, store_credentials
from app.listings.states import disconnect
from connectors.errors import ChannelError
from connectors.join import Leaves


def leave(runtime: Runtime, merchant_id: int, channel_id: int, by: str) -> str:
    """Disconnect a channel; returns why its webhooks could not be taken back, '' when they were, or when it was
    disconnected before. That does not keep the channel from being disconnected: a shop that is gone can't be asked.
    Raises NotFound."""
    with runtime.begin(merchant_id, runtime.clock()) as session:
        channel = get_channel(session, channel_id)
        if channel.state == "disconnected":
            return ""  # its keys are forgotten: there is nothing to ask it with
        shop = shop_of(runtime, merchant_id, channel)
        disconnect(session, channel_id, by)
    connector, url = runtime.connectors.get(channel.platform), channel.facts.get("webhook_url", "")
    trouble = NO_CONNECTOR if connector is None else ""  # its package was taken away
    if isinstance(connector, Leaves) and url:
        try:
            connector.leave(runtime.open_http(), shop, url)
        except ChannelError as error:
            trouble = error.reason
    with runtime.begin(merchant_id, runtime.clock()) as session:
        store_credentials(runtime, session, channel_id, {})
    return trouble
