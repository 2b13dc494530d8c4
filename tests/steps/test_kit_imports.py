"""Kits from a table and changed later: they have their components or do not come in, and channels follow."""

from __future__ import annotations

import pytest

from app.catalog.items import NewItem, create_items, find_items, get_item, list_components
from app.catalog.kits import change_components, read_components
from app.core.errors import Conflict, InvalidInput
from app.ledger.opening import ImportResult, commit_import, preview
from tests.street import Street
from tests.world import World

HEADER = "sku,name,on_hand,kind,components\n"
OPENING = "opening > available@A"


def load(world: World, text: str) -> ImportResult:
    with world.session() as session:
        result = commit_import(session, (HEADER + text).encode(), name="items.csv")
        world.items |= find_items(session, {line.partition(",")[0] for line in text.splitlines()})
    return result


def faults(world: World, text: str) -> list[tuple[int, str, str]]:
    with world.session() as session:
        plan = preview(session, (HEADER + text).encode())
    return sorted((fault.line, fault.column, fault.reason) for fault in plan.faults)


def parts(world: World, kit: str) -> dict[str, int]:
    with world.session() as session:
        return {part.sku: part.quantity for part in list_components(session, get_item(session, kit).item_id)}


def change(world: World, kit: str, components: dict[str, int]) -> None:
    with world.session() as session:
        ids = find_items(session, components)
        change_components(session, get_item(session, kit), {ids[sku]: units for sku, units in components.items()})


@pytest.mark.parametrize(("text", "told"), [
    ("MUG x2; BOWL", {"MUG": 2, "BOWL": 1}), ("a b X 3;", {"a b": 3}), ("six×6; six ×6", {"six×6": 1, "six": 6}),
    ("TEE x2 x1", {"TEE x2": 1}),
])  # fmt: skip
def test_components_are_skus_with_their_units_behind_a_blank_and_an_x(text: str, told: dict[str, int]) -> None:
    assert read_components(text) == told


@pytest.mark.parametrize(("text", "reason"), [
    ("MUG x0", "too_small"), ("MUG x1000001", "too_large"), ("MUG; MUG x2", "repeated"), ("x" * 201, "bad_sku"),
    (";".join(f"S{number}" for number in range(101)), "too_many_components"), (f"MUG x{'9' * 30}", "too_large"),
])  # fmt: skip
def test_components_that_cant_be_are_refused_by_name_57(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_components(text)
    assert refused.value.reason == reason


def test_a_kit_comes_in_with_components_of_the_same_file_in_any_order_and_with_items_that_are_there(
    world: World,
) -> None:
    world.item("tray")
    text = "set,Set,,kit,mug x2; bowl; tray\nmug,Mug,9,,\nbowl,Bowl,4,,\n"
    assert load(world, text) == ImportResult(3, 2, 0)
    assert parts(world, "set") == {"mug": 2, "bowl": 1, "tray": 1}
    assert load(world, text) == ImportResult(0, 0, 2)
    assert load(world, "set,Set,,kit,\n") == ImportResult(0, 0, 0)
    assert parts(world, "set") == {"mug": 2, "bowl": 1, "tray": 1}


def test_every_kit_that_cant_be_is_a_fault_with_its_line_and_nothing_is_written_57(world: World) -> None:
    world.kit("pair", {"mug": 2})
    text = (
        "a,A,,kit,\n"
        "b,B,,kit,gone x2\n"
        "c,C,,kit,pair\n"
        "d,D,,kit,c\n"
        "e,E,,kit,e\n"
        "f,F,,,mug\n"
        "g,G,,kit,mug x0\n"
        "pair,Pair,,kit,mug x3\n"
        "mug,Mug,,kit,bad\n"
        "bad,Bad,one,,\n"
        "h,H,,kit,bad\n"
    )
    assert faults(world, text) == [
        (2, "components", "empty_kit"), (3, "components", "unknown_component"), (4, "components", "kit_in_kit"),
        (5, "components", "kit_in_kit"), (6, "components", "kit_cycle"), (7, "components", "not_a_kit"),
        (8, "components", "too_small"), (9, "components", "other_components"), (10, "kind", "other_kind"),
        (11, "on_hand", "not_a_number"),
    ]  # fmt: skip
    with pytest.raises(InvalidInput):
        load(world, text)
    with world.session() as session:
        assert session.value("select count(*) from item where merchant_id = %(merchant_id)s") == 2


def test_two_rows_of_a_kit_say_the_same_of_its_components(world: World) -> None:
    text = "sku,name,location,kind,components\nmug,M,,,\nset,S,A,kit,mug\nset,S,B,kit,mug x2\n"
    with world.session() as session:
        plan = preview(session, text.encode())
    assert [(fault.line, fault.column, fault.reason) for fault in plan.faults] == [(4, "components", "differs")]


def test_a_kit_that_came_without_components_and_was_sold_gets_them_and_its_order_moves_to_them(street: Street) -> None:
    world = street.world
    world.move("mug", 10, OPENING, "50")
    with world.session() as session:
        world.items |= create_items(session, [NewItem("set", "Set", None, "kit")])
    shop = street.open_shopify({"mug": 10, "set": 0})
    street.settle()
    order = shop.place_order([("set", 2)])
    street.settle(8)
    assert world.available("mug") == 10
    load(world, "set,Set,,kit,mug x2\n")
    street.settle(8)
    assert shop.shown() == {"mug": 10, "set": 5}
    shop.fulfill(str(order))
    street.settle(60)
    assert (world.available("mug"), world.level("set")["on_hand"]) == (6, 0)
    assert shop.shown() == {"mug": 6, "set": 3}
    assert world.verify() == []


def test_other_components_of_a_kit_are_shown_to_channels_and_said_in_the_log(street: Street) -> None:
    world = street.world
    world.move("mug", 10, OPENING, "50")
    world.kit("set", {"mug": 2})
    shop = street.open_shopify({"mug": 10, "set": 0})
    street.settle()
    assert shop.shown()["set"] == 5
    change(world, "set", {"mug": 5})
    change(world, "set", {"mug": 5})
    street.settle()
    assert shop.shown()["set"] == 2
    with world.session() as session:
        (told,) = session.rows(
            """select before, after from audit_log where merchant_id = %(merchant_id)s and action = 'kit.changed'"""
        )
    assert (told.before, told.after) == ({"components": {"mug": 2}}, {"components": {"mug": 5}})


def test_a_kit_that_was_sold_keeps_the_components_that_its_orders_are_booked_by(street: Street) -> None:
    world = street.world
    world.move("mug", 10, OPENING, "50")
    world.kit("set", {"mug": 2})
    shop = street.open_shopify({"mug": 10, "set": 5})
    street.settle()
    shop.place_order([("set", 1)])
    street.settle(8)
    with pytest.raises(Conflict) as refused:
        change(world, "set", {"mug": 3})
    assert refused.value.reason == "kit_sold"
    change(world, "set", {"mug": 2})
    assert (parts(world, "set"), world.level("mug")["committed"]) == ({"mug": 2}, 2)


@pytest.mark.parametrize(("kit", "components", "reason"), [
    ("mug", {"bowl": 1}, "not_a_kit"), ("set", {}, "empty_kit"), ("set", {"set": 1}, "kit_cycle"),
    ("set", {"pair": 1}, "kit_in_kit"),
])  # fmt: skip
def test_a_change_of_a_kit_that_cant_be_is_refused_57(
    world: World, kit: str, components: dict[str, int], reason: str
) -> None:
    world.kit("set", {"mug": 2, "bowl": 1})
    world.kit("pair", {"mug": 2})
    with pytest.raises(InvalidInput) as refused:
        change(world, kit, components)
    assert (refused.value.reason, refused.value.where) == (reason, "components")
    assert parts(world, "set") == {"mug": 2, "bowl": 1}
