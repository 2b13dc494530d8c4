"""What the replay's merchant has on the shelf: opening stock, weekly deliveries by what was asked for lately, and goods
that come back without an order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING

from app.demo.retail import FIRST_DAYS, Selling
from app.ledger.models import MONEY_PLACES, Movement, State

if TYPE_CHECKING:
    from app.demo.mall import Mall

COST_SHARE = Decimal("0.5")  # of the first price
OPENING_MIN = 6
COVER_WEEKS = 2.0  # a delivery fills up to so much of the average demand: a rush empties the shelf
FORGET = 0.7  # of the average, week by week


@dataclass
class Stockroom:
    """Units and costs by SKU. `opening` is what was there at first, `came` what came in since."""

    catalogue: Mapping[str, Selling]
    rng: Random
    opening: dict[str, int] = field(default_factory=dict)
    came: Counter[str] = field(default_factory=Counter)
    wanted: Counter[str] = field(default_factory=Counter)  # this week
    average: dict[str, float] = field(default_factory=dict)
    _number: int = 0

    def __post_init__(self) -> None:
        for sku, item in self.catalogue.items():
            weekly = item.early_units * 7 / FIRST_DAYS
            self.average[sku] = min(weekly, 400.0)
            self.opening[sku] = OPENING_MIN + int(self.average[sku] * self.rng.uniform(0.5, 2.5))

    def note(self, wanted: Mapping[str, int]) -> None:
        """Somebody asked for these."""
        for sku, units in wanted.items():
            self.wanted[sku] += units

    def open_stock(self, mall: Mall) -> list[Movement]:
        """The opening."""
        return [self._movement(mall, sku, units, State.OPENING) for sku, units in self.opening.items() if units]

    def receive(self, mall: Mall) -> None:
        """A week's deliveries, booked."""
        movements = []
        for sku in self.catalogue:
            week = self.wanted.pop(sku, 0)
            self.average[sku] = FORGET * self.average[sku] + (1 - FORGET) * min(week, 5_000)
            units = int(self.average[sku] * COVER_WEEKS * self.rng.uniform(0.7, 1.3)) - mall.on_sale(sku)
            if units > 0:
                self.came[sku] += units
                movements.append(self._movement(mall, sku, units, State.SUPPLIER))
        mall.post(movements)

    def take_back(self, mall: Mall, sku: str, units: int) -> None:
        """Goods that come back and name no sale."""
        self.came[sku] += units
        mall.post([self._movement(mall, sku, units, State.CUSTOMER)])

    def totals(self) -> dict[str, int]:
        """Units by SKU that were ever there."""
        return {sku: units + self.came[sku] for sku, units in self.opening.items()}

    def _movement(self, mall: Mall, sku: str, units: int, source: State) -> Movement:
        self._number += 1
        cost = self.catalogue[sku].price * COST_SHARE * Decimal(str(round(self.rng.uniform(0.8, 1.2), 4)))
        value = None if source is State.CUSTOMER else (cost * units).quantize(MONEY_PLACES)
        return Movement(
            mall.items[sku], units, source, State.AVAILABLE, "replay", f"{source}-{self._number}", mall.now,
            to_location_id=mall.place, value=value,
        )  # fmt: skip
