"""Channels: a merchant's connected shops, their credentials (sealed), their places as ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from app.accounts import audit
from app.core.db import ConstraintViolated, Session
from app.core.errors import Conflict, NotFound
from app.core.runtime import Runtime
from app.listings.credentials import (
    WEBHOOK_SECRETS,
    Unreadable,
    seal_credentials,
    unseal_credentials,
    write_credentials,
)
from app.listings.states import activate, get_standing
from app.listings.tokens import KEPT_ALIVE, Fresh, can_refresh
from connectors.base import ALL_ORDERS_SHOWN, Abilities, Shop
from connectors.errors import AccessDenied

COLUMNS = """c.channel_id, c.platform, c.name, c.address, c.base_url, c.sealed_credentials, c.state, c.drift_policy,
c.facts,
    array(select distinct p.location_key from channel_location p where p.merchant_id = c.merchant_id
          and p.channel_id = c.channel_id and p.location_key <> '' order by 1)"""


@dataclass(frozen=True, slots=True)
class NewChannel:
    """A shop to connect. `address` is how its deliveries are told apart: a domain, or an unguessable path key.
    `state`: shadow until a person has approved what it would be sent (`app.publishing.first_push`), or active where
    that is known to be right."""

    platform: str
    name: str
    address: str
    base_url: str
    credentials: Mapping[str, str]
    facts: Mapping[str, str]
    state: str = "shadow"


@dataclass(frozen=True, slots=True)
class Channel:
    """A connected shop as stored."""

    channel_id: int
    platform: str
    name: str
    address: str
    base_url: str
    sealed_credentials: bytes
    state: str
    drift_policy: str
    facts: Mapping[str, str]
    location_keys: Sequence[str]


def create_channel(runtime: Runtime, session: Session, new: NewChannel) -> int:
    """Connect a shop; returns the channel's id. Raises Conflict when the name is taken or the shop is connected
    already, by whomever."""
    channel_id: int = session.value("select nextval('channel_seq')")
    sealed = seal_credentials(runtime.sealer, session.merchant_id, channel_id, new.credentials)
    try:
        session.run(
            """insert into channel (merchant_id, channel_id, platform, name, address, base_url, sealed_credentials,
                                    facts, created_at, write_lanes, state, approved_at)
               values (%(merchant_id)s, %(id)s, %(platform)s, %(name)s, %(address)s, %(base_url)s, %(sealed)s,
                       %(facts)s, %(now)s, %(lanes)s, %(state)s,
                       case when %(state)s = 'active' then %(now)s::timestamptz end)""",
            id=channel_id, platform=new.platform, name=new.name, address=new.address, base_url=new.base_url,
            sealed=sealed, facts=orjson.dumps(dict(new.facts)).decode(), now=session.now,
            lanes=runtime.connectors[new.platform].abilities.write_lanes, state=new.state,
        )  # fmt: skip
        session.run(
            "select register_channel(%(platform)s, %(address)s, %(merchant_id)s, %(id)s)",
            platform=new.platform, address=new.address, id=channel_id,
        )  # fmt: skip
        _place(session, new)
    except ConstraintViolated as error:
        raise _taken(error) from error
    _schedule(runtime, session, channel_id, new.platform)
    audit.note(session, None, "channel.connected", new.name, after=_told(new))
    return channel_id


def _told(new: NewChannel) -> dict[str, str]:
    return {"platform": new.platform, "shop": new.base_url, "state": new.state}


def find_channel_of(session: Session, new: NewChannel) -> int | None:
    """The merchant's own channel of this shop, if it is connected already. Raises Conflict when the same shop has
    another webhook address: two channels of one shop would undo each other's numbers."""
    row = session.row(
        """select channel_id, address from channel
           where merchant_id = %(merchant_id)s and platform = %(platform)s
             and (address = %(address)s or shop_place(base_url) = shop_place(%(base_url)s))
           order by address <> %(address)s limit 1""",
        platform=new.platform, address=new.address, base_url=new.base_url,
    )  # fmt: skip
    if row is None:
        return None
    if row.address != new.address:
        raise Conflict("channel_taken", "this shop is connected already")
    channel_id: int = row.channel_id
    return channel_id


def renew_channel(runtime: Runtime, session: Session, channel_id: int, new: NewChannel) -> None:
    """Name, base and credentials as told now; what was disconnected becomes active again once it has been read, or
    goes on looking where its first numbers were never approved.
    Raises Conflict when another channel has the name."""
    sealed = seal_credentials(runtime.sealer, session.merchant_id, channel_id, new.credentials)
    try:
        session.run(
            """update channel set name = %(name)s, base_url = %(base_url)s, sealed_credentials = %(sealed)s,
                   facts = facts || %(facts)s::jsonb
               where merchant_id = %(merchant_id)s and channel_id = %(id)s""",
            id=channel_id, name=new.name, base_url=new.base_url, sealed=sealed,
            facts=orjson.dumps(dict(new.facts)).decode(),
        )  # fmt: skip
        _place(session, new)
    except ConstraintViolated as error:
        raise _taken(error) from error
    standing = get_standing(session, channel_id, lock=True)
    if standing.state == "disconnected" and standing.approved:
        activate(session, channel_id, "disconnected", "connecting again")
    elif standing.state == "disconnected":
        set_state(session, channel_id, "shadow")
    audit.note(session, None, "channel.connected_again", new.name, after=_told(new))


def _place(session: Session, new: NewChannel) -> None:
    """Claim the shop itself, whatever address its deliveries come to."""
    session.run(
        "select place_shop(%(platform)s, %(address)s, %(base_url)s)",
        platform=new.platform, address=new.address, base_url=new.base_url,
    )  # fmt: skip


def store_credentials(runtime: Runtime, session: Session, channel_id: int, credentials: Mapping[str, str]) -> None:
    """Other credentials; what failed with the old ones is due at once."""
    write_credentials(runtime.sealer, session, channel_id, credentials)
    session.run(
        """update channel_poll set due_at = least(due_at, %(now)s)
           where merchant_id = %(merchant_id)s and channel_id = %(id)s and failures > 0""",
        id=channel_id, now=session.now,
    )  # fmt: skip
    named = {"names": sorted(credentials)}
    audit.note(session, None, "channel.credentials_changed", get_standing(session, channel_id).name, after=named)


def _taken(error: ConstraintViolated) -> Conflict:
    of_shop = error.name in ("channel_address_taken", "channel_place_taken")
    return Conflict("channel_taken", "this shop is connected already" if of_shop else "a channel of that name exists")


def _schedule(runtime: Runtime, session: Session, channel_id: int, platform: str) -> None:
    """The first polls: orders from now on, the slower ones later."""
    sync = runtime.settings.sync
    rows = [
        ("orders", session.now),
        ("sweep", session.now + timedelta(seconds=sync.sweep_interval_s)),
        ("stock", session.now + timedelta(seconds=sync.audit_interval_s)),
        ("known", session.now + timedelta(seconds=sync.known_interval_s)),
        ("webhooks", session.now + timedelta(seconds=sync.webhook_interval_s)),
        ("products", session.now + timedelta(seconds=sync.catalogue_interval_s)),
        ("push", session.now),
        ("look", session.now),
    ]
    if platform in runtime.platforms:
        rows.append(("shop", session.now + KEPT_ALIVE))
    session.run(
        """insert into channel_poll (merchant_id, channel_id, kind, due_at, read_through)
           select %(merchant_id)s, %(channel)s, k, d, %(now)s from unnest(%(kinds)s::text[], %(due)s::timestamptz[])
               p(k, d)""",
        channel=channel_id, kinds=[kind for kind, _ in rows], due=[due for _, due in rows], now=session.now,
    )  # fmt: skip


def get_channel(session: Session, channel_id: int) -> Channel:
    """Raises NotFound, also for another merchant's."""
    row = session.row(
        f"select {COLUMNS} from channel c where merchant_id = %(merchant_id)s and channel_id = %(id)s",  # noqa: S608
        id=channel_id,
    )
    if row is None:
        raise NotFound("unknown_channel", "no such channel")
    return Channel(*row)


def list_channels(session: Session) -> Sequence[Channel]:
    """All channels, oldest first."""
    rows = session.rows(f"select {COLUMNS} from channel c where merchant_id = %(merchant_id)s order by channel_id")  # noqa: S608
    return [Channel(*row) for row in rows]


def shown_from(abilities: Abilities, facts: Mapping[str, str], now: datetime) -> datetime | None:
    """Orders placed before are hidden from us by the channel, which is not that they were deleted; None: all are shown.
    A day of it is left for whose day it is."""
    if abilities.orders_shown_days is None or facts.get(ALL_ORDERS_SHOWN) == "yes":
        return None
    return now - timedelta(days=abilities.orders_shown_days - 1)


def shop_of(runtime: Runtime, merchant_id: int, channel: Channel) -> Shop:
    """The channel as its connector needs it: a token that expires is a valid one whenever it is read, and keys that
    can't be opened are refused then."""
    return Shop(
        base_url=channel.base_url,
        domain=channel.address,
        credentials=_open_keys(runtime, merchant_id, channel),
        location_keys=tuple(channel.location_keys),
        facts=channel.facts,
    )


def _open_keys(runtime: Runtime, merchant_id: int, channel: Channel) -> Mapping[str, str]:
    """Credentials; an installed app's deliveries are signed with the app's own secrets."""
    try:
        known = unseal_credentials(runtime.sealer, merchant_id, channel.channel_id, channel.sealed_credentials)
    except AccessDenied:
        return Unreadable()
    if WEBHOOK_SECRETS not in known and channel.platform in runtime.platforms:
        known[WEBHOOK_SECRETS] = " ".join(runtime.settings.shopify.secrets())
    return Fresh(runtime, merchant_id, channel.channel_id, known) if can_refresh(known) else known


def map_location(session: Session, channel_id: int, location_key: str, location_id: int) -> None:
    """Our place behind a channel's ('' for a channel without places, which several of ours may feed)."""
    session.run(
        """insert into channel_location (merchant_id, channel_id, location_key, location_id)
           values (%(merchant_id)s, %(channel)s, %(key)s, %(location)s) on conflict do nothing""",
        channel=channel_id, key=location_key, location=location_id,
    )  # fmt: skip


def list_mapped_places(session: Session, channel_id: int) -> set[str]:
    """The channel's places that one of ours stands behind, by their keys."""
    rows = session.rows(
        """select distinct location_key from channel_location
           where merchant_id = %(merchant_id)s and channel_id = %(channel)s""",
        channel=channel_id,
    )
    return {row.location_key for row in rows}


def set_state(session: Session, channel_id: int, state: str) -> None:
    """active, paused, shadow or disconnected, at once and by nobody; a person's change is
    `app.listings.states.change_state`. Raises NotFound."""
    before = get_standing(session, channel_id, lock=True)
    session.run(
        """update channel set state = %(state)s, state_at = %(now)s, state_by = ''
           where merchant_id = %(merchant_id)s and channel_id = %(id)s""",
        state=state, id=channel_id, now=session.now,
    )  # fmt: skip
    audit.note(
        session, None, "channel.state_changed", before.name, before={"state": before.state}, after={"state": state}
    )


def set_drift_policy(session: Session, channel_id: int, policy: str) -> None:
    """What happens to numbers that nothing explains: ledger_wins, channel_wins or ask. Open cases stay as they were
    decided. Raises NotFound."""
    before = get_channel(session, channel_id)
    session.run(
        "update channel set drift_policy = %(policy)s where merchant_id = %(merchant_id)s and channel_id = %(id)s",
        policy=policy, id=channel_id,
    )  # fmt: skip
    told = {"before": {"policy": before.drift_policy}, "after": {"policy": policy}}
    audit.note(session, None, "channel.policy_changed", before.name, **told)


def ask_for_poll(session: Session, channel_id: int, kind: str) -> None:
    """Have something that is read now and then read now, by a reading that begins after this: one that is under way
    does not count, and its end does not put the asked one off."""
    _ask(session, channel_id, kind, session.now)


def ask_for_orders(session: Session, channel_id: int, when: datetime) -> None:
    """Have the channel's orders read, by a reading that begins after `when`: one that is under way does not count."""
    _ask(session, channel_id, "orders", when)


def hasten_orders(session: Session, channel_id: int, due: datetime) -> None:
    """Have the channel's orders read at that time at the latest; after readings that failed their pause is kept."""
    session.run(
        """update channel_poll set due_at = %(due)s
           where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = 'orders'
             and due_at > %(due)s and failures = 0""",
        channel=channel_id, due=due,
    )  # fmt: skip


def _ask(session: Session, channel_id: int, kind: str, when: datetime) -> None:
    session.run(
        """update channel_poll set asked_at = greatest(asked_at, %(when)s), started_at = coalesce(started_at, %(when)s)
           where merchant_id = %(merchant_id)s and channel_id = %(id)s and kind = %(kind)s""",
        id=channel_id, when=when, kind=kind,
    )  # fmt: skip


def note_facts(session: Session, channel_id: int, facts: Mapping[str, str]) -> None:
    """What the shop tells of itself by now, such as which way of proving who asks reaches it."""
    session.run(
        """update channel set facts = facts || jsonb_object(%(names)s::text[], %(values)s::text[])
           where merchant_id = %(merchant_id)s and channel_id = %(id)s""",
        id=channel_id, names=list(facts), values=list(facts.values()),
    )  # fmt: skip


def facts_as_text(facts: Mapping[str, Any]) -> dict[str, str]:
    """Facts read at connect, as the strings that are stored."""
    return {name: str(value) for name, value in facts.items()}
