"""The worker: looks who has work, does it, and sleeps until the doorbell rings.

Any number of workers on any number of machines share one database: a step that somebody else is at does nothing. The
broad guard is here: a step that fails is logged with its reason and tried again later; nothing it did is half done.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import psycopg
from apscheduler.schedulers.background import BackgroundScheduler

from app.accounts.answers import prune_answers
from app.accounts.logins import drop_old_sessions
from app.accounts.merchants import list_merchants
from app.claims import Absences, free_abandoned, free_own
from app.core.clock import monotonic_s
from app.core.db import psycopg_url
from app.core.embedded import Embedded
from app.core.errors import PerpetualError, Unavailable
from app.core.log import get_logger
from app.core.packages import NO_CONNECTOR
from app.core.runtime import Runtime
from app.inbox.app_events import answer_app_event
from app.inbox.backfill import run_import
from app.inbox.known import check_known
from app.inbox.polls import put_off
from app.inbox.process import process
from app.inbox.products import read_products
from app.inbox.read import answer_rings, poll_orders
from app.ledger.seal import seal_history
from app.listings.joining import prune_joinings
from app.outbox.deliver import deliver, prune_webhooks
from app.publishing.attempts import prune_attempts
from app.publishing.demand import refresh_buffers
from app.publishing.look import look
from app.publishing.push import push
from app.publishing.shadow import prune_shadow, shadow
from app.publishing.sweep import sweep
from app.reconcile.audit import audit
from app.reconcile.shop import ask_shop
from app.reconcile.webhooks import supervise
from app.rests import Key, Rests
from app.wiring import DOORBELL, app_url

THREADS = 6
LANES_MAX = 4  # of a channel, as the database knows
LOOK_EVERY_S = 1.0  # without a doorbell
FREE_EVERY_S = 1.0
HOUSEKEEPING_S = 600
DELIVER = "deliver"
DELIVERING_MAX = 2  # threads that may wait for endpoints of others: the shops' numbers come first
WAITING_MAX = 4  # threads in acts that take minutes: sales are booked and numbers go out meanwhile
ASKING_MAX = 5  # threads that may wait for a shop at all: what was told is booked meanwhile
ASKING_ONE_MAX = 4  # of them for the same shop, which may be hanging
WAITING_ONE_MAX = 2  # of these in acts that take minutes: its numbers go out meanwhile
# Of the connection that says that we live: it breaks within seconds of the network.
_KEPT_ALIVE: Mapping[str, Any] = {
    "connect_timeout": 5, "keepalives": 1, "keepalives_idle": 2, "keepalives_interval": 2, "keepalives_count": 3,
    "tcp_user_timeout": 6_000,
}  # fmt: skip
_LEADER = 7_201_965  # advisory lock: one housekeeper among any number of workers

# An endpoint that is told of events stands where the other acts have a channel.
_WORK = f"""
select merchant_id, channel_id, act from list_work(%(now)s)
union all select merchant_id, endpoint_id, '{DELIVER}' from list_webhooks_due(%(now)s)
"""  # noqa: S608  a constant only

log = get_logger("worker")


def _push(runtime: Runtime, merchant_id: int, channel_id: int, *, lane: int) -> bool:
    pushed = push(runtime, merchant_id, channel_id, lane)
    return bool(pushed.rows or pushed.settled)


def _sweep(runtime: Runtime, merchant_id: int, channel_id: int) -> bool:
    """Orders of longer ago are read again, and numbers whose mark was lost are marked."""
    read = poll_orders(runtime, merchant_id, channel_id, "sweep")
    return bool(sweep(runtime, merchant_id, channel_id) or read)


# What each act does; True when it did something, so that it is worth asking again at once.
ACTS: Mapping[str, Callable[[Runtime, int, int], bool]] = {
    "process": lambda runtime, m, c: process(runtime, m, c).documents > 0,
    "ring": lambda runtime, m, c: answer_rings(runtime, m, c).documents > 0,
    "poll_orders": lambda runtime, m, c: bool(poll_orders(runtime, m, c)),
    "poll_sweep": _sweep,
    "poll_known": lambda runtime, m, c: bool(check_known(runtime, m, c).documents),
    "poll_import": run_import,
    "poll_shop": lambda runtime, m, c: bool(ask_shop(runtime, m, c).refreshed),
    "app": answer_app_event,
    "poll_products": read_products,
    "poll_webhooks": lambda runtime, m, c: supervise(runtime, m, c).repaired,
    "poll_stock": lambda runtime, m, c: bool(audit(runtime, m, c)),
    "look": lambda runtime, m, c: bool((looked := look(runtime, m, c)).read or looked.settled),
    DELIVER: lambda runtime, m, c: deliver(runtime, m, c) > 0,
    "shadow": lambda runtime, m, c: bool((done := shadow(runtime, m, c)).settled or done.closed or done.activated),
    **{f"push_{lane}": partial(_push, lane=lane) for lane in range(LANES_MAX)},
}


def waits_long(act: str) -> bool:
    """Whether it reads page after page of a shop, or waits for endpoints of others."""
    return act == DELIVER or act.startswith("poll_")


def asked(key: Key) -> tuple[int, int, bool] | None:
    """The shop, or endpoint of others, whose answer it waits for; None: nobody's."""
    merchant_id, channel_id, act = key
    return None if act in ("process", "shadow") else (merchant_id, channel_id, act == DELIVER)


@dataclass
class Worker:
    """One worker process. `step` is one round without threads, for tests and tools."""

    runtime: Runtime
    embedded: Embedded | None = None
    only_merchant: int | None = None  # work for this one alone
    stopping: threading.Event = field(default_factory=threading.Event)
    bell: threading.Event = field(default_factory=threading.Event)
    present: threading.Event = field(default_factory=threading.Event)  # others can see that we live
    _free_at: float = 0.0
    _absences: Absences = field(default_factory=Absences)
    _busy: set[Key] = field(default_factory=set)
    _failed: set[Key] = field(default_factory=set)  # the database was not there: may have left claims behind
    _rests: Rests = field(default_factory=Rests)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Work until `stop`; returns when running steps have ended."""
        gc.freeze()  # what was loaded at the start is never garbage; not looking at it again saves some 9 % of a batch
        listener = threading.Thread(target=self._listen, name="doorbell", daemon=True)
        listener.start()
        scheduler = BackgroundScheduler(timezone="UTC", job_defaults={"max_instances": 1, "coalesce": True})
        scheduler.add_job(self._guarded_housekeeping, "interval", seconds=HOUSEKEEPING_S)
        scheduler.start()
        try:
            with ThreadPoolExecutor(THREADS, thread_name_prefix="act") as pool:
                while not self.stopping.is_set():
                    if not self._start_due(pool):
                        self.bell.wait(self._pause_s())
                        self.bell.clear()
        finally:
            scheduler.shutdown(wait=False)

    def stop(self) -> None:
        """Begin no new step."""
        self.stopping.set()
        self.bell.set()

    def step(self) -> int:
        """Do everything that is due once, in this thread; how many acts did something."""
        return sum(self._act(key) for key in self.due())

    def _start_due(self, pool: ThreadPoolExecutor) -> int:
        self._free()
        started = 0
        due = self.due()  # also where it is noticed that the server is gone
        for key in due if self.present.is_set() else ():
            with self._lock:
                if key in self._busy or self._full(key) or self._rests.resting(key, monotonic_s()):
                    continue
                self._busy.add(key)
            future = pool.submit(self._act, key)
            future.add_done_callback(lambda done, key=key: self._done(key, done))  # type: ignore[misc]
            started += 1
        return started

    def _full(self, key: Key) -> bool:
        """No thread is left for it."""
        act, busy = key[2], [act for _, _, act in self._busy]
        who, asking = asked(key), [one for one in map(asked, self._busy) if one is not None]
        long = [asked(other) for other in self._busy if waits_long(other[2])]
        return (
            len(busy) >= THREADS
            or (act == DELIVER and busy.count(DELIVER) >= DELIVERING_MAX)
            or (waits_long(act) and (len(long) >= WAITING_MAX or long.count(who) >= WAITING_ONE_MAX))
            or (who is not None and (len(asking) >= ASKING_MAX or asking.count(who) >= ASKING_ONE_MAX))
        )

    def _free(self) -> None:
        """What a worker left behind when it died, and a step of ours when it failed, is anybody's again."""
        if monotonic_s() < self._free_at:
            return
        self._free_at = monotonic_s() + FREE_EVERY_S
        try:
            free_abandoned(self.runtime, self._absences, monotonic_s())
            with self._lock:
                left = self._failed - self._busy
            for key in left:
                free_own(self.runtime, *key)
                self._failed.discard(key)
        except Unavailable as error:
            log.warning("database_unavailable", reason=error.reason)

    def due(self) -> list[Key]:
        """Who has what to do now: (merchant, channel, act). Nothing while the database is gone."""
        try:
            now = self.runtime.clock()
            with self.runtime.database.across(now) as session:
                rows = session.rows(_WORK, now=now)
            keys = [(row.merchant_id, row.channel_id, row.act) for row in rows]
            return [key for key in keys if self.only_merchant in (None, key[0])]
        except Unavailable as error:
            log.warning("database_unavailable", reason=error.reason)
            self._revive()
            return []

    def _act(self, key: Key) -> bool:
        merchant_id, channel_id, act = key
        try:
            return ACTS[act](self.runtime, merchant_id, channel_id)
        except Unavailable as error:
            log.warning("step_unavailable", act=act, channel_id=channel_id, reason=error.reason)
            if error.reason == NO_CONNECTOR:
                put_off(self.runtime, merchant_id, channel_id, error.reason)
            else:
                with self._lock:
                    self._failed.add(key)
        except PerpetualError as error:
            log.error("step_failed", act=act, channel_id=channel_id, reason=error.reason, detail=error.detail)
        except Exception:
            log.exception("step_crashed", act=act, channel_id=channel_id, reason="internal_error")
        return False

    def _done(self, key: Key, done: Future[bool]) -> None:
        with self._lock:
            self._busy.discard(key)
            self._rests.ended(key, did=done.result(), at_s=monotonic_s())
        self.bell.set()

    def _pause_s(self) -> float:
        """Until the doorbell, the end of the shortest rest, or the next look."""
        with self._lock:
            return min([LOOK_EVERY_S, *self._rests.left_s(monotonic_s(), but=self._busy)])

    def _listen(self) -> None:
        url = psycopg_url(app_url(self.runtime.settings))
        while not self.stopping.is_set():
            try:
                with psycopg.connect(url, autocommit=True, **_KEPT_ALIVE) as connection:
                    # Shared: of a connection that broke the server may not know yet, and nobody waits for that.
                    connection.execute("select pg_advisory_lock_shared(presence_key(%s))", (self.runtime.worker,))
                    connection.execute("select pg_advisory_lock_shared(presence_key('of any'))")
                    connection.execute(f"listen {DOORBELL}")
                    self.present.set()
                    self.bell.set()
                    while not self.stopping.is_set():
                        self._hear(connection)
            except psycopg.OperationalError:
                self.present.clear()
                self.stopping.wait(1.0)

    def _hear(self, connection: psycopg.Connection[Any]) -> None:
        """The doorbell. When it does not ring, whether the connection is still one: a firewall may have forgotten it,
        and the others would take us for dead."""
        rang = list(connection.notifies(timeout=1.0, stop_after=1))
        if rang:
            self._wake()
        else:
            connection.execute("select 1")

    def _wake(self) -> None:
        with self._lock:
            self._rests.wake()
        self.bell.set()

    def _revive(self) -> None:
        """The database is gone: the embedded one is started again, another is waited for."""
        if self.embedded is not None:
            try:
                self.embedded.ensure()
            except Unavailable as error:
                log.error("embedded_server_failed", reason=error.reason, detail=error.detail)
        self.runtime.database.close()
        self.stopping.wait(0.2)

    def _guarded_housekeeping(self) -> None:
        try:
            housekeeping(self.runtime)
        except Exception:
            log.exception("housekeeping_failed", reason="internal_error")


def housekeeping(runtime: Runtime) -> bool:
    """Partitions ahead, old ones dropped, buffers worked out; by one worker at a time. True when this one did it."""
    now = runtime.clock()
    with runtime.database.across(now) as session:
        if not session.value("select pg_try_advisory_xact_lock(%(key)s)", key=_LEADER):
            return False
        inbox = runtime.settings.inbox
        session.run(
            "select keep_inbox_partitions(%(today)s, %(keep)s, %(unreadable)s), compact_due()",
            today=now.date(),
            keep=inbox.keep_days,
            unreadable=inbox.unreadable_keep_days,
        )
    drop_old_sessions(runtime.database, now)
    for merchant in list_merchants(runtime.database, now):
        try:
            _keep(runtime, merchant.merchant_id, now)
        except Exception as error:  # one of them never ends it for all that come behind
            reason = error.reason if isinstance(error, PerpetualError) else "internal_error"
            log.exception("housekeeping_failed", merchant_id=merchant.merchant_id, reason=reason)
            with runtime.database.across(now) as session:  # unless the database is away
                session.value("select 1")
    return True


def _keep(runtime: Runtime, merchant_id: int, now: datetime) -> None:
    """One merchant's share."""
    refresh_buffers(runtime, merchant_id)
    with runtime.begin(merchant_id, now) as session:
        seal_history(session)
        prune_attempts(session)
        prune_shadow(session)
        prune_answers(session)
        prune_webhooks(session)
        prune_joinings(session)
