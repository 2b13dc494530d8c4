"""Promise 9: what is bought in another currency keeps amount, rate and its day, and is booked at what follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from app.core.db import Row
from app.core.errors import InvalidInput
from app.ledger.models import KeyConflict, Movement, Purchase, State
from app.ledger.post import post
from tests.world import World

DAY = date(2026, 11, 20)


def receipt(world: World, paid: Purchase, key: str = "po 1", value: Decimal | None = None) -> Movement:
    return Movement(
        world.item("mug"), 3, State.SUPPLIER, State.AVAILABLE, "receipt", key, world.now, to_location_id=world.a,
        value=paid.value if value is None else value, purchase=paid,
    )  # fmt: skip


def kept(world: World) -> Sequence[Row]:
    with world.session() as session:
        return session.rows(
            "select amount, currency, rate, rate_on from movement_purchase where merchant_id = %(merchant_id)s"
        )


@pytest.mark.parametrize(
    ("amount", "rate", "value"),
    [("99.9999", "1.08247", "108.2469"), ("0.0001", "0.5", "0.0000"), ("0.0003", "0.5", "0.0002"), ("7", "3", "21")],
)
def test_a_purchase_is_booked_at_its_rate_rounded_half_even_once_and_kept_as_it_was_paid(
    world: World, amount: str, rate: str, value: str
) -> None:
    paid = Purchase(Decimal(amount), "EUR", Decimal(rate), DAY)
    with world.session() as session:
        post(session, [receipt(world, paid)])
        booked = session.value("select sum(value) from cost_layer where merchant_id = %(merchant_id)s")
    assert booked == Decimal(value)
    assert [tuple(row) for row in kept(world)] == [(paid.amount, "EUR", paid.rate, DAY)]
    assert world.verify() == []


def test_a_purchase_that_settles_what_was_sold_before_it_came_is_sound_too(world: World) -> None:
    world.item("mug")
    world.move("mug", 5, "available@A > customer")
    with world.session() as session:
        post(session, [receipt(world, Purchase(Decimal("10.0001"), "EUR", Decimal("1.33333333"), DAY))])
    assert world.verify() == []


def test_the_same_receipt_again_keeps_one_purchase_and_a_batch_of_any_size_takes_one_statement_more(
    world: World,
) -> None:
    paid = Purchase(Decimal(6), "GBP", Decimal("1.3"), DAY)
    with world.session() as session:
        post(session, [receipt(world, paid, f"po {number}") for number in range(50)])
        again = post(session, [receipt(world, paid, f"po {number}") for number in range(50)])
    assert again.repeated == 50
    assert len(kept(world)) == 50


@pytest.mark.parametrize("change", [
    {"currency": "CHF"}, {"rate_on": date(2026, 11, 19)}, {"amount": Decimal(12), "rate": Decimal("0.65")}, None,
])  # fmt: skip
def test_the_same_key_paid_otherwise_is_other_content_even_at_the_same_value(
    world: World, change: dict[str, object] | None
) -> None:
    paid = Purchase(Decimal(6), "GBP", Decimal("1.3"), DAY)
    first = receipt(world, paid)
    again = replace(first, purchase=None if change is None else replace(paid, **change))
    world.post(first)
    with pytest.raises(KeyConflict):
        world.post(again)
    assert world.post(first)
    assert [tuple(row) for row in kept(world)] == [(6, "GBP", Decimal("1.3"), DAY)]


def test_a_purchase_that_was_changed_behind_the_ledgers_back_is_found(world: World) -> None:
    with world.session() as session:
        post(session, [receipt(world, Purchase(Decimal(6), "GBP", Decimal("1.3"), DAY))])
        session.run(
            """insert into movement_purchase (merchant_id, movement_id, amount, currency, rate, rate_on)
               select merchant_id, movement_id + 1, 7, 'GBP', 1.3, rate_on from movement_purchase
               where merchant_id = %(merchant_id)s"""
        )
        session.run(
            """insert into movement (merchant_id, movement_id, item_id, quantity, from_state, to_state, to_location_id,
                                     source, source_key, occurred_at, posted_on, recorded_at)
               select merchant_id, movement_id + 1, item_id, 1, 'supplier', 'available', to_location_id, 'forged',
                      'one', occurred_at, posted_on, recorded_at from movement where merchant_id = %(merchant_id)s"""
        )
    assert "purchase_is_not_what_was_booked" in {finding.check for finding in world.verify()}


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"amount": Decimal(-1)}, "value"), ({"amount": Decimal("NaN")}, "value"),
        ({"amount": Decimal("0.00001")}, "value"),
        ({"currency": "ZZZ"}, "currency"), ({"currency": "eur"}, "currency"), ({"currency": "EURO"}, "currency"),
        ({"rate": Decimal(0)}, "rate"), ({"rate": Decimal(-1)}, "rate"), ({"rate": Decimal("Infinity")}, "rate"),
        ({"rate": Decimal("1.123456789")}, "rate"), ({"rate": Decimal(10**10)}, "rate"),
        ({"rate_on": date(2099, 1, 1)}, "rate_on"),
    ],
)  # fmt: skip
def test_a_purchase_that_cant_be_is_refused_by_its_field(world: World, change: dict[str, object], where: str) -> None:
    paid = Purchase(Decimal(6), "EUR", Decimal("1.3"), DAY)
    with world.session() as session, pytest.raises(InvalidInput) as refused:
        post(session, [receipt(world, replace(paid, **change), value=Decimal(8))])
    assert refused.value.where == where
    assert kept(world) == []


def test_a_purchase_fits_only_goods_of_a_supplier_at_its_own_value(world: World) -> None:
    paid = Purchase(Decimal(6), "EUR", Decimal("1.3"), DAY)
    for wrong in (
        receipt(world, paid, value=Decimal("7.8001")),
        replace(receipt(world, paid), from_state=State.OPENING),
    ):
        with world.session() as session, pytest.raises(InvalidInput) as refused:
            post(session, [wrong])
        assert refused.value.reason == "bad_purchase"
