"""The pretend shop's traps are the real one's: webhooks, dates, pages, silly ways to write stock."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import orjson
import pytest

from sandbox.faults import Faults
from tests.unit.sandbox.woo import Bench

ALL = (
    "order.created",
    "order.updated",
    "order.deleted",
    "order.restored",
    "product.created",
    "product.updated",
    "product.deleted",
    "coupon.deleted",
    "action.woocommerce_delete_order",
    "action.woocommerce_delete_product",
    "action.woocommerce_delete_product_variation",
    "action.woocommerce_updated_product_stock",
)


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.shop.add_product("A", 10)
    return made


def topics(bench: Bench) -> list[str]:
    return [topic for topic, _ in bench.heard()]


# -- webhooks


def test_a_delivery_shows_the_state_when_it_is_sent_and_pending_ones_coalesce() -> None:
    bench = Bench(webhooks="cron")
    bench.shop.add_product("A", 10)
    bench.hear("order.updated")
    order = bench.shop.place_order([("A", 1)], "pending") or 0
    for status in ("processing", "completed", "cancelled"):
        bench.shop.set_status(order, status)
    bench.tick(70)
    (delivery,) = bench.deliveries()
    assert orjson.loads(delivery.body)["status"] == "cancelled"


def test_cron_delivers_about_a_minute_late() -> None:
    bench = Bench(webhooks="cron")
    bench.shop.add_product("A", 10)
    bench.hear("order.updated")
    bench.shop.place_order([("A", 1)])
    bench.tick(59)
    assert bench.heard() == []
    bench.tick(10)
    assert topics(bench) == ["order.updated"]


def test_cron_without_traffic_never_delivers() -> None:
    bench = Bench(webhooks="cron", needs_traffic=True)
    bench.shop.add_product("A", 10)
    bench.hear("order.updated")
    bench.shop.place_order([("A", 1)])
    bench.tick(3_600)
    assert bench.heard() == []
    bench.call("GET", "/wp-json/")
    assert topics(bench) == ["order.updated"]


def test_the_seventh_failure_in_a_row_disables_and_the_count_stays(bench: Bench) -> None:
    hook = bench.shop.add_hook("order.updated", "http://receiver.example/", "s")
    for _ in range(6):
        bench.shop.delivered(str(hook.id), 500)
    assert (hook.status, hook.failures) == ("active", 6)
    bench.shop.delivered(str(hook.id), None)
    assert (hook.status, hook.failures) == ("disabled", 6)
    bench.call("PUT", f"webhooks/{hook.id}", {"status": "active"})
    bench.shop.delivered(str(hook.id), 404)
    assert hook.status == "disabled"


def test_a_success_or_a_redirect_clears_the_count(bench: Bench) -> None:
    hook = bench.shop.add_hook("order.updated", "http://receiver.example/", "s")
    for status in (200, 204, 302):
        bench.shop.delivered(str(hook.id), 500)
        bench.shop.delivered(str(hook.id), status)
        assert hook.failures == 0


def test_what_happens_while_a_webhook_is_disabled_is_lost(bench: Bench) -> None:
    bench.hear("order.updated")
    (hook,) = bench.shop.hooks()
    hook.status = "disabled"
    bench.shop.place_order([("A", 1)])
    hook.status = "active"
    assert bench.heard() == []


def test_what_is_pending_when_a_webhook_is_disabled_is_lost_too() -> None:
    bench = Bench(webhooks="cron")
    bench.shop.add_product("A", 10)
    bench.hear("order.updated")
    bench.shop.place_order([("A", 1)])
    bench.shop.hooks()[0].status = "disabled"
    bench.tick(70)
    assert bench.heard() == []


def test_a_delivery_is_sent_once_and_never_again(bench: Bench) -> None:
    bench.hear("order.updated")
    bench.shop.place_order([("A", 1)])
    (delivery,) = bench.deliveries()
    bench.shop.delivered(delivery.hook_key, 500)
    bench.tick(3_600)
    assert bench.deliveries() == []


def test_the_delivery_id_is_shared_within_a_second(bench: Bench) -> None:
    bench.hear("order.updated")
    for _ in range(3):
        bench.shop.place_order([("A", 1)])
    first = {delivery.headers["X-WC-Webhook-Delivery-ID"] for delivery in bench.deliveries()}
    bench.tick(1)
    bench.shop.place_order([("A", 1)])
    second = {delivery.headers["X-WC-Webhook-Delivery-ID"] for delivery in bench.deliveries()}
    assert (len(first), len(second), first & second) == (1, 1, set())


def test_the_signature_uses_the_html_decoded_secret(bench: Bench) -> None:
    bench.shop.add_hook("order.updated", "http://receiver.example/", "x&amp;y")
    bench.shop.place_order([("A", 1)])
    delivery = bench.deliveries()[-1]
    expected = base64.b64encode(hmac.new(b"x&y", delivery.body, hashlib.sha256).digest()).decode()
    assert delivery.headers["X-WC-Webhook-Signature"] == expected


def test_faults_lose_double_and_delay_deliveries(bench: Bench) -> None:
    bench.hear("order.updated")
    (hook,) = bench.shop.hooks()
    bench.context.faults = Faults(lose=1.0)
    bench.shop.place_order([("A", 1)])
    assert (bench.deliveries(), hook.failures) == ([], 1)
    bench.context.faults = Faults(duplicate=1.0)
    bench.shop.place_order([("A", 1)])
    assert len(bench.deliveries()) == 2
    bench.context.faults = Faults(delay=1.0, delay_max_s=30.0)
    bench.shop.place_order([("A", 1)])
    assert bench.deliveries() == []
    bench.tick(30)
    assert len(bench.deliveries()) == 1


def test_an_object_that_is_gone_delivers_a_signed_error(bench: Bench) -> None:
    bench.hear("order.updated")
    bench.shop.delete(bench.shop.place_order([("A", 1)]) or 0)
    (delivery,) = bench.deliveries()
    assert orjson.loads(delivery.body)["code"] == "woocommerce_rest_shop_order_invalid_id"


def test_each_act_fires_the_topics_that_a_real_shop_fires(bench: Bench) -> None:
    bench.hear(*ALL)
    shop, product = bench.shop, bench.shop.product_id("A")
    order = shop.place_order([("A", 2)]) or 0
    sold = ["product.updated", "action.woocommerce_updated_product_stock"]
    assert topics(bench) == ["order.updated", "order.created", *sold]
    shop.refund(order, {shop.line_ids(order)[0]: 1}, restock=True)
    assert topics(bench) == [*sold, "order.updated"]
    shop.refund(order, {shop.line_ids(order)[0]: 1}, restock=False, amount="0")
    assert topics(bench) == ["order.updated"]
    shop.trash(order)
    assert topics(bench) == ["order.deleted"]
    shop.untrash(order)
    assert topics(bench) == ["order.restored"]
    shop.delete(order)
    assert topics(bench) == ["action.woocommerce_delete_order"]
    shop.set_stock_by_sql("A", 3)
    assert topics(bench) == []
    bench.call("PUT", f"products/{product}", {})
    assert topics(bench) == ["product.updated"]  # even an empty write echoes
    shop.trash_product("A")
    assert bench.heard() == [("product.deleted", product), ("coupon.deleted", product)]
    shop.delete_product("A")
    assert topics(bench) == ["action.woocommerce_delete_product"]


def test_the_stock_of_a_variation_speaks_for_itself_and_a_shared_one_for_its_parent(bench: Bench) -> None:
    bench.shop.add_variable("V", {"V-S": 5})
    bench.shop.add_variable("P", {"P-S": None}, stock=7)
    bench.hear("product.updated")
    bench.shop.place_order([("V-S", 1), ("P-S", 1)])
    expected = [bench.shop.product_id("V-S"), bench.shop.product_id("P")]
    assert bench.heard() == [("product.updated", item) for item in expected]


@pytest.mark.parametrize(
    ("topic", "status"), [("order.nonsense", 400), ("action.woocommerce_no_such_hook", 201), ("action.other", 400)]
)
def test_topics_are_checked_but_any_action_name_passes(bench: Bench, topic: str, status: int) -> None:
    body = {"topic": topic, "delivery_url": "http://receiver.example/"}
    assert bench.answer("POST", "webhooks", body).status == status


# -- dates and pages


@pytest.mark.parametrize(
    ("zone", "query", "found"),
    [
        ("America/New_York", "modified_after=2026-11-23T11:59:59&dates_are_gmt=true", True),
        ("America/New_York", "modified_after=2026-11-23T12:00:00&dates_are_gmt=true", False),
        ("Europe/Berlin", "modified_after=2026-11-23T11:59:59Z", True),
        ("Europe/Berlin", "modified_after=2026-11-23T11:59:59Z&dates_are_gmt=true", False),
        ("America/New_York", "modified_after=2026-11-23T13:00:00Z&dates_are_gmt=true", True),
        ("America/New_York", "modified_after=2026-11-23T06:59:59", True),
        ("Europe/Berlin", "modified_after=2026-11-23T11:59:59", True),
        ("Europe/Berlin", "modified_after=2026-11-23T13:00:00", False),
    ],
)
def test_dates_mean_what_they_meant_on_real_shops(zone: str, query: str, found: bool) -> None:
    bench = Bench(timezone=zone)
    bench.shop.add_product("A", 10)
    bench.shop.place_order([("A", 1)])
    assert bool(bench.call("GET", f"orders?{query}")) == found


def test_a_date_without_a_time_is_refused(bench: Bench) -> None:
    assert bench.answer("GET", "orders?modified_after=2026-11-23").status == 400


def test_past_the_last_page_the_total_is_nought(bench: Bench) -> None:
    bench.shop.place_order([("A", 1)])
    answer = bench.answer("GET", "orders?page=2")
    assert (answer.body, answer.headers["X-WP-Total"]) == (b"[]", "0")


@pytest.mark.parametrize(("version", "shown"), [("10.2.4", True), ("10.9.0", False)])
def test_any_hides_the_trash_and_since_10_9_checkout_drafts(version: str, shown: bool) -> None:
    bench = Bench(version=version)
    bench.shop.add_product("A", 10)
    draft = bench.shop.place_order([("A", 1)], "checkout-draft")
    trashed = bench.shop.place_order([("A", 1)])
    bench.shop.trash(trashed or 0)
    assert [order["id"] for order in bench.call("GET", "orders")] == ([draft] if shown else [])
    assert [order["id"] for order in bench.call("GET", "orders?status=trash")] == [trashed]
    assert trashed not in [order["id"] for order in bench.call("GET", "orders?status=any,trash")]
    assert bench.answer("GET", "orders?status=lab").status == 400


def test_a_shop_left_running_stays_small_and_windows_stay_right(bench: Bench) -> None:
    kept = bench.shop.place_order([("A", 1)]) or 0
    for _ in range(3_000):
        bench.tick(1)
        bench.shop.set_status(kept, "on-hold")
        bench.shop.delete(bench.shop.place_order([("A", 1)]) or 0)
    state = bench.shop.state
    assert len(state.order_log) + len(state.product_log) < 2_200
    window = (bench.at.replace(tzinfo=None), "dates_are_gmt=true")
    assert bench.call("GET", f"orders?modified_after={window[0].isoformat()}&{window[1]}") == []
    bench.tick(1)
    bench.shop.set_status(kept, "processing")
    found = bench.call("GET", f"orders?modified_after={window[0].isoformat()}&{window[1]}")
    assert [order["id"] for order in found] == [kept]


# -- silly ways to write stock


def put(bench: Bench, body: object) -> Any:
    return bench.call("PUT", f"products/{bench.shop.product_id('A')}", body)


def test_null_sets_nought_and_a_delta_beside_a_quantity_is_ignored(bench: Bench) -> None:
    assert put(bench, {"stock_quantity": 6, "inventory_delta": -1})["stock_quantity"] == 6
    assert put(bench, {"inventory_delta": -7})["stock_quantity"] == -1
    assert put(bench, {"stock_quantity": None})["stock_quantity"] == 0


def test_a_single_call_is_validated_and_a_batch_item_is_not(bench: Bench) -> None:
    assert put(bench, {"stock_quantity": "abc"})["code"] == "rest_invalid_param"
    body = {"update": [{"id": bench.shop.product_id("A"), "stock_quantity": "abc"}]}
    assert bench.call("POST", "products/batch", body)["update"][0]["stock_quantity"] == 0


def test_an_unmanaged_product_ignores_a_quantity_with_200(bench: Bench) -> None:
    bench.shop.add_product("U", None)
    answer = bench.answer("PUT", f"products/{bench.shop.product_id('U')}", {"stock_quantity": 5})
    told = orjson.loads(answer.body)
    assert (answer.status, told["manage_stock"], told["stock_quantity"]) == (200, False, None)


def test_switching_management_off_and_on_forgets_the_number(bench: Bench) -> None:
    bench.shop.state.product_of_sku("A").backorders = "yes"
    put(bench, {"manage_stock": False})
    told = put(bench, {"manage_stock": True})
    assert (told["stock_quantity"], told["backorders"]) == (0, "no")


def test_a_variation_is_not_written_as_a_product(bench: Bench) -> None:
    bench.shop.add_variable("V", {"V-S": 5})
    variation = bench.shop.product_id("V-S")
    assert bench.call("GET", f"products/{variation}")["type"] == "variation"
    answer = bench.answer("PUT", f"products/{variation}", {"stock_quantity": 1})
    assert (answer.status, orjson.loads(answer.body)["code"]) == (404, "woocommerce_rest_invalid_product_id")
    assert bench.call("GET", f"products?include={variation}") == []
    assert bench.answer("GET", "products?type=variation").status == 400


def test_the_stock_of_a_variation_bumps_its_parent_s_date(bench: Bench) -> None:
    bench.shop.add_variable("V", {"V-S": 5})
    bench.tick(60)
    bench.shop.place_order([("V-S", 1)])
    found = bench.call("GET", "products?modified_after=2026-11-23T12:00:30&dates_are_gmt=true")
    assert [product["sku"] for product in found] == ["V"]
