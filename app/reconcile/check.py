"""The connection check: each requirement of a channel asked of the shop now, and kept with its time.

It is run when somebody asks for it. What it finds is one more source of `app.insight.diagnose`, which says what to do;
what is put right by the worker it has the worker look at now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

import orjson

from app.core.runtime import Runtime
from app.listings.channels import Channel, ask_for_poll, get_channel, note_facts, shop_of
from app.listings.connect import is_subscribed_by_app
from app.reconcile.webhooks import find_faults, wanted_address
from connectors.base import Connector, Shop
from connectors.errors import AccessDenied, ChannelError
from connectors.http import Http
from connectors.join import Checks, Looked, Requirement

TOTAL_S = 20.0  # of each call: somebody is waiting for the page
DETAIL_MAX = 200
PASS, FAIL, UNKNOWN = "pass", "fail", "unknown"
_STORE = """
insert into channel_check (merchant_id, channel_id, checked_at, requirements)
values (%(merchant_id)s, %(channel)s, %(now)s, %(found)s)
on conflict (merchant_id, channel_id) do update
set checked_at = excluded.checked_at, requirements = excluded.requirements
"""


def check(runtime: Runtime, merchant_id: int, channel_id: int) -> Sequence[Requirement]:
    """Ask the shop, store what was found and what it told of itself, and return the former. A shop that does not
    answer is a finding, not an error. Raises NotFound."""
    with runtime.begin(merchant_id, runtime.clock()) as session:
        channel = get_channel(session, channel_id)
        shop = shop_of(runtime, merchant_id, channel)
    connector, http = runtime.connectors[channel.platform], replace(runtime.open_http(), total_s=TOTAL_S)
    looked = connector.check(http, shop) if isinstance(connector, Checks) else _plain(connector, http, shop)
    shop = replace(shop, facts={**shop.facts, **looked.facts})
    found = [
        *looked.requirements,
        _webhooks(runtime, connector, http, channel=channel, shop=shop),
        _reachable(runtime),
    ]
    told = [asdict(replace(one, detail=one.detail[:DETAIL_MAX])) for one in found]
    with runtime.begin(merchant_id, runtime.clock()) as session:
        note_facts(session, channel_id, looked.facts)
        session.run(_STORE, channel=channel_id, now=session.now, found=orjson.dumps(told).decode())
        for kind in _worked_at(found):
            ask_for_poll(session, channel_id, kind)
    runtime.ring()
    return found


def _worked_at(found: Sequence[Requirement]) -> Sequence[str]:
    """Readings that mend what was found, or close the cases of what is over: they need not wait for their time."""
    broken = any(one.name == "webhooks" and one.state == FAIL for one in found)
    return ("shop", "webhooks") if broken else ("shop",)


def _plain(connector: Connector, http: Http, shop: Shop) -> Looked:
    """What can be asked of any vendor."""
    try:
        facts = connector.read_facts(http, shop)
    except AccessDenied as error:
        return Looked([Requirement("answers", PASS), Requirement("key", FAIL, error.reason)])
    except ChannelError as error:
        return Looked([Requirement("answers", FAIL, error.reason), Requirement("key", UNKNOWN)])
    return Looked([Requirement("answers", PASS), Requirement("key", PASS)], facts)


def _webhooks(runtime: Runtime, connector: Connector, http: Http, *, channel: Channel, shop: Shop) -> Requirement:
    if is_subscribed_by_app(channel):
        return Requirement("webhooks", PASS)  # listed nowhere, and never deleted
    url = wanted_address(runtime, channel)
    if not url:
        return Requirement("webhooks", UNKNOWN)
    try:
        listed = connector.read_webhooks(http, shop)
    except ChannelError:
        return Requirement("webhooks", UNKNOWN)  # the reason is another requirement's
    faults = find_faults(listed, connector.topics, url, is_ours=connector.is_our_webhook)
    broken = next((fault for fault in faults if fault.kind != "webhook_unneeded"), None)
    return (
        Requirement("webhooks", PASS) if broken is None else Requirement("webhooks", FAIL, broken.kind, broken.detail)
    )


def _reachable(runtime: Runtime) -> Requirement:
    """Shops deliver to https only, and to an address that is set."""
    if runtime.settings.server.public_url.startswith("https://") or runtime.settings.security.allow_loopback:
        return Requirement("reachable", PASS)
    return Requirement("reachable", FAIL, "no_public_url")
