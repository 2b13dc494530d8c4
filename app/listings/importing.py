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
insert into channel_import as i (merchant_id, channel_id, what, since, until, requested_at)
values (%(merchant_id)s, %(channel)s, %(what)s, %(since)s, %(until)s, %(now)s)
on conflict (merchant_id, channel_id, what) do update
set since = case when i.completed_at is null then least(i.since, excluded.since) else excluded.since end,
    until = case when i.completed_at is null then greatest(i.until, excluded.until) else excluded.until end,
    state = 'waiting', export_key = null, file_offset = 0, exports = 0, objects = 0, stored = 0, last_error = null,
    requested_at = excluded.requested_at, completed_at = null
"""
_DUE = """
insert into channel_poll as p (merchant_id, channel_id, kind, due_at, read_through)
values (%(merchant_id)s, %(channel)s, 'import', %(now)s, %(now)s)
on conflict (merchant_id, channel_id, kind) do update set due_at = least(p.due_at, excluded.due_at)
"""
_LIST = """
select i.channel_id, i.what, i.since, i.until, i.state, i.export_key, i.file_offset, i.exports, i.objects, i.stored,
       i.last_error, i.requested_at, i.completed_at, c.name as channel
from channel_import i join channel c using (merchant_id, channel_id)
where i.merchant_id = %(merchant_id)s and (%(channel)s::bigint is null or i.channel_id = %(channel)s)
order by i.channel_id, i.what
"""


@dataclass(frozen=True, slots=True)
class Import:
    """One import as stored. `objects` as the channel counts them (0 until it says), `stored` of them so far."""

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


def request_import(session: Session, channel_id: int, what: str, *, since: datetime, until: datetime) -> None:
    """Have the catalogue, or the orders updated in the window, read by the worker."""
    session.run(_REQUEST, channel=channel_id, what=what, since=since, until=until, now=session.now)
    session.run(_DUE, channel=channel_id, now=session.now)


def list_imports(session: Session, channel_id: int | None = None) -> Sequence[Import]:
    """All of a channel, or of all channels."""
    rows = session.rows(_LIST, channel=channel_id)
    return [Import(row.channel_id, ExportOf(row.what), *row[2:]) for row in rows]
