"""A channel that takes nothing but whole numbers: it is looked at before, read back after, and a sale that our number
replaced is told from an edit and put right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from sandbox.base import Request, Response
from sandbox.faults import NONE
from sandbox.shopify import PretendShopify
from sandbox.till import PretendTill
from tests.drifting import audit
from tests.street import Street

OPENING = "opening > available@A"


@pytest.fixture
def shopify(street: Street) -> PretendShopify:
    street.world.move("mug", 20, OPENING, "100")
    return street.open_shopify({"mug": 20})


@pytest.fixture
def till(street: Street, shopify: PretendShopify) -> PretendTill:
    till = street.open_till({"mug": 20})
    street.settle(3)
    return till


def before_each_write(monkeypatch: pytest.MonkeyPatch, till: PretendTill, happen: Callable[[], object]) -> None:
    """Something happens at the till after we looked and before our number comes."""
    handle = till.handle

    def watched(request: Request) -> Response:
        if request.method == "PUT" and request.path.endswith("/stock"):
            happen()
        return handle(request)

    monkeypatch.setattr(till, "handle", watched)


def down_until(monkeypatch: pytest.MonkeyPatch, street: Street, till: PretendTill, at: datetime, *, what: str) -> None:
    """Till then, calls for `orders`, or for the numbers of `products` that are named, are answered 503."""
    handle = till.handle

    def watched(request: Request) -> Response:
        asked = f"/{what}" in request.path and (what == "orders" or "ids" in dict(request.query))
        return Response(503, {}, b"") if asked and street.world.now < at else handle(request)

    monkeypatch.setattr(till, "handle", watched)


def told(street: Street) -> list[tuple[str, str]]:
    """(cause, state) of everything that a number was explained by."""
    with street.world.session() as session:
        rows = session.rows(
            "select cause, state from case_file where merchant_id = %(merchant_id)s and kind = 'drift' order by case_id"
        )
    return [(row.cause, row.state) for row in rows]


def test_what_others_sell_the_till_shows_and_what_it_sells_the_others(
    street: Street, shopify: PretendShopify, till: PretendTill
) -> None:
    shopify.place_order([("mug", 3)])
    street.settle()
    assert till.shown() == {"mug": 17}
    till.place_order([("mug", 2)])
    street.settle()
    assert shopify.shown() == till.shown() == {"mug": 15}
    street.world.move("mug", 5, "supplier > available@A", "25")
    street.settle()
    assert shopify.shown() == till.shown() == {"mug": 20}
    assert told(street) == []


@pytest.mark.parametrize("heard", [True, False], ids=["told", "only polled"])
def test_a_sale_that_our_number_replaced_is_found_and_put_right_and_is_no_edit(
    street: Street, shopify: PretendShopify, till: PretendTill, monkeypatch: pytest.MonkeyPatch, heard: bool
) -> None:
    sales = iter([4])
    before_each_write(monkeypatch, till, lambda: [till.place_order([("mug", n)]) for n in sales])
    street.heard = lambda posted: heard or "till" not in posted.url
    shopify.place_order([("mug", 1)])
    street.settle(120)
    assert shopify.shown() == till.shown() == {"mug": 15}
    assert street.world.available("mug") == 15
    assert ("overwritten", "explained") in told(street)
    assert not {"hand_edit", "shared_owner"} & {cause for cause, _ in told(street)}
    assert street.world.verify() == []


def test_a_cancellation_that_our_number_replaced_is_put_right_as_well(
    street: Street, shopify: PretendShopify, till: PretendTill, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = till.place_order([("mug", 4)])
    assert order is not None
    street.settle(60)
    orders = iter([order])
    before_each_write(monkeypatch, till, lambda: [till.cancel(one) for one in orders])
    shopify.place_order([("mug", 1)])
    street.settle(120)
    assert shopify.shown() == till.shown() == {"mug": 19}
    assert "hand_edit" not in {cause for cause, _ in told(street)}


def test_a_replaced_sale_that_is_read_long_after_the_number_was_read_back_is_put_right_as_well(
    street: Street, shopify: PretendShopify, till: PretendTill, monkeypatch: pytest.MonkeyPatch
) -> None:
    sales = iter([4])
    before_each_write(monkeypatch, till, lambda: [till.place_order([("mug", n)]) for n in sales])
    down_until(monkeypatch, street, till, street.world.now + timedelta(seconds=40), what="orders")
    street.heard = lambda posted: "till" not in posted.url
    shopify.place_order([("mug", 1)])
    street.settle(30)
    assert till.shown() == {"mug": 19}  # nobody knows of the sale yet
    street.settle(200, rounds_max=1_000)
    assert shopify.shown() == till.shown() == {"mug": 15}


def test_a_replaced_sale_that_is_read_after_its_number_was_confirmed_is_no_edit_seed_16(
    street: Street, shopify: PretendShopify, till: PretendTill, monkeypatch: pytest.MonkeyPatch
) -> None:
    sales = iter([4])
    before_each_write(monkeypatch, till, lambda: [till.place_order([("mug", n)]) for n in sales])
    down_until(monkeypatch, street, till, street.world.now + timedelta(seconds=150), what="orders")
    street.heard = lambda posted: "till" not in posted.url
    shopify.place_order([("mug", 1)])
    street.settle(90)
    with street.world.session() as session:  # long after the write its number is as believed: nobody knows of the sale
        owner = session.row(
            """update stock_owner o set look_since = %(now)s from channel c
               where o.merchant_id = %(merchant_id)s and c.merchant_id = o.merchant_id and c.channel_id = o.channel_id
                 and c.platform = 'till' returning o.owner_id""",
            now=session.now,
        )
    street.settle(10)
    with street.world.session() as session:
        confirmed = session.value(
            "select confirmed_at from stock_owner where merchant_id = %(merchant_id)s and owner_id = %(id)s",
            id=owner.owner_id,
        )
    assert confirmed > till.context.writes[0].at + timedelta(seconds=60)
    street.settle(300, rounds_max=2_000)
    assert shopify.shown() == till.shown() == {"mug": 15}
    assert {cause for cause, _ in told(street)} == {"overwritten"}


def test_a_replaced_sale_is_no_edit_although_its_number_was_as_believed_by_chance_seed_32(
    street: Street, shopify: PretendShopify, till: PretendTill, monkeypatch: pytest.MonkeyPatch
) -> None:
    sales = iter([4])
    before_each_write(monkeypatch, till, lambda: [till.place_order([("mug", n)]) for n in sales])
    shopify.place_order([("mug", 1)])
    written = street.world.now
    while not till.context.writes:
        street.settle(0.5)
    down_until(monkeypatch, street, till, street.world.now + timedelta(seconds=90), what="products")
    street.settle(80, rounds_max=2_000)  # the order is read, and then the number seems right for once
    with street.world.session() as session:
        session.run(
            """update stock_owner set confirmed_at = %(now)s
               where merchant_id = %(merchant_id)s and channel_id = %(till)s""",
            now=session.now, till=street.channel_of(till),
        )  # fmt: skip
    assert street.world.now - written > timedelta(seconds=60)
    street.settle(200, rounds_max=2_000)
    assert shopify.shown() == till.shown() == {"mug": 15}
    assert {cause for cause, _ in told(street)} == {"overwritten"}


def test_a_replaced_sale_is_no_edit_although_many_more_were_made_before_its_number_was_looked_at_seed_20(
    street: Street, shopify: PretendShopify, till: PretendTill, monkeypatch: pytest.MonkeyPatch
) -> None:
    street.world.move("mug", 300, "supplier > available@A", "1500")
    street.settle(60)
    sales = iter([4])
    before_each_write(monkeypatch, till, lambda: [till.place_order([("mug", n)]) for n in sales])
    shopify.place_order([("mug", 1)])
    before = len(till.context.writes)
    while len(till.context.writes) == before:
        street.settle(0.5)
    down_until(monkeypatch, street, till, street.world.now + timedelta(seconds=90), what="products")
    street.settle(45, rounds_max=2_000)
    for _ in range(120):
        till.place_order([("mug", 1)])
    street.settle(200, rounds_max=4_000)
    assert shopify.shown() == till.shown() == {"mug": 320 - 1 - 4 - 120}
    assert not {"hand_edit", "shared_owner"} & {cause for cause, _ in told(street)}


def test_a_lost_answer_is_read_back_before_anything_is_written_again(
    street: Street, shopify: PretendShopify, till: PretendTill
) -> None:
    till.context.faults = replace(NONE, timeout_after=1.0)
    shopify.place_order([("mug", 3)])
    street.settle(2)
    till.context.faults = NONE
    street.settle(90)
    assert till.shown() == {"mug": 17}
    assert [write.quantity for write in till.context.writes] == [17]
    assert {cause for cause, _ in told(street)} <= {"write_lost"}


def test_a_number_that_is_not_as_believed_is_not_written_over_before_the_orders_were_read(
    street: Street, shopify: PretendShopify, till: PretendTill
) -> None:
    street.heard = lambda posted: "till" not in posted.url
    till.place_order([("mug", 6)])  # nobody tells us
    shopify.place_order([("mug", 1)])
    street.settle(60)
    assert all(write.quantity <= 14 for write in till.context.writes)
    assert shopify.shown() == till.shown() == {"mug": 13}
    assert "hand_edit" not in {cause for cause, _ in told(street)}


def test_an_edit_by_hand_is_still_called_one(street: Street, till: PretendTill) -> None:
    with street.world.session() as session:
        session.run("update channel set drift_policy = 'ledger_wins' where merchant_id = %(merchant_id)s")
    till.set_stock_by_hand("mug", 50)
    street.world.move("mug", 1, "available@A > shrinkage")
    street.settle(120)
    assert till.shown() == {"mug": 19}
    assert ("hand_edit", "corrected") in told(street)


def test_one_product_whose_number_nobody_can_read_keeps_no_other_of_the_till_from_being_written(
    street: Street,
) -> None:
    street.world.move("mug", 20, OPENING, "100")
    street.world.move("bowl", 5, OPENING, "25")
    till = street.open_till({"mug": 20, "bowl": 5})
    street.settle(3)
    (odd,) = [product for product in till.products.values() if product.sku == "bowl"]
    odd.stock = "5"  # type: ignore[assignment]
    street.world.move("bowl", 1, "available@A > shrinkage")
    street.world.move("mug", 3, "available@A > shrinkage")
    street.live(120)
    assert till.shown() == {"mug": 17, "bowl": "5"}
    odd.stock = 5
    audit(street)
    street.settle(60)
    assert till.shown() == {"mug": 17, "bowl": 4}
