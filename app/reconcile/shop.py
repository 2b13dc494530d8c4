"""Once a day each shop that an app is installed in is asked who it is: its token is kept alive, old tokens become ones
that expire, and it is noticed when its API answers as another version than ours or we may no longer do what is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from app.core.runtime import Runtime
from app.inbox.polls import Claim, claim_poll, end_poll, fail_poll
from app.listings.cases import Case, close_cases, open_cases
from app.listings.channels import Channel, get_channel, shop_of
from app.listings.connect import SUBSCRIBED_BY, is_subscribed_by_app
from app.listings.credentials import read_credentials
from app.listings.tokens import (
    ACCESS,
    EXPIRES,
    EXPIRING_ONLY_FROM,
    KEPT_ALIVE,
    RECONNECT,
    alone_at,
    as_credentials,
    can_refresh,
    note_refusal,
    our_keys,
    refresh,
    store,
)
from connectors.apps import GrantKind
from connectors.errors import AccessDenied, ChannelError

RETIRED, MISSING = "api_version_retired", "scope_missing"
GRANT_INSTALLED = "open the app in the shop's admin and agree to them"
GRANT_OWN = "grant them to the shop's own app at Shopify, under Apps, Develop apps"


@dataclass(frozen=True, slots=True)
class Asked:
    """What one call did."""

    refreshed: bool = False
    error: str = ""


def ask_shop(runtime: Runtime, merchant_id: int, channel_id: int) -> Asked:
    """Look after a channel's token and facts if that is due and nobody else is at it."""
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        claimed = claim_poll(runtime, session, channel_id, "shop")
    if claimed is None:
        return Asked()
    try:
        refreshed = keep_token(runtime, merchant_id, channel_id)
        facts = _read_facts(runtime, merchant_id, channel_id)
    except ChannelError as error:
        fail_poll(runtime, Claim(merchant_id, channel_id, "shop", claimed.attempt), error)
        return Asked(error=error.reason)
    _keep_facts(runtime, merchant_id, channel_id, facts)
    every_s = KEPT_ALIVE.total_seconds()
    end_poll(runtime, Claim(merchant_id, channel_id, "shop", claimed.attempt), through=now, every_s=every_s)
    return Asked(refreshed)


def keep_token(runtime: Runtime, merchant_id: int, channel_id: int) -> bool:
    """Refresh a token that expires before its refresh token does; exchange one of our app's that never expires, once,
    whoever asks. Whether it is another one now. Raises ChannelError."""
    known = _known(runtime, merchant_id, channel_id)[1]
    if can_refresh(known):
        return refresh(runtime, merchant_id, channel_id, kept_alive=True)[ACCESS] != known[ACCESS]
    with alone_at(runtime, merchant_id, channel_id):
        channel, known = _known(runtime, merchant_id, channel_id)
        if EXPIRES in known or channel.facts.get(SUBSCRIBED_BY) != "app" or ACCESS not in known:
            return False  # somebody's own token, given by hand; or somebody else was at it before
        _exchange(runtime, merchant_id, channel, known)
        return True


def _known(runtime: Runtime, merchant_id: int, channel_id: int) -> tuple[Channel, dict[str, str]]:
    with runtime.begin(merchant_id, runtime.clock()) as session:
        return get_channel(session, channel_id), read_credentials(runtime.sealer, session, channel_id)


def _exchange(runtime: Runtime, merchant_id: int, channel: Channel, known: dict[str, str]) -> None:
    """A token that never expires for a pair that does; from 2027 on only the shop's owner can help."""
    now = runtime.clock()
    try:
        if now >= EXPIRING_ONLY_FROM:
            raise AccessDenied("reconnect_needed", "its token is of a kind that is refused since 2027-01-01")
        tokens = runtime.platforms[channel.platform].write_grant(
            runtime.open_http(), our_keys(runtime), channel.base_url, (GrantKind.PERMANENT, known[ACCESS]), now
        )
    except AccessDenied as error:
        note_refusal(runtime, merchant_id, channel.channel_id, error)
        raise
    store(runtime, merchant_id, channel.channel_id, known, as_credentials(tokens, GrantKind.PERMANENT, now))


def _read_facts(runtime: Runtime, merchant_id: int, channel_id: int) -> Mapping[str, str]:
    with runtime.begin(merchant_id, runtime.clock()) as session:
        channel = get_channel(session, channel_id)
        shop = shop_of(runtime, merchant_id, channel)
    return runtime.connectors[channel.platform].read_facts(runtime.open_http(), shop)


def _keep_facts(runtime: Runtime, merchant_id: int, channel_id: int, facts: Mapping[str, str]) -> None:
    """Store them, and open or close what a person should know of them."""
    cases: list[Case] = []
    with runtime.begin(merchant_id, runtime.clock()) as session:
        installed = is_subscribed_by_app(get_channel(session, channel_id))
    if "api_version_mismatch" in facts:
        detail = f"it answers as {facts['api_version_mismatch']}: update Perpetual, numbers may be read wrongly"
        cases.append((RETIRED, "api", detail, {}))
    if facts.get("missing_scopes"):
        detail = f"missing: {facts['missing_scopes']}; {GRANT_INSTALLED if installed else GRANT_OWN}"
        cases.append((MISSING, "scopes", detail, {}))
    over = [kind for kind in (RETIRED, MISSING) if kind not in {case[0] for case in cases}]
    with runtime.begin(merchant_id, runtime.clock()) as session:
        session.run(
            """update channel set facts = (facts - 'api_version_mismatch') || %(facts)s::jsonb
               where merchant_id = %(merchant_id)s and channel_id = %(id)s""",
            id=channel_id, facts=orjson.dumps(dict(facts)).decode(),
        )  # fmt: skip
        close_cases(session, channel_id, over)
        open_cases(session, channel_id, cases)


__all__ = ["MISSING", "RECONNECT", "RETIRED", "Asked", "ask_shop", "keep_token"]
