"""The first numbers that a channel would be sent, laid out beside what it shows, and approved by a person.

A channel is never written to before. What is approved is what was shown: the rows are kept, with a digest of all of
them. When it is approved, and once more when the channel has been read afresh and would become active, every number is
worked out again; one that moved by more than the orders that came meanwhile means that the rest is shown again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from app.accounts import audit
from app.core.db import Row, Session
from app.core.errors import Conflict, NotFound
from app.listings.states import activate, get_standing
from app.publishing.due import read_plans
from app.publishing.plan import Plan

KINDS = ("unknown", "zero", "down", "up", "unread", "same")  # what a person should look at first
BATCH_MAX = 5_000

_OWNERS = """
select o.owner_id, o.believed, o.buffer, o.buffer_percent, o.shown_min, o.shown_max, o.oversell_target,
       i.kind = 'stock' and not exists (select from movement m where m.merchant_id = o.merchant_id
                                        and m.item_id = o.item_id and m.source not in ('order', 'before'))
       and not exists (select from opened_item k where k.merchant_id = o.merchant_id
                       and k.item_id = o.item_id) as uncounted
from stock_owner o join item i on i.merchant_id = o.merchant_id and i.item_id = o.item_id
where o.merchant_id = %(merchant_id)s and o.channel_id = %(channel)s and o.state = 'managed' and not o.held
  and o.owner_id > %(after)s order by o.owner_id limit %(limit)s
"""
_CLEAR = """
delete from first_push_row where merchant_id = %(merchant_id)s and channel_id = %(channel)s
"""
_BEGIN = """
insert into first_push (merchant_id, channel_id, digest, made_at, watermark, rises, falls, zeros, unknown, same, unread)
select %(merchant_id)s, %(channel)s, '', %(now)s,
       coalesce((select max(movement_id) from movement where merchant_id = %(merchant_id)s), 0), 0, 0, 0, 0, 0, 0
on conflict (merchant_id, channel_id) do update
set digest = '', made_at = excluded.made_at, watermark = excluded.watermark, approved_at = null, approved_by = '',
    done_at = null
"""
_ROWS = """
insert into first_push_row (merchant_id, channel_id, owner_id, kind, shown, target, reasons)
select %(merchant_id)s, %(channel)s, r.* from unnest(%(owners)s::bigint[], %(kinds)s::text[], %(shown)s::bigint[],
    %(targets)s::bigint[], %(reasons)s::jsonb[]) r
"""
_SEAL = """
update first_push p
set digest = %(digest)s, moved = %(moved)s, rises = k.rises, falls = k.falls, zeros = k.zeros, unknown = k.unknown,
    same = k.same, unread = k.unread
from (select count(*) filter (where kind = 'up') as rises, count(*) filter (where kind = 'down') as falls,
             count(*) filter (where kind = 'zero') as zeros, count(*) filter (where kind = 'unknown') as unknown,
             count(*) filter (where kind = 'same') as same, count(*) filter (where kind = 'unread') as unread
      from first_push_row where merchant_id = %(merchant_id)s and channel_id = %(channel)s) k
where p.merchant_id = %(merchant_id)s and p.channel_id = %(channel)s
"""
_GET = """
select channel_id, digest, made_at, watermark, rises, falls, zeros, unknown, same, unread, approved_at, approved_by,
       moved, done_at
from first_push where merchant_id = %(merchant_id)s and channel_id = %(channel)s
"""
_STORED = """
select owner_id, shown, target from first_push_row
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and owner_id = any(%(owners)s)
"""
# What orders took and gave back since, of an item or of a kit's components: as much a number may have moved.
_ORDERED = """
with o as materialized (
    select s.owner_id, coalesce(k.component_item_id, s.item_id) as item_id
    from stock_owner s left join kit_component k on k.merchant_id = s.merchant_id and k.kit_item_id = s.item_id
    where s.merchant_id = %(merchant_id)s and s.owner_id = any(%(owners)s)
)
select o.owner_id, sum(m.quantity) filter (where m.from_state = 'available') as taken,
       sum(m.quantity) filter (where m.to_state = 'available') as given
from o join movement m on m.merchant_id = %(merchant_id)s and m.item_id = o.item_id
                      and m.movement_id > %(watermark)s and m.source = 'order'
group by o.owner_id
"""
_APPROVE = """
update first_push set approved_at = %(now)s, approved_by = %(by)s, moved = 0
where merchant_id = %(merchant_id)s and channel_id = %(channel)s
"""
_APPROVED = """
update channel set approved_at = %(at)s where merchant_id = %(merchant_id)s and channel_id = %(channel)s
"""


@dataclass(frozen=True, slots=True)
class FirstPush:
    """What was laid out for a channel. `rises`, `falls`, `zeros` (fall to none), `unknown` (would fall to none because
    nobody said how many there are), `same`, `unread` (the shop's own number is not known): how many numbers are each.
    `moved`: so many had moved when it was approved, so that it was laid out again."""

    channel_id: int
    digest: str
    made_at: datetime
    watermark: int
    rises: int
    falls: int
    zeros: int
    unknown: int
    same: int
    unread: int
    approved_at: datetime | None
    approved_by: str
    moved: int
    done_at: datetime | None

    @property
    def changes(self) -> int:
        """Numbers that would be written."""
        return self.rises + self.falls + self.zeros + self.unknown + self.unread


class NumbersMoved(Conflict):
    """Numbers are others than those shown, and no order explains it: they are laid out again."""

    def __init__(self, moved: int) -> None:
        super().__init__("numbers_moved", f"{moved} numbers have moved since they were shown: look at them again")
        self.moved = moved


def lay_out(session: Session, channel_id: int, *, moved: int = 0) -> FirstPush:
    """Work out what the channel would be sent, and keep it to be shown. Raises NotFound, and Conflict for a channel
    that was approved already. Batches of a bounded number of rows, each a constant number of statements."""
    _refuse_approved(session, channel_id)
    session.run(_CLEAR, channel=channel_id)
    session.run(_BEGIN, channel=channel_id, now=session.now)
    digest = hashlib.blake2b(digest_size=16)
    for owners, plans in _batches(session, channel_id):
        digest.update("".join(f"{o.owner_id}:{o.believed}:{plans[o.owner_id].target}\n" for o in owners).encode())
        _write(session, channel_id, owners, plans)
    session.run(_SEAL, channel=channel_id, digest=digest.hexdigest(), moved=moved)
    return get_first_push(session, channel_id)


def _refuse_approved(session: Session, channel_id: int) -> None:
    get_standing(session, channel_id, lock=True)
    if is_approved(session, channel_id):
        raise Conflict("approved_already", "this channel's first numbers were approved already")


def is_approved(session: Session, channel_id: int) -> bool:
    """Whether a person (or whoever connected it as active) approved that it is written to."""
    return (
        session.value(
            "select approved_at from channel where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
            channel=channel_id,
        )
        is not None
    )


def _batches(session: Session, channel_id: int) -> Iterator[tuple[Sequence[Row], dict[int, Plan]]]:
    """The channel's numbers that can be planned, by owner id, each batch with its plans."""
    after = 0
    while rows := session.rows(_OWNERS, channel=channel_id, after=after, limit=BATCH_MAX):
        after = rows[-1].owner_id
        plans = read_plans(session, rows)
        yield [row for row in rows if row.owner_id in plans], plans


def _write(session: Session, channel_id: int, owners: Sequence[Row], plans: dict[int, Plan]) -> None:
    session.run(
        _ROWS,
        channel=channel_id,
        owners=[o.owner_id for o in owners],
        kinds=[_kind(o, plans[o.owner_id].target) for o in owners],
        shown=[o.believed for o in owners],
        targets=[plans[o.owner_id].target for o in owners],
        reasons=[orjson.dumps(plans[o.owner_id].reasons).decode() for o in owners],
    )


def _kind(owner: Row, target: int) -> str:
    if owner.believed is None:
        return "unread"
    if owner.believed == target:
        return "same"
    if target == 0 and owner.believed > 0:
        return "unknown" if owner.uncounted else "zero"
    return "up" if target > owner.believed else "down"


def find_first_push(session: Session, channel_id: int) -> FirstPush | None:
    """What was laid out last, None when nothing was."""
    row = session.row(_GET, channel=channel_id)
    return None if row is None else FirstPush(*row)


def get_first_push(session: Session, channel_id: int) -> FirstPush:
    """What was laid out last; raises NotFound when nothing was."""
    found = find_first_push(session, channel_id)
    if found is None:
        raise NotFound("not_laid_out", "nothing was laid out for this channel yet")
    return found


def approve(session: Session, channel_id: int, digest: str, *, by: str, zeros: bool = False) -> FirstPush:
    """Approve exactly what was shown under this digest: the channel becomes active once it has been read. Raises
    Conflict when something else was laid out since, NumbersMoved when it is not true any more (the caller lays it out
    again), and Conflict (`zeros_not_confirmed`) when numbers would fall to none because their stock was never told,
    unless `zeros` says that this is meant."""
    get_standing(session, channel_id, lock=True)
    shown = get_first_push(session, channel_id)
    if is_approved(session, channel_id):
        return shown
    if shown.digest != digest:
        raise Conflict("laid_out_again", "something else was laid out since: look at it first")
    if shown.unknown and not zeros:
        raise Conflict(
            "zeros_not_confirmed",
            f"{shown.unknown} numbers would fall to 0 because nobody said how many there are: confirm that",
        )
    moved = count_moved(session, shown)
    if moved:
        raise NumbersMoved(moved)
    session.run(_APPROVE, channel=channel_id, now=session.now, by=by)
    session.run(_APPROVED, channel=channel_id, at=session.now)
    activate(session, channel_id, "shadow", by)
    told = {"digest": digest, "numbers": shown.changes}
    audit.note(session, by, "first_push.approved", get_standing(session, channel_id).name, after=told)
    return get_first_push(session, channel_id)


def count_moved(session: Session, shown: FirstPush) -> int:
    """Numbers that are others than shown by more than orders explain; also those that were not shown at all."""
    moved = 0
    for owners, plans in _batches(session, shown.channel_id):
        ids = [owner.owner_id for owner in owners]
        stored = {row.owner_id: row for row in session.rows(_STORED, channel=shown.channel_id, owners=ids)}
        ordered = {row.owner_id: row for row in session.rows(_ORDERED, owners=ids, watermark=shown.watermark)}
        for owner in owners:
            row, orders = stored.get(owner.owner_id), ordered.get(owner.owner_id)
            down, up = (int(orders.taken or 0), int(orders.given or 0)) if orders else (0, 0)
            moved += row is None or not (
                _within(row.shown, owner.believed, down, up)
                and _within(row.target, plans[owner.owner_id].target, down, up)
            )
    return moved


def _within(before: int | None, now: int | None, down: int, up: int) -> bool:
    if before is None or now is None:
        return before is now or before is None  # a number that is known by now moved nowhere
    return -down <= now - before <= up


def confirm(session: Session, channel_id: int) -> bool:
    """The channel has been read and is about to become active: False when what it shows is not what was approved. It
    is laid out again then, and waits to be approved again."""
    shown = find_first_push(session, channel_id)
    if shown is None or shown.approved_at is None or shown.done_at is not None:
        return True
    moved = count_moved(session, shown)
    if moved:
        session.run(_APPROVED, channel=channel_id, at=None)
        lay_out(session, channel_id, moved=moved)
        return False
    session.run(
        """update first_push set done_at = %(now)s where merchant_id = %(merchant_id)s and channel_id = %(channel)s""",
        channel=channel_id, now=session.now,
    )  # fmt: skip
    return True
