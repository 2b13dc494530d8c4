"""The service as processes in virtual time: web processes that receive, workers that do what is due. Each dies now and
then, at any statement or call, and another takes its place.

The steps are the service's own. A process has a database that counts its statements, a session to the shops that takes
time and breaks, a clock that may be wrong, and holds the advisory locks by which others see that it lives.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any

import psycopg

from app.claims import Absences, free_abandoned
from app.core.clock import AgreedClock
from app.core.db import Database, Session
from app.core.runtime import Runtime
from app.rests import REST_MAX_S, REST_MIN_S, Key, Rests
from app.simulation.clockwork import Clockwork, Process
from app.simulation.network import Wire, Wires
from app.simulation.town import AnyShop, Town, hand_over
from app.simulation.weather import Weather
from app.worker import ACTS, FREE_EVERY_S, THREADS, WAITING_MAX, Worker, waits_long
from connectors.http import Http
from sandbox.base import Delivery

SWITCH_S = 0.05  # how long others may run between two transactions
STALL_S = (60.0, 400.0)  # beyond `attempt_deadline_s`, now and then
STALL_LOOK_S = 1.0
MISSED_S = (0.1, 2.5)  # below `GRACE_S` of app/claims.py
DEAD_S = (0.2, 5.0)  # until another process is in its place
POST_EVERY_S = 0.2
BATCH_MAX = 20  # deliveries received together

Program = Callable[[Process, Runtime], None]


@dataclass(frozen=True, slots=True)
class MortalSession(Session):
    """Every statement is a point at which the process may die."""

    process: Process | None = None

    def bound(self, params: Any) -> Any:
        """Every statement's parameters pass here, whether it is waited for or not."""
        assert self.process is not None  # noqa: S101  given by `MortalDatabase`
        self.process.point()
        return Session.bound(self, params)


@dataclass(frozen=True, slots=True)
class MortalDatabase(Database):
    """Between two transactions others may run; within one nobody does, as row locks see to in earnest. `told`: what
    happens as the server tells its time; `others` lets others run; `after` a transaction there may be a pause, too."""

    process: Process | None = None
    told: Callable[[], None] = lambda: None
    others: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None

    @contextmanager
    def begin(
        self, merchant_id: int, now: datetime, *, snapshot: bool = False, acting: tuple[str, str] = ("", "")
    ) -> Iterator[Session]:
        """As the service's, mortal."""
        self._between()
        with Database.begin(self, merchant_id, now, snapshot=snapshot, acting=acting) as session:
            self.told()
            yield MortalSession(session.connection, session.merchant_id, session.now, self.process)
        self.after()

    @contextmanager
    def across(self, now: datetime) -> Iterator[Session]:
        """As the service's, mortal."""
        self._between()
        with Database.across(self, now) as session:
            yield MortalSession(session.connection, 0, session.now, self.process)

    def _between(self) -> None:
        assert self.process is not None  # noqa: S101
        self.process.point()
        self.others()


@dataclass
class Service:
    """All of our processes. `saw(what)` counts what happens, `failed(why)` is told of a bug. `without`: acts of the
    worker that are switched off. `skewed`: whether a process's own clock is wrong."""

    town: Town
    clockwork: Clockwork
    wires: Wires
    dice: Random
    weather: Callable[[], Weather]
    saw: Callable[[str], None]
    failed: Callable[[str], None]
    without: Collection[str] = ()
    workers: int = THREADS  # of one thread each: as many as a real one has, each dies by itself
    lag_s: float = 0.0  # that every delivery takes besides what the weather does to it
    _living: dict[Process, psycopg.Connection[Any]] = field(default_factory=dict)
    _webs: set[Process] = field(default_factory=set)
    _arrived: list[tuple[AnyShop, Delivery]] = field(default_factory=list)
    _open: bool = True
    _born: int = 0
    _waiting: int = 0
    _rests: Rests = field(default_factory=Rests)  # as one worker has for all its threads
    _free_at_s: float = 0.0
    _absences: Absences = field(default_factory=Absences)

    def start(self) -> None:
        """Everybody comes to work."""
        self._start(self._receive)
        for _ in range(self.workers):
            self._start(self._work)
        self._post()

    def stop(self) -> None:
        """Everybody is gone, and nobody comes instead."""
        self._open = False
        for process in list(self._living):
            process.end()

    def weather_changed(self) -> None:
        """Those at work now may die too."""
        for process in self._living:
            process.fuse = self._fuse()

    def _fuse(self) -> int | None:
        points = self.weather().crash_after
        return None if points is None else self.dice.randrange(points)

    def ring(self) -> None:
        """NOTIFY, which may be lost."""
        if self.dice.random() >= self.weather().bell_lost:
            self._rests.wake()
            for process in list(self._living):
                process.wake()

    def _post(self) -> None:
        """Deliveries reach whoever answers at our address."""
        if not self._open:
            return
        for shop in self.town.shops.values():
            for posted in shop.due_deliveries():
                self.saw("delivery")
                self.clockwork.after(self.lag_s, partial(self._arrive, shop, posted))
        self.clockwork.after(POST_EVERY_S, self._post)

    def _arrive(self, shop: AnyShop, posted: Delivery) -> None:
        if not self._webs:
            shop.delivered(posted.hook_key, None)
            return
        self._arrived.append((shop, posted))
        for process in self._webs:
            process.wake()

    def _start(self, program: Program) -> None:
        self._born += 1
        process = Process(self.clockwork, f"process {self._born}", self._fuse())
        process.on_end = lambda: self._ended(process, program)
        self._living[process] = _presence(self.town.database, process.name)
        if program == self._receive:
            self._webs.add(process)
        runtime = self._runtime(process)
        process.start(lambda _: program(process, runtime))

    def _ended(self, process: Process, program: Program) -> None:
        presence = self._living.pop(process)
        presence.execute("select pg_advisory_unlock_all()")  # closing alone is noticed at some moment or other
        presence.close()
        self._webs.discard(process)
        if process.crashed is not None:
            self.failed("".join(traceback.format_exception(process.crashed)))
        if self._open:
            self.saw("crash")
            self.clockwork.after(self.dice.uniform(*DEAD_S), lambda: self._replace(program))

    def _replace(self, program: Program) -> None:
        if self._open:
            self._start(program)

    def _runtime(self, process: Process) -> Runtime:
        dice = Random(self.dice.getrandbits(64))
        skew = timedelta(seconds=dice.uniform(-1, 1) * self.weather().skew_s)
        clock = AgreedClock(lambda: self.clockwork.now + skew)
        clock.hear(clock.local(), self.clockwork.now)
        session = self.town.wired(lambda shop: Wire(shop, process, self.wires))
        database = MortalDatabase(
            self.town.database.engine, process=process, told=lambda: clock.hear(clock.local(), self.clockwork.now),
            others=lambda: self._let_others(process, dice), after=lambda: self._pause(process, dice),
        )  # fmt: skip
        return replace(
            self.town.runtime, database=database, clock=clock, rng=dice, worker=process.name, ring=self.ring,
            open_http=lambda: Http(
                session=session, sleep=process.pause, monotonic=lambda: clock().timestamp(), clock=clock
            ),
            new_key=lambda: f"{dice.getrandbits(128):032x}",
        )  # fmt: skip

    def _let_others(self, process: Process, dice: Random) -> None:
        self._pause(process, dice)
        if dice.random() < self.weather().switch:
            process.pause(dice.uniform(0, SWITCH_S))

    def _pause(self, process: Process, dice: Random) -> None:
        weather, roll = self.weather(), dice.random()
        if roll < weather.stall / 2:
            self.saw("stall")
            self._stall(process, dice.uniform(*STALL_S))
        elif roll < weather.stall / 2 + weather.missed / 2:
            self.saw("missed")
            self._miss(process, dice.uniform(*MISSED_S))

    def _miss(self, process: Process, seconds: float) -> None:
        """Its connection to the server breaks, and it makes another one."""
        presence = self._living[process]
        presence.execute("select pg_advisory_unlock_all()")
        self.clockwork.after(seconds, lambda: None if presence.closed else _lock(presence, process.name))

    def _stall(self, process: Process, seconds: float) -> None:
        """Stand still; with the storm that ends too, and what others have done meanwhile stands."""
        until = self.clockwork.now + timedelta(seconds=seconds)
        while self.clockwork.now < until and self.weather().stall:
            process.pause(STALL_LOOK_S)

    def _receive(self, process: Process, runtime: Runtime) -> None:
        while True:
            batch, self._arrived[:BATCH_MAX] = self._arrived[:BATCH_MAX], []
            if batch:
                hand_over(runtime, batch)
            else:
                process.rest(60)

    def _work(self, process: Process, runtime: Runtime) -> None:
        worker, rest = Worker(runtime, only_merchant=self.town.merchant_id), 0.0
        while True:
            if self._now_s() >= self._free_at_s:
                self._free_at_s = self._now_s() + FREE_EVERY_S
                free_abandoned(runtime, self._absences, self._now_s())
            due = [key for key in worker.due() if key[2] not in self.without]
            runtime.rng.shuffle(due)
            did = sum(self._act(runtime, key) for key in due)
            rest = 0.0 if did else min(max(rest * 2, REST_MIN_S), REST_MAX_S)
            process.rest(rest)

    def _act(self, runtime: Runtime, key: Key) -> bool:
        """As the threads of a worker: what found nothing to do rests, and some are always left for what takes no time.
        Unlike those two may be at the same, as workers of two machines."""
        long = waits_long(key[2])
        if self._rests.resting(key, self._now_s()) or (long and self._waiting >= WAITING_MAX):
            return False
        self._waiting += long
        try:
            did = self._do(runtime, key)
        finally:
            self._waiting -= long
        self._rests.ended(key, did=did, at_s=self._now_s())
        return did

    def _now_s(self) -> float:
        return self.clockwork.now.timestamp()

    def _do(self, runtime: Runtime, key: Key) -> bool:
        merchant_id, channel_id, act = key
        try:
            did = ACTS[act](runtime, merchant_id, channel_id)
        except Exception:  # noqa: BLE001  the worker's guard would log it and go on; here it is a bug
            self.failed(f"{act} of channel {channel_id}:\n{traceback.format_exc()}")
            return False
        if did:
            self.saw("act")
        return did


def _presence(database: Database, name: str) -> psycopg.Connection[Any]:
    """The connection whose locks say that a process lives; closed when it dies."""
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = psycopg.connect(url, autocommit=True)
    _lock(connection, name)
    return connection


def _lock(connection: psycopg.Connection[Any], name: str) -> None:
    connection.execute("select pg_advisory_lock(presence_key(%s))", (name,))
