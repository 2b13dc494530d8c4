"""A channel's state, who set it and when: active, paused, in shadow (everything runs, no number is written).

Becoming active is asked for here and happens when the channel's numbers and orders have been read since
(`app.publishing.shadow`): what we believed of them before may be old.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.accounts import audit
from app.core.db import Session
from app.core.errors import Conflict, NotFound

STATES = ("active", "paused", "shadow")
_GET = """
select name, state, state_at, state_by, activating_since, activating_from, approved_at is not null from channel
where merchant_id = %(merchant_id)s and channel_id = %(channel)s
"""
_SET = """
update channel set state = %(state)s, state_at = %(now)s, state_by = %(by)s, activating_since = %(activating)s,
    activating_from = %(from)s
where merchant_id = %(merchant_id)s and channel_id = %(channel)s
"""
_READ_FIRST = """
update channel_poll set asked_at = greatest(asked_at, %(now)s), started_at = coalesce(started_at, %(now)s)
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind in ('orders', 'stock')
"""
# What it shows is what it would show, from here on: with the first number that would be written they part.
_PRETEND = """
with k as materialized (
    select owner_id from stock_owner where merchant_id = %(merchant_id)s and channel_id = %(channel)s
    order by owner_id for update
)
update stock_owner o set shadow_shown = case when %(shadow)s then o.believed end from k
where o.merchant_id = %(merchant_id)s and o.owner_id = k.owner_id
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """A channel's state as stored. `since`, `by`: when a person set it, None and '' while nobody did.
    `activating_since`: it was asked to become active and its numbers are being read."""

    name: str
    state: str
    since: datetime | None
    by: str
    activating_since: datetime | None
    activating_from: str | None
    approved: bool  # that numbers are written to it at all


def get_standing(session: Session, channel_id: int, *, lock: bool = False) -> Standing:
    """Raises NotFound. `lock`: nobody changes it until the transaction ends."""
    row = session.row(_GET + (" for no key update" if lock else ""), channel=channel_id)
    if row is None:
        raise NotFound("unknown_channel", "no such channel")
    return Standing(*row)


def change_state(session: Session, channel_id: int, state: str, by: str) -> Standing:
    """To active, paused or shadow, said by whom. A channel that is to become active is in shadow until its numbers and
    orders have been read. Raises NotFound, and Conflict for one that is disconnected (it is connected again instead)
    and for one whose first numbers nobody has approved."""
    before = get_standing(session, channel_id, lock=True)
    if before.state == "disconnected":
        raise Conflict("channel_disconnected", "the channel is disconnected: connect it again")
    asked_already = before.activating_since is not None
    if (state == "active" and asked_already) or (state == before.state and not asked_already):
        return before
    if state == "active":
        if not before.approved:
            raise Conflict(
                "first_push_not_approved",
                "nobody has approved its first numbers: look at them with `python -m app channel first-push CHANNEL`",
            )
        activate(session, channel_id, before.state, by)
    else:
        _set(session, channel_id, state, by)
        session.run(_PRETEND, channel=channel_id, shadow=state == "shadow")
    told = {"before": {"state": before.state}, "after": {"state": state}}
    audit.note(session, by, "channel.state_changed", before.name, **told)
    return get_standing(session, channel_id)


def disconnect(session: Session, channel_id: int, by: str) -> None:
    """For good, until it is connected again: nothing is read, written or heard. Raises NotFound."""
    before = get_standing(session, channel_id, lock=True)
    _set(session, channel_id, "disconnected", by)
    audit.note(
        session,
        by,
        "channel.disconnected",
        before.name,
        before={"state": before.state},
        after={"state": "disconnected"},
    )


def read_afresh(session: Session, channel_id: int, by: str) -> None:
    """Have everything that an active channel shows, and its orders, read now and planned anew; until that is done
    nothing is written to it. Raises NotFound, and Conflict for one that is not active."""
    before = get_standing(session, channel_id, lock=True)
    if before.state != "active" and before.activating_since is None:
        raise Conflict("channel_not_active", "the channel is not active: it is read when it becomes that")
    activate(session, channel_id, before.activating_from or "paused", by)


def activate(session: Session, channel_id: int, before: str, by: str) -> None:
    """Have a channel that was `before` (paused, shadow, disconnected) become active once it has been read."""
    _set(session, channel_id, "shadow", by, activating_from=before)
    session.run(_READ_FIRST, channel=channel_id, now=session.now)


def _set(session: Session, channel_id: int, state: str, by: str, activating_from: str | None = None) -> None:
    activating = session.now if activating_from is not None else None
    more = {"from": activating_from}
    session.run(_SET, channel=channel_id, state=state, now=session.now, by=by, activating=activating, **more)
