"""Answers that never came: what is sent again is the same again."""

from __future__ import annotations

from dataclasses import replace

from app.publishing.push import push
from sandbox.faults import NONE
from tests.street import Street

OPENING = "opening > available@A"


def test_a_write_whose_answer_was_lost_is_repeated_to_the_letter_under_its_key(street: Street) -> None:
    for sku in ("mug", "bowl"):
        street.world.move(sku, 10, OPENING, "50")
    shopify = street.open_shopify({"mug": 10, "bowl": 10})
    street.settle()
    for sku in ("bowl", "mug"):  # due in another order than the owners' ids
        street.world.move(sku, 1, "available@A > shrinkage")
    shopify.context.faults = replace(NONE, timeout_after=1.0)
    push(street.runtime, street.world.merchant_id, street.channel_of(shopify))
    shopify.context.faults = NONE
    street.settle(10)
    with street.world.session() as session:
        errors = session.rows(
            "select error from push_attempt where merchant_id = %(merchant_id)s and error is not null"
        )
    assert [row.error for row in errors] == []
    assert shopify.shown() == {"mug": 9, "bowl": 9}


def test_a_refused_write_whose_answer_was_lost_goes_out_again_at_once_under_a_new_key(street: Street) -> None:
    street.world.move("mug", 10, OPENING, "50")
    shopify = street.open_shopify({"mug": 10})
    street.settle()
    shopify.place_order([("mug", 1)])  # we have not heard of it: our write will conflict
    street.world.move("mug", 1, "available@A > shrinkage")
    shopify.context.faults = replace(NONE, timeout_after=1.0)
    push(street.runtime, street.world.merchant_id, street.channel_of(shopify))
    shopify.context.faults = NONE
    street.settle(10)
    assert shopify.shown() == {"mug": 8}


def test_an_order_whose_read_says_nothing_new_is_known_to_be_there_all_the_same(street: Street) -> None:
    street.world.move("mug", 10, OPENING, "50")
    shopify = street.open_shopify({"mug": 10}, places={"A": street.world.a, "B": street.world.b})
    woo = street.open_woo({"mug": 10})
    street.settle()
    order = shopify.place_order([("mug", 1)])
    assert order is not None
    street.settle(2)
    shopify.refund(order, {"mug": 1}, "CANCEL")  # now the webhook, which says no place, and the read say the same
    street.settle(10)
    woo.place_order([("mug", 4)])
    street.settle(10)
    assert (shopify.shown()["mug"], woo.shown()["mug"]) == (6, 6)
