"""How fast orders come in: signed Shopify webhooks to the real web process, posted by real workers, on a machine that
the load generator shares.

An order has two lines; it counts when it is durable, answered and posted to the ledger. The channel is paused, so that
nothing but the way in is measured. Beside it the same web server answering nothing, and one delivery a transaction.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from statistics import median
from time import perf_counter
from typing import Any

from app.accounts.merchants import create_merchant
from app.catalog.items import NewItem, create_items
from app.catalog.locations import create_location
from app.core.embedded import OWNER_ROLE
from app.ledger.models import BATCH_MAX, Movement, State
from app.ledger.post import post
from app.listings.catalogue import import_entries
from app.listings.channels import NewChannel, create_channel, map_location, set_state
from app.listings.credentials import WEBHOOK_SECRETS
from app.wiring import embedded_of
from bench import load, orders, process
from bench.scratch import ROOT, Scratch, free_port, scratch, wait_until_answers
from connectors.base import CatalogueEntry, StockKey, StockReading

ITEMS = 10_000
STOCK = 1_000_000
DOMAIN, SECRET, PLACE = "bench.myshopify.com", "bench-secret", "gid://shopify/Location/1"
DRAIN_MAX_S = 60.0
LOOK_EVERY_S = 0.01


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    rounds: int
    orders: int  # in a round
    connections: tuple[int, ...]
    alone: int  # at one request in flight
    workers: int = 2


FULL = Size(rounds=3, orders=15_000, connections=(32, 128), alone=1_000)
QUICK = Size(rounds=1, orders=6_000, connections=(32, 128), alone=300)


@dataclass
class Bench:
    """The merchant with its paused channel, and orders without end."""

    home: Scratch
    merchant_id: int
    numbers: Iterator[int]

    def send(self, orders_: int, connections: int, port: int | None = None) -> dict[str, Any]:
        """Send that many new orders from a process of its own; what it measured."""
        file = self.home.folder / "requests"
        first = next(self.numbers)
        for _ in range(orders_ - 1):
            next(self.numbers)
        now = self.home.runtime.clock()
        load.write_requests(file, orders.requests(first, orders_, items=ITEMS, domain=DOMAIN, secret=SECRET, at=now))
        port = port or self.home.settings.server.port
        command = [sys.executable, "-m", "bench.load", str(file), str(port), str(connections)]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if told.returncode:
            raise RuntimeError(f"the load generator failed: {told.stderr.strip()[-500:]}")
        result: dict[str, Any] = json.loads(told.stdout)
        if set(result["statuses"]) != {"200"}:
            raise RuntimeError(f"not every delivery was accepted: {result['statuses']}")
        return result

    def wait_until_posted(self) -> float:
        """When nothing was open any more, by the machine's monotonic clock."""
        until = perf_counter() + DRAIN_MAX_S
        while perf_counter() < until:
            with self.home.runtime.begin(self.merchant_id, self.home.runtime.clock()) as session:
                open_now = session.value(
                    """select exists (select from inbox where merchant_id = %(merchant_id)s and state = 'open'
                                      and kind = 'document')"""
                )
            if not open_now:
                return perf_counter()
            process.rest(LOOK_EVERY_S)
        raise TimeoutError("the backlog was not posted in time")

    def posted(self) -> int:
        """Orders in the ledger, by their movements."""
        with self.home.runtime.begin(self.merchant_id, self.home.runtime.clock()) as session:
            movements: int = session.value(
                "select count(*) from movement where merchant_id = %(merchant_id)s and source = 'order'"
            )
        return movements // 2

    def round(self, orders_: int, connections: int) -> dict[str, float]:
        """One load and its drain."""
        before = self.posted()
        sent = self.send(orders_, connections)
        done = self.wait_until_posted()
        missing = orders_ - (self.posted() - before)
        if missing:
            raise RuntimeError(f"{missing} orders were accepted and not posted")
        return {
            "end_to_end_orders_per_s": orders_ / (done - sent["started"]),
            "accepted_per_s": sent["per_s"],
            "accept_p50_ms": sent["p50_ms"],
            "accept_p99_ms": sent["p99_ms"],
            "drain_s": max(0.0, done - sent["ended"]),
        }


def run(*, quick: bool = False) -> dict[str, Any]:
    """Measure on a database of its own; about two minutes, half a minute when quick."""
    size = QUICK if quick else FULL
    with scratch() as home:
        bench = open_bench(home)
        for number in range(size.workers):
            home.start(f"worker {number + 1}", "app", "worker")
        home.start_web()
        bench.round(2_000, 32)
        by_connections = {
            str(c): _medians([bench.round(size.orders, c) for _ in range(size.rounds)]) for c in size.connections
        }
        single = bench.send(size.alone, 1)
        bench.wait_until_posted()
        memory = home.memory_mb()
        home.stop("web")
        beside = _beside(bench, size)
    best = by_connections[str(size.connections[0])]
    nothing = beside["nothing"]["per_s"]
    return {
        **{key: value for key, value in best.items() if key != "accepted_per_s"},
        "ratio_to_nothing": round(best["end_to_end_orders_per_s"] / nothing, 3),
        "answer_nothing_orders_per_s": round(nothing),
        "by_connections": by_connections,
        "single_p50_ms": round(single["p50_ms"], 2),
        "single_without_group_commit_p50_ms": round(beside["alone_single"]["p50_ms"], 2),
        "single_nothing_p50_ms": round(beside["nothing_single"]["p50_ms"], 2),
        "memory_mb": memory,
    }


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    digits = {"end_to_end_orders_per_s": 0, "accepted_per_s": 0, "accept_p50_ms": 1, "accept_p99_ms": 1, "drain_s": 2}
    return {name: round(median(one[name] for one in rounds), places) for name, places in digits.items()}


def _beside(bench: Bench, size: Size) -> dict[str, dict[str, Any]]:
    """The same server answering nothing, and without group commit."""
    told = {}
    for kind in ("nothing", "alone"):
        port = free_port()
        bench.home.start(kind, "bench.servers", kind, PORT=str(port))
        wait_until_answers(port)
        bench.send(500, 8, port)
        bench.wait_until_posted()
        told[f"{kind}_single"] = bench.send(size.alone, 1, port)
        if kind == "nothing":
            told[kind] = bench.send(size.orders, size.connections[0], port)
        bench.wait_until_posted()
        bench.home.stop(kind)
    return told


def open_bench(home: Scratch, number: int | None = None) -> Bench:
    """The merchant, that many items (else `ITEMS`) with stock, the shop with as many listings."""
    runtime, number = home.runtime, number or ITEMS
    now = runtime.clock()
    merchant_id = create_merchant(runtime.database, now, name="bench", currency="EUR")
    with runtime.begin(merchant_id, now) as session:
        place = create_location(session, "Main")
        items = create_items(session, [NewItem(f"{n}", f"Item {n}") for n in range(number)])
        credentials = {"access_token": "none", WEBHOOK_SECRETS: SECRET}
        new = NewChannel(
            "shopify", "Shopify", DOMAIN, f"https://{DOMAIN}", credentials, {"location_count": "1"}, "active"
        )
        channel_id = create_channel(runtime, session, new)
        map_location(session, channel_id, PLACE, place)
        import_entries(session, channel_id, [_entry(n) for n in range(number)])
        set_state(session, channel_id, "paused")
        receipts = [
            Movement(
                item,
                STOCK,
                State.SUPPLIER,
                State.AVAILABLE,
                "receipt",
                sku,
                now,
                to_location_id=place,
                value=Decimal(STOCK),
            )
            for sku, item in items.items()
        ]
        for start in range(0, number, BATCH_MAX):
            post(session, receipts[start : start + BATCH_MAX])
    server = embedded_of(home.settings)
    assert server is not None
    server.run_client("psql", "-qX", "-c", "vacuum analyze", role=OWNER_ROLE)
    return Bench(home, merchant_id, count(1))


def _entry(number: int) -> CatalogueEntry:
    key = f"gid://shopify/InventoryItem/{orders.FIRST_ID + number}"
    return CatalogueEntry(
        listing_key=orders.variant_key(number), stock_key=key, sku=f"{number}", title=f"Item {number}", barcode=None,
        tracked=True, price=Decimal("10.00"), unit_cost=None, stock=(StockReading(StockKey(key, PLACE), STOCK),),
    )  # fmt: skip
