"""Any sequence of movements, by Hypothesis: the promises hold after every step, for both cost methods.

A plain model of a few lines stands beside the ledger: units by state, and what every sale cost.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from app.core.db import Database
from app.ledger.adjust import adjust
from app.ledger.as_of import Places, quantities_as_of
from app.ledger.models import Account, Adjustment, ReturnExceedsIssue
from app.ledger.rebuild import rebuild
from tests.conftest import NOW
from tests.world import World

SKUS = ("mug", "cup")
PLACES = ("A", "B")
HELD = ("available", "committed", "damaged", "quarantined")
_names = count(1)

skus = st.sampled_from(SKUS)
places = st.sampled_from(PLACES)
units = st.integers(1, 9)
money = st.decimals("0", "99.9999", places=4)


def machine(database: Database, cost_method: str) -> type[RuleBasedStateMachine]:
    class Ledger(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.world = World.make(database, NOW, f"machine {cost_method} {next(_names)}", cost_method)
            self.model: Counter[tuple[str, str, str]] = Counter()
            self.sales: list[tuple[int, str, str, int]] = []
            self.receipts: list[int] = []
            self.bills = 0

        def move(self, sku: str, quantity: int, path: str, value: Decimal | None = None, **more: int) -> int:
            movement_id = self.world.move(sku, quantity, path, None if value is None else str(value), **more)
            source, target = path.split(" > ")
            for end, sign in ((source, -1), (target, 1)):
                state, _, place = end.partition("@")
                if place:
                    self.model[sku, place, state] += sign * quantity
            return movement_id

        @rule(
            sku=skus, place=places, quantity=units, value=st.one_of(st.none(), money),
            into=st.sampled_from(["available", "quarantined"]),
        )  # fmt: skip
        def receive(self, sku: str, place: str, quantity: int, value: Decimal | None, into: str) -> None:
            self.receipts.append(self.move(sku, quantity, f"supplier > {into}@{place}", value))

        @rule(sku=skus, place=places, quantity=units, value=money)
        def open_stock(self, sku: str, place: str, quantity: int, value: Decimal) -> None:
            self.receipts.append(self.move(sku, quantity, f"opening > available@{place}", value))

        @rule(sku=skus, place=places, quantity=units, source=st.sampled_from(HELD), into=st.sampled_from(HELD))
        def change_state(self, sku: str, place: str, quantity: int, source: str, into: str) -> None:
            if source != into:
                self.move(sku, quantity, f"{source}@{place} > {into}@{place}")

        @rule(sku=skus, place=places, quantity=units, source=st.sampled_from(["available", "committed"]))
        def sell(self, sku: str, place: str, quantity: int, source: str) -> None:
            sale = self.move(sku, quantity, f"{source}@{place} > customer")
            self.sales.append((sale, sku, place, quantity))

        @rule(data=st.data(), into=st.sampled_from(["available", "damaged", "quarantined", "committed"]))
        def take_back(self, data: st.DataObject, into: str) -> None:
            if not self.sales:
                return
            sale, sku, place, quantity = data.draw(st.sampled_from(self.sales))
            back = data.draw(st.integers(1, quantity))
            try:
                self.move(sku, back, f"customer > {into}@{place}", reverses_movement_id=sale)
            except ReturnExceedsIssue:
                assert back > 0

        @rule(sku=skus, place=places, quantity=units)
        def take_back_without_an_order(self, sku: str, place: str, quantity: int) -> None:
            self.move(sku, quantity, f"customer > available@{place}")

        @rule(sku=skus, place=places, quantity=units, more=st.booleans())
        def count_differs(self, sku: str, place: str, quantity: int, more: bool) -> None:
            self.move(sku, quantity, f"shrinkage > available@{place}" if more else f"available@{place} > shrinkage")

        @rule(sku=skus, place=places, quantity=units)
        def write_off(self, sku: str, place: str, quantity: int) -> None:
            self.move(sku, quantity, f"damaged@{place} > shrinkage")

        @rule(sku=skus, quantity=units, lost=st.booleans())
        def transfer(self, sku: str, quantity: int, lost: bool) -> None:
            self.move(sku, quantity, "available@A > in_transit@B")
            self.move(sku, quantity, "in_transit@B > shrinkage" if lost else "in_transit@B > available@B")

        @rule(quantity=units)
        def assemble(self, quantity: int) -> None:
            parts = (self.world.movement("mug", quantity, "available@A > assembly", assembly="x"),
                     self.world.movement("cup", quantity, "assembly > available@A", assembly="x"))  # fmt: skip
            self.world.post(*parts)
            self.model["mug", "A", "available"] -= quantity
            self.model["cup", "A", "available"] += quantity

        @rule(data=st.data(), amount=st.decimals("-5", "20", places=4).filter(bool))
        def bill_late(self, data: st.DataObject, amount: Decimal) -> None:
            if self.receipts:
                self.bills += 1
                bill = Adjustment(
                    data.draw(st.sampled_from(self.receipts)), amount, Account.LANDED_COST, "bill", str(self.bills), NOW
                )
                with self.world.session() as session:
                    adjust(session, [bill])

        @rule()
        def rebuild(self) -> None:
            with self.world.session() as session:
                assert rebuild(session).wrong == 0

        @invariant()
        def the_promises_hold(self) -> None:
            assert self.world.verify() == []
            for (sku, place, state), quantity in self.model.items():
                assert self.world.level(sku, place)[state] == quantity
            self.now_is_as_of_now()
            for sku in SKUS:
                owned, value = self.world.worth(sku)
                assert owned == sum(q for (s, _, _), q in self.model.items() if s == sku)
                assert owned or not value

        def now_is_as_of_now(self) -> None:
            with self.world.session() as session:
                for row in quantities_as_of(session, NOW, Places(), known_at=NOW, limit=10):
                    place = "A" if row.location_id == self.world.a else "B"
                    for state in (*HELD, "in_transit"):
                        assert getattr(row, state) == self.model[row.sku, place, state]
                before = quantities_as_of(session, NOW - timedelta(seconds=1), Places(), limit=10)
                assert not any(row.on_hand or row.in_transit for row in before)

        @invariant()
        def books_balance_over_all_accounts(self) -> None:
            assert sum(self.world.balance(account) for account in Account) == 0

    return Ledger


@pytest.mark.timeout(300)
@pytest.mark.parametrize("cost_method", ["fifo", "average"])
def test_no_sequence_of_movements_breaks_a_promise(database: Database, cost_method: str) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine(database, cost_method),
        settings=settings(
            max_examples=25, stateful_step_count=25, deadline=None, derandomize=True,
            suppress_health_check=list(HealthCheck), database=None,
        ),
    )  # fmt: skip
