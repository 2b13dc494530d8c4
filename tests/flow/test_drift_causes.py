"""Each cause of a number that nobody expected, what is asked about, and the life of a case."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.core.errors import Conflict
from app.listings.belief import ask_to_look
from app.listings.cases import close_managed, dismiss, list_cases, open_cases
from app.listings.channels import set_drift_policy
from app.publishing.decisions import decide
from app.publishing.push import push
from connectors.base import StockKey, StockReading
from sandbox.base import Delivery
from sandbox.faults import NONE
from sandbox.woocommerce import WooShop
from tests.drifting import (
    OPENING,
    PLATFORMS,
    Shop,
    adjustments,
    audit,
    cases,
    causes,
    edit,
    numbers,
    open_shops,
)
from tests.street import Street


@PLATFORMS
def test_a_second_edit_while_a_person_is_asked_adds_to_the_same_case(street: Street, platform: str) -> None:
    shop, other = open_shops(street, platform, "ask")
    edit(shop, 5)
    audit(street)
    edit(shop, -2)
    audit(street)
    (case,) = cases(street)
    assert (case.state, case.difference) == ("open", 3)
    with street.world.session() as session:
        decide(session, case.case_id, "channel", "Ada")
    street.settle(30)
    assert numbers(street, shop, other) == (23, 23, 23)


@PLATFORMS
def test_an_edit_that_is_taken_back_while_a_person_is_asked_asks_nobody_any_more(street: Street, platform: str) -> None:
    shop, other = open_shops(street, platform, "ask")
    edit(shop, 5)
    audit(street)
    edit(shop, -5)
    audit(street)
    assert causes(street) == [("put_back", "explained")]
    other.place_order([("mug", 1)])
    street.settle(60)
    assert numbers(street, shop, other) == (19, 19, 19)


@PLATFORMS
def test_an_order_that_is_read_afterwards_explains_the_case_that_was_open(street: Street, platform: str) -> None:
    shop, other = open_shops(street, platform, "ask")
    edit(shop, -3)  # the shop has sold three, and nobody can read the order yet
    audit(street)
    assert causes(street) == [("hand_edit", "open")]
    topics = ("X-Shopify-Topic", "X-WC-Webhook-Topic")
    street.heard = lambda posted: any("order" in posted.headers.get(topic, "") for topic in topics)
    edit(shop, 3)  # no delivery tells of a number: the order alone has it looked at
    shop.place_order([("mug", 3)])
    street.settle(90)
    assert causes(street) == [("order_read_later", "explained")]
    assert cases(street)[0].evidence["explained_by"]
    assert numbers(street, shop, other) == (17, 17, 17)


@PLATFORMS
def test_a_sale_whose_webhook_never_came_is_explained_by_the_poll_that_found_it(street: Street, platform: str) -> None:
    shop, other = open_shops(street, platform, "ask")
    street.heard = lambda posted: False
    with street.world.session() as session:  # the poll is not due before the audit has seen the number twice
        session.run(
            """update channel_poll set due_at = %(at)s where merchant_id = %(merchant_id)s
               and kind in ('orders', 'sweep', 'known')""",
            at=session.now + timedelta(hours=2),
        )
    shop.place_order([("mug", 3)])
    with street.world.session() as session:
        session.run(
            "update channel_poll set due_at = %(now)s where merchant_id = %(merchant_id)s and kind = 'stock'",
            now=session.now,
        )
    street.settle(60)
    assert causes(street) == [("webhook_lost", "explained")]
    assert numbers(street, shop, other) == (17, 17, 17)


@PLATFORMS
def test_an_order_in_flight_explains_itself(street: Street, platform: str) -> None:
    shop, other = open_shops(street, platform, "ask")
    late: list[tuple[Shop, Delivery]] = []

    def hold(posted: Delivery) -> bool:
        late.append((shop, posted))
        return False

    street.heard = hold
    shop.place_order([("mug", 3)])
    street.deliver()
    street.heard = lambda posted: True
    with street.world.session() as session:
        session.run(
            """update stock_owner set doubts = 1, look_since = %(at)s where merchant_id = %(merchant_id)s
               and channel_id = %(channel)s""",
            channel=street.channel_of(shop), at=session.now - timedelta(minutes=1),
        )  # fmt: skip
    street.worker.step()  # the number is read before the order
    for some, posted in late:
        street.hand_over(some, posted)
    street.settle(60)
    assert causes(street) == [("order_in_flight", "explained")]
    assert numbers(street, shop, other) == (17, 17, 17)


def test_a_write_whose_answer_was_lost_is_explained_when_its_number_is_seen(street: Street) -> None:
    shop, _ = open_shops(street, "woo", "ask")
    street.world.move("mug", 4, "available@A > shrinkage")
    shop.context.faults = replace(NONE, timeout_after=1.0)
    for lane in (0, 1):
        push(street.runtime, street.world.merchant_id, street.channel_of(shop), lane)
    shop.context.faults = NONE
    street.settle(90)
    assert causes(street) == [("write_lost", "explained")]
    assert shop.shown()["mug"] == 16


def test_a_refund_deleted_in_woocommerce_explains_the_units_that_somebody_took_off_again(street: Street) -> None:
    shop, other = open_shops(street, "woo", "channel_wins")
    assert isinstance(shop, WooShop)
    order = int(str(shop.place_order([("mug", 3)])))
    street.settle(70)
    (line,) = shop.line_ids(order)
    shop.refund(order, {line: 2}, restock=True)
    street.settle(70)
    assert numbers(street, shop, other) == (19, 19, 19)
    shop.delete_refund(order, shop.get_order(order).refunds[0].id)
    edit(shop, -2)
    audit(street)
    audit(street)
    assert ("refund_deleted", "explained") in causes(street)
    assert adjustments(street) == []
    assert numbers(street, shop, other) == (17, 17, 17)


@PLATFORMS
def test_a_product_that_the_shop_does_not_count_any_more_is_a_case_and_gets_no_number(
    street: Street, platform: str
) -> None:
    shop, other = open_shops(street, platform, "channel_wins")
    if isinstance(shop, WooShop):
        shop.delete_product("mug")
    else:
        shop.delete_variant("mug")
    audit(street)
    other.place_order([("mug", 1)])
    street.settle(60)
    (case,) = cases(street, "unmanaged")
    assert (case.cause, case.state) == ("unmanaged", "open")
    assert adjustments(street) == []
    assert street.world.available("mug") == 19
    with street.world.session() as session:
        session.run("update stock_owner set state = 'managed' where merchant_id = %(merchant_id)s")
        close_managed(session, street.channel_of(other))
        assert [found.kind for found in list_cases(session)] == ["unmanaged"]
        close_managed(session, street.channel_of(shop))
    assert [found.state for found in cases(street, "unmanaged")] == ["corrected"]


def test_a_person_dismisses_a_case_once(street: Street) -> None:
    shop = street.open_shopify({"mug": 1})
    with street.world.session() as session:
        open_cases(session, street.channel_of(shop), [("write_refused", "mug", "no", {})])
        (case,) = list_cases(session)
        dismiss(session, case.case_id, "Ada")
        with pytest.raises(Conflict):
            dismiss(session, case.case_id, "Ada")
        (over,) = list_cases(session, state=None)
    assert (over.state, over.decided_by, over.closed_at) == ("dismissed", "Ada", street.world.now)


def test_a_number_that_different_items_share_is_never_adjusted_but_asked_about(street: Street) -> None:
    shop, _ = open_shops(street, "woo", "channel_wins")
    bowl = street.world.item("bowl")
    with street.world.session() as session:
        session.run(
            """insert into listing (merchant_id, listing_id, channel_id, listing_key, stock_key, item_id, sku, title)
               select merchant_id, nextval('listing_seq'), channel_id, 'another', stock_key, %(item)s, 'bowl', 'Bowl'
               from listing where merchant_id = %(merchant_id)s and channel_id = %(channel)s""",
            item=bowl, channel=street.channel_of(shop),
        )  # fmt: skip
    edit(shop, 5)
    audit(street)
    assert causes(street) == [("shared_owner", "open")]
    assert cases(street)[0].evidence["asked_because"]
    assert (adjustments(street), street.cases()) == ([], ["drift"])


@PLATFORMS
def test_a_kit_is_asked_about_where_the_channel_wins(street: Street, platform: str) -> None:
    street.world.move("mug", 20, OPENING, "100")
    street.world.kit("set", {"mug": 2})
    shop: Shop = street.open_shopify({"set": 10}) if platform == "shopify" else street.open_woo({"set": 10})
    street.settle(10)
    with street.world.session() as session:
        set_drift_policy(session, street.channel_of(shop), "channel_wins")
    edit(shop, 3, "set")
    audit(street)
    (case,) = cases(street)
    assert (case.state, case.decision) == ("open", None)
    assert "kit" in case.evidence["asked_because"]
    with street.world.session() as session, pytest.raises(Conflict):
        decide(session, case.case_id, "channel", "Ada")
    with street.world.session() as session:
        decide(session, case.case_id, "ledger", "Ada")
    street.settle(30)
    assert (shop.shown()["set"], street.cases("corrected")) == (10, ["drift"])


@PLATFORMS
def test_an_observation_of_a_number_that_our_writes_made_it_pass_through_opens_no_look(
    street: Street, platform: str
) -> None:
    shop, _ = open_shops(street, platform, "ledger_wins")
    channel = street.channel_of(shop)
    for _ in range(2):
        street.world.move("mug", 2, "available@A > shrinkage")
        street.settle(5)
    assert shop.shown()["mug"] == 16

    def asked(quantity: int) -> bool:
        with street.world.session() as session:
            key = session.row(
                """select stock_key, location_key from stock_owner
                   where merchant_id = %(merchant_id)s and channel_id = %(c)s""",
                c=channel,
            )
            assert key is not None
            ask_to_look(session, channel, [StockReading(StockKey(*key), quantity)])
            row: Any = session.row(
                "select look_since from stock_owner where merchant_id = %(merchant_id)s and channel_id = %(c)s",
                c=channel,
            )
        return row.look_since is not None

    assert [asked(number) for number in (18, 16, 17)] == [False, False, True]
    audit(street)  # confirmed: what it went through before says nothing any more
    assert asked(18)


def test_two_fast_changes_that_both_tell_the_last_number_are_one_look_and_never_movements_of_their_own(
    street: Street,
) -> None:
    shop, other = open_shops(street, "shopify", "channel_wins")
    told: list[Delivery] = []
    street.heard = lambda posted: told.append(posted) is not None
    edit(shop, -3)
    edit(shop, -4)
    street.deliver()
    street.heard = lambda posted: True
    first, last = (one for one in told if one.headers["X-Shopify-Topic"] == "inventory_levels/update")
    for posted in (street.signed(shop, first, last.body), last):
        assert street.hand_over(shop, posted) == 200
    street.settle(90)
    (case,) = cases(street)
    assert (case.state, case.difference) == ("corrected", -7)
    assert numbers(street, shop, other) == (13, 13, 13)
