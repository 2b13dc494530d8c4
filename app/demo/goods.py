"""What the demo's merchant sells: forty items, one of them a kit and one nearly gone, at two locations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.accounts.merchants import create_merchant
from app.catalog.items import NewItem, create_items, create_kit
from app.catalog.locations import create_location
from app.core.db import Session
from app.core.runtime import Runtime
from app.ledger.models import Movement, State
from app.ledger.post import post

MERCHANT = "demo"
PLACES = ("Warehouse", "Shop floor")
_KINDS = (
    ("MUG", "Mug", "12.00"), ("BOWL", "Bowl", "18.50"), ("PLATE", "Plate", "16.00"), ("CANDLE", "Candle", "9.90"),
    ("TOWEL", "Tea towel", "11.00"), ("APRON", "Apron", "29.00"), ("JUG", "Jug", "34.00"),
    ("BOARD", "Bread board", "39.00"),
    ("SPOON", "Wooden spoon", "6.50"), ("VASE", "Vase", "45.00"), ("TRAY", "Tray", "27.00"), ("LAMP", "Lamp", "79.00"),
    ("RUG", "Rug", "119.00"),
)  # fmt: skip
_COLOURS = (("WHT", "white"), ("BLU", "blue"), ("GRN", "green"))
KIT = "BREAKFAST-SET"
KIT_OF = {"MUG-WHT": 2, "BOWL-WHT": 2, "PLATE-WHT": 2}
SCARCE = "RUG-GRN"  # three left


@dataclass(frozen=True, slots=True)
class Good:
    """An item as the demo opens it: units by place, cost of one."""

    sku: str
    name: str
    price: Decimal
    unit_cost: Decimal
    opening: tuple[int, int]


def goods() -> list[Good]:
    """The stocked items; the first ones sell best."""
    made = []
    for code, kind, price in _KINDS:
        for number, (colour_code, colour) in enumerate(_COLOURS):
            sku, cost = f"{code}-{colour_code}", (Decimal(price) * Decimal("0.45")).quantize(Decimal("0.01"))
            opening = (3, 0) if sku == SCARCE else (24 - 4 * number, 10 - 2 * number)
            made.append(Good(sku, f"{kind}, {colour}", Decimal(price), cost, opening))
    return made


@dataclass(frozen=True, slots=True)
class Merchant:
    """The demo's merchant: ids of its places in the order of PLACES, and of its items by SKU."""

    merchant_id: int
    places: tuple[int, ...]
    items: Mapping[str, int]


def create_demo_merchant(runtime: Runtime) -> Merchant:
    """The merchant with its catalogue and opening stock."""
    now = runtime.clock()
    merchant_id = create_merchant(runtime.database, now, name=MERCHANT, currency="EUR")
    with runtime.begin(merchant_id, now) as session:
        places = tuple(create_location(session, name, number) for number, name in enumerate(PLACES, 1))
        items = create_items(session, [NewItem(good.sku, good.name) for good in goods()])
        create_kit(session, NewItem(KIT, "Breakfast set for two"), {items[sku]: units for sku, units in KIT_OF.items()})
        _open_stock(session, items, places)
    return Merchant(merchant_id, places, items)


def _open_stock(session: Session, items: Mapping[str, int], places: Sequence[int]) -> None:
    movements = [
        Movement(
            items[good.sku], units, State.OPENING, State.AVAILABLE, "opening", f"{good.sku}@{place}", session.now,
            to_location_id=place, value=good.unit_cost * units,
        )
        for good in goods()
        for place, units in zip(places, good.opening, strict=True)
        if units
    ]  # fmt: skip
    post(session, movements)


def find_demo_merchant(runtime: Runtime, merchant_id: int) -> Merchant:
    """The merchant as it was left by an earlier start."""
    with runtime.begin(merchant_id, runtime.clock()) as session:
        places = session.rows(
            "select location_id from location where merchant_id = %(merchant_id)s order by priority, location_id"
        )
        items = session.rows("select sku, item_id from item where merchant_id = %(merchant_id)s and kind = 'stock'")
    return Merchant(merchant_id, tuple(row.location_id for row in places), {row.sku: row.item_id for row in items})


@dataclass(frozen=True, slots=True)
class Receipt:
    """Goods that came in."""

    at: datetime
    sku: str
    units: int


def receive_goods(runtime: Runtime, merchant: Merchant, receipt: Receipt, place: int, unit_cost: Decimal) -> None:
    """A delivery of a supplier; the same receipt again does nothing. Raises Unavailable."""
    movement = Movement(
        merchant.items[receipt.sku], receipt.units, State.SUPPLIER, State.AVAILABLE, "receipt",
        f"{receipt.sku}@{receipt.at.isoformat()}", receipt.at, to_location_id=place, value=unit_cost * receipt.units,
    )  # fmt: skip
    with runtime.begin(merchant.merchant_id, runtime.clock()) as session:
        post(session, [movement])
