"""Perpetual as an adapter: the service itself, on a database of its own, in the same virtual time and weather."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import ClassVar

from app.accounts.merchants import create_merchant
from app.catalog.items import NewItem, create_items
from app.catalog.locations import create_location
from app.core.db import Database
from app.ledger.models import Movement, State
from app.ledger.post import post
from app.simulation.network import Wires
from app.simulation.processes import Service
from app.simulation.town import AnyShop, Town
from app.worker import housekeeping
from bench.oversell.market import OPENING, SKUS, START, Market


@dataclass
class Perpetual:
    """`violations`: what the service did that nobody foresaw; there must be none."""

    name: ClassVar[str] = "perpetual"
    database: Database
    violations: list[str] = field(default_factory=list)
    _ending: ExitStack = field(default_factory=ExitStack)
    _received: int = 0

    def open(self, market: Market) -> Sequence[AnyShop]:
        """A merchant with both shops, as shipped; a worker of six threads, each of which may die."""
        random.seed(market.conditions.seed)
        self.market, weather = market, market.conditions.weather
        folder = Path(self._ending.enter_context(tempfile.TemporaryDirectory(prefix="perpetual-oversell-")))
        merchant_id = create_merchant(self.database, START, name="market")
        with self.database.begin(merchant_id, START) as session:
            self.place = create_location(session, "A")
            self.items = create_items(session, [NewItem(sku, sku) for sku in SKUS])
        dice = Random(market.dice.getrandbits(64))
        town = Town(self.database, merchant_id, lambda: market.clockwork.now, Random(dice.getrandbits(64)), folder)
        self.town = town
        for sku in SKUS:
            self._post(sku, OPENING, State.OPENING)
        stock = dict.fromkeys(SKUS, OPENING)
        shops: list[AnyShop] = [town.open_shopify(stock, {"A": self.place}), town.open_woo(stock)]
        for shop in shops:
            shop.context.faults = weather.faults
        housekeeping(town.runtime)
        wires = Wires(Random(dice.getrandbits(64)), lambda: weather, lambda what: None, lambda shop: None)
        self.service = Service(
            town, market.clockwork, wires, Random(dice.getrandbits(64)), lambda: weather, lambda what: None,
            self.violations.append, lag_s=market.conditions.lag_s,
        )  # fmt: skip
        self.service.start()
        return shops

    def delays_s(self, shop: AnyShop) -> Sequence[float]:
        """It gets the shops' own deliveries."""
        return ()

    def sold(self, shop: AnyShop, order: str, lines: Sequence[tuple[str, int]]) -> None:
        """Never called: see `delays_s`."""

    def restocked(self, sku: str, units: int) -> None:
        """A receipt."""
        self._post(sku, units, State.SUPPLIER)
        self.service.ring()

    def close(self) -> None:
        """The end."""
        self.service.stop()
        self._ending.close()

    def _post(self, sku: str, units: int, source: State) -> None:
        self._received += 1
        now = self.market.clockwork.now
        with self.town.runtime.begin(self.town.merchant_id, now) as session:
            post(session, [
                Movement(self.items[sku], units, source, State.AVAILABLE, "market", str(self._received), now,
                         to_location_id=self.place, value=Decimal(units))
            ])  # fmt: skip
