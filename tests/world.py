"""A small merchant to test with: two locations, items by name, and movements in a word."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any

from app.accounts.merchants import create_merchant
from app.catalog.items import NewItem, create_items, create_kit
from app.catalog.locations import create_location
from app.core.db import Database, Session
from app.ledger.models import Movement, State
from app.ledger.post import post
from app.ledger.verify import Finding, verify

_keys = count(1)


@dataclass
class World:
    database: Database
    now: datetime
    merchant_id: int
    a: int
    b: int
    items: dict[str, int] = field(default_factory=dict)

    @classmethod
    def make(cls, database: Database, now: datetime, name: str, cost_method: str) -> World:
        merchant_id = create_merchant(database, now, name=name, cost_method=cost_method)
        with database.begin(merchant_id, now) as session:
            a = create_location(session, "A", 1)
            b = create_location(session, "B", 2)
        return cls(database, now, merchant_id, a, b)

    def leave(self) -> None:
        """The merchant's shops are disconnected: a worker looks at all that there are, and would look at these too."""
        with self.session() as session:
            session.run(
                """update channel set state = 'disconnected', activating_from = null
                   where merchant_id = %(merchant_id)s and state <> 'disconnected'"""
            )

    @contextmanager
    def session(self) -> Iterator[Session]:
        with self.database.begin(self.merchant_id, self.now) as session:
            yield session

    def item(self, sku: str) -> int:
        if sku not in self.items:
            with self.session() as session:
                self.items |= create_items(session, [NewItem(sku, sku)])
        return self.items[sku]

    def kit(self, sku: str, components: dict[str, int]) -> int:
        parts = {self.item(component): quantity for component, quantity in components.items()}
        with self.session() as session:
            self.items[sku] = create_kit(session, NewItem(sku, sku), parts)
        return self.items[sku]

    def movement(self, sku: str, quantity: int, path: str, value: str | None = None, **more: Any) -> Movement:
        """`path` reads "supplier > available@A"."""
        (source, source_place), (target, target_place) = (_place(end) for end in path.split(" > "))
        places = {"A": self.a, "B": self.b, None: None}
        return Movement(
            item_id=self.item(sku),
            quantity=quantity,
            from_state=State(source),
            to_state=State(target),
            from_location_id=places[source_place],
            to_location_id=places[target_place],
            value=None if value is None else Decimal(value),
            **{"source": "test", "source_key": f"k{next(_keys)}", "occurred_at": self.now, **more},
        )

    def post(self, *movements: Movement, **options: Any) -> list[int]:
        """Post and give the ids in the order of the movements."""
        with self.session() as session:
            posted = post(session, movements, **options)
        return [
            posted.movement_ids[m.source, m.source_key]
            for m in movements
            if (m.source, m.source_key) in posted.movement_ids
        ]

    def move(self, sku: str, quantity: int, path: str, value: str | None = None, **more: Any) -> int:
        return self.post(self.movement(sku, quantity, path, value, **more))[0]

    def available(self, sku: str, place: str = "A") -> int:
        return self.level(sku, place)["available"]

    def level(self, sku: str, place: str = "A") -> dict[str, int]:
        with self.session() as session:
            row = session.row(
                "select * from level where merchant_id = %(merchant_id)s and item_id = %(i)s and location_id = %(l)s",
                i=self.item(sku),
                l=self.a if place == "A" else self.b,
            )
        states = ("available", "committed", "damaged", "quarantined", "in_transit", "on_hand")
        return {state: 0 if row is None else getattr(row, state) for state in states}

    def worth(self, sku: str) -> tuple[int, Decimal]:
        """(units owned, their value)."""
        with self.session() as session:
            row = session.row(
                "select quantity, value from item_cost where merchant_id = %(merchant_id)s and item_id = %(i)s",
                i=self.item(sku),
            )
        return (0, Decimal(0)) if row is None else (row.quantity, row.value)

    def balance(self, account: str) -> Decimal:
        """Debits less credits of an account."""
        with self.session() as session:
            value: Decimal = session.value(
                """select coalesce(sum(amount) filter (where debit = %(a)s), 0)
                        - coalesce(sum(amount) filter (where credit = %(a)s), 0)
                   from journal where merchant_id = %(merchant_id)s""",
                a=account,
            )
        return value

    def verify(self) -> list[Finding]:
        with self.session() as session:
            return verify(session)


def _place(end: str) -> tuple[str, str | None]:
    state, _, place = end.partition("@")
    return state, place or None
