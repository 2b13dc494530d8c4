"""What was acknowledged is there once, whatever is killed: kill -9 of PostgreSQL, of the web process and of the worker
while clients post orders and movements, and `python -m app serve` brings back what died.

`python -m bench.kills [--quick] [--json]`. A client sends an order until it is answered with 200, as a shop does, and
posts a movement until its transaction has committed; what it was told is compared with the ledger at the end.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import DBAPIError

from app.core.clock import monotonic_s
from app.core.embedded import APP_ROLE
from app.core.errors import Unavailable
from app.ledger.models import Movement, State
from app.ledger.post import post
from app.ledger.verify import verify
from bench import orders, process
from bench.ingest import DOMAIN, SECRET, Bench, open_bench
from bench.load import HOST, is_whole
from bench.scratch import Scratch, scratch, wait_until_answers

POSTGRES = ("postgres",) * 10
FULL = (*POSTGRES[:5], "web", "worker", *POSTGRES[5:], "backend", "web", "worker")
QUICK = ("postgres", "backend", "web", "worker", "postgres")
ITEMS = 200
SELLERS, POSTERS = 4, 2
BETWEEN = 40  # acknowledged orders and movements of each kind between two kills
BACK_S = 180.0  # at most until clients are served again, however busy the machine is
ANSWER_S = 20.0
AGAIN_S = 0.25
SOURCE = "kills"
Clients = Sequence[Future[None]]


@dataclass
class Told:
    """What clients were told is durable, and how often they had to ask again."""

    orders: set[int] = field(default_factory=set)
    movements: set[str] = field(default_factory=set)
    again: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def repeat(self) -> None:
        """Not answered: the client asks again after a moment."""
        self.again += 1
        self.stopping.wait(AGAIN_S)


@dataclass
class Line:
    """A connection to the web process, made anew when it broke."""

    port: int
    open: socket.socket | None = None

    def status(self, request: bytes) -> str:
        """The status of the answer. Raises OSError without one."""
        try:
            if self.open is None:
                self.open = socket.create_connection((HOST, self.port), timeout=ANSWER_S)
            self.open.sendall(request)
            heard = b""
            while not is_whole(heard):
                more = self.open.recv(65_536)
                if not more:
                    raise ConnectionError("closed")
                heard += more
            return heard[9:12].decode()
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Hang up."""
        if self.open is not None:
            self.open.close()
            self.open = None


def run(victims: Sequence[str] = FULL) -> dict[str, Any]:
    """Kill these one after the other, under load; some 3 s each on a quiet machine. Raises TimeoutError when clients
    are not served again."""
    with scratch() as home:
        bench = open_bench(home, ITEMS)
        home.start("serve", "app", "serve")
        wait_until_answers(home.settings.server.port)
        told = Told()
        with _clients(bench, told) as clients:
            back_s = [_kill(home, told, clients, victim) for victim in victims]
        for client in clients:
            client.result()
        home.runtime.database.close()  # connections to a server that was killed
        bench.wait_until_posted()
        return {**_compare(bench, told, Counter(victims)), "back_s_max": round(max(back_s), 1)}


@contextmanager
def _clients(bench: Bench, told: Told) -> Iterator[list[Future[None]]]:
    """Clients that sell and post until the end."""
    with ThreadPoolExecutor(SELLERS + POSTERS) as pool:
        try:
            selling = [pool.submit(_sell, bench, told) for _ in range(SELLERS)]
            yield [*selling, *(pool.submit(_post, bench, told, str(n)) for n in range(POSTERS))]
        finally:
            told.stopping.set()


def _sell(bench: Bench, told: Told) -> None:
    """One order after the other, each sent until it is answered with 200."""
    with ExitStack() as ending:
        line = Line(bench.home.settings.server.port)
        ending.callback(line.close)
        while not told.stopping.is_set():
            number = next(bench.numbers)
            at = bench.home.runtime.clock()
            (request,) = orders.requests(number, 1, items=ITEMS, domain=DOMAIN, secret=SECRET, at=at)
            while not told.stopping.is_set():
                try:
                    status = line.status(request)
                except OSError:
                    told.repeat()
                    continue
                if status == "200":
                    told.orders.add(number)
                    break
                if status not in ("500", "502", "503", "504"):
                    raise RuntimeError(f"a delivery was answered with {status}")
                told.repeat()


def _post(bench: Bench, told: Told, name: str) -> None:
    """One movement after the other, each posted until its transaction has committed."""
    runtime = bench.home.runtime
    with runtime.begin(bench.merchant_id, runtime.clock()) as session:
        item, place = session.row(
            "select item_id, location_id from level where merchant_id = %(merchant_id)s order by 1 limit 1"
        ) or (0, 0)
    number = 0
    while not told.stopping.is_set():
        now, key = runtime.clock(), f"{name}/{number}"
        movement = Movement(item, 1, State.AVAILABLE, State.DAMAGED, SOURCE, key, now, place, place)
        try:
            with runtime.begin(bench.merchant_id, now) as session:
                post(session, [movement])
        except (Unavailable, DBAPIError):
            told.repeat()
            continue
        told.movements.add(key)
        number += 1


def _kill(home: Scratch, told: Told, clients: Clients, victim: str) -> float:
    """Kill it while clients are served; how long it took until they were served again."""
    _wait_until_served(told, clients, BETWEEN)
    for pid in _pids(home, victim):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    killed_at = monotonic_s()
    _wait_until_served(told, clients, 1 + SELLERS)  # of those, an answer was on its way from each
    return monotonic_s() - killed_at


def _wait_until_served(told: Told, clients: Clients, number: int) -> None:
    """Until that many more orders and as many more movements were acknowledged."""
    orders_, movements = len(told.orders) + number, len(told.movements) + number
    until = monotonic_s() + BACK_S
    while len(told.orders) < orders_ or len(told.movements) < movements:
        broken = next((client for client in clients if client.done()), None)
        if broken is not None:
            broken.result()
        if monotonic_s() > until:
            raise TimeoutError(f"clients were not served again within {BACK_S:g} s")
        process.rest(0.01)


def _pids(home: Scratch, victim: str) -> list[int]:
    """The processes to kill: the server's first, one of its backends, or all of a process of ours."""
    trees = home.trees()
    if victim == "postgres":
        return trees["postgres"][:1]
    if victim == "backend":
        return [pid for pid in trees["postgres"][1:] if APP_ROLE in " ".join(process.command(pid))][:1]
    root = next(pid for pid in trees["serve"] if process.command(pid)[2:4] == ["app", victim])
    return process.tree(root)


def _compare(bench: Bench, told: Told, killed: Mapping[str, int]) -> dict[str, Any]:
    """What was told against what the ledger holds."""
    runtime = bench.home.runtime
    with runtime.begin(bench.merchant_id, runtime.clock()) as session:
        sold = session.rows(
            """select o.order_key, sum(m.quantity)::bigint as units, count(*) as movements from movement m
               join sales_order o on o.merchant_id = m.merchant_id
                    and o.order_id = split_part(m.source_key, '/', 1)::bigint
               where m.merchant_id = %(merchant_id)s and m.source = 'order' group by 1"""
        )
        posted = session.rows(
            """select source_key, count(*) as times from movement
               where merchant_id = %(merchant_id)s and source = %(source)s group by 1""",
            source=SOURCE,
        )
        kept = session.rows(
            """select delivery_key, count(*) as times from inbox
               where merchant_id = %(merchant_id)s and delivery_key is not null group by 1"""
        )
        findings = verify(session)
    units = {int(row.order_key.rpartition("/")[2]) - orders.FIRST_ID: row.units for row in sold}
    movements = {row.source_key: row.times for row in posted}
    deliveries = {int(row.delivery_key, 16): row.times for row in kept}
    lost = [n for n in told.orders if units.get(n, 0) < 2 or n not in deliveries]
    lost_movements = [key for key in told.movements if key not in movements]
    twice = [n for n, number in units.items() if number > 2] + [n for n, times in deliveries.items() if times > 1]
    return {
        "kills": killed["postgres"],
        "killed": dict(killed),
        "acknowledged": len(told.orders) + len(told.movements),
        "orders": len(told.orders),
        "movements": len(told.movements),
        "asked_again": told.again,
        "lost": len(lost) + len(lost_movements),
        "doubled": len(twice) + sum(times > 1 for times in movements.values()),
        "verify": "ok" if not findings else "; ".join(map(str, findings)),
    }


if __name__ == "__main__":
    from app.cli import main

    sys.exit(main(["bench", "kills", *sys.argv[1:]]))
