"""What a platform tells us about our app in a shop: it was uninstalled, a customer or the shop wants its data erased.

Such a word counts whatever state the channel is in. It was stored without any person; what is done about it is one
transaction, and a record of it stays: what was asked, when, and what was found.

A signature covers the body alone, and the body of a word that ends a channel is the same each time: whoever kept one
could send it again. So the shop is asked first, before the transaction, whether the app is still in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from app.accounts import audit
from app.core.db import Row, Session
from app.core.log import get_logger
from app.core.runtime import Runtime
from app.inbox.erase import erase_shop, erase_unreadable, find_orders
from app.inbox.polls import backoff
from app.listings.cases import open_cases
from app.listings.channels import set_state
from app.listings.credentials import write_credentials
from app.listings.install import INSTALLED_AT
from app.listings.presence import is_still_in
from connectors.errors import ChannelError

_NEXT = """
select inbox_id, received_on, topic, resource_key, body, received_at, attempts from inbox
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = 'app' and state = 'open'
  and (deadline is null or deadline <= %(now)s)
order by inbox_id limit 1
"""
_CLAIM = """
select inbox_id from inbox
where merchant_id = %(merchant_id)s and received_on = %(day)s and inbox_id = %(id)s and state = 'open'
for update skip locked
"""
_WAIT = """
update inbox set attempts = attempts + 1, deadline = %(deadline)s, reason = %(reason)s
where merchant_id = %(merchant_id)s and received_on = %(day)s and inbox_id = %(id)s and state = 'open'
"""
_DONE = """
update inbox set state = 'done', done_at = %(now)s, body = null, reason = %(outcome)s
where merchant_id = %(merchant_id)s and received_on = %(day)s and inbox_id = %(id)s
"""
_RECORD = """
insert into privacy_request (merchant_id, privacy_id, channel_id, topic, request_key, received_at, done_at, outcome,
                             found)
values (%(merchant_id)s, nextval('privacy_seq'), %(channel)s, %(topic)s, %(key)s, %(received)s, %(now)s, %(outcome)s,
        %(found)s)
on conflict do nothing
"""
_STANDING = """
select name, platform, state, facts ->> %(installed)s as installed_at from channel
where merchant_id = %(merchant_id)s and channel_id = %(channel)s for no key update
"""

WAITED_FOR = timedelta(days=3)  # for a shop that does not say whether the app is in it; an erasure has 30 days
ENDINGS = frozenset({"app/uninstalled", "shop/redact"})  # words that end a channel
ERASED_AFTER = timedelta(hours=48)
STILL_INSTALLED = "still_installed"
BY = "the shop's platform"  # who did it, in the log of what people changed

log = get_logger("app_events")


@dataclass(frozen=True, slots=True)
class _Event:
    """One word of the platform's. `orders`: those it is about. `still_in`: the shop says that the app is in it."""

    channel_id: int
    key: str
    orders: tuple[str, ...]
    triggered_at: datetime | None
    still_in: bool = False


Done = tuple[str, dict[str, Any]]  # outcome, what was found


def answer_app_event(runtime: Runtime, merchant_id: int, channel_id: int) -> bool:
    """Act on the oldest open word about our app in the shop, or have it wait; False when there is none."""
    with runtime.begin(merchant_id, runtime.clock()) as session:
        row = session.row(_NEXT, channel=channel_id, now=session.now)
        before = _standing(session, channel_id)
    if row is None:
        return False
    event = _read(channel_id, row)
    if row.topic in ENDINGS and before.state != "disconnected" and before.platform in runtime.platforms:
        try:
            event = replace(event, still_in=is_still_in(runtime, merchant_id, channel_id))
        except ChannelError as error:
            if runtime.clock() < row.received_at + WAITED_FOR:
                _wait(runtime, merchant_id, row, error)
                return True
    return _act(runtime, merchant_id, row, event, before)


def _standing(session: Session, channel_id: int) -> Row:
    return session.row(_STANDING, channel=channel_id, installed=INSTALLED_AT)


def _wait(runtime: Runtime, merchant_id: int, row: Row, error: ChannelError) -> None:
    """Others of the channel go first meanwhile."""
    steps = backoff(error)
    pause = max(error.retry_after_s or 0, steps[min(row.attempts, len(steps) - 1)])
    with runtime.begin(merchant_id, runtime.clock()) as session:
        deadline = session.now + timedelta(seconds=pause)
        session.run(_WAIT, day=row.received_on, id=row.inbox_id, deadline=deadline, reason=error.reason)


def _act(runtime: Runtime, merchant_id: int, row: Row, event: _Event, before: Row) -> bool:
    """What the word asks for, unless somebody else is at it. A shop that was installed or disconnected while it was
    asked is judged anew."""
    with runtime.begin(merchant_id, runtime.clock()) as session:
        if session.row(_CLAIM, day=row.received_on, id=row.inbox_id) is None:
            return False
        if _standing(session, event.channel_id) != before:
            return True
        outcome, found = ANSWERS[row.topic](runtime, session, event)
        session.run(_DONE, day=row.received_on, id=row.inbox_id, now=session.now, outcome=outcome)
        if row.topic != "app/uninstalled":
            session.run(
                _RECORD, channel=event.channel_id, topic=row.topic, key=event.key, received=row.received_at,
                now=session.now, outcome=outcome, found=orjson.dumps(found).decode(),
            )  # fmt: skip
    log.info("app_event", topic=row.topic, channel_id=event.channel_id, outcome=outcome)
    return True


def _read(channel_id: int, row: Row) -> _Event:
    told: Mapping[str, Any] = orjson.loads(bytes(row.body))
    at = told.get("triggered_at")
    when = datetime.fromisoformat(at) if at else None
    return _Event(channel_id, row.resource_key, tuple(told.get("orders", ())), when)


def _uninstalled(runtime: Runtime, session: Session, event: _Event) -> Done:
    """Tokens are gone and nothing is read or written; ledger and mappings wait for a reinstall, or for shop/redact. A
    word of before the current install is about the one before it, whatever its headers say of when it was sent."""
    standing = _standing(session, event.channel_id)
    installed_at = standing.installed_at
    if installed_at and event.triggered_at and event.triggered_at < datetime.fromisoformat(installed_at):
        return "reinstalled_since", {}
    if event.still_in:
        return STILL_INSTALLED, {}
    _disconnect(runtime, session, event, standing.name)
    return "disconnected", {}


def _disconnect(runtime: Runtime, session: Session, event: _Event, name: str) -> None:
    write_credentials(runtime.sealer, session, event.channel_id, {})
    set_state(session, event.channel_id, "disconnected")
    audit.note(session, BY, "channel.uninstalled", name)


def _data_asked(runtime: Runtime, session: Session, event: _Event) -> Done:
    """Nothing here names a customer: what is held are orders' numbers, products and units. The merchant is told."""
    held = find_orders(session, event.channel_id, event.orders)
    detail = (
        f"request {event.key or 'without a number'}: no name, address, e-mail or phone is kept here; "
        f"of their orders, units and products of {len(held)} are: {', '.join(held) or 'none'}"
    )
    open_cases(session, event.channel_id, [("customer_data_asked", f"request {event.key}", detail, {"orders": held})])
    return "reported", {"orders": len(held)}


def _customer_erased(runtime: Runtime, session: Session, event: _Event) -> Done:
    """Only what could not be read may hold a person, and nobody can tell whom: all of it goes."""
    return "erased", {"unreadable": erase_unreadable(session, event.channel_id)}


def _shop_erased(runtime: Runtime, session: Session, event: _Event) -> Done:
    """It is asked for two days after the app was taken out of the shop. One that was put in since stays; that one is
    still here for us and no longer in the shop means that the word of its going was lost."""
    standing = _standing(session, event.channel_id)
    if standing.state != "disconnected":
        gone_at = (event.triggered_at or session.now) - ERASED_AFTER
        since = standing.installed_at and datetime.fromisoformat(standing.installed_at) > gone_at
        if event.still_in or since:
            return STILL_INSTALLED, {}
        _disconnect(runtime, session, event, standing.name)
    found = erase_shop(runtime, session, event.channel_id)
    audit.note(session, BY, "channel.erased", f"channel {event.channel_id}")
    return "erased", found


ANSWERS: Mapping[str, Callable[[Runtime, Session, _Event], Done]] = {
    "app/uninstalled": _uninstalled,
    "customers/data_request": _data_asked,
    "customers/redact": _customer_erased,
    "shop/redact": _shop_erased,
}
