"""Connecting a shop of a platform that a package brings: its address and its keys, which have to work there first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.core.errors import NotFound
from app.core.runtime import Runtime
from app.listings.channels import NewChannel
from app.listings.connect import connect, read_history
from app.listings.joining import check_encrypted, new_channel
from connectors.addresses import check_public_url
from connectors.base import Connector, Platform, Shop
from connectors.join import Found


def list_brought(connectors: Mapping[str, Connector]) -> Sequence[str]:
    """The platforms that are not our own, sorted."""
    return sorted(connectors.keys() - set(map(str, Platform)))


def connect_by_keys(
    runtime: Runtime, merchant_id: int, where: tuple[str, str], credentials: Mapping[str, str], *, name: str,
    origin: str,
) -> int:  # fmt: skip
    """Connect the shop of `where` (platform, address) in shadow; returns the channel's id, the same when it is
    connected again. `name`: as the shop calls itself, if empty. `origin`: where shops reach us. Nothing is stored
    before the shop has answered to the credentials. Raises NotFound, Conflict, ChannelError."""
    platform, typed = where
    if platform not in list_brought(runtime.connectors):
        there = ", ".join(list_brought(runtime.connectors)) or "none"
        raise NotFound("unknown_platform", f"no package brings it; there is: {there} (ours: on the page Connect)")
    base_url = check_public_url(typed, allow_loopback=runtime.settings.security.allow_loopback)
    check_encrypted(runtime, base_url)
    connector = runtime.connectors[platform]
    facts = connector.read_facts(runtime.open_http(), Shop(base_url, "", credentials))
    found = Found(base_url, name or facts.get("name", "") or platform)
    with runtime.begin(merchant_id, runtime.clock()) as session:
        new: NewChannel = new_channel(runtime, session, platform, found, credentials)
    url = f"{origin}/webhooks/{platform}/{new.address}"
    channel_id = connect(runtime, merchant_id, new, webhook_url=url, later=True)
    read_history(runtime, merchant_id, channel_id)
    runtime.ring()
    return channel_id
