"""Many runs, each on an empty database of its own, in several processes; and what they came to.

The databases are copies of one that was migrated once, on a server without fsync that is made for it: ids are the same
in every run of a seed, whatever ran before. Each process has a server of its own: one that is shared forgets its plans
whenever another's database is made, and with another plan rows come in another order.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from app.core.clock import monotonic_s
from app.core.db import Database, connect
from app.core.embedded import APP_ROLE, OWNER_ROLE, SUPERUSER, Embedded
from app.core.log import configure
from app.core.migrate import migrate
from app.core.percentile import percentile
from app.simulation.episode import FULL, Episode, Script, play
from app.simulation.weather import LOOPS, STORM, Weather

TEMPLATE = "simulation_template"
POOL_MAX = 20
SLOWEST_TOLD = 5


@dataclass
class Summary:
    """What all runs came to. `violations` are shown by the seed that makes them happen again; `slowest_s`: how long
    each seed's longest calm took to be equal."""

    events: int = 0
    seconds: float = 0.0
    seen: Counter[str] = field(default_factory=Counter)
    converge_s: list[float] = field(default_factory=list)
    slowest_s: dict[int, float] = field(default_factory=dict)
    failed: dict[int, list[str]] = field(default_factory=dict)
    seeds: int = 0

    def add(self, episode: Episode) -> None:
        """One run more."""
        self.seeds += 1
        self.events += episode.events
        self.seen.update(episode.seen)
        self.converge_s += episode.converge_s
        self.slowest_s[episode.seed] = max(episode.converge_s, default=0.0)
        if episode.violations:
            self.failed[episode.seed] = episode.violations

    def figures(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "events": self.events,
            "events_per_s": round(self.events / self.seconds, 1) if self.seconds else 0.0,
            "violations": sum(map(len, self.failed.values())),
            "converge_s": {
                name: round(percentile(self.converge_s, share), 1)
                for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1))
            },
            "crashes": self.seen["crash"],
            "duplicates": self.seen["doubled"],
            "lost": self.seen["lost"],
            "conflicts": self.seen["conflict"],
            "runs": self.seeds,
            "calls": self.seen["call"],
            "seeds_failed": sorted(self.failed),
            "seeds_slowest": sorted(self.slowest_s, key=lambda seed: -self.slowest_s[seed])[:SLOWEST_TOLD],
        }


def loops_off(heal: str) -> list[str]:
    """The healing loops that are switched off by `on`, `off` (all of them) or the name of one."""
    if heal == "on":
        return []
    return list(LOOPS) if heal == "off" else [heal]


@contextmanager
def theatres(processes: int) -> Iterator[Sequence[Embedded]]:
    """A server for each process that plays."""
    with ExitStack() as stack:
        yield [stack.enter_context(theatre()) for _ in range(processes)]


@contextmanager
def theatre() -> Iterator[Embedded]:
    """A server for simulations alone, with the database that each run gets a copy of."""
    with tempfile.TemporaryDirectory(prefix="perpetual-simulation-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # as root, the server runs as another user
        server = Embedded(Path(folder), fsync=False)
        server.ensure()
        try:
            # Statistics that are taken at some moment or other change plans, and with them the order of rows.
            _as_superuser(server, "alter system set autovacuum to off")
            _as_superuser(server, "select pg_reload_conf()")
            prepare_template(server)
            yield server
        finally:
            server.stop()


def prepare_template(server: Embedded) -> None:
    """The empty, migrated database on that server."""
    _as_superuser(server, f"create database {TEMPLATE} owner {OWNER_ROLE}")
    migrate(server.url(OWNER_ROLE, TEMPLATE))


def run_one(
    server: Embedded, seed: int, without: Sequence[str], script: Script = FULL, storm: Weather = STORM
) -> Episode:
    """One seed on a fresh copy, which is gone afterwards."""
    with fresh_database(server, f"simulation_{os.getpid()}_{seed}") as database:
        return play(database, seed, without=without, storm=storm, script=script)


@contextmanager
def fresh_database(server: Embedded, name: str) -> Iterator[Database]:
    """A copy of the empty database, which is gone afterwards."""
    _as_superuser(server, f"create database {name} template {TEMPLATE} owner {OWNER_ROLE}")
    database = connect(server.url(APP_ROLE, name), pool_max=POOL_MAX)
    try:
        yield database
    finally:
        database.close()
        _as_superuser(server, f"drop database {name} with (force)")


def simulate(
    servers: Sequence[Embedded], *, events: int, seed: int, heal: str = "on", script: Script = FULL
) -> Iterator[tuple[Episode, Summary]]:
    """Runs of growing seeds until there were so many events, in a process for each server; each with what there is so
    far. What was begun is ended: every seed up to the last one counts."""
    summary, began = Summary(), monotonic_s()
    play_one = partial(_play_here, without=loops_off(heal), script=script)
    for episode in _episodes(play_one, count(seed), servers, lambda: summary.events >= events):
        summary.add(episode)
        summary.seconds = monotonic_s() - began
        yield episode, summary


def _episodes(
    play_one: Callable[[int], Episode], seeds: Iterator[int], servers: Sequence[Embedded], enough: Callable[[], bool]
) -> Iterator[Episode]:
    os.environ["PYTHONHASHSEED"] = "0"  # of the processes that are begun now: the order of sets is part of a run
    spawning, processes = get_context("spawn"), len(servers)
    free = spawning.SimpleQueue()
    for server in servers:
        free.put(server)
    with ProcessPoolExecutor(processes, spawning, initializer=_enter, initargs=(free,)) as pool:
        running: set[Future[Episode]] = set()
        try:
            while running or not enough():
                while len(running) < processes and not enough():
                    running.add(pool.submit(play_one, next(seeds)))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (one.result() for one in done)
        finally:
            wait(running)


_here: list[Embedded] = []  # the server of this process, which plays


def _enter(free: Any) -> None:
    configure("json", "CRITICAL")
    _here.append(free.get())


def _play_here(seed: int, without: Sequence[str], script: Script) -> Episode:
    return run_one(_here[0], seed, without, script)


def _as_superuser(server: Embedded, sql: str, *, database: str = "postgres") -> None:
    server.run_client("psql", "-qX", "-c", sql, role=SUPERUSER, database=database)
