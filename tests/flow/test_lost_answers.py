"""Answers that never came: what is sent again is the same again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from app.core.db import Row
from app.insight.diagnose import diagnose
from app.publishing.push import push
from sandbox.base import Request, Response
from sandbox.faults import NONE, Faults
from sandbox.shopify import PretendShopify
from sandbox.till import PretendTill
from sandbox.woocommerce import WooShop
from tests.street import Street

OPENING = "opening > available@A"
_JSON = {"Content-Type": "application/json"}


def with_error(answer: Response) -> Response:
    """The whole answer, and an error beside it: a part of what was asked may not be seen."""
    body = {**json.loads(answer.body), "errors": [{"message": "no", "extensions": {"code": "ACCESS_DENIED"}}]}
    return Response(200, _JSON, json.dumps(body).encode())


def unreadable(answer: Response) -> Response:
    return Response(200, _JSON, b'{"data": {"inventoryAdjustQuantities": null}}')


def of_another_code(answer: Response) -> Response:
    body = b'{"data": {"inventoryAdjustQuantities": null}, "errors": [{"extensions": {"code": "NEVER_HEARD_OF"}}]}'
    return Response(200, _JSON, body)


def change_answers(shop: PretendShopify, change: Callable[[Response], Response], times: int = 1) -> list[Request]:
    """Writes happen, and the next answers to them are others: to those that are listed."""
    handle, changed = shop.handle, list[Request]()

    def answer(request: Request) -> Response:
        answer = handle(request)
        if b"InventoryAdjust(" not in request.body or len(changed) == times:
            return answer
        changed.append(request)
        return change(answer)

    shop.handle = answer  # type: ignore[method-assign]
    return changed


def writes(street: Street) -> list[Row]:
    with street.world.session() as session:
        return list(session.rows(
            """select a.attempt_id, a.key, p.relative, p.target - p.expected as change, p.outcome
               from push_row p join push_attempt a using (merchant_id, attempt_id)
               where merchant_id = %(merchant_id)s order by a.attempt_id"""
        ))  # fmt: skip


@pytest.mark.parametrize("change", [with_error, unreadable, of_another_code])
def test_a_reduction_that_was_carried_out_goes_out_once_whatever_its_answer_says(
    street: Street, change: Callable[[Response], Response]
) -> None:
    for sku in ("mug", "bowl"):
        street.world.move(sku, 10, OPENING, "50")
    shopify = street.open_shopify({"mug": 10, "bowl": 10})
    street.settle()
    change_answers(shopify, change)
    street.world.move("mug", 1, "available@A > shrinkage")
    street.settle(10)
    street.world.move("bowl", 1, "available@A > shrinkage")
    street.settle(10)
    assert shopify.shown() == {"mug": 9, "bowl": 9}
    assert [row.outcome for row in writes(street)][-2:] == ["written", "written"]
    assert street.cases() == []


def test_a_write_that_stays_without_a_readable_answer_is_asked_about_more_and_more_rarely_and_shown(
    street: Street,
) -> None:
    street.world.move("mug", 10, OPENING, "50")
    shopify = street.open_shopify({"mug": 10})
    street.settle()
    asked = change_answers(shopify, unreadable, times=10_000)
    street.world.move("mug", 1, "available@A > shrinkage")
    for _ in range(700):
        push(street.runtime, street.world.merchant_id, street.channel_of(shopify))
        street.world.now += timedelta(seconds=1)
    assert 40 < len(asked) < 80
    with street.world.session() as session:
        assert "attempt_open" in str(diagnose(session))
    assert shopify.shown() == {"mug": 9}


@pytest.mark.parametrize("first", [replace(NONE, timeout_after=1.0), replace(NONE, timeout_before=1.0)])
def test_that_a_repeated_write_is_refused_says_nothing_of_the_first_one_seed_7(street: Street, first: Faults) -> None:
    street.world.move("mug", 10, OPENING, "50")
    shopify = street.open_shopify({"mug": 10})
    street.settle()
    street.world.move("mug", 1, "available@A > shrinkage")
    shopify.context.faults = first
    push(street.runtime, street.world.merchant_id, street.channel_of(shopify))
    shopify.context.faults = NONE
    handle = shopify.handle
    shopify.handle = lambda request: Response(423, {}, b"")  # type: ignore[method-assign]
    street.world.now += timedelta(seconds=30)
    push(street.runtime, street.world.merchant_id, street.channel_of(shopify))
    shopify.handle = handle  # type: ignore[method-assign]
    street.live(120)
    assert shopify.shown() == {"mug": 9}
    assert street.cases() == street.cases("corrected") == []


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


def test_a_conflict_whose_answer_was_lost_goes_out_again_with_the_order_in_it_under_a_new_key(street: Street) -> None:
    street.world.move("mug", 10, OPENING, "50")
    shopify = street.open_shopify({"mug": 10})
    street.settle()
    street.heard = lambda told: False
    shopify.place_order([("mug", 1)])  # nobody tells us of it
    street.world.move("mug", 5, "supplier > available@A", "50")
    shopify.context.faults = replace(NONE, timeout_after=1.0)
    push(street.runtime, street.world.merchant_id, street.channel_of(shopify))
    shopify.context.faults = NONE
    street.settle(10)
    told = [(row.change, row.outcome) for row in writes(street)]
    assert told[-2:] == [(5, "conflict"), (5, "written")]
    assert len({row.key for row in writes(street)}) == len(told)
    assert shopify.shown() == {"mug": 14}


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


def test_a_shop_that_refuses_is_tried_again_soon_and_then_more_and_more_rarely(street: Street) -> None:
    street.world.move("mug", 10, OPENING, "50")
    shopify = street.open_shopify({"mug": 10})
    street.settle()
    handle = shopify.handle
    shopify.handle = lambda request: Response(403, {}, b"")  # type: ignore[method-assign]
    street.world.move("mug", 1, "available@A > shrinkage")
    pauses = []
    for _ in range(5):
        push(street.runtime, street.world.merchant_id, street.channel_of(shopify))
        with street.world.session() as session:
            due = session.value("select due_at from channel_poll where merchant_id = %(merchant_id)s and kind = 'push'")
        pauses.append((due - street.world.now).total_seconds())
        street.world.now = due
    assert pauses == [2, 5, 15, 60, 60]
    shopify.handle = handle  # type: ignore[method-assign]
    street.settle(10)
    assert shopify.shown() == {"mug": 9}


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("says_when", [True, False])
@pytest.mark.parametrize(("open_shop", "writes_to"), [(Street.open_woo, "/batch"), (Street.open_till, "/stock")])
def test_a_busy_hosts_503_may_have_been_carried_out_and_is_read_back_unless_it_says_when_to_come_back(
    street: Street, open_shop: Callable[..., WooShop | PretendTill], writes_to: str, done: bool, says_when: bool
) -> None:
    street.world.move("mug", 10, OPENING, "50")
    shop = open_shop(street, {"mug": 10})
    street.settle(10)
    street.heard = lambda posted: False  # nothing tells that the number changed
    handle, died = shop.handle, list[Request]()

    def answer(request: Request) -> Response:
        if request.path.endswith(writes_to) and not died:
            died.append(request)
            if done and not says_when:
                handle(request)
            return Response(503, {"Retry-After": "1"} if says_when else {}, b"")
        return handle(request)

    shop.handle = answer  # type: ignore[method-assign]
    street.world.move("mug", 1, "available@A > shrinkage")
    push(street.runtime, street.world.merchant_id, street.channel_of(shop))
    shop.place_order([("mug", 2)])
    street.settle(60)
    assert died
    assert shop.shown() == {"mug": 7}
    assert street.cases() == street.cases("corrected") == []


@pytest.mark.parametrize("first", [replace(NONE, timeout_after=1.0), replace(NONE, timeout_before=1.0)])
def test_a_write_that_is_older_than_the_vendor_remembers_its_key_is_read_back_and_never_sent_again(
    street: Street, first: Faults
) -> None:
    street.world.move("mug", 10, OPENING, "50")
    shopify = street.open_shopify({"mug": 10})
    street.settle()
    street.world.move("mug", 1, "available@A > shrinkage")
    shopify.context.faults = first
    push(street.runtime, street.world.merchant_id, street.channel_of(shopify))
    shopify.context.faults = NONE
    (sent,) = writes(street)
    street.world.now += timedelta(hours=25)  # Shopify forgets a key after a day, and would do it again
    calls = len(street.adapters[street.channel_of(shopify)].calls)
    street.settle(60)
    asked = street.adapters[street.channel_of(shopify)].calls[calls:]
    assert [call for call in asked if sent.key.encode() in call.body] == []
    assert shopify.shown() == {"mug": 9}
    assert street.cases() == []
