"""Imports at work: the catalogue, or orders of a time that no poll reaches, a piece at a time.

A few orders are read at once. Where the channel prepares a file, that is asked for, waited for and read from the byte
where the last process got to; where it does not, or keeps failing, pages are read instead, a day of orders at a time.
Each piece is stored together with how far it reaches, so that a killed process costs at most the piece it was at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.core.db import Session
from app.core.runtime import Runtime
from app.inbox.documents import Source, open_source, take
from app.inbox.polls import Claim, Overtaken, claim_poll, end_poll, fail_poll, hold_poll
from app.listings.cases import open_cases
from app.listings.catalogue import import_entries
from app.listings.channels import ask_for_orders
from app.listings.importing import Import, list_imports
from app.listings.matching import propose
from app.listings.shop_clock import in_its_time, read_skew
from app.listings.wanted import want_unseen
from connectors.base import OrderHead, Window
from connectors.errors import AccessDenied, ChannelError, OutcomeUnknown, Transient
from connectors.export import CataloguePage, Export, ExportOf, ExportPage, ExportState

EXPORTS_MAX = 3  # files asked for before pages are read instead
LOOK_S = 10.0  # between two looks at a file that is being prepared
PREPARED_MAX = timedelta(hours=24)  # a file that takes longer is not waited for
STEP_MAX = timedelta(seconds=60)  # of one call; the next goes on where it ended
SLICE = timedelta(days=1)  # of orders read in pages
FEW = 250  # orders that are read sooner than a file of them would be prepared

_STATE = """
update channel_import set state = %(state)s, export_key = %(key)s, objects = greatest(objects, %(objects)s),
    file_size = case when %(state)s in ('waiting', 'paging') then null else coalesce(%(size)s, file_size) end,
    position = case when %(state)s in ('waiting', 'paging') then '' else position end,
    stored = case when %(state)s in ('waiting', 'paging') then 0 else stored end,
    began_at = case when %(state)s in ('waiting', 'paging') then null else began_at end, exports = %(exports)s,
    file_offset = %(offset)s, last_error = %(error)s,
    completed_at = case when %(state)s in ('done', 'failed') then %(now)s::timestamptz end
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and what = %(what)s and requested_at = %(requested_at)s
  and completed_at is null
"""
_GOT = """
update channel_import set stored = stored + %(count)s, file_offset = coalesce(%(offset)s, file_offset),
    file_size = coalesce(%(size)s, file_size), position = coalesce(%(position)s, position),
    since = coalesce(%(since)s, since), began_at = coalesce(began_at, %(began)s), moved_at = %(now)s
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and what = %(what)s and requested_at = %(requested_at)s
  and completed_at is null
"""
_OVER = """
delete from channel_poll where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = 'import'
  and attempt = %(attempt)s
  and not exists (select from channel_import i where i.merchant_id = %(merchant_id)s and i.channel_id = %(channel)s
                  and i.completed_at is null)
"""


_NO_FARTHER: dict[str, object] = {"offset": None, "size": None, "position": None, "since": None}


class _Stopped(Exception):
    """Somebody stopped the import, or asked for another in its place."""


@dataclass(frozen=True, slots=True)
class _Work:
    """One import that is due, claimed."""

    runtime: Runtime
    source: Source
    claim: Claim
    job: Import
    until: datetime  # when this call ends
    claimed_at: datetime

    def over(self) -> bool:
        """Whether this call has taken its time."""
        return self.runtime.clock() >= self.until

    def note(self, state: str, **changed: object) -> None:
        """Store how things stand. Raises Overtaken, and _Stopped."""
        job = self.job
        kept = {"key": job.export_key, "objects": job.objects, "exports": job.exports, "offset": job.file_offset,
                "error": None, "size": None}  # fmt: skip
        with self.runtime.begin(self.claim.merchant_id, self.runtime.clock()) as session:
            hold_poll(self.runtime, session, self.claim)
            known = session.run(
                _STATE, channel=job.channel_id, what=job.what, requested_at=job.requested_at, now=session.now,
                state=state, **{**kept, **changed},
            )  # fmt: skip
            if not known:
                raise _Stopped
            if state == "done" and job.what is ExportOf.ORDERS:
                ask_for_orders(session, job.channel_id, session.now)  # from now on a reading is complete again
            if state == "done" and job.what is ExportOf.CATALOGUE:
                want_unseen(session, job.channel_id, job.requested_at)
                propose(session, job.channel_id)

    def got(self, session: Session, count: int, **reached: object) -> None:
        """Note what was stored and how far that is (`offset`, `size`, `position`, `since`), in the transaction that
        stores it where that can be. Raises Overtaken."""
        job = self.job
        hold_poll(self.runtime, session, self.claim)
        known = session.run(
            _GOT, channel=job.channel_id, what=job.what, requested_at=job.requested_at, count=count,
            began=self.claimed_at, now=session.now, **{**_NO_FARTHER, **reached},
        )  # fmt: skip
        if not known:
            raise _Stopped


def run_import(runtime: Runtime, merchant_id: int, channel_id: int) -> bool:
    """Do the next piece of a channel's import; True when there may be more to do at once. Nothing when another process
    is at it."""
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        claimed = claim_poll(runtime, session, channel_id, "import")
        if claimed is None:
            return False
        claim = Claim(merchant_id, channel_id, "import", claimed.attempt)
        job = next((job for job in list_imports(session, channel_id) if job.completed_at is None), None)
        if job is None:
            session.run(_OVER, channel=channel_id, attempt=claim.attempt)
            return False
        source = open_source(runtime, session, channel_id)
    work = _Work(runtime, source, claim, job, now + STEP_MAX, now)
    try:
        pause_s = _STEPS[job.state](work)
    except ChannelError as error:
        fail_poll(runtime, claim, error)
        return False
    except Overtaken:
        return False
    except _Stopped:
        pause_s = 0  # the next call sees what is left to do
    end_poll(runtime, claim, through=now, every_s=pause_s)
    return pause_s == 0


def _ask(work: _Work) -> float:
    """Have the file prepared, where there are files."""
    connector, job = work.source.connector, work.job
    if connector.abilities.exports_from is None or job.exports >= EXPORTS_MAX:
        work.note("paging")
        return 0
    window = Window(job.requested_at, job.until)
    if job.what is ExportOf.ORDERS:
        window = _asked(work, Window(job.since, job.until))
    try:
        if job.what is ExportOf.ORDERS and _read_few(work, window):
            return 0
        export = connector.start_export(work.runtime.open_http(), work.source.shop, job.what, window)
    except (Transient, OutcomeUnknown, AccessDenied):
        raise  # asked again: one that was started after all is found
    except ChannelError as error:
        _again(work, error.reason)
        return LOOK_S
    work.note("exporting", key=export.export_key, objects=export.objects, offset=0)
    return LOOK_S


def _read_few(work: _Work, window: Window) -> bool:
    """Read the orders of a window if they are few; False when there are more. A process that dies at it leaves what it
    stored, which is not fetched again."""
    started_at = work.runtime.clock()
    heads: list[OrderHead] = []
    for page in work.source.connector.read_order_heads(work.runtime.open_http(), work.source.shop, window):
        heads += page
        if len(heads) > FEW:
            return False
    _take(work, heads, started_at)
    with work.runtime.begin(work.claim.merchant_id, work.runtime.clock()) as session:
        work.got(session, len(heads), since=work.job.until)
    work.note("done")
    return True


def _take(work: _Work, heads: Sequence[OrderHead], started_at: datetime) -> None:
    """Store what is not known of these orders."""
    for _ in take(work.runtime, work.source, heads, started_at=started_at, topic="import"):
        with work.runtime.begin(work.claim.merchant_id, work.runtime.clock()) as session:
            hold_poll(work.runtime, session, work.claim)


def _wait(work: _Work) -> float:
    """Look how far the file is."""
    export = _export(work)
    if export.state is ExportState.RUNNING:
        late = work.runtime.clock() - work.job.requested_at > PREPARED_MAX * (work.job.exports + 1)
        if late:
            _again(work, "export_too_slow")
        else:
            work.note("exporting", objects=export.objects)
        return LOOK_S
    if export.state is ExportState.FAILED:
        _again(work, export.reason)
        return LOOK_S
    work.note("reading", objects=export.objects, size=export.size)
    return 0


def _read(work: _Work) -> float:
    """Store the file from where the last process got to; of a partial one what it has, before another is asked for."""
    export = _export(work)
    if export.state not in (ExportState.READY, ExportState.PARTIAL):
        _again(work, export.reason or "export_gone")
        return LOOK_S
    try:
        if not _store_pages(work, export):
            return 0
    except (Transient, AccessDenied):
        raise
    except ChannelError as error:  # a file that can't be read will not get better
        work.note("paging", key=None, offset=0, error=error.reason)
        return 0
    if export.state is ExportState.PARTIAL:
        _again(work, export.reason)
        return LOOK_S
    work.note("done")
    return 0


def _store_pages(work: _Work, export: Export) -> bool:
    """False when the time of this call is over before the file is."""
    connector, job = work.source.connector, work.job
    pages = connector.read_export_pages(
        work.runtime.open_http(), work.source.shop, export, job.what, job.file_offset
    )  # fmt: skip
    for page in pages:
        _store(work, page)
        if work.over():
            return False
    return True


def _store(work: _Work, page: ExportPage) -> None:
    runtime = work.runtime
    _take(work, page.heads, work.job.requested_at)
    with runtime.begin(work.claim.merchant_id, runtime.clock()) as session:
        if page.entries:
            import_entries(session, work.claim.channel_id, page.entries, began=work.job.requested_at)
        work.got(session, len(page.entries) + len(page.heads), offset=page.offset)


def _page(work: _Work) -> float:
    """Without a file: the catalogue from the page that was reached, orders a day at a time."""
    if work.job.what is ExportOf.CATALOGUE:
        return _page_catalogue(work)
    since = work.job.since
    while since < work.job.until:
        if work.over():
            return 0
        until = min(since + SLICE, work.job.until)
        _page_orders(work, Window(since, until))
        since = until
    work.note("done")
    return 0


def _page_catalogue(work: _Work) -> float:
    job, went_on = work.job, False
    if not job.position:
        work.note("paging", offset=0)  # what counts as stored is of this reading alone
    try:
        for page in work.source.connector.read_catalogue(work.runtime.open_http(), work.source.shop, job.position):
            _store_page(work, page)
            went_on = True
            if page.after and work.over():
                return 0
    except (Transient, AccessDenied):
        raise
    except ChannelError as error:
        if job.position and not went_on:  # the place is none any more: once more from the first page
            work.note("paging", offset=0, error=error.reason)
        else:
            _give_up(work, error)
        return 0
    work.note("done")
    return 0


def _store_page(work: _Work, page: CataloguePage) -> None:
    runtime = work.runtime
    rows = {"offset": page.read, "size": page.total} if page.total else {}
    with runtime.begin(work.claim.merchant_id, runtime.clock()) as session:
        import_entries(session, work.job.channel_id, page.entries, began=work.claimed_at)
        work.got(session, len(page.entries), position=page.after, **rows)


def _page_orders(work: _Work, window: Window) -> None:
    runtime, count, asked = work.runtime, 0, _asked(work, window)
    for heads in work.source.connector.read_order_heads(runtime.open_http(), work.source.shop, asked):
        _take(work, heads, runtime.clock())
        count += len(heads)
    with runtime.begin(work.claim.merchant_id, runtime.clock()) as session:
        work.got(session, count, since=window.until)


def _asked(work: _Work, window: Window) -> Window:
    """The window as the shop's clock has it."""
    with work.runtime.begin(work.claim.merchant_id, work.runtime.clock()) as session:
        return in_its_time(window, read_skew(session, work.claim.channel_id))


def _export(work: _Work) -> Export:
    assert work.job.export_key is not None  # noqa: S101  the state says so
    return work.source.connector.read_export(work.runtime.open_http(), work.source.shop, work.job.export_key)


def _again(work: _Work, reason: str) -> None:
    """The file came to nothing, or not to all: another is asked for, or pages are read."""
    work.note("waiting", key=None, offset=0, exports=work.job.exports + 1, error=reason)


def _give_up(work: _Work, error: ChannelError) -> None:
    work.note("failed", error=error.reason)
    with work.runtime.begin(work.claim.merchant_id, work.runtime.clock()) as session:
        detail = f"the {work.job.what} could not be read: {error.reason}"
        open_cases(session, work.job.channel_id, [("import_failed", work.job.what, detail, {"detail": error.detail})])


_STEPS: dict[str, Callable[[_Work], float]] = {"waiting": _ask, "exporting": _wait, "reading": _read, "paging": _page}
