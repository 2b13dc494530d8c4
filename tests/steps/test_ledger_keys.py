"""Promise 3: a fact is booked once. Its key again does nothing, with other content it is an error; what it cost, how
that was paid and what it reverses are content too."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from decimal import Decimal

import pytest

from app.core.db import connect
from app.core.embedded import APP_ROLE, Embedded
from app.ledger.adjust import adjust
from app.ledger.models import Account, Adjustment, KeyConflict
from app.ledger.post import post
from tests.world import World

BUY = "supplier > available@A"
SELL = "available@A > customer"
RETURN = "customer > available@A"


def test_the_same_key_with_the_same_content_is_a_success_that_does_nothing(world: World) -> None:
    movement = world.movement("mug", 3, BUY, "30")
    first = world.post(movement)
    assert world.post(movement) == first
    assert set(world.post(movement, movement)) == set(first)
    assert world.available("mug") == 3


def test_a_batch_with_a_known_key_posts_only_the_rest(world: World) -> None:
    known = world.movement("mug", 3, BUY, "30")
    world.post(known)
    with world.session() as session:
        posted = post(session, [known, world.movement("mug", 2, BUY, "20")])
    assert posted.repeated == 1
    assert world.available("mug") == 5
    assert world.verify() == []


def test_the_same_key_with_other_content_is_an_error_of_its_own(world: World) -> None:
    world.post(world.movement("mug", 3, BUY, "30", source_key="once"))
    with pytest.raises(KeyConflict):
        world.post(world.movement("mug", 4, BUY, "40", source_key="once"))
    assert world.available("mug") == 3


@pytest.mark.parametrize(("first", "second"), [("30", "40"), ("30", None), (None, "30"), (None, "0")])
def test_the_same_key_at_another_cost_is_other_content(world: World, first: str | None, second: str | None) -> None:
    world.post(world.movement("mug", 3, BUY, first, source_key="once"))
    with pytest.raises(KeyConflict):
        world.post(world.movement("mug", 3, BUY, second, source_key="once"))
    with pytest.raises(KeyConflict):
        world.post(*(world.movement("mug", 3, BUY, value, source_key="both") for value in (first, second)))
    world.post(world.movement("mug", 3, BUY, first, source_key="once"))
    assert world.worth("mug") == (3, Decimal(first or 0))


def test_a_receipt_that_settled_a_shortage_is_known_again_by_what_it_cost(world: World) -> None:
    world.move("mug", 5, BUY, "50")
    world.move("mug", 7, SELL)
    receipt = world.movement("mug", 4, BUY, "48")
    assert world.post(receipt) == world.post(receipt)
    found = world.movement("mug", 1, "shrinkage > available@A", "99")
    assert world.post(found) == world.post(found)


def test_a_return_under_a_used_key_that_names_another_sale_is_other_content(world: World) -> None:
    world.move("mug", 9, BUY, "90")
    sales = [world.move("mug", 2, SELL) for _ in range(2)]
    world.move("mug", 1, RETURN, reverses_movement_id=sales[0], source_key="back")
    for named in (sales[1], None):
        with pytest.raises(KeyConflict):
            world.move("mug", 1, RETURN, reverses_movement_id=named, source_key="back")
    assert world.move("mug", 1, RETURN, reverses_movement_id=sales[0], source_key="back")
    assert world.available("mug") == 6


def test_a_sale_and_its_return_in_one_batch_sent_again_do_nothing(world: World) -> None:
    world.move("mug", 3, BUY, "10")
    batch = (
        world.movement("mug", 2, SELL, source_key="sale"),
        world.movement("mug", 2, RETURN, reverses_key="sale", source_key="back"),
    )
    assert world.post(*batch) == world.post(*batch)
    assert world.verify() == []


def test_late_cost_under_a_used_key_is_other_content_as_freight_instead_of_a_bill(world: World) -> None:
    receipt = world.move("mug", 4, BUY, "40")
    bill = Adjustment(receipt, Decimal(8), Account.GOODS_RECEIVED, "bill", "INV-1", world.now)
    with world.session() as session:
        assert (adjust(session, [bill]), adjust(session, [bill])) == (1, 0)
        with pytest.raises(KeyConflict):
            adjust(session, [replace(bill, account=Account.LANDED_COST)])
    assert world.worth("mug") == (4, Decimal(48))


@pytest.mark.parametrize("before", range(7))
def test_a_fact_sent_again_costs_nobody_the_connections_later_postings(
    server: Embedded, world: World, before: int
) -> None:
    with closing(connect(server.url(APP_ROLE), pool_max=1)) as own:  # no statement of it has been prepared yet
        mine = replace(world, database=own)
        known = mine.movement("mug", 3, BUY, "30")
        mine.post(known)
        for _ in range(before):
            mine.move("mug", 1, BUY, "10")
        with mine.session() as session:
            assert post(session, [known, mine.movement("mug", 2, BUY, "20")]).repeated == 1
        assert mine.move("mug", 1, BUY, "10")
        assert mine.available("mug") == 6 + before
