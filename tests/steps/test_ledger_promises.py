"""The promises of the ledger (docs/ledger.md), each broken once on purpose while it was written. What there was as of a
day, and closing months: test_ledger_as_of.py; the age of the ledger: test_ledger_known_faults.py; the same fact again:
test_ledger_keys.py."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError

from app.core.db import ConstraintViolated, Session
from app.core.embedded import OWNER_ROLE, Embedded
from app.core.errors import InvalidInput, NotFound
from app.ledger import period
from app.ledger.adjust import adjust
from app.ledger.models import Account, Adjustment, InsufficientStock, ReturnExceedsIssue
from app.ledger.rebuild import rebuild
from tests.street import Street
from tests.world import World

BUY = "supplier > available@A"
PLACE = "available@A > committed@A"
SHIP = "committed@A > customer"
SELL = "available@A > customer"
RETURN = "customer > available@A"
STATES_AT_B = (("available", "1"), ("committed", "0"), ("damaged", "0"), ("quarantined", "0"), ("in_transit", "1"))
BY_BOTH_METHODS = pytest.mark.parametrize("cost_method", ["fifo", "average"], indirect=True)


def trade(world: World) -> None:
    world.move("mug", 10, BUY, "100")
    world.move("mug", 4, PLACE)
    world.move("mug", 3, SHIP)
    world.move("mug", 1, "available@A > damaged@A")
    world.move("mug", 2, "available@A > in_transit@B")
    world.move("mug", 5, BUY, "60")
    world.move("mug", 1, "in_transit@B > available@B")


def test_every_level_is_the_sum_of_its_movements(world: World) -> None:
    trade(world)
    assert world.level("mug", "A") == {
        "available": 8, "committed": 1, "damaged": 1, "quarantined": 0, "in_transit": 0, "on_hand": 10,
    }  # fmt: skip
    assert world.level("mug", "B")["in_transit"] == 1
    assert world.level("mug", "B")["on_hand"] == 1
    assert world.verify() == []


def test_a_level_changed_behind_the_ledgers_back_is_found_and_rebuilt(world: World) -> None:
    trade(world)
    with world.session() as session:
        session.run("update level set available = available + 1 where merchant_id = %(merchant_id)s")
        session.run("delete from level where merchant_id = %(merchant_id)s and location_id = %(b)s", b=world.b)
        session.run("update item_cost set value = value + 1 where merchant_id = %(merchant_id)s")
        session.run("update cost_layer set value = value + 2 where merchant_id = %(merchant_id)s and value = 60")
    assert {f.check for f in world.verify()} >= {"level_is_not_the_sum_of_its_movements"}
    with world.session() as session:
        rebuilt = rebuild(session)
        assert rebuild(session).differences == []
    assert world.verify() == []
    assert world.available("mug") == 8
    told = [(d.place, d.what.partition(" ")[0], d.stored, d.right) for d in rebuilt.differences]
    assert told == [
        ("A", "available", "9", "8"), *(("B", state, "none", right) for state, right in STATES_AT_B),
        ("", "value", "131.0000", "130.0000"), ("", "layer", "62.0000 for 5", "60.0000 for 5"),
    ]  # fmt: skip
    assert (rebuilt.items, rebuilt.wrong) == (1, len(told))


@pytest.mark.parametrize(("broken", "shown"), [
    ("update level set available = available - 1 where merchant_id = %(merchant_id)s", 9),
    ("delete from level where merchant_id = %(merchant_id)s", 0),
])  # fmt: skip
def test_a_level_that_a_rebuild_corrects_is_shown_to_channels_again(street: Street, broken: str, shown: int) -> None:
    street.world.move("mug", 10, "opening > available@A", "50")
    shop = street.open_shopify({"mug": 10})
    street.settle()
    with street.world.session() as session:
        session.run(broken)
        session.run("update stock_owner set buffer = 1 - buffer where merchant_id = %(merchant_id)s")  # it is due
        session.run("update stock_owner set buffer = 1 - buffer where merchant_id = %(merchant_id)s")
    street.settle()
    assert shop.shown()["mug"] == shown
    with street.world.session() as session:
        assert rebuild(session).differences[0].what == "available"
    street.settle()
    assert shop.shown()["mug"] == 10


@pytest.mark.parametrize("sql", [
    "update movement set quantity = 1", "delete from movement", "truncate movement",
    "update journal set amount = 0", "delete from journal", "truncate cost_adjustment",
    "update movement_purchase set rate = 1", "delete from movement_purchase",
])  # fmt: skip
def test_a_movement_is_never_changed_or_deleted_row_58(world: World, sql: str) -> None:
    trade(world)
    with pytest.raises((DBAPIError, ConstraintViolated)), world.session() as session:
        session.run(sql)


@pytest.mark.parametrize(
    "sql", ["update movement set quantity = 1", "delete from journal", "truncate movement cascade"]
)
def test_not_even_the_owner_of_the_tables_changes_history_row_58(server: Embedded, world: World, sql: str) -> None:
    trade(world)
    engine = create_engine(server.url(OWNER_ROLE))
    with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
        connection.exec_driver_sql(sql)
    engine.dispose()


def test_a_mistake_is_mended_by_a_movement_that_names_the_one_it_reverses(world: World) -> None:
    world.move("mug", 5, BUY, "50")
    sale = world.move("mug", 2, SELL)
    world.move("mug", 2, RETURN, reverses_movement_id=sale)
    assert world.worth("mug") == (5, Decimal(50))
    assert world.balance("cost_of_goods_sold") == 0


def test_a_posting_takes_a_constant_number_of_statements_whatever_the_batch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, bound = [], Session.bound
    for size in (2, 40):
        items = [world.item(f"item {n}") for n in range(size)]
        assert items
        world.post(*(world.movement(f"item {n}", 9, BUY, "9") for n in range(size)))
        batch = [world.movement(f"item {n}", 1, path) for n in range(size) for path in (PLACE, SHIP)]
        seen = 0

        def count(session: Session, params: Any) -> Any:
            nonlocal seen
            seen += 1
            return bound(session, params)

        monkeypatch.setattr(Session, "bound", count)
        world.post(*batch)
        monkeypatch.undo()
        counts.append(seen)
    assert counts[0] == counts[1] <= 16


@BY_BOTH_METHODS
def test_value_is_exactly_nothing_when_nothing_is_left(world: World) -> None:
    world.move("mug", 3, BUY, "10")
    for _ in range(3):
        world.move("mug", 1, SELL)
    assert world.worth("mug") == (0, Decimal(0))
    assert world.balance("cost_of_goods_sold") == 10


def test_cogs_is_booked_with_the_sale_by_the_oldest_layers(world: World) -> None:
    world.move("mug", 2, BUY, "20")
    world.move("mug", 2, BUY, "30")
    world.move("mug", 3, SELL)
    assert world.balance("cost_of_goods_sold") == 35
    assert world.worth("mug") == (1, Decimal(15))


@pytest.mark.parametrize("cost_method", ["average"], indirect=True)
def test_average_cost_moves_with_every_receipt(world: World) -> None:
    world.move("mug", 2, BUY, "20")
    world.move("mug", 2, BUY, "30")
    world.move("mug", 1, SELL)
    assert world.balance("cost_of_goods_sold") == Decimal("12.5")
    assert world.worth("mug") == (3, Decimal("37.5"))


@BY_BOTH_METHODS
def test_a_return_comes_back_at_the_cost_of_the_sale_it_names(world: World) -> None:
    world.move("mug", 3, BUY, "10")
    sale = world.move("mug", 3, SELL)
    world.move("mug", 5, BUY, "500")
    for _ in range(3):
        world.move("mug", 1, RETURN, reverses_movement_id=sale)
    assert world.balance("cost_of_goods_sold") == 0
    assert world.worth("mug") == (8, Decimal(510))


def test_a_return_of_more_than_was_sold_is_refused(world: World) -> None:
    world.move("mug", 3, BUY, "10")
    sale = world.move("mug", 2, SELL)
    world.move("mug", 1, RETURN, reverses_movement_id=sale)
    with pytest.raises(ReturnExceedsIssue):
        world.move("mug", 2, RETURN, reverses_movement_id=sale)
    assert world.available("mug") == 2


def test_a_sale_and_its_return_in_one_batch_cancel_out(world: World) -> None:
    world.move("mug", 3, BUY, "10")
    sale = world.movement("mug", 2, SELL, source_key="sale")
    back = world.movement("mug", 2, RETURN, reverses_key="sale")
    world.post(sale, back)
    assert world.balance("cost_of_goods_sold") == 0
    assert world.worth("mug") == (3, Decimal(10))


def test_what_is_sold_before_it_is_received_gets_its_real_cost_with_the_receipt(world: World) -> None:
    world.move("mug", 1, BUY, "10")
    world.move("mug", 3, SELL)
    assert world.worth("mug") == (-2, Decimal(-20))
    assert world.balance("cost_of_goods_sold") == 30
    world.move("mug", 5, BUY, "60")
    assert world.balance("cost_of_goods_sold") == 34
    assert world.worth("mug") == (3, Decimal(36))
    assert world.verify() == []


def test_a_return_closes_its_own_shortage_first(world: World) -> None:
    world.move("mug", 2, BUY, "20")
    sale = world.move("mug", 3, SELL)
    world.move("mug", 1, RETURN, reverses_movement_id=sale)
    assert world.worth("mug") == (0, Decimal(0))
    assert world.balance("cost_of_goods_sold") == 20
    world.move("mug", 2, RETURN, reverses_movement_id=sale)
    assert world.worth("mug") == (2, Decimal(20))
    assert world.balance("cost_of_goods_sold") == 0


def test_a_late_bill_is_split_between_what_is_left_and_what_was_sold(world: World) -> None:
    receipt = world.move("mug", 10, BUY, "100")
    world.move("mug", 4, SELL)
    bill = Adjustment(receipt, Decimal(10), Account.LANDED_COST, "bill", "1", world.now)
    with world.session() as session:
        assert adjust(session, [bill]) == 1
    with world.session() as session:
        assert adjust(session, [bill]) == 0
    assert world.worth("mug") == (6, Decimal(66))
    assert world.balance("cost_of_goods_sold") == 44
    assert world.balance("landed_cost_clearing") == -10
    assert world.verify() == []


def test_a_closed_month_never_changes_and_what_comes_late_lands_on_the_first_open_day(world: World) -> None:
    world.move("mug", 10, BUY, "100", occurred_at=datetime.fromisoformat("2026-10-05T10:00:00+00:00"))
    with world.session() as session:
        assert period.close(session, date(2026, 10, 1)) == (Decimal(100), Decimal(0))
    world.move("mug", 2, SELL, occurred_at=datetime.fromisoformat("2026-10-30T10:00:00+00:00"))
    with world.session() as session:
        row = session.row(
            "select occurred_at, posted_on from movement where merchant_id = %(merchant_id)s and to_state = 'customer'"
        )
        assert row is not None
        assert (row.occurred_at.month, row.posted_on) == (10, date(2026, 11, 1))
        with pytest.raises(period.PeriodClosed):
            period.close(session, date(2026, 10, 1))


def test_the_accounting_day_is_the_merchants_local_day(world: World) -> None:
    with world.session() as session:
        session.run("update merchant set time_zone = 'Pacific/Auckland' where merchant_id = %(merchant_id)s")
    world.move("mug", 1, BUY, "1", occurred_at=datetime.fromisoformat("2026-11-20T23:30:00+00:00"))
    with world.session() as session:
        assert session.value("select posted_on from movement where merchant_id = %(merchant_id)s") == date(2026, 11, 21)


def test_parts_of_a_value_add_up_to_the_whole(world: World) -> None:
    world.move("mug", 7, BUY, "0.0010")
    for _ in range(7):
        world.move("mug", 1, SELL)
    assert world.balance("cost_of_goods_sold") == Decimal("0.0010")


def test_stock_found_at_a_count_is_worth_what_it_costs_now_and_is_marked(world: World) -> None:
    world.move("mug", 2, BUY, "20")
    world.move("mug", 1, "shrinkage > available@A")
    assert world.worth("mug") == (3, Decimal(30))
    assert world.balance("shrinkage") == -10
    with world.session() as session:
        assert session.value("select count(*) from journal where merchant_id = %(merchant_id)s and provisional") == 1


def test_an_assembly_carries_the_cost_of_its_components(world: World) -> None:
    world.move("cup", 4, BUY, "8")
    world.move("box", 2, BUY, "3")
    world.post(
        world.movement("cup", 4, "available@A > assembly", assembly="set"),
        world.movement("box", 2, "available@A > assembly", assembly="set"),
        world.movement("gift set", 2, "assembly > available@A", assembly="set"),
    )
    assert world.worth("gift set") == (2, Decimal(11))
    assert world.balance("assembly_clearing") == 0
    with pytest.raises(InvalidInput):
        world.move("gift set", 1, "available@A > assembly", assembly="half")


def test_writing_off_damaged_goods_is_not_shrinkage(world: World) -> None:
    world.move("mug", 2, BUY, "20")
    world.move("mug", 1, "available@A > damaged@A")
    world.move("mug", 1, "damaged@A > shrinkage")
    assert world.balance("write_off") == 10
    assert world.balance("shrinkage") == 0


def test_a_movement_by_hand_can_be_forbidden_to_make_stock_negative_row_51(world: World) -> None:
    world.move("mug", 2, BUY, "20")
    with pytest.raises(InsufficientStock) as refused:
        world.post(world.movement("mug", 3, SELL), forbid_negative=True)
    assert refused.value.available == 2
    assert world.available("mug") == 2
    world.move("mug", 3, SELL)
    assert world.available("mug") == -1


def test_an_unknown_item_or_place_is_named_and_nothing_is_written(world: World, other: World) -> None:
    foreign = other.item("mug")
    movement = world.movement("mug", 1, BUY, "1")
    with pytest.raises(NotFound):
        world.post(type(movement)(**{**{s: getattr(movement, s) for s in movement.__slots__}, "item_id": foreign}))
    with pytest.raises(NotFound):
        world.post(
            type(movement)(**{**{s: getattr(movement, s) for s in movement.__slots__}, "to_location_id": other.a})
        )
    assert world.available("mug") == 0


@pytest.mark.parametrize(("field", "value"), [
    ("quantity", 0), ("quantity", -1), ("quantity", 10**13), ("value", Decimal("-1")), ("value", Decimal("NaN")),
    ("value", Decimal("0.00001")), ("occurred_at", datetime.fromisoformat("2026-01-01")), ("to_location_id", None),
])  # fmt: skip
def test_what_can_not_be_a_movement_is_refused_by_its_field(world: World, field: str, value: object) -> None:
    movement = world.movement("mug", 1, BUY, "1")
    with pytest.raises(InvalidInput) as refused:
        world.post(type(movement)(**{**{s: getattr(movement, s) for s in movement.__slots__}, field: value}))
    assert refused.value.where == field


def test_a_rebuild_finds_the_same_books(world: World) -> None:
    trade(world)
    sale = world.move("mug", 20, SELL)
    world.move("mug", 3, RETURN, reverses_movement_id=sale)
    receipt = world.move("mug", 30, BUY, "333.3333")
    with world.session() as session:
        adjust(session, [Adjustment(receipt, Decimal("7.77"), Account.GOODS_RECEIVED, "bill", "1", world.now)])
    query = """select item_id, kind, quantity, value from cost_layer where merchant_id = %(merchant_id)s and is_open
               order by 1, layer_id"""
    with world.session() as session:
        before = session.rows(query), session.rows("select * from item_cost where merchant_id = %(merchant_id)s")
        rebuild(session)
        assert (
            session.rows(query),
            session.rows("select * from item_cost where merchant_id = %(merchant_id)s"),
        ) == before
    assert world.verify() == []
