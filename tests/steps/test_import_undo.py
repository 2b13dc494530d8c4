"""Taking an import back: its stock leaves by movements that name what it opened, at that cost, or nothing changes."""

from __future__ import annotations

from decimal import Decimal

import pytest

from app.catalog.items import get_item
from app.core.errors import Conflict
from app.ledger.adjust import adjust
from app.ledger.import_batches import undo_batch
from app.ledger.models import Account, Adjustment
from app.ledger.opening import commit_import
from app.ledger.post import post
from app.ledger.rebuild import rebuild
from tests.world import World

HEADER = "sku,name,location,on_hand,unit_cost\n"
BUY = "supplier > available@A"
SELL = "available@A > customer"
BY_BOTH_METHODS = pytest.mark.parametrize("cost_method", ["fifo", "average"], indirect=True)


def bring(world: World, rows: str) -> int:
    """An import's id."""
    with world.session() as session:
        batch = commit_import(session, (HEADER + rows).encode(), name="items.csv").batch_id
        world.items["mug"] = get_item(session, "mug").item_id
    return batch


def take_back(world: World, batch: int) -> tuple[int, int]:
    with world.session() as session:
        return undo_batch(session, batch, "Ann")


def is_sound(world: World) -> bool:
    with world.session() as session:
        return rebuild(session).differences == [] and world.verify() == []


@BY_BOTH_METHODS
@pytest.mark.parametrize(("mistake", "left"), [("first", "70"), ("second", "50")])
def test_an_import_taken_back_takes_what_it_brought_and_not_what_came_first(
    world: World, mistake: str, left: str
) -> None:
    batches = {"first": bring(world, "mug,Mug,A,10,5\n"), "second": bring(world, "mug,Mug,B,10,7\n")}
    assert take_back(world, batches[mistake]) == (1, 10)
    assert world.worth("mug") == (10, Decimal(left))
    assert world.balance("opening_balance") == -Decimal(left)
    assert is_sound(world)


@BY_BOTH_METHODS
def test_all_of_an_import_taken_back_leaves_nothing_worth_anything_and_can_be_brought_again(world: World) -> None:
    batch = bring(world, "mug,Mug,A,3,3.3333\nmug,Mug,B,7,\nbowl,Bowl,A,2,9\n")
    assert take_back(world, batch) == (3, 12)
    assert (world.worth("mug"), world.balance("inventory"), world.balance("opening_balance")) == ((0, 0), 0, 0)
    with world.session() as session:
        named = session.rows(
            """select m.quantity = o.quantity as whole, o.source from movement m
               join movement o on o.merchant_id = m.merchant_id and o.movement_id = m.reverses_movement_id
               where m.merchant_id = %(merchant_id)s and m.source = 'opening_undo'"""
        )
    assert [tuple(row) for row in named] == [(True, "opening")] * 3
    assert take_back(world, bring(world, "mug,Mug,A,3,4\n")) == (1, 3)
    assert is_sound(world)


@BY_BOTH_METHODS
def test_what_came_in_since_stays_at_its_own_cost(world: World) -> None:
    batch = bring(world, "mug,Mug,A,10,5\n")
    world.move("mug", 5, BUY, "40")
    assert take_back(world, batch) == (1, 10)
    assert world.worth("mug") == (5, Decimal(40))
    assert world.balance("opening_balance") == 0
    world.move("mug", 5, SELL)
    assert world.balance("cost_of_goods_sold") == 40
    assert is_sound(world)


@BY_BOTH_METHODS
@pytest.mark.parametrize("path", [
    SELL, "available@A > committed@A", "available@A > available@B", "available@A > shrinkage",
    "available@A > damaged@A",
])  # fmt: skip
def test_an_import_is_not_taken_back_where_something_was_sold_or_moved_since_whatever_came_in_then(
    world: World, path: str
) -> None:
    batch = bring(world, "bowl,Bowl,A,4,1\nmug,Mug,A,10,5\n")
    world.move("mug", 3, path)
    world.move("mug", 5, BUY, "40")
    before = world.worth("mug")
    with pytest.raises(Conflict) as refused:
        take_back(world, batch)
    assert (refused.value.reason, "(mug)" in refused.value.detail) == ("moved_since", True)
    assert world.worth("mug") == before
    assert world.balance("opening_balance") == -54
    with world.session() as session:
        assert session.value("select undone_at from import_batch where merchant_id = %(merchant_id)s") is None


@BY_BOTH_METHODS
def test_what_was_sold_of_another_import_of_the_item_keeps_the_older_one(world: World) -> None:
    first = bring(world, "mug,Mug,A,10,5\n")
    second = bring(world, "mug,Mug,B,10,7\n")
    world.move("mug", 1, "available@B > customer")
    for batch in (first, second):
        with pytest.raises(Conflict):
            take_back(world, batch)


@BY_BOTH_METHODS
def test_an_import_whose_cost_was_added_to_is_not_taken_back(world: World) -> None:
    batch = bring(world, "mug,Mug,A,10,5\n")
    with world.session() as session:
        opening = session.value("select movement_id from movement where merchant_id = %(merchant_id)s")
        adjust(session, [Adjustment(opening, Decimal(10), Account.LANDED_COST, "freight", "1", world.now)])
    with pytest.raises(Conflict) as refused:
        take_back(world, batch)
    assert refused.value.reason == "moved_since"
    assert world.worth("mug") == (10, Decimal(60))


@BY_BOTH_METHODS
def test_what_came_in_leaves_again_only_while_it_is_there_at_its_value(world: World) -> None:
    receipt = world.move("mug", 4, "opening > available@A", "20")
    for quantity, value in ((5, "20"), (4, "19"), (4, "21"), (3, "21")):
        with pytest.raises(Conflict) as refused:
            world.move("mug", quantity, "available@A > opening", value, reverses_movement_id=receipt)
        assert refused.value.reason == "receipt_used"
    with world.session() as session:
        post(session, [world.movement("mug", 4, "available@A > opening", "20", reverses_movement_id=receipt)])
    assert world.worth("mug") == (0, Decimal(0))
