"""How fast the ledger posts, beside the least SQL that could do it (bench/limit) on the same server in the same run.

An order has two lines; placing and shipping it are four movements, two of them with cost and journal, and what is
posted of each line is kept with its order. The machine is noisy, so both sides take turns and the ratio is the median
of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from random import Random
from statistics import median
from threading import Barrier
from time import perf_counter
from typing import Any

import sqlalchemy

from app.accounts.merchants import create_merchant
from app.catalog.items import NewItem, create_items
from app.catalog.locations import create_location
from app.core.db import Database, Session, connect
from app.core.embedded import APP_ROLE, DATABASE, OWNER_ROLE, Embedded
from app.core.migrate import migrate
from app.inbox.difference import Counts
from app.inbox.orders import Held, Positions, read_positions, write_positions
from app.ledger.models import BATCH_MAX, Movement, State
from app.ledger.post import post

LIMIT = Path(__file__).parent / "limit"
BENCH_DATABASE = "perpetual_bench"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ITEMS = 10_000  # as in the limit's schema
LAYERS = (40, 10**9, 10**9)  # as in the limit's schema: the oldest one runs out on the way
ORDERS_A_BATCH = 500
CLIENTS = 8
HOT_SKUS, HOT_ORDERS, HOT_STOCK = 2, 200, 1_000

Order = list[int]  # the item of each line; one unit of each


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    rounds: int
    batches: int  # in a round
    orders_alone: int
    ledgers: tuple[int, ...]  # movements that are there already


FULL = Size(rounds=9, batches=15, orders_alone=500, ledgers=(0, 100_000, 1_000_000))
QUICK = Size(rounds=3, batches=4, orders_alone=100, ledgers=(0, 10_000))


@dataclass
class Trade:
    """A merchant with stock and layers, and orders without end."""

    database: Database
    merchant_id: int
    location_id: int
    items: Sequence[int]
    dice: Random = field(default_factory=lambda: Random(1))
    numbers: Iterator[int] = field(default_factory=count)
    posted: int = 0

    @classmethod
    def open(cls, database: Database, name: str, *, items: int = ITEMS, layers: Sequence[int] = LAYERS) -> Trade:
        """A new merchant, its items received in as many lots as there are layers."""
        merchant_id = create_merchant(database, NOW, name=name)
        with database.begin(merchant_id, NOW) as session:
            location_id = create_location(session, "A")
            ids = list(create_items(session, [NewItem(f"{n}", f"Item {n}") for n in range(items)]).values())
        trade = cls(database, merchant_id, location_id, ids)
        for lot, quantity in enumerate(layers):
            trade.receive(lot, quantity)
        return trade

    def receive(self, lot: int, quantity: int) -> None:
        """One lot of every item."""
        rows = [
            Movement(item, quantity, State.SUPPLIER, State.AVAILABLE, "receipt", f"{lot}/{item}", NOW,
                     to_location_id=self.location_id, value=Decimal(quantity * (lot + 1)))
            for item in self.items
        ]  # fmt: skip
        for start in range(0, len(rows), BATCH_MAX):
            self.post(rows[start : start + BATCH_MAX])

    def orders(self, number: int) -> dict[int, Order]:
        """New orders of two lines, by their number."""
        return {next(self.numbers): self.dice.choices(self.items, k=2) for _ in range(number)}

    def trade(self, number: int) -> None:
        """Orders are placed in one posting and shipped in the next, as channels tell of it."""
        orders = self.orders(number)
        self.place(orders)
        self.ship(orders)

    def place(self, orders: dict[int, Order]) -> None:
        """New orders, with the vectors that PROCESS keeps of them."""
        with self.database.begin(self.merchant_id, NOW) as session:
            post(session, self.placed(orders))
            write_positions(session, {}, self.positions(orders, Counts(committed=1)))
        self.posted += 2 * len(orders)

    def ship(self, orders: dict[int, Order]) -> None:
        """Known orders: their vectors are read, and moved on."""
        with self.database.begin(self.merchant_id, NOW) as session:
            before = read_positions(session, list(orders))
            post(session, self.shipped(orders))
            write_positions(session, before, self.positions(orders, Counts(shipped=1)))
        self.posted += 2 * len(orders)

    def positions(self, orders: dict[int, Order], counts: Counts) -> Positions:
        """What is posted for each line."""
        here = self.location_id
        return {
            (order, f"{line}"): {(item, here): Held(counts)}
            for order, lines in orders.items() for line, item in enumerate(lines)
        }  # fmt: skip

    def placed(self, orders: dict[int, Order]) -> list[Movement]:
        """available → committed, each line."""
        here = self.location_id
        return [
            Movement(item, 1, State.AVAILABLE, State.COMMITTED, "bench", f"{order}/{line}/1", NOW,
                     from_location_id=here, to_location_id=here)
            for order, lines in orders.items() for line, item in enumerate(lines)
        ]  # fmt: skip

    def shipped(self, orders: dict[int, Order]) -> list[Movement]:
        """committed → customer, each line."""
        here = self.location_id
        return [
            Movement(item, 1, State.COMMITTED, State.CUSTOMER, "bench", f"{order}/{line}/2", NOW, from_location_id=here)
            for order, lines in orders.items() for line, item in enumerate(lines)
        ]  # fmt: skip

    def post(self, movements: Sequence[Movement]) -> None:
        """One transaction."""
        with self.database.begin(self.merchant_id, NOW) as session:
            post(session, movements)
        self.posted += len(movements)


def run(server: Embedded, *, quick: bool = False) -> dict[str, Any]:
    """Measure on a running server, in a database of its own that is dropped afterwards; needs minutes unless quick."""
    gc.freeze()  # as a worker does at its start
    size = QUICK if quick else FULL
    with _bench_database(server) as database:
        _make_limit(server)
        steady, growing = Trade.open(database, "steady"), Trade.open(database, "growing")
        alone = Trade.open(database, "alone", items=1_000)
        _settle(server)
        result = _against_the_limit(server, steady, size)
        result["one_at_a_time_orders_per_s"] = round(_one_at_a_time(alone, size.orders_alone))
        result["hot_units_lost"] = _hot_units_lost(database)
        result["movements_per_s_at"] = _as_it_grows(growing, size)
    return result


def _against_the_limit(server: Embedded, trade: Trade, size: Size) -> dict[str, Any]:
    _speed(trade, size.batches)
    _limit_speed(server, size.batches)
    pairs = [(_speed(trade, size.batches), _limit_speed(server, size.batches)) for _ in range(size.rounds)]
    return {
        "ratio_to_limit": round(median(ours / limit for ours, limit in pairs), 3),
        "movements_per_s": round(median(ours for ours, _ in pairs)),
        "limit_movements_per_s": round(median(limit for _, limit in pairs)),
    }


def _speed(trade: Trade, batches: int) -> float:
    """Movements a second."""
    before, start = trade.posted, perf_counter()
    for _ in range(batches):
        trade.trade(ORDERS_A_BATCH)
    return (trade.posted - before) / (perf_counter() - start)


def _limit_speed(server: Embedded, batches: int) -> float:
    """Movements a second of the limit; as many movements as a round of ours has."""
    script = str(LIMIT / f"set_{ORDERS_A_BATCH}.pgb")
    said = _in_limit_schema(server, "pgbench", "-n", "-f", script, "-c", "1", "-t", str(2 * batches))
    found = re.search(r"^tps = ([\d.]+)", said, re.MULTILINE)
    assert found, said
    return float(found[1]) * 2 * ORDERS_A_BATCH


def _one_at_a_time(trade: Trade, orders: int) -> float:
    """Orders a second, each placed and shipped in a transaction of its own by one client."""

    start = perf_counter()
    for number, lines in trade.orders(orders).items():
        trade.place({number: lines})
        trade.ship({number: lines})
    return orders / (perf_counter() - start)


def _hot_units_lost(database: Database) -> int:
    """Units that are missing or too many after 200 orders of two SKUs by eight clients at once."""
    trade = Trade.open(database, "hot", items=HOT_SKUS, layers=(HOT_STOCK,))
    barrier = Barrier(CLIENTS)

    def client(_: int) -> None:
        barrier.wait()
        for _ in range(HOT_ORDERS // CLIENTS):
            order = {next(trade.numbers): list(trade.items)}
            trade.place(order)
            trade.ship(order)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(client, range(CLIENTS)))
    with database.begin(trade.merchant_id, NOW) as session:
        return _units_off(session, HOT_STOCK - HOT_ORDERS)


def _units_off(session: Session, expected: int) -> int:
    off: int = session.value(
        """select sum(abs(l.available - %(expected)s) + abs(l.committed) + abs(c.quantity - %(expected)s))::bigint
           from level l join item_cost c using (merchant_id, item_id) where l.merchant_id = %(merchant_id)s""",
        expected=expected,
    )
    return off


def _as_it_grows(trade: Trade, size: Size) -> dict[str, int]:
    """Movements a second by how many movements the ledger holds already."""
    speeds = {}
    trade.trade(ORDERS_A_BATCH)  # the first batch also makes connections and plans
    for held in size.ledgers:
        while trade.posted < held:
            trade.trade(BATCH_MAX // 2)
        speeds[str(held)] = round(median(_speed(trade, size.batches) for _ in range(3)))
    return speeds


@contextmanager
def _bench_database(server: Embedded) -> Iterator[Database]:
    _create_or_drop(server, f"drop database if exists {BENCH_DATABASE}", f"create database {BENCH_DATABASE}")
    migrate(server.url(OWNER_ROLE, BENCH_DATABASE))
    database = connect(server.url(APP_ROLE, BENCH_DATABASE))
    try:
        yield database
    finally:
        database.close()
        _create_or_drop(server, f"drop database {BENCH_DATABASE}")


def _create_or_drop(server: Embedded, *statements: str) -> None:
    engine = sqlalchemy.create_engine(server.url(OWNER_ROLE, DATABASE), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for sql in statements:
            connection.exec_driver_sql(sql)
    engine.dispose()


def _make_limit(server: Embedded) -> None:
    server.run_client("psql", "-qX", "-c", "create schema bench_limit", role=OWNER_ROLE, database=BENCH_DATABASE)
    _in_limit_schema(server, "psql", "-qX", "-v", "ON_ERROR_STOP=1", "-f", str(LIMIT / "schema.sql"))


def _settle(server: Embedded) -> None:
    """What the limit's schema ends with."""
    vacuum = "vacuum analyze level, item_cost, cost_layer, movement, journal"
    server.run_client("psql", "-qX", "-c", vacuum, role=OWNER_ROLE, database=BENCH_DATABASE)


def _in_limit_schema(server: Embedded, program: str, *arguments: str) -> str:
    options = "-c search_path=bench_limit -c client_min_messages=warning"
    return server.run_client(program, *arguments, role=OWNER_ROLE, database=BENCH_DATABASE, PGOPTIONS=options)


def main() -> None:
    """Measure on a server of its own (fsync on) and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="a minute's worth: rougher figures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="perpetual-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = Embedded(Path(folder))
        server.ensure()
        try:
            result = run(server, quick=options.quick)
        finally:
            server.stop()
    print(json.dumps(result) if options.json else "\n".join(f"{key}: {value}" for key, value in result.items()))


if __name__ == "__main__":
    main()
