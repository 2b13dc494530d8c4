"""Whether our app is still in a shop. Nothing that a delivery's headers say proves it, so the shop itself is asked."""

from __future__ import annotations

from app.core.runtime import Runtime
from app.listings.channels import get_channel, shop_of
from app.listings.tokens import ACCESS


def is_still_in(runtime: Runtime, merchant_id: int, channel_id: int) -> bool:
    """Whether the shop accepts the token that is kept of it: one cheap call, outside every transaction. Raises
    ChannelError where it can't be told now."""
    with runtime.begin(merchant_id, runtime.clock()) as session:
        channel = get_channel(session, channel_id)
        shop = shop_of(runtime, merchant_id, channel)
    if ACCESS not in list(shop.credentials):  # by name alone: looked up, one that has run out would be renewed here
        return False
    return runtime.platforms[channel.platform].is_installed(runtime.open_http(), shop)
