"""An order that can't be understood may be what took units from a number: what it sold is not put on sale again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import orjson
import pytest

from app.inbox.rings import AGAIN_S, ring_unreadable
from app.publishing.decisions import decide
from sandbox.base import Request, Response
from sandbox.woocommerce import WooShop
from tests.drifting import PLATFORMS, Shop, adjustments, audit, cases, causes, edit, numbers, open_shops
from tests.street import Street

SPOILT = (b'"quantity":3', b'"quantity":"3"')  # text where a number belongs, wherever the shop says it


def spoil(monkeypatch: pytest.MonkeyPatch, street: Street, shop: Shop) -> None:
    """From now on the shop tells of three units in a way that nobody understands."""
    monkeypatch.setattr(shop, "handle", _spoiling(shop.handle))
    due = shop.due_deliveries

    def spoilt() -> list[object]:
        told = [replace(posted, body=posted.body.replace(*SPOILT)) for posted in due()]
        return [street.signed(shop, posted, posted.body) for posted in told]

    monkeypatch.setattr(shop, "due_deliveries", spoilt)


def _spoiling(handle: Callable[[Request], Response]) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        found = handle(request)
        return replace(found, body=found.body.replace(*SPOILT).replace(b'"quantity": 3', b'"quantity": "3"'))

    return answer


@PLATFORMS
@pytest.mark.parametrize("policy", ["ledger_wins", "channel_wins"])
def test_what_an_order_sold_that_nobody_understands_is_not_put_on_sale_again_and_a_person_is_asked(
    street: Street, monkeypatch: pytest.MonkeyPatch, platform: str, policy: str
) -> None:
    shop, other = open_shops(street, platform, policy)
    spoil(monkeypatch, street, shop)
    order = shop.place_order([("mug", 3)])
    audit(street)
    assert street.parked()
    street.world.move("mug", 5, "supplier > available@A", "25")
    audit(street)
    assert shop.shown()["mug"] == 17  # 20 less 3, and nothing is added while nobody knows why
    assert causes(street) == [("order_unread", "open")]
    assert (cases(street)[0].difference, adjustments(street)) == (-3, [])
    assert cases(street)[0].evidence["orders_unread"]
    monkeypatch.undo()
    change(shop, order)
    audit(street)
    assert causes(street) == [("order_read_later", "explained")]
    assert numbers(street, shop, other) == (22, 22, 22)


def change(shop: Shop, order: object) -> None:
    """The order is told of once more."""
    if isinstance(shop, WooShop):
        shop.set_status(int(str(order)), "completed")
    else:
        shop.fulfill(str(order))


@PLATFORMS
def test_a_person_says_what_is_right_and_later_numbers_are_nobodys_doubt_any_more(
    street: Street, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    shop, other = open_shops(street, platform, "ledger_wins")
    spoil(monkeypatch, street, shop)
    shop.place_order([("mug", 3)])
    audit(street)
    (case,) = cases(street)
    with street.world.session() as session:
        decide(session, case.case_id, "channel", "Ada")
    audit(street)
    assert numbers(street, shop, other) == (17, 17, 17)
    edit(shop, 1)
    audit(street)
    assert causes(street) == [("order_unread", "corrected"), ("hand_edit", "corrected")]
    assert numbers(street, shop, other) == (17, 17, 17)


@PLATFORMS
def test_an_order_that_was_understood_later_makes_nobody_ask(
    street: Street, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    shop, other = open_shops(street, platform, "ledger_wins")
    spoil(monkeypatch, street, shop)
    order = shop.place_order([("mug", 3)])
    street.settle(1)
    monkeypatch.undo()
    change(shop, order)
    street.settle(40)
    assert street.parked() == []  # what is booked now says all of it
    edit(shop, 2)
    audit(street)
    assert causes(street)[-1] == ("hand_edit", "corrected")
    assert numbers(street, shop, other) == (17, 17, 17)


@PLATFORMS
@pytest.mark.parametrize(("policy", "left"), [("ledger_wins", 17), ("channel_wins", 19)])
def test_a_number_that_waited_for_an_order_follows_the_policy_once_that_can_be_read(
    street: Street, monkeypatch: pytest.MonkeyPatch, platform: str, policy: str, left: int
) -> None:
    shop, other = open_shops(street, platform, policy)
    order = shop.place_order([("mug", 3)])
    street.settle(20)
    spoil(monkeypatch, street, shop)
    change(shop, order)
    edit(shop, 2)
    audit(street)
    assert causes(street) == [("order_unread", "open")]
    monkeypatch.undo()
    change(shop, order)
    for _ in range(3):
        audit(street)
    assert street.parked() == []
    assert causes(street) == [("hand_edit", "corrected")]
    assert numbers(street, shop, other) == (left, left, left)


@PLATFORMS
def test_what_could_not_be_read_of_an_order_that_is_read_as_it_is_known_keeps_nothing_waiting(
    street: Street, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    shop, other = open_shops(street, platform, "ledger_wins")
    shop.place_order([("mug", 3)])
    street.settle(40)
    with street.world.session() as session:
        session.run(
            """insert into inbox (merchant_id, received_on, inbox_id, channel_id, kind, origin, topic, resource,
                                  resource_key, body, observed_at, received_at, state, reason)
               select merchant_id, (%(now)s at time zone 'UTC')::date, nextval('inbox_seq'), channel_id, 'document',
                      'read', 'read', 'order', order_key, '{}', %(now)s, %(now)s, 'parked', 'not_a_list'
               from sales_order
               where merchant_id = %(merchant_id)s""",
            now=session.now,
        )
        rows = session.rows("select order_key from sales_order where merchant_id = %(merchant_id)s")
        ring_unreadable(session, street.channel_of(shop), [row.order_key for row in rows])
    assert street.parked() == ["not_a_list"]
    street.settle(AGAIN_S[0] + 5)  # it is read again, and there is nothing new in it
    assert street.parked() == []
    assert numbers(street, shop, other) == (17, 17, 17)


def _gaps(handle: Callable[[Request], Response], order: int) -> Callable[[Request], Response]:
    """A plugin filtered the refunds that this order names: PHP writes what is left as an object."""

    def answer(request: Request) -> Response:
        found = handle(request)
        if "/orders" not in request.path or request.path.endswith("/refunds"):
            return found
        told = orjson.loads(found.body)
        for body in told if isinstance(told, list) else [told]:
            if body.get("id") == order:
                body["refunds"] = {str(at): refund for at, refund in enumerate(body["refunds"], 1)}
        return replace(found, body=orjson.dumps(told))

    return answer


@pytest.mark.parametrize("heard", [True, False])
def test_one_order_whose_refunds_nobody_can_read_keeps_no_other_order_of_its_shop_from_being_booked(
    street: Street, monkeypatch: pytest.MonkeyPatch, heard: bool
) -> None:
    street.world.move("mug", 20, "opening > available@A", "100")
    shop = street.open_woo({"mug": 20})
    street.settle(10)
    street.heard = lambda posted: heard  # by its doorbells, or by the poll alone
    orders = [shop.place_order([("mug", 1)]) or 0 for _ in range(3)]
    monkeypatch.setattr(shop, "handle", _gaps(shop.handle, orders[1]))
    for order in orders:
        shop.refund(order, {shop.line_ids(order)[0]: 1}, restock=False)
    street.settle(60)
    assert set(street.parked()) == {"not_a_list"}
    with street.world.session() as session:
        rows = session.rows("select order_key from sales_order where merchant_id = %(merchant_id)s and complete")
        polls = session.rows(
            "select failures from channel_poll where merchant_id = %(merchant_id)s and kind in ('orders', 'sweep')"
        )
    assert {row.order_key for row in rows} >= {str(orders[0]), str(orders[2])}
    assert {row.failures for row in polls} == {0}
    monkeypatch.undo()
    change(shop, orders[1])
    street.settle(60)
    assert street.parked() == []
