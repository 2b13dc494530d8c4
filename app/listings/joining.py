"""Joining a shop whose owner approves us there, or brings keys by hand: found, asked, granted, proved, connected.

The keys come in a call that says neither who sends it nor which shop it is. So they are taken once, for a state that
nobody can guess and that expires, and they count only when they have worked at the address that the merchant gave.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import orjson

from app.core.db import Session
from app.core.errors import BadRequest, Conflict, NotFound
from app.core.reseal import Kept
from app.core.runtime import Runtime
from app.listings.channels import NewChannel, get_channel
from app.listings.connect import connect, read_history
from app.listings.credentials import WEBHOOK_SECRETS, readable_credentials
from connectors.addresses import check_public_url
from connectors.base import Shop
from connectors.errors import Refused
from connectors.join import Approval, Found, Joins

LIFE = timedelta(minutes=30)  # time enough to find the shop's password
KEPT = timedelta(days=7)
OPEN_MAX = 20  # of one merchant; the oldest give way
FIND_TOTAL_S = 20.0  # somebody is waiting for the page
NAME_MAX = 200
_COLUMNS = """joining_id, platform, name, base_url, state, sealed_token, sealed_keys, expires_at, channel_id"""
_GET = f"select {_COLUMNS} from shop_joining where merchant_id = %(merchant_id)s and joining_id = %(id)s"  # noqa: S608
_FORGET = """
delete from shop_joining where merchant_id = %(merchant_id)s and (expires_at < %(old)s or joining_id in (
    select joining_id from shop_joining where merchant_id = %(merchant_id)s order by joining_id desc offset %(max)s))
"""
# Keys that nobody came back for are not kept.
_PRUNE = """
update shop_joining set sealed_keys = null
where merchant_id = %(merchant_id)s and expires_at <= %(now)s and sealed_keys is not null
"""
# Good once: the state moves in the same statement that looks at it.
_GRANT = """
update shop_joining set state = 'granted', sealed_keys = %(sealed)s, granted_at = %(now)s
where merchant_id = %(merchant_id)s and joining_id = %(id)s and token_hash = %(hash)s and state = 'asked'
  and expires_at > %(now)s
"""
_MOVE = """
update shop_joining set state = %(state)s where merchant_id = %(merchant_id)s and joining_id = %(id)s
  and token_hash = %(hash)s and state = 'asked'
"""
_DONE = """
update shop_joining set state = 'done', sealed_keys = null, channel_id = %(channel)s
where merchant_id = %(merchant_id)s and joining_id = %(id)s
"""
_SAME_SHOP = """
select channel_id, name from channel where merchant_id = %(merchant_id)s and platform = %(platform)s
  and shop_place(base_url) = shop_place(%(base_url)s)
"""


@dataclass(frozen=True, slots=True)
class Joining:
    """A shop that is being joined. `state`: asked, granted (keys are here, not proved), denied, done."""

    joining_id: int
    platform: str
    name: str
    base_url: str
    state: str
    sealed_token: bytes
    sealed_keys: bytes | None
    expires_at: datetime
    channel_id: int | None

    def is_over(self, now: datetime) -> bool:
        """Whether keys would come too late."""
        return now >= self.expires_at


def find_shop(runtime: Runtime, platform: str, typed: str) -> Found:
    """Who answers at what a person typed. Nothing is stored. Raises ChannelError with what is in the way."""
    joins = _joins(runtime, platform)
    allow = runtime.settings.security.allow_loopback
    base_url = check_public_url(joins.plain_address(typed), allow_loopback=allow)
    return joins.find_shop(replace(runtime.open_http(), total_s=FIND_TOTAL_S), base_url, allow_loopback=allow)


def begin_joining(runtime: Runtime, merchant_id: int, platform: str, found: Found) -> int:
    """Remember that this shop is to be joined; returns the joining's id."""
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        joining_id: int = session.value("select nextval('shop_joining_seq')")
        token = f"{merchant_id}-{joining_id}-{runtime.new_key()}{runtime.new_key()}"
        sealed = runtime.sealer.seal(token.encode(), bound_to=_bound(merchant_id, joining_id, "token"))
        session.run(_FORGET, old=now - KEPT, max=OPEN_MAX)
        session.run(
            """insert into shop_joining (merchant_id, joining_id, platform, name, base_url, token_hash, sealed_token,
                                         created_at, expires_at)
               values (%(merchant_id)s, %(id)s, %(platform)s, %(name)s, %(base_url)s, %(hash)s, %(sealed)s, %(now)s,
                       %(until)s)""",
            id=joining_id, platform=platform, name=found.name[:NAME_MAX], base_url=found.base_url, hash=_hash(token),
            sealed=sealed, now=now, until=now + LIFE,
        )  # fmt: skip
    return joining_id


def get_joining(session: Session, joining_id: int) -> Joining:
    """Raises NotFound, also for another merchant's."""
    row = session.row(_GET, id=joining_id)
    if row is None:
        raise NotFound("unknown_joining", "no such shop is being connected: start again")
    return Joining(*row)


def approval_url(runtime: Runtime, merchant_id: int, joining: Joining, *, return_url: str, callback_url: str) -> str:
    """The shop's page on which its owner approves us. Raises `Refused` where keys could be read on their way: the proof
    of the shop needs https too."""
    token = runtime.sealer.open(
        bytes(joining.sealed_token), bound_to=_bound(merchant_id, joining.joining_id, "token")
    ).decode()
    check_encrypted(runtime, joining.base_url)
    check_encrypted(runtime, callback_url)
    approval = Approval(token, return_url, callback_url)
    return _joins(runtime, joining.platform).approval_url(joining.base_url, approval)


def check_encrypted(runtime: Runtime, url: str) -> None:
    """https, or this machine where that may be called. Raises `Refused`."""
    if url.startswith("https://"):
        return
    if runtime.settings.security.allow_loopback and urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1"):
        return
    raise Refused("needs_https", "keys are sent over https only")


def accept_grant(runtime: Runtime, platform: str, body: bytes) -> None:
    """The shop's call with its keys: taken once, while somebody waits for them; not proved yet. Raises Malformed, and
    BadRequest for a state that is unknown, used or expired, which all read the same."""
    grant = _joins(runtime, platform).read_grant(body)
    merchant_id, joining_id = _parts(grant.state)
    bound = _bound(merchant_id, joining_id, "keys")
    sealed = runtime.sealer.seal(orjson.dumps(dict(grant.credentials)), bound_to=bound)
    with runtime.begin(merchant_id, runtime.clock()) as session:
        taken = session.run(_GRANT, id=joining_id, hash=_hash(grant.state), sealed=sealed, now=session.now)
    if not taken:
        raise _unknown_state()


def note_return(session: Session, state: str, *, approved: bool) -> int:
    """The browser is back from the shop; returns the joining's id. Raises BadRequest for a state that is not the
    merchant's."""
    merchant_id, joining_id = _parts(state)
    row = session.row(
        "select token_hash from shop_joining where merchant_id = %(merchant_id)s and joining_id = %(id)s",
        id=joining_id,
    )
    if merchant_id != session.merchant_id or row is None or not hmac.compare_digest(row.token_hash, _hash(state)):
        raise _unknown_state()
    if not approved:
        session.run(_MOVE, id=joining_id, hash=_hash(state), state="denied")
    return joining_id


def finish_joining(runtime: Runtime, merchant_id: int, joining_id: int, *, origin: str) -> int:
    """Prove the keys that came at the shop's address, then connect it; returns the channel's id, the same when it is
    asked again. Raises Conflict while there are none, and ChannelError when the shop does not know them."""
    with runtime.begin(merchant_id, runtime.clock()) as session:
        joining = get_joining(session, joining_id)
    if joining.channel_id is not None:
        return joining.channel_id
    if joining.is_over(runtime.clock()):
        raise Conflict("joining_over", "that took too long, and the shop's keys were not kept: approve there once more")
    if joining.sealed_keys is None:
        raise Conflict("no_keys_yet", "the shop has sent no keys yet: approve there first, or bring keys by hand")
    bound = _bound(merchant_id, joining_id, "keys")
    credentials = orjson.loads(runtime.sealer.open(bytes(joining.sealed_keys), bound_to=bound))
    check_encrypted(runtime, joining.base_url)
    return _prove_and_connect(runtime, merchant_id, joining, credentials, origin=origin)


def prune_joinings(session: Session) -> int:
    """Forget the keys of joinings that took too long; how many."""
    return session.run(_PRUNE, now=session.now)


def join_by_hand(
    runtime: Runtime, merchant_id: int, joining_id: int, typed: Mapping[str, str], *, origin: str
) -> int:  # fmt: skip
    """The same with keys that a person made in the shop. Raises Malformed with the field, Conflict, ChannelError."""
    with runtime.begin(merchant_id, runtime.clock()) as session:
        joining = get_joining(session, joining_id)
    credentials = _joins(runtime, joining.platform).read_keys(typed)
    return _prove_and_connect(runtime, merchant_id, joining, credentials, origin=origin)


def _prove_and_connect(
    runtime: Runtime, merchant_id: int, joining: Joining, credentials: Mapping[str, str], *, origin: str
) -> int:
    """Before anything of the channel is written its keys have read the shop."""
    _joins(runtime, joining.platform).prove(runtime.open_http(), Shop(joining.base_url, "", credentials))
    with runtime.begin(merchant_id, runtime.clock()) as session:
        found = Found(joining.base_url, joining.name)
        new = new_channel(runtime, session, joining.platform, found, credentials)
    url = f"{origin}/webhooks/{joining.platform}/{new.address}"
    channel_id = connect(runtime, merchant_id, new, webhook_url=url, later=True)
    read_history(runtime, merchant_id, channel_id)
    with runtime.begin(merchant_id, runtime.clock()) as session:
        session.run(_DONE, id=joining.joining_id, channel=channel_id)
    runtime.ring()
    return channel_id


def new_channel(
    runtime: Runtime, session: Session, platform: str, found: Found, credentials: Mapping[str, str]
) -> NewChannel:  # fmt: skip
    """A shop that proved its credentials, as a channel in shadow. One that is connected already keeps its name, its
    webhook address and secret."""
    same = session.row(_SAME_SHOP, platform=platform, base_url=found.base_url)
    secret = f"{runtime.new_key()}{runtime.new_key()}".replace("-", "")
    if same is None:
        name = _free_name(session, found)
        told = {**credentials, WEBHOOK_SECRETS: secret}
        return NewChannel(platform, name, runtime.new_key(), found.base_url, told, {}, state="shadow")
    channel = get_channel(session, same.channel_id)
    kept = readable_credentials(runtime.sealer, session.merchant_id, channel.channel_id, channel.sealed_credentials)
    told = {WEBHOOK_SECRETS: secret, **kept, **credentials}
    return NewChannel(platform, channel.name, channel.address, found.base_url, told, {})


def _free_name(session: Session, found: Found) -> str:
    """The shop's own name; with its host where another channel has that."""
    taken = session.value(
        "select exists (select from channel where merchant_id = %(merchant_id)s and name = %(name)s)",
        name=found.name,
    )
    host = urlsplit(found.base_url).netloc
    return f"{found.name[: NAME_MAX - len(host) - 3]} ({host})" if taken else found.name


def _joins(runtime: Runtime, platform: str) -> Joins:
    connector = runtime.connectors.get(platform)
    if not isinstance(connector, Joins):
        raise NotFound("unknown_platform", "no shop of that kind is joined by its address")
    return connector


def _parts(state: str) -> tuple[int, int]:
    """Merchant and joining of a state. Whether it is theirs the hash says."""
    parts = state.split("-", 2)
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts[:2]):
        raise _unknown_state()
    return int(parts[0]), int(parts[1])


def _unknown_state() -> BadRequest:
    return BadRequest("unknown_state", "this approval is not known, was used already or took too long: start again")


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _bound(merchant_id: int, joining_id: int, what: str) -> str:
    return f"joining:{merchant_id}:{joining_id}:{what}"


SEALED = (
    Kept("shop_joining", "sealed_token", {"joining_id": "bigint"},
         lambda merchant, row: _bound(merchant, row.joining_id, "token")),
    Kept("shop_joining", "sealed_keys", {"joining_id": "bigint"},
         lambda merchant, row: _bound(merchant, row.joining_id, "keys")),
)  # fmt: skip
