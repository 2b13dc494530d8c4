"""An app that a platform installed becomes a connected channel: whose shop it is, its tokens kept, then connected.

Whoever holds a grant of a shop speaks for it. The shop stays with the merchant that it has; a new one goes to the
merchant who is logged in, else it becomes a merchant of its own. Safe to repeat: what broke off is finished.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import available_timezones

from app.accounts.merchants import create_merchant
from app.core.currencies import known_or_dollar
from app.core.db import Row
from app.core.errors import BadRequest, Conflict, InvalidInput
from app.core.log import get_logger
from app.core.runtime import Runtime
from app.listings.cases import close_cases
from app.listings.channels import NewChannel
from app.listings.connect import SUBSCRIBED_BY, connect, read_history
from app.listings.credentials import WEBHOOK_SECRETS, readable_credentials
from app.listings.presence import is_still_in
from app.listings.states import Standing, get_standing
from app.listings.tokens import CLIENT_ID, CLIENT_SECRET, EXPIRES, RECONNECT, as_credentials, our_keys
from connectors.apps import AppKeys, GrantKind
from connectors.base import Shop
from connectors.errors import ChannelError

STATE_LIFE = timedelta(minutes=10)  # to read what the app wants and agree to it
NAME_TRIES = 50
INSTALLED_AT = "installed_at"
MERCHANT_NAME = "merchant_name"  # of the merchant that came with the shop: it goes when the shop is erased

log = get_logger("install")


@dataclass(frozen=True, slots=True)
class Installed:
    """A shop's channel. `complete`: nothing is left to do for it, so it need not be installed again."""

    merchant_id: int
    channel_id: int
    name: str
    state: str
    complete: bool


def find_installed(runtime: Runtime, platform: str, domain: str) -> Installed | None:
    """The channel of a shop, whoever's it is; None for a shop that nobody connected."""
    now = runtime.clock()
    with runtime.database.across(now) as session:
        row = session.row(
            "select * from find_shops(%(platforms)s::text[], %(domains)s::text[])",
            platforms=[platform], domains=[domain],
        )  # fmt: skip
    if row is None:
        return None
    complete = row.state != "disconnected" and "webhook_url" in row.facts and _has_access(runtime, row)
    return Installed(row.merchant_id, row.channel_id, row.name, row.state, complete)


def find_visitors_role(runtime: Runtime, installed: Installed) -> str:
    """Of whoever opens the app in that shop's admin: the owner of a merchant that came with the shop and that nobody
    else owns. A shop that was added to somebody's merchant lets nobody near its members and keys."""
    with runtime.begin(installed.merchant_id, runtime.clock()) as session:
        role: str = session.value(
            """select case when c.facts ? %(came)s and not exists (
                   select from membership m where m.merchant_id = c.merchant_id and m.role = 'owner')
               then 'owner' else 'manager' end
               from channel c where c.merchant_id = %(merchant_id)s and c.channel_id = %(id)s""",
            id=installed.channel_id, came=MERCHANT_NAME,
        )  # fmt: skip
    return role


def find_left(runtime: Runtime, installed: Installed) -> Standing | None:
    """How a channel stands that a person disconnected here: it stays so until a person connects it again. None for any
    other, also for one whose app was uninstalled in the shop: installing it says all."""
    with runtime.begin(installed.merchant_id, runtime.clock()) as session:
        standing = get_standing(session, installed.channel_id)
    return standing if standing.state == "disconnected" and standing.by else None


def _has_access(runtime: Runtime, row: Row) -> bool:
    """Whether its token is one that is refreshed, and was not refused."""
    known = readable_credentials(runtime.sealer, row.merchant_id, row.channel_id, row.sealed_credentials)
    if EXPIRES not in known:
        return False
    with runtime.begin(row.merchant_id, runtime.clock()) as session:
        return not session.value(
            """select exists (select from case_file where merchant_id = %(merchant_id)s and channel_id = %(id)s
                              and kind = %(kind)s and state = 'open')""",
            id=row.channel_id, kind=RECONNECT,
        )  # fmt: skip


def is_standing(runtime: Runtime, installed: Installed) -> bool:
    """Whether nothing is left to do for a shop: its token is kept and still accepted. An app that was taken out and put
    in again is opened before the word of the former reaches us, and only the shop knows. One that can't be asked now is
    taken as it was."""
    try:
        return installed.complete and is_still_in(runtime, installed.merchant_id, installed.channel_id)
    except ChannelError as error:
        log.warning("standing_unknown", channel_id=installed.channel_id, reason=error.reason)
        return True


def install(
    runtime: Runtime, platform: str, domain: str, grant: tuple[GrantKind, str], *, merchant_id: int | None, url: str
) -> Installed:
    """Take up a grant of our app in a shop, for `merchant_id` when somebody is logged in; deliveries go to `url`.
    Raises Conflict when the shop is another merchant's, and ChannelError: then it is done again with another grant."""
    return _install(runtime, (platform, domain), our_keys(runtime), grant, (merchant_id, url))


def install_own(
    runtime: Runtime, platform: str, domain: str, keys: AppKeys, *, merchant_id: int, url: str
) -> Installed:
    """Connect a shop with the keys of an app that its owner made for it alone. Raises as `install`."""
    return _install(runtime, (platform, domain), keys, (GrantKind.OWN, ""), (merchant_id, url))


def _install(
    runtime: Runtime,
    where: tuple[str, str],
    keys: AppKeys,
    grant: tuple[GrantKind, str],
    asked: tuple[int | None, str],
) -> Installed:
    platform, domain = where
    with runtime.database.alone(f"install {platform} {domain}"):  # a page that is loaded twice installs once
        known = find_installed(runtime, platform, domain)
        if grant[0] is not GrantKind.OWN:  # who comes by Shopify was seen to speak for the shop
            _check_free(known, asked[0])
        if known is not None and grant[0] is GrantKind.SESSION and is_standing(runtime, known):
            return known
        new = _with_tokens(runtime, where, keys, grant)
        _check_free(known, asked[0])
        merchant_id = known.merchant_id if known else asked[0]
        if merchant_id is None:
            merchant_id, called = _new_merchant(runtime, new)
            new = replace(new, facts={**new.facts, MERCHANT_NAME: called})
        name = known.name if known else _free_name(runtime, merchant_id, new)
        channel_id = connect(runtime, merchant_id, replace(new, name=name), webhook_url=asked[1], later=True)
        read_history(runtime, merchant_id, channel_id)
        with runtime.begin(merchant_id, runtime.clock()) as session:
            close_cases(session, channel_id, [RECONNECT])
    runtime.ring()
    return Installed(merchant_id, channel_id, name, new.state, complete=True)


def _check_free(known: Installed | None, merchant_id: int | None) -> None:
    """Raises Conflict when the shop is another merchant's: told to who has proved to speak for the shop only."""
    if known is not None and merchant_id not in (None, known.merchant_id):
        raise Conflict("channel_taken", "this shop is connected already")


def _with_tokens(
    runtime: Runtime, where: tuple[str, str], keys: AppKeys, grant: tuple[GrantKind, str]
) -> NewChannel:  # fmt: skip
    """The grant's tokens, and what the shop says of itself with them. No number is written before a person agreed."""
    platform, domain = where
    base_url, now = runtime.platforms[platform].base_url(domain), runtime.clock()
    tokens = runtime.platforms[platform].write_grant(runtime.open_http(), keys, base_url, grant, now)
    credentials = as_credentials(tokens, grant[0], now)
    facts = {INSTALLED_AT: now.isoformat()}
    if grant[0] is GrantKind.OWN:
        credentials |= {CLIENT_ID: keys.client_id, CLIENT_SECRET: keys.secrets[0], WEBHOOK_SECRETS: keys.secrets[0]}
    facts[SUBSCRIBED_BY] = "api" if grant[0] is GrantKind.OWN else "app"
    shop = Shop(base_url, domain, credentials)
    facts |= runtime.connectors[platform].read_facts(runtime.open_http(), shop)
    return NewChannel(platform, facts.get("name") or domain, domain, base_url, credentials, facts, state="shadow")


def _new_merchant(runtime: Runtime, new: NewChannel) -> tuple[int, str]:
    """A merchant with the shop's name, currency and time zone, where they are known ones; and what it is called."""
    zone = new.facts.get("time_zone", "")
    for name in _names(new):
        try:
            merchant_id = create_merchant(
                runtime.database, runtime.clock(), name=name, currency=known_or_dollar(new.facts.get("currency", "")),
                time_zone=zone if zone in available_timezones() else "UTC",
            )  # fmt: skip
            return merchant_id, name
        except Conflict:
            continue
    raise InvalidInput("name_taken", "no free name was found for this shop")


def _free_name(runtime: Runtime, merchant_id: int, new: NewChannel) -> str:
    with runtime.begin(merchant_id, runtime.clock()) as session:
        rows = session.rows("select name from channel where merchant_id = %(merchant_id)s")
    taken = {row.name for row in rows}
    return next(name for name in _names(new) if name not in taken)


def _names(new: NewChannel) -> list[str]:
    """The shop's name, then with its domain, which no other shop has."""
    plain, handle = new.name[:100], new.address.partition(".")[0][:80]
    return [plain, f"{plain} ({handle})", *(f"{plain} ({handle} {number})" for number in range(2, NAME_TRIES))]


def open_state(runtime: Runtime, platform: str, domain: str, merchant_id: int | None) -> str:
    """A secret that a browser carries to the platform's consent page and back; good once, for ten minutes."""
    state, now = f"{runtime.new_key()}{runtime.new_key()}".replace("-", ""), runtime.clock()
    with runtime.database.across(now) as session:
        session.run(
            "select open_install(%(digest)s, %(platform)s, %(domain)s, %(merchant)s, %(expires)s, %(now)s)",
            digest=_digest(state), platform=platform, domain=domain, merchant=merchant_id, expires=now + STATE_LIFE,
            now=now,
        )  # fmt: skip
    return state


def take_state(runtime: Runtime, platform: str, domain: str, state: str) -> int | None:
    """For whom the consent was asked, None for nobody yet. Raises BadRequest for a state that is unknown, was used, has
    expired, or is of another shop."""
    now: datetime = runtime.clock()
    with runtime.database.across(now) as session:
        row = session.row(
            "select domain, for_merchant from take_install(%(digest)s, %(platform)s, %(now)s)",
            digest=_digest(state), platform=platform, now=now,
        )  # fmt: skip
    if row is None or row.domain != domain:
        raise BadRequest("unknown_state", "this consent was used already, or took too long: start again")
    merchant_id: int | None = row.for_merchant
    return merchant_id


def _digest(state: str) -> bytes:
    return hashlib.sha256(state.encode()).digest()
