"""One run: a seed decides the town, its people, its weather, and when whose process dies.

Storm and calm take turns. In a storm everything goes wrong and people buy; in the calm nothing does, and within a
bounded time every shop has to show what the ledger says, and the ledger what the shops' own books say.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

from app.accounts.merchants import create_merchant
from app.catalog.items import NewItem, create_items, create_kit
from app.catalog.locations import create_location
from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import Conflict
from app.ledger.models import Movement, State
from app.ledger.post import post
from app.listings.channels import set_drift_policy
from app.publishing.decisions import decide
from app.simulation.checks import Books, Watch, differences, miscounted, unfinished, unsound
from app.simulation.clockwork import Clockwork
from app.simulation.network import Wires
from app.simulation.people import People
from app.simulation.processes import Service
from app.simulation.town import Town
from app.simulation.weather import CALM, LOOPS, STORM, Weather
from app.worker import housekeeping
from sandbox.shopify.cost import Bucket

START = datetime(2026, 11, 23, 6, tzinfo=UTC)
LOOK_EVERY_S = 1.0
CONVERGE_MAX_S = 900.0
SOUND_EVERY_S = 5.0
STAY_S = 60.0  # equal is only what stays equal
EVENTS = frozenset({"person", "delivery", "act", "call", "crash"})
FAILURES_MAX = 20
TILL_EVERY = 4  # of the seeds: their towns have a till, too, which takes nothing but whole numbers
PACES_S = (0.2, 0.5, 1.0, 3.0)  # between two moments at which people do something
BUSY_S = 1.0  # who sells more than that has a larger plan at Shopify: the standard one could not be read as fast
PACE = {
    "poll_interval_s": 10, "sweep_interval_s": 90, "audit_interval_s": 10, "known_interval_s": 20,
    "webhook_interval_s": 120, "catalogue_interval_s": 600,
}  # fmt: skip
POLICIES = ("ledger_wins", "ledger_wins", "channel_wins", "ask")
_ASKING = """
select c.case_id from case_file c join stock_owner o using (merchant_id, owner_id, case_id)
where c.merchant_id = %(merchant_id)s and c.state = 'open' and o.held and c.cause <> 'order_unread' order by c.case_id
"""
BOOKED, ODD, KIT = ("mug", "cup", "pan", "jug"), ("hat", "bag"), {"set": {"mug": 1, "cup": 2}}


@dataclass(frozen=True, slots=True)
class Script:
    """How long a run is: so many storms of so many seconds. `to_the_end` False: it ends with the first violation.
    `sound_every_s`: how often the ledger's promises are looked at, which takes time."""

    rounds: int = 4
    storm_s: float = 120.0
    to_the_end: bool = True
    sound_every_s: float = 30.0


FULL = Script()


@dataclass
class Episode:
    """What one seed came to. `converge_s`: for each calm, how long until all was equal and stayed so."""

    seed: int
    seen: Counter[str] = field(default_factory=Counter)
    converge_s: list[float] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    @property
    def events(self) -> int:
        """Things that people did, deliveries, acts that did something, calls and deaths."""
        return sum(count for what, count in self.seen.items() if what in EVENTS)

    def saw(self, what: str) -> None:
        """Count."""
        self.seen[what] += 1

    def failed(self, why: str) -> None:
        """Something happened that must not."""
        if why not in self.violations and len(self.violations) < FAILURES_MAX:
            self.violations.append(why)


def weather_of(without: Sequence[str], storm: Weather = STORM) -> Weather:
    """The storm, less what only the switched-off loops would find."""
    if "audit" in without:
        storm = replace(storm, edits=0.0, whims=0.0)
    if {"known", "audit"} & set(without):
        storm = replace(storm, deletions=0.0)
    return storm


def play(
    database: Database, seed: int, *, without: Sequence[str] = (), storm: Weather = STORM, script: Script = FULL
) -> Episode:
    """One run on an empty database of its own. `without`: healing loops that are switched off."""
    episode = Episode(seed)
    random.seed(seed)  # what libraries roll by themselves (tenacity's waits)
    with tempfile.TemporaryDirectory(prefix="perpetual-simulation-") as folder:
        stage = _Stage.set(database, Random(seed), Path(folder), episode)
        stage.run(weather_of(without, storm), [act for loop in without for act in LOOPS[loop]], script)
    return episode


class _Enough(Exception):
    """The run has shown what it was to show."""


@dataclass
class _Stage:
    dice: Random
    episode: Episode
    clockwork: Clockwork
    town: Town
    books: Books
    pace_s: float
    watch: Watch
    weather: Weather = CALM
    sound_at: datetime = START

    @classmethod
    def set(cls, database: Database, dice: Random, folder: Path, episode: Episode) -> _Stage:
        clockwork = Clockwork(START)
        merchant_id = create_merchant(database, START, name="simulated", cost_method=dice.choice(("fifo", "average")))
        with database.begin(merchant_id, START) as session:
            places = {"A": create_location(session, "A", 1)}
            if dice.random() < 0.4:
                places["B"] = create_location(session, "B", 2)
            ids = create_items(session, [NewItem(sku, sku) for sku in (*BOOKED, *ODD)])
            kits = KIT if dice.random() < 0.4 else {}
            for sku, parts in kits.items():
                create_kit(session, NewItem(sku, sku), {ids[part]: units for part, units in parts.items()})
        town = Town(database, merchant_id, lambda: clockwork.now, Random(dice.getrandbits(64)), folder, sync=PACE)
        opening = {sku: dice.choice((5, 20, 60, 200)) for sku in (*BOOKED, *ODD)}
        books, pace_s = Books(town, opening, kits), dice.choice(PACES_S)
        stage = cls(dice, episode, clockwork, town, books, pace_s, Watch(books, BOOKED, episode.failed))
        stage._open(places, ids)
        return stage

    def _open(self, places: Mapping[str, int], ids: Mapping[str, int]) -> None:
        """Stock comes in, shops are opened with the same numbers and connected."""
        opening, home = self.books.opening, places["A"]
        with self.town.runtime.begin(self.town.merchant_id, START) as session:
            post(session, [
                Movement(ids[sku], units, State.OPENING, State.AVAILABLE, "simulation", f"opening {sku}", START,
                         to_location_id=home, value=Decimal(units * 5)) for sku, units in opening.items()
            ])  # fmt: skip
        kits = {
            kit: min(opening[part] // each for part, each in parts.items()) for kit, parts in self.books.kits.items()
        }
        stock = {**opening, **kits}
        for number in range(self.dice.choice((2, 2, 3))):
            clock = self._clock()
            if number % 2:
                kind = self.dice.choice(("instant", "cron"))
                self.town.open_woo(stock, clock=clock, webhooks=kind)
            else:
                plan = Bucket(20_000, 1_000) if self.pace_s < BUSY_S else Bucket()
                self.town.open_shopify(stock, places, clock=clock, bucket=plan)
        if self.episode.seed % TILL_EVERY == 0:
            self.town.open_till(stock, clock=self._clock())
        with self.town.runtime.begin(self.town.merchant_id, START) as session:
            for channel_id in self.town.shops:
                set_drift_policy(session, channel_id, self.dice.choice(POLICIES))
                if self.dice.random() < 0.3:
                    session.run(
                        """update stock_owner set buffer = 2
                           where merchant_id = %(merchant_id)s and channel_id = %(channel)s""",
                        channel=channel_id,
                    )

    def _clock(self) -> Clock:
        skew = timedelta(seconds=self.dice.uniform(-1, 1) * STORM.skew_s)
        return lambda: self.clockwork.now + skew

    def run(self, storm: Weather, without: Sequence[str], script: Script) -> None:
        """Rounds of storm and calm; at the end a day passes, and what was still on its way comes."""
        episode, clockwork = self.episode, self.clockwork
        wires = Wires(
            Random(self.dice.getrandbits(64)), lambda: self.weather, episode.saw, self.watch.wrote, self.watch.replaced
        )  # fmt: skip
        service = Service(
            self.town, clockwork, wires, Random(self.dice.getrandbits(64)), lambda: self.weather, episode.saw,
            episode.failed, without,
        )  # fmt: skip
        people = People(
            self.town, clockwork, Random(self.dice.getrandbits(64)), lambda: self.weather, episode.saw, self._supply,
            BOOKED, ODD, self.books.kits, pace_s=self.pace_s,
        )  # fmt: skip
        housekeeping(self.town.runtime)
        service.start()
        try:
            for _ in range(script.rounds):
                self._change(storm, service)
                people.wake()
                self._pass(script.storm_s, script)
                people.sleep()
                self._change(CALM, service)
                self._let_break(wires)
                if (took_s := self._converge(script)) is None:
                    break
                self.episode.converge_s.append(took_s)
            else:
                if script.to_the_end:
                    clockwork.leap(86_400)  # nobody ran for a day
                    self._converge(script)
        except _Enough:
            pass
        finally:
            service.stop()
            self._count()

    def _count(self) -> None:
        for shop in self.town.shops.values():
            self.episode.seen.update(shop.context.seen)
        with self.town.runtime.begin(self.town.merchant_id, self.clockwork.now) as session:
            conflicts = "select count(*) from push_row where merchant_id = %(merchant_id)s and outcome = 'conflict'"
            self.episode.seen["conflict"] += session.value(conflicts)

    def _change(self, weather: Weather, service: Service) -> None:
        self.weather = weather
        service.weather_changed()
        for shop in self.town.shops.values():
            shop.context.faults = weather.faults

    def _pass(self, seconds: float, script: Script) -> None:
        """Time passes. Raises _Enough as soon as there is a violation that ends the run."""
        until = self.clockwork.now + timedelta(seconds=seconds)
        while self.clockwork.now < until:
            self.clockwork.run(min(seconds, SOUND_EVERY_S))
            self._decide()
            if (self.clockwork.now - self.sound_at).total_seconds() >= script.sound_every_s:
                self._listen()
            if self.episode.violations and not script.to_the_end:
                raise _Enough

    def _decide(self) -> None:
        """The merchant says which is right, of each number that asks, but of none that an order may explain which
        nobody could read yet."""
        with self.town.runtime.begin(self.town.merchant_id, self.clockwork.now) as session:
            asking = [row.case_id for row in session.rows(_ASKING)]
        for case_id in asking:
            with suppress(Conflict), self.town.runtime.begin(self.town.merchant_id, self.clockwork.now) as session:
                decide(session, case_id, self.dice.choice(("ledger", "channel")), "the merchant")

    def _listen(self) -> None:
        """Whether the ledger's promises hold at this moment."""
        self.sound_at = self.clockwork.now
        with self.town.runtime.begin(self.town.merchant_id, self.clockwork.now) as session:
            for why in [*unsound(session, BOOKED), *self.watch.misexplained(session)]:
                self.episode.failed(why)

    def _let_break(self, wires: Wires) -> None:
        """The storm is over when its last call has been given up and the last late effect has come."""
        while wires.broken:
            self.clockwork.run(LOOK_EVERY_S)

    def _supply(self, sku: str, units: int) -> None:
        """The merchant's own movements go through no shop."""
        now = self.clockwork.now
        source, target = (State.SUPPLIER, State.AVAILABLE) if units > 0 else (State.AVAILABLE, State.SHRINKAGE)
        with self.town.runtime.begin(self.town.merchant_id, now) as session:
            item, place = session.row(
                """select item_id, location_id from item cross join location
                   where item.merchant_id = %(merchant_id)s and location.merchant_id = item.merchant_id
                     and sku = %(sku)s order by priority limit 1""",
                sku=sku,
            ) or (0, 0)
            key = f"{sku} {self.books.received[sku]} {self.books.written_off[sku]}"
            post(session, [
                Movement(item, abs(units), source, target, "simulation", key, now,
                         from_location_id=place if units < 0 else None, to_location_id=place if units > 0 else None,
                         value=Decimal(units * 5) if units > 0 else None)
            ])  # fmt: skip
        (self.books.received if units > 0 else self.books.written_off)[sku] += abs(units)

    def _converge(self, script: Script) -> float | None:
        """Wait until everything is equal and stays so; how many seconds that took, None when it does not happen."""
        began, equal_since, found = self.clockwork.now, None, [""]
        while (self.clockwork.now - began).total_seconds() < CONVERGE_MAX_S:
            with self.town.runtime.begin(self.town.merchant_id, self.clockwork.now) as session:
                found = differences(session, self.town, self.books, BOOKED)
            if found:
                equal_since = None
            elif equal_since is None:
                equal_since = self.clockwork.now
            elif (self.clockwork.now - equal_since).total_seconds() >= STAY_S:
                break
            self._pass(LOOK_EVERY_S, script)
        self._listen()
        with self.town.runtime.begin(self.town.merchant_id, self.clockwork.now) as session:
            open_ = unfinished(session)
            wrong = [] if found else miscounted(session, self.books, BOOKED)
        for why in wrong:
            self.episode.failed(why)
        if equal_since is None or found:
            self.episode.failed(f"not equal {CONVERGE_MAX_S:.0f} s after the storm: {'; '.join(found[:5])}; {open_}")
            return None
        self.watch.all_is_equal()
        return (equal_since - began).total_seconds()
