"""The pretend Shopify keeps the real one's habits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import orjson
import pytest

from sandbox.base import Context, Request, Sale
from sandbox.faults import NONE
from sandbox.shopify import PretendShopify
from sandbox.shopify.cost import Bucket
from sandbox.shopify.shop import ACCESS_TOKEN
from sandbox.shopify.state import gid
from sandbox.shopify.webhooks import RETRIES_S

SET = """mutation S($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { changes { quantityAfterChange } } userErrors { code field }
  }
}"""
HOOK = "http://127.0.0.1:9/hook"


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 23, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shop(clock: Clock) -> PretendShopify:
    return PretendShopify(Context(clock, Random(1)))


def call(shop: PretendShopify, query: str, variables: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
    body = orjson.dumps({"query": query, "variables": variables or {}})
    sent = {"x-shopify-access-token": ACCESS_TOKEN, **headers}
    path = "/admin/api/2026-10/graphql.json"
    answer = shop.handle(Request("POST", path, (), sent, body, f"http://127.0.0.1{path}"))
    return {"status": answer.status, **orjson.loads(answer.body)}


def set_to(shop: PretendShopify, place: str, quantity: int, expected: int | None, key: str = "k") -> dict[str, Any]:
    item = gid("InventoryItem", shop.variant("SHIRT").item_id)
    row = {"inventoryItemId": item, "locationId": place, "quantity": quantity, "changeFromQuantity": expected}
    given = {"name": "available", "reason": "correction", "quantities": [row]}
    payload: dict[str, Any] = call(shop, SET, {"input": given, "key": key})["data"]["inventorySetQuantities"]
    return payload


def codes(payload: dict[str, Any]) -> list[str]:
    return [error["code"] for error in payload["userErrors"]]


def test_an_order_takes_its_units_off_the_shown_number_when_it_is_placed(shop: PretendShopify) -> None:
    shelf = shop.add_location("Shelf")
    shop.add_variant("SHIRT", {shelf: 5})
    order = shop.place_order([("SHIRT", 2)])
    assert order is not None
    shop.fulfill(order)
    assert shop.shown() == {"SHIRT": 3}
    assert shop.context.sales == [Sale(shop.context.now(), order, "SHIRT", 2, 3)]


def parcels(shop: PretendShopify) -> list[tuple[str, int]]:
    return [(parcel.sku, parcel.units) for parcel in shop.context.parcels]


def test_only_what_is_shipped_leaves_the_house_and_only_what_was_shipped_comes_back(shop: PretendShopify) -> None:
    shelf = shop.add_location("Shelf")
    shop.add_variant("SHIRT", {shelf: 9})
    shop.add_variant("VOUCHER", tracked=False)
    order = shop.place_order([("SHIRT", 5), ("VOUCHER", 1)])
    assert order is not None
    shop.refund(order, {"SHIRT": 1}, "CANCEL")
    shop.refund(order, {"SHIRT": 1}, "NO_RESTOCK")
    assert parcels(shop) == []
    shop.fulfill(order)
    assert parcels(shop) == [("SHIRT", 3)]
    shop.refund(order, {"SHIRT": 1}, "NO_RESTOCK")
    shop.refund(order, {"SHIRT": 1}, "RETURN")
    assert parcels(shop) == [("SHIRT", 3), ("SHIRT", -1)]


def test_a_shipment_that_was_cancelled_never_left(shop: PretendShopify) -> None:
    shelf = shop.add_location("Shelf")
    shop.add_variant("SHIRT", {shelf: 9})
    order = shop.place_order([("SHIRT", 2)])
    assert order is not None
    (sent,) = shop.fulfill(order)
    shop.cancel_fulfillment(order, sent)
    shop.fulfill(order)
    assert parcels(shop) == [("SHIRT", 2), ("SHIRT", -2), ("SHIRT", 2)]


def test_a_unit_that_a_return_brought_back_is_in_one_parcel_though_a_refund_names_it_too(shop: PretendShopify) -> None:
    shelf = shop.add_location("Shelf")
    shop.add_variant("SHIRT", {shelf: 9})
    order = shop.place_order([("SHIRT", 4)])
    assert order is not None
    shop.fulfill(order)
    returned = shop.open_return(order, {"SHIRT": 3})
    for type_ in ("RESTOCKED", "NOT_RESTOCKED", "MISSING"):
        shop.dispose(order, "SHIRT", 1, type_)
    shop.refund(order, {"SHIRT": 3}, "RETURN", of_return=returned)
    assert parcels(shop) == [("SHIRT", 4), ("SHIRT", -1), ("SHIRT", -1)]


def test_a_shop_that_may_not_sell_below_zero_refuses_the_order_whole(shop: PretendShopify) -> None:
    shelf = shop.add_location("Shelf")
    shop.add_variant("SHIRT", {shelf: 1})
    shop.add_variant("HAT", {shelf: 1})
    assert shop.place_order([("HAT", 1), ("SHIRT", 2)]) is None
    assert shop.shown() == {"SHIRT": 1, "HAT": 1}
    shop.sells_below_zero = True
    assert shop.place_order([("SHIRT", 2)])
    assert shop.shown()["SHIRT"] == -1


def test_an_order_is_routed_to_the_place_that_has_enough(shop: PretendShopify) -> None:
    shelf, annex = shop.add_location("Shelf"), shop.add_location("Annex")
    variant = shop.add_variant("SHIRT", {shelf: 1, annex: 5})
    shop.place_order([("SHIRT", 3)])
    assert [shop.inventory.available(variant.item_id, place) for place in shop.locations] == [1, 2]


@pytest.mark.parametrize(("kind", "shown"), [("CANCEL", 5), ("NO_RESTOCK", 3)])
def test_a_refund_before_shipping_puts_back_only_when_it_restocks(shop: PretendShopify, kind: str, shown: int) -> None:
    shelf = shop.add_location("Shelf")
    shop.add_variant("SHIRT", {shelf: 5})
    order = shop.place_order([("SHIRT", 2)])
    assert order is not None
    shop.refund(order, {"SHIRT": 2}, kind)
    assert shop.shown() == {"SHIRT": shown}


def test_a_compare_and_set_that_finds_another_number_changes_nothing(shop: PretendShopify) -> None:
    shelf = shop.add_location("Shelf")
    shop.add_variant("SHIRT", {shelf: 5})
    assert codes(set_to(shop, shelf, 9, expected=4)) == ["CHANGE_FROM_QUANTITY_STALE"]
    assert shop.shown() == {"SHIRT": 5}
    assert codes(set_to(shop, shelf, 9, expected=5, key="k2")) == []
    assert shop.shown() == {"SHIRT": 9}
    assert [write.quantity for write in shop.context.writes] == [9]


def test_an_idempotency_key_is_remembered_for_a_day(shop: PretendShopify, clock: Clock) -> None:
    shelf = shop.add_location("Shelf")
    shop.add_variant("SHIRT", {shelf: 5})
    first = set_to(shop, shelf, 9, expected=5)
    assert set_to(shop, shelf, 9, expected=5) == first
    assert codes(set_to(shop, shelf, 8, expected=5)) == ["IDEMPOTENCY_KEY_PARAMETER_MISMATCH"]
    clock.pass_(24 * 3_600)
    assert codes(set_to(shop, shelf, 9, expected=5)) == ["CHANGE_FROM_QUANTITY_STALE"]
    assert codes(set_to(shop, shelf, 9, expected=5)) == ["IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"]


def test_a_stock_mutation_without_an_idempotency_key_does_not_run(shop: PretendShopify) -> None:
    shelf = shop.add_location("Shelf")
    shop.add_variant("SHIRT", {shelf: 5})
    row = {"inventoryItemId": "gid://shopify/InventoryItem/1", "locationId": shelf, "quantity": 1}
    given = {"name": "available", "reason": "correction", "quantities": [{**row, "changeFromQuantity": None}]}
    bare = SET.replace("@idempotent(key: $key)", "").replace(", $key: String!", "")
    assert "idempotent" in call(shop, bare, {"input": given})["errors"][0]["message"]
    without_compare = {**given, "quantities": [row]}
    assert "changeFromQuantity" in call(shop, SET, {"input": without_compare, "key": "k"})["errors"][0]["message"]


def test_a_query_is_paid_from_a_bucket_that_refills_with_time(shop: PretendShopify, clock: Clock) -> None:
    shop.endpoint.bucket = Bucket(size=100, restored_per_s=10)
    page = "{ locations(first: 90) { nodes { id } } }"
    shop.add_location("Shelf")
    paid = call(shop, page)["extensions"]["cost"]
    assert (paid["requestedQueryCost"], paid["actualQueryCost"]) == (90, 1)
    shop.endpoint.bucket.take(60, clock())
    refused = call(shop, page)
    assert (refused["status"], refused["errors"][0]["extensions"]["code"]) == (200, "THROTTLED")
    assert refused["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"] == 39
    clock.pass_(5.1)
    assert "data" in call(shop, page)


def test_a_query_above_a_thousand_points_is_refused_before_it_runs(shop: PretendShopify) -> None:
    page = "{ orders(first: 100) { nodes { lineItems(first: 50) { nodes { id } } } } }"
    error = call(shop, page)["errors"][0]
    assert error["extensions"] == {"code": "MAX_COST_EXCEEDED", "cost": 5_100, "maxCost": 1_000}


def test_a_wrong_token_a_missing_scope_and_a_frozen_shop_are_told_apart(shop: PretendShopify) -> None:
    query = "{ orders(first: 1) { nodes { id } } }"
    assert call(shop, query, **{"x-shopify-access-token": "stolen"})["status"] == 401
    shop.endpoint.scopes.remove("read_orders")
    assert call(shop, query)["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    shop.refuses_with = 402
    assert call(shop, query)["status"] == 402


def test_a_delivery_that_is_not_answered_comes_again_eight_times_with_the_same_bytes(
    shop: PretendShopify, clock: Clock
) -> None:
    shop.add_variant("SHIRT", {shop.add_location("Shelf"): 5})
    shop.subscribe("ORDERS_CREATE", HOOK)
    shop.place_order([("SHIRT", 1)])
    (first,) = shop.due_deliveries()
    shop.delivered(first.hook_key, 500)
    for wait_s in RETRIES_S:
        assert shop.due_deliveries() == []
        clock.pass_(wait_s)
        (again,) = shop.due_deliveries()
        assert (again.body, again.headers) == (first.body, first.headers)
        shop.delivered(again.hook_key, None)
    clock.pass_(4 * 3_600)
    assert shop.due_deliveries() == []
    assert len(shop.webhooks.subscriptions) == 1  # the app's own configuration is never deleted


def test_a_subscription_made_through_the_api_dies_when_nobody_ever_answers(shop: PretendShopify, clock: Clock) -> None:
    shop.add_variant("SHIRT", {shop.add_location("Shelf"): 5})
    shop.subscribe("ORDERS_CREATE", HOOK, of_app=False)
    shop.place_order([("SHIRT", 1)])
    for wait_s in (*RETRIES_S, 0):
        (delivery,) = shop.due_deliveries()
        shop.delivered(delivery.hook_key, 503)
        clock.pass_(wait_s)
    assert shop.webhooks.subscriptions == []


def test_lost_doubled_and_late_deliveries_follow_the_dice(shop: PretendShopify, clock: Clock) -> None:
    shop.add_variant("SHIRT", {shop.add_location("Shelf"): 5})
    shop.subscribe("ORDERS_CREATE", HOOK)
    shop.context.faults = replace(NONE, lose=1.0)
    shop.place_order([("SHIRT", 1)])
    assert shop.due_deliveries() == []
    shop.context.faults = replace(NONE, duplicate=1.0)
    shop.place_order([("SHIRT", 1)])
    twice = shop.due_deliveries()
    assert [delivery.hook_key for delivery in twice] == [twice[0].hook_key] * 2
    shop.context.faults = replace(NONE, delay=1.0)
    shop.place_order([("SHIRT", 1)])
    assert shop.due_deliveries() == []
    clock.pass_(30)
    assert len(shop.due_deliveries()) == 1


def test_our_own_write_comes_back_as_a_level_update_that_names_nobody(shop: PretendShopify) -> None:
    shelf = shop.add_location("Shelf")
    shop.add_variant("SHIRT", {shelf: 5})
    shop.subscribe("INVENTORY_LEVELS_UPDATE", HOOK)
    set_to(shop, shelf, 4, expected=5)
    (echo,) = shop.due_deliveries()
    assert set(orjson.loads(echo.body)) == {
        "inventory_item_id", "location_id", "available", "updated_at", "admin_graphql_api_id",
    }  # fmt: skip


def test_a_set_where_the_item_is_not_stocked_succeeds_silently_and_sells_nothing(shop: PretendShopify) -> None:
    shelf, annex = shop.add_location("Shelf"), shop.add_location("Annex")
    shop.add_variant("SHIRT", {shelf: 5})
    assert codes(set_to(shop, annex, 9, expected=0)) == []
    assert shop.shown() == {"SHIRT": 5}
