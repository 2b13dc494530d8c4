"""What the replay's merchant has on the shelf: by its seed, never less than nothing, every unit that came counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

from app.demo.mall import Mall
from app.demo.retail import Selling
from app.demo.shops import dice
from app.demo.stockroom import OPENING_MIN, Stockroom
from app.ledger.models import Movement, State

NOW = datetime(2011, 1, 1, tzinfo=UTC)
CATALOGUE = {
    "slow": Selling(Decimal("2.95"), NOW, 0),
    "hot": Selling(Decimal("10.00"), NOW, 400),
    "rush": Selling(Decimal("0.85"), NOW, 1_000_000),
}


@dataclass
class Shelf:
    """As much of a mall as the stockroom asks for."""

    now: datetime = NOW
    place: int = 1
    items: dict[str, int] = field(default_factory=lambda: {sku: n for n, sku in enumerate(CATALOGUE)})
    shown: int = 0
    posted: list[Movement] = field(default_factory=list)

    def on_sale(self, sku: str) -> int:
        return self.shown

    def post(self, movements: list[Movement]) -> None:
        self.posted += movements


def mall(shelf: Shelf) -> Mall:
    return cast(Any, shelf)


def by_item(movements: list[Movement]) -> dict[int, int]:
    return {movement.item_id: movement.quantity for movement in movements}


def test_the_opening_grows_with_what_sold_first_and_has_bounds_both_ways() -> None:
    room = Stockroom(CATALOGUE, dice(1))
    assert room.opening["slow"] == OPENING_MIN
    assert OPENING_MIN + 50 <= room.opening["hot"] <= OPENING_MIN + 250
    assert room.opening["rush"] <= OPENING_MIN + 1_000


def test_the_same_seed_has_the_same_on_the_shelf_at_the_same_cost() -> None:
    made = []
    for seed in (1, 1, 2):
        shelf, room = Shelf(), Stockroom(CATALOGUE, dice(seed))
        made.append([(m.item_id, m.quantity, m.value) for m in room.open_stock(mall(shelf))])
    assert made[0] == made[1] != made[2]


def test_a_delivery_fills_up_to_the_demand_and_brings_nothing_where_there_is_enough() -> None:
    shelf, room = Shelf(), Stockroom(CATALOGUE, dice(1))
    room.note({"hot": 100})
    room.receive(mall(shelf))
    came = by_item(shelf.posted)
    assert came[shelf.items["hot"]] == room.came["hot"] > 0
    assert shelf.items["slow"] not in came  # nobody ever asked for it
    full = Shelf(shown=10**9)
    room.receive(mall(full))
    assert full.posted == []


def test_what_nobody_asks_for_any_more_is_brought_less_and_less() -> None:
    shelf, room = Shelf(), Stockroom(CATALOGUE, dice(1))
    for _ in range(30):
        room.receive(mall(shelf))
    assert room.average["hot"] < 0.01
    before = len(shelf.posted)
    room.receive(mall(shelf))
    assert len(shelf.posted) == before


def test_every_unit_that_was_ever_there_is_in_the_totals() -> None:
    shelf, room = Shelf(), Stockroom(CATALOGUE, dice(1))
    room.note({"hot": 80})
    room.receive(mall(shelf))
    room.take_back(mall(shelf), "hot", 3)
    brought = sum(m.quantity for m in shelf.posted if m.item_id == shelf.items["hot"])
    assert room.totals()["hot"] == room.opening["hot"] + brought
    assert room.totals()["slow"] == room.opening["slow"]


def test_each_movement_has_a_key_of_its_own_and_goods_that_come_back_bring_no_cost_of_their_own() -> None:
    shelf, room = Shelf(), Stockroom(CATALOGUE, dice(1))
    movements = room.open_stock(mall(shelf))
    room.take_back(mall(shelf), "hot", 3)
    every = [*movements, *shelf.posted]
    assert len({m.source_key for m in every}) == len(every)
    assert [m.value is None for m in every] == [m.from_state is State.CUSTOMER for m in every]
    for movement in movements:
        assert movement.value is not None
        price = CATALOGUE[list(CATALOGUE)[movement.item_id]].price
        assert (
            Decimal("0.39") * price * movement.quantity < movement.value < Decimal("0.61") * price * movement.quantity
        )
