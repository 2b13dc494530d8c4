"""Locations changed: which serves first, and one out of use, which can't be while anything is there."""

from __future__ import annotations

import pytest

from app.catalog.locations import Location, create_location
from app.core.errors import Conflict, InvalidInput, NotFound
from app.ledger.by_hand import Fact, Line, adjust_stock, receive_stock, transfer_stock
from app.ledger.opening import commit_import, preview
from app.listings.locations import change_location, lock_location
from tests.street import Street
from tests.world import World

OPENING = "opening > available@A"
HEADER = "sku,name,location,on_hand\n"


def change(world: World, place: int, *, priority: int | None = None, active: bool | None = None) -> Location:
    with world.session() as session:
        return change_location(session, lock_location(session, place), priority=priority, active=active)


def refusal(world: World, place: int) -> str:
    with pytest.raises(Conflict) as refused:
        change(world, place, active=False)
    assert refused.value.where == "active"
    return refused.value.reason


def faults(world: World, rows: str) -> list[tuple[int, str, str]]:
    with world.session() as session:
        plan = preview(session, (HEADER + rows).encode())
    return [(fault.line, fault.column, fault.reason) for fault in plan.faults]


def test_orders_without_a_place_are_served_from_the_location_that_was_put_first(street: Street) -> None:
    world = street.world
    world.move("mug", 10, OPENING, "50")
    world.move("mug", 10, "opening > available@B", "50")
    shop = street.open_woo({"mug": 20})
    street.settle()
    shop.place_order([("mug", 1)])
    street.settle(8)
    change(world, world.b, priority=0)
    shop.place_order([("mug", 2)])
    street.settle(8)
    assert (world.available("mug", "A"), world.available("mug", "B")) == (9, 8)
    assert shop.shown() == {"mug": 17}


def test_an_empty_location_out_of_use_takes_no_order_and_comes_back(street: Street) -> None:
    world = street.world
    world.move("mug", 3, "opening > available@B", "15")
    shop = street.open_woo({"mug": 3})
    street.settle()
    assert change(world, world.a, active=False) == Location(world.a, "A", 1, False)
    shop.place_order([("mug", 3)])
    street.settle(8)
    assert (world.level("mug", "A")["committed"], world.level("mug", "B")["committed"]) == (0, 3)
    assert change(world, world.a, active=True).active


@pytest.mark.parametrize("path", [
    OPENING, "opening > committed@A", "opening > damaged@A", "opening > quarantined@A", "opening > in_transit@A",
])  # fmt: skip
def test_a_location_where_anything_is_or_is_bound_for_stays_in_use(world: World, path: str) -> None:
    world.move("mug", 1, path, "5")
    assert refusal(world, world.a) == "location_not_empty"
    assert change(world, world.b, active=False).name == "B"


def test_an_oversold_location_stays_in_use_and_one_that_was_emptied_does_not(world: World) -> None:
    world.move("mug", 2, "available@A > customer")
    assert refusal(world, world.a) == "location_not_empty"
    world.move("mug", 2, "supplier > available@A", "10")
    assert not change(world, world.a, active=False).active


def test_nobody_is_left_without_a_location(street: Street) -> None:
    world = street.world
    street.open_shopify({"mug": 1}, places={"A": world.a})
    assert refusal(world, world.a) == "location_needed"
    change(world, world.b, active=False)
    assert refusal(world, world.a) == "location_needed"
    with world.session() as session:
        create_location(session, "C")
        session.run("update channel set state = 'disconnected' where merchant_id = %(merchant_id)s")
    assert not change(world, world.a, active=False).active


def test_nothing_is_received_counted_in_or_moved_to_a_location_out_of_use_and_a_repeat_still_does_nothing(
    world: World,
) -> None:
    mug = world.item("mug")
    world.move("mug", 9, OPENING, "9")
    fact = Fact("api", "before", world.now)
    with world.session() as session:
        receive_stock(session, fact, world.b, [Line(mug, 1)])
        adjust_stock(session, Fact("api", "lost", world.now), world.b, [Line(mug, -1)])
    change(world, world.b, active=False)
    for number, act in enumerate((
        lambda s, f: receive_stock(s, f, world.b, [Line(mug, 1)]),
        lambda s, f: adjust_stock(s, f, world.b, [Line(mug, 1)]),
        lambda s, f: transfer_stock(s, f, (world.a, world.b), [Line(mug, 1)]),
    )):  # fmt: skip
        with pytest.raises(Conflict) as refused, world.session() as session:
            act(session, Fact("api", f"after {number}", world.now))
        assert refused.value.reason == "location_not_in_use"
    with world.session() as session:
        assert receive_stock(session, fact, world.b, [Line(mug, 1)]).repeated == 1
    assert (world.available("mug", "A"), world.available("mug", "B")) == (9, 0)


def test_a_table_opens_nothing_at_a_location_out_of_use_and_a_blank_one_is_the_first_in_use(world: World) -> None:
    change(world, world.a, active=False)
    assert faults(world, "mug,Mug,A,1\n") == [(2, "location", "location_not_in_use")]
    with world.session() as session:
        commit_import(session, (HEADER + "mug,Mug,,4\n").encode(), name="items.csv")
        world.items["mug"] = session.value("select item_id from item where merchant_id = %(merchant_id)s")
    assert world.available("mug", "B") == 4


def test_a_table_again_after_another_location_was_put_first_opens_nothing_twice(world: World) -> None:
    rows = "mug,Mug,,4\n"
    with world.session() as session:
        commit_import(session, (HEADER + rows).encode(), name="items.csv")
        world.items["mug"] = session.value("select item_id from item where merchant_id = %(merchant_id)s")
    assert faults(world, rows) == []
    change(world, world.b, priority=0)
    assert faults(world, rows) == [(2, "location", "opened_elsewhere")]
    assert faults(world, "mug,Mug,A,4\nmug,Mug,B,2\n") == []


def test_a_change_is_in_the_log_with_what_it_was_before(world: World) -> None:
    change(world, world.b, priority=7)
    change(world, world.b, priority=7)
    with world.session() as session:
        (told,) = session.rows(
            """select subject, before, after from audit_log
               where merchant_id = %(merchant_id)s and action = 'location.changed'"""
        )
    assert told.subject == "location B"
    assert (told.before["priority"], told.after) == (2, {"priority": 7, "active": True})


def test_a_priority_that_cant_be_and_another_merchants_location_are_refused_21(world: World, other: World) -> None:
    for priority in (-1, 10**9):
        with pytest.raises(InvalidInput) as refused:
            change(world, world.a, priority=priority)
        assert (refused.value.reason, refused.value.where) == ("bad_priority", "priority")
    with pytest.raises(NotFound):
        change(world, other.a, priority=3)
