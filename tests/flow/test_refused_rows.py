"""One number that a shop refuses, in whatever way, stands aside; the others go out."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from app.core.db import Row
from app.publishing.push import push
from connectors.shopify.errors import USER_ERRORS, Call
from connectors.shopify.errors import Row as RefusedRow
from connectors.shopify.stock import OF_THE_KEY
from sandbox.base import Request, Response
from sandbox.shopify import PretendShopify
from sandbox.shopify.api import introspection
from sandbox.shopify.stock import ROW_NAMED, UserError
from sandbox.woocommerce.problem import Problem
from tests.drifting import cases
from tests.street import Street
from tests.world import World

OPENING = "opening > available@A"
SKUS = [f"sku {number}" for number in range(40)]


@pytest.fixture
def shop(street: Street) -> PretendShopify:
    for sku in SKUS:
        street.world.move(sku, 10, OPENING, "50")
    shop = street.open_shopify(dict.fromkeys(SKUS, 10))
    street.settle(5)
    return shop


def change_all(street: Street, by: str = "available@A > shrinkage") -> None:
    street.world.post(*(street.world.movement(sku, 1, by) for sku in SKUS))


def refusals(street: Street) -> list[Row]:
    with street.world.session() as session:
        return list(session.rows(
            """select c.detail, o.state from case_file c join stock_owner o using (merchant_id)
               where merchant_id = %(merchant_id)s and c.kind = 'write_refused' and c.state = 'open'
                 and c.subject = o.stock_key || ' ' || o.location_key"""
        ))  # fmt: skip


@pytest.mark.parametrize(("code", "named"), [(None, True), (None, False), ("MAX_ONE_LEDGER_DOCUMENT", True)])
def test_a_row_that_is_refused_for_no_reason_that_we_know_stands_aside_and_the_others_are_written(
    street: Street, shop: PretendShopify, code: str | None, named: bool
) -> None:
    bad = SKUS[17]
    error = UserError(code, "The moon is full.", ROW_NAMED if named else ("input",))
    shop.inventory.refused[shop.variant(bad).item_id] = error
    change_all(street)
    street.settle(5 if named else 120, rounds_max=2_000)
    assert shop.shown() == {sku: 10 if sku == bad else 9 for sku in SKUS}
    (case,) = refusals(street)
    assert (case.state, "The moon is full." in case.detail) == ("refused", True)


@pytest.fixture
def few(world: World, tmp_path: Path) -> tuple[Street, PretendShopify]:
    """Three numbers, looked at every two minutes."""
    street = Street(world, tmp_path, sync={"audit_interval_s": 120})
    for sku in SKUS[:3]:
        world.move(sku, 10, OPENING, "50")
    shop = street.open_shopify(dict.fromkeys(SKUS[:3], 10))
    street.settle(5)
    return street, shop


def codes_of(mutation: str) -> list[str]:
    """What the schema says that Shopify may refuse it by. That an earlier attempt failed is about a key, and each new
    call has another."""
    types = {entry["name"]: entry for entry in introspection()["__schema"]["types"]}
    named = [value["name"] for value in types[f"{mutation}UserErrorCode"]["enumValues"]]
    return sorted(set(named) - {"IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"})


def codes_of_a_reduction() -> list[str]:
    """A conflict is none: it is not compared."""
    return [code for code in codes_of("InventoryAdjustQuantities") if USER_ERRORS[code] is not RefusedRow.CONFLICT]


@pytest.mark.parametrize("code", codes_of_a_reduction())
def test_whatever_code_refuses_a_number_the_others_are_written_and_it_is_too_when_the_shop_takes_it_again(
    few: tuple[Street, PretendShopify], code: str
) -> None:
    street, shop = few
    item, verdict = shop.variant(SKUS[1]).item_id, USER_ERRORS[code]
    shop.inventory.refused[item] = UserError(code, "The moon is full.", ROW_NAMED)
    street.world.post(*(street.world.movement(sku, 1, "available@A > shrinkage") for sku in SKUS[:3]))
    street.settle(90, rounds_max=2_000)
    shown = [shop.shown()[sku] for sku in SKUS[:3]]
    # What is said of the key is not of a row: the others of the lane may have to wait.
    busy = isinstance(verdict, Call) and verdict.reason in OF_THE_KEY
    assert shown[1] == 10
    assert busy or shown == [9, 10, 9]
    del shop.inventory.refused[item]
    street.settle(400, rounds_max=4_000)
    assert shop.shown() == dict.fromkeys(SKUS[:3], 9)
    assert street.world.verify() == []


@pytest.mark.parametrize("code", codes_of("InventorySetQuantities"))
def test_whatever_code_refuses_to_raise_a_number_the_others_are_and_it_is_too_when_the_shop_takes_it_again(
    few: tuple[Street, PretendShopify], code: str
) -> None:
    street, shop = few
    item, verdict = shop.variant(SKUS[1]).item_id, USER_ERRORS[code]
    shop.inventory.refused[item] = UserError(code, "The moon is full.", ROW_NAMED)
    street.world.post(*(street.world.movement(sku, 1, "supplier > available@A", "5") for sku in SKUS[:3]))
    street.settle(90, rounds_max=4_000)
    shown = [shop.shown()[sku] for sku in SKUS[:3]]
    busy = isinstance(verdict, Call) and verdict.reason in OF_THE_KEY
    assert shown[1] == 10
    assert busy or shown == [11, 10, 11]
    del shop.inventory.refused[item]
    street.settle(400, rounds_max=4_000)
    assert shop.shown() == dict.fromkeys(SKUS[:3], 11)
    assert street.cases() == []
    assert street.world.verify() == []


def test_a_row_that_is_sent_alone_and_named_stands_aside_and_a_whole_call_that_is_refused_does_not_set_it_aside(
    street: Street, shop: PretendShopify
) -> None:
    alone, whole = shop.variant(SKUS[0]).item_id, shop.variant(SKUS[1]).item_id
    shop.inventory.refused[alone] = UserError("MAX_ONE_LEDGER_DOCUMENT", "The moon is full.", ROW_NAMED)
    shop.inventory.refused[whole] = UserError("INVALID_REASON", "We know no reason.")
    for sku in SKUS[:2]:
        street.world.move(sku, 1, "available@A > shrinkage")
        street.live(30)
    (case,) = refusals(street)
    assert "The moon is full." in case.detail


def test_a_number_that_was_refused_is_written_when_the_shop_takes_it_again(
    street: Street, shop: PretendShopify
) -> None:
    item = shop.variant(SKUS[3]).item_id
    shop.inventory.refused[item] = UserError(None, "The moon is full.", ROW_NAMED)
    change_all(street)
    street.settle(5)
    del shop.inventory.refused[item]
    street.settle(street.settings.sync.audit_interval_s + 60, rounds_max=5_000)
    assert shop.shown() == dict.fromkeys(SKUS, 9)
    assert refusals(street) == []


def test_a_product_that_a_shop_never_says_yes_or_no_about_is_told_of_until_it_is_taken(street: Street) -> None:
    street.world.move("mug", 10, OPENING, "50")
    shop = street.open_woo({"mug": 10})
    street.settle(5)
    product = shop.state.by_sku["mug"]
    shop.state.refused[product] = (Problem(500, "plugin_moon", "The moon is full."), False)
    street.world.move("mug", 1, "available@A > shrinkage")
    street.live(30)
    assert cases(street, "write_refused") == []
    street.live(240)
    (case,) = cases(street, "write_refused")
    assert (case.state, "plugin_moon" in case.detail, shop.shown()["mug"]) == ("open", True, 10)
    del shop.state.refused[product]
    street.live(120)
    (case,) = cases(street, "write_refused")
    assert (case.state, shop.shown()["mug"]) == ("corrected", 9)


def test_a_shop_that_takes_no_call_of_many_rows_gets_calls_of_fewer(street: Street, shop: PretendShopify) -> None:
    handle, sizes = shop.handle, list[int]()

    def answer(request: Request) -> Response:
        if b"InventoryAdjust(" in request.body:
            sizes.append(len(json.loads(request.body)["variables"]["input"]["changes"]))
            if sizes[-1] > 12:
                return Response(413, {}, b"")
        return handle(request)

    shop.handle = answer  # type: ignore[method-assign]
    change_all(street)
    street.settle(200, rounds_max=2_000)
    assert shop.shown() == dict.fromkeys(SKUS, 9)
    assert sizes[:3] == [40, 25, 12]


def test_a_number_that_has_to_wait_keeps_no_other_from_being_sent_alone(street: Street, shop: PretendShopify) -> None:
    first, second = SKUS[:2]
    street.world.move(first, 1, "supplier > available@A", "5")
    street.world.move(second, 1, "available@A > shrinkage")
    with street.world.session() as session:
        session.run(
            """update stock_owner set observed_revision = belief_revision, observed = 7, conflicts = 5
               where merchant_id = %(merchant_id)s and item_id = %(item)s""",
            item=street.world.items[first],
        )
        session.run("update channel_poll set failures = 9 where merchant_id = %(merchant_id)s and kind = 'push'")
    push(street.runtime, street.world.merchant_id, street.channel_of(shop))
    assert (shop.shown()[first], shop.shown()[second]) == (10, 9)


@pytest.mark.parametrize(
    "waiting",
    ["observed_revision = belief_revision, observed = 7, conflicts = 5", "believed = null, look_since = now()"],
    ids=["contradicted", "never seen"],
)
def test_however_many_numbers_have_to_wait_what_need_not_is_written(world: World, tmp_path: Path, waiting: str) -> None:
    street = Street(world, tmp_path, sync={"push_batch_max": 3})
    for sku in SKUS[:6]:
        world.move(sku, 10, OPENING, "50")
    shop = street.open_shopify(dict.fromkeys(SKUS[:6], 10))
    street.settle(5)
    for sku in SKUS[:5]:
        world.move(sku, 1, "supplier > available@A", "5")
    world.move(SKUS[5], 1, "available@A > shrinkage")
    with world.session() as session:
        session.run(
            f"update stock_owner set {waiting} where merchant_id = %(merchant_id)s and item_id <> %(item)s",
            item=world.items[SKUS[5]],
        )
    for lane in range(2):
        push(street.runtime, world.merchant_id, street.channel_of(shop), lane)
    assert shop.shown()[SKUS[5]] == 9


def test_a_shop_that_goes_on_answering_what_nobody_can_read_has_its_numbers_read_back_and_the_others_written(
    street: Street, shop: PretendShopify
) -> None:
    handle, spoilt = shop.handle, shop.variant(SKUS[0]).item_id

    def answer(request: Request) -> Response:
        answer = handle(request)
        if b"InventoryAdjust(" in request.body and str(spoilt).encode() in request.body:
            return Response(200, {"Content-Type": "application/json"}, b'{"data": {"inventoryAdjustQuantities": null}}')
        return answer

    shop.handle = answer  # type: ignore[method-assign]
    street.world.move(SKUS[0], 1, "available@A > shrinkage")
    street.live(2)
    street.world.move(SKUS[1], 1, "available@A > shrinkage")
    street.world.now += timedelta(minutes=16)
    street.settle(120, rounds_max=2_000)
    assert shop.shown() == {sku: 9 if sku in SKUS[:2] else 10 for sku in SKUS}
    assert street.cases() == []
