"""Imports: a channel's whole catalogue, or its orders of a time that no poll reaches. One row of each kind says how far
it got, so that a process that dies costs nothing; the work itself is `app.inbox.backfill`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.core.db import Session
from connectors.export import ExportOf

# What is open already is widened and begun again; what is over is replaced.
_REQUEST = """
insert into channel_import as i (merchant_id, channel_id, what, since, until, state, requested_at)
values (%(merchant_id)s, %(channel)s, %(what)s, %(since)s, %(until)s, %(state)s, %(now)s)
on conflict (merchant_id, channel_id, what) do update
set since = case when i.completed_at is null then least(i.since, excluded.since) else excluded.since end,
    until = case when i.completed_at is null then greatest(i.until, excluded.until) else excluded.until end,
    state = excluded.state, export_key = null, file_offset = 0, file_size = null, exports = 0, objects = 0,
    stored = 0, last_error = null, requested_at = excluded.requested_at, completed_at = null,
    began_at = null, moved_at = null, position = ''
"""
_DUE = """
insert into channel_poll as p (merchant_id, channel_id, kind, due_at, read_through)
values (%(merchant_id)s, %(channel)s, 'import', %(now)s, %(now)s)
on conflict (merchant_id, channel_id, kind) do update set due_at = least(p.due_at, excluded.due_at)
"""
_CANCEL = """
update channel_import set state = 'canceled', completed_at = %(now)s
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and what = %(what)s and completed_at is null
"""
_LIST = """
select i.channel_id, i.what, i.since, i.until, i.state, i.export_key, i.file_offset, i.exports, i.objects, i.stored,
       i.last_error, i.requested_at, i.completed_at, c.name as channel, i.began_at, i.moved_at, i.file_size,
       case when i.what = 'catalogue' and c.facts ->> 'variant_count' ~ '^[0-9]{1,9}$'
            then (c.facts ->> 'variant_count')::bigint end as expected, i.position
from channel_import i join channel c using (merchant_id, channel_id)
where i.merchant_id = %(merchant_id)s and (%(channel)s::bigint is null or i.channel_id = %(channel)s)
order by i.channel_id, i.what
"""


@dataclass(frozen=True, slots=True)
class Import:
    """One import as stored. `objects` as the channel counts them (0 until it says), `stored` of them so far.
    `file_offset` of `file_size`: bytes of a file, or rows of the channel's own lists where pages are read."""

    channel_id: int
    what: ExportOf
    since: datetime
    until: datetime
    state: str
    export_key: str | None
    file_offset: int
    exports: int
    objects: int
    stored: int
    last_error: str | None
    requested_at: datetime
    completed_at: datetime | None
    channel: str
    began_at: datetime | None = None  # its first piece was stored then, the last at `moved_at`
    moved_at: datetime | None = None
    file_size: int | None = None
    expected: int | None = None  # how many the shop had when it was connected
    position: str = ""  # where the next page begins, as the connector has it

    @property
    def share(self) -> float | None:
        """How much of it is done, from 0 to 1; None while nobody can tell."""
        if self.state == "done":
            return 1.0
        if self.file_size:
            return min(self.file_offset / self.file_size, 1.0)
        return min(self.stored / self.expected, 1.0) if self.expected else None

    @property
    def per_s(self) -> float | None:
        """Objects a second since its first piece."""
        if self.began_at is None or self.moved_at is None or self.moved_at <= self.began_at:
            return None
        return self.stored / (self.moved_at - self.began_at).total_seconds()

    @property
    def eta_s(self) -> float | None:
        """Seconds until its end at the pace so far."""
        share, per_s = self.share, self.per_s
        if not share or not per_s or self.completed_at is not None:
            return None
        return self.stored * (1 - share) / share / per_s


def request_import(
    session: Session, channel_id: int, what: str, *, since: datetime, until: datetime, paged: bool = False
) -> None:
    """Have the catalogue, or the orders updated in the window, read by the worker: from a file where the channel
    prepares files, unless `paged`, which is sooner for a few products."""
    state = "paging" if paged else "waiting"
    session.run(_REQUEST, channel=channel_id, what=what, since=since, until=until, state=state, now=session.now)
    session.run(_DUE, channel=channel_id, now=session.now)


def cancel_import(session: Session, channel_id: int, what: str) -> bool:
    """Stop an import: what is stored stays, the next piece is not read. False when there was nothing to stop."""
    return bool(session.run(_CANCEL, channel=channel_id, what=what, now=session.now))


def list_imports(session: Session, channel_id: int | None = None) -> Sequence[Import]:
    """All of a channel, or of all channels."""
    rows = session.rows(_LIST, channel=channel_id)
    return [Import(row.channel_id, ExportOf(row.what), *row[2:]) for row in rows]
