"""The pretend shop's bodies, headers and errors have the fields and types of the recorded ones."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.unit.sandbox.woo import Bench
from tests.unit.woocommerce import recordings

# Left out on purpose: what WordPress puts there for people or browsers, and per-shop extras.
BESIDE = {"price_html", "related_ids", "meta_data", "targetHints", "attributes", "categories", "billing", "hooks"}


def shape(value: Any, path: str = "") -> dict[str, str]:
    """Path → JSON type, of objects and of the first element of lists."""
    found = {path: type(value).__name__}
    if isinstance(value, dict):
        for name, child in value.items():
            if name not in BESIDE:
                found.update(shape(child, f"{path}.{name}"))
    elif isinstance(value, list) and value:
        found.update(shape(value[0], f"{path}[]"))
    return found


def differences(real: Any, pretend: Any) -> dict[str, tuple[str | None, str | None]]:
    """Paths that only one has, or of another type; a null stands for any type, an empty list for any list."""
    left, right = shape(real), shape(pretend)
    found = {}
    for path in left.keys() | right.keys():
        pair = left.get(path), right.get(path)
        unknown = "NoneType" in pair or (None in pair and "[]" in path) or set(pair) == {"int", "float"}
        if pair[0] != pair[1] and not unknown:
            found[path] = pair
    return found


@pytest.fixture(params=recordings.VERSIONS)
def bench(request: pytest.FixtureRequest) -> Bench:
    made = Bench(version=request.param)
    made.shop.add_product("SIM-1", 10, cost="4.25")
    made.shop.add_variable("VAR-1", {"VAR-1-S": 5})
    made.shop.add_variable("VAR-2", {"VAR-2-S": None}, stock=7)
    return made


def recorded(bench: Bench, name: str) -> Any:
    return recordings.body(f"{bench.shop.options.version}/{name}")


def test_an_order_looks_like_a_recorded_one(bench: Bench) -> None:
    order = bench.shop.place_order([("SIM-1", 2), ("VAR-1-S", 1)])
    assert differences(recorded(bench, "order_processing"), bench.call("GET", f"orders/{order}")) == {}
    bench.shop.set_status(order or 0, "completed")
    real = recorded(bench, "hook_A3_processing_to_completed__00_order_updated")
    assert differences(real, bench.call("GET", f"orders/{order}")) == {}


def test_every_field_of_a_line_is_there(bench: Bench) -> None:
    order = bench.shop.place_order([("SIM-1", 2)])
    real = recorded(bench, "order_processing")["line_items"][0]
    (line,) = bench.call("GET", f"orders/{order}")["line_items"]
    assert differences(real, line) == {}
    assert line["meta_data"][0].keys() == real["meta_data"][0].keys()
    assert (line["meta_data"][0]["key"], line["meta_data"][0]["value"]) == ("_reduced_stock", "2")


def test_refunds_look_like_recorded_ones(bench: Bench) -> None:
    order = bench.shop.place_order([("SIM-1", 2)]) or 0
    bench.shop.refund(order, {bench.shop.line_ids(order)[0]: 1}, reason="partial")
    (refund,) = bench.call("GET", f"orders/{order}/refunds")
    assert differences(recorded(bench, "refund_partial_response"), refund) == {}
    real, pretend = recorded(bench, "order_with_partial_refund"), bench.call("GET", f"orders/{order}")
    assert real["refunds"][0].keys() == pretend["refunds"][0].keys()
    assert differences(recorded(bench, "refunds_list_global")[0], bench.call("GET", "refunds")[0]) == {}


@pytest.mark.parametrize(
    ("name", "sku"), [("product_simple_managed", "SIM-1"), ("product_variable_parent_stock", "VAR-2")]
)
def test_products_look_like_recorded_ones(bench: Bench, name: str, sku: str) -> None:
    real = recorded(bench, name)
    pretend = bench.call("GET", f"products/{bench.shop.product_id(sku)}")
    only_this_shop = {path for path in differences(real, pretend) if path in {".low_stock_amount"}}
    assert set(differences(real, pretend)) - only_this_shop == set()


@pytest.mark.parametrize(
    ("name", "parent", "sku"),
    [("variation_own_stock", "VAR-1", "VAR-1-S"), ("variation_parent_stock", "VAR-2", "VAR-2-S")],
)
def test_variations_look_like_recorded_ones(bench: Bench, name: str, parent: str, sku: str) -> None:
    path = f"products/{bench.shop.product_id(parent)}/variations/{bench.shop.product_id(sku)}"
    assert differences(recorded(bench, name), bench.call("GET", path)) == {}


def test_deliveries_look_like_recorded_ones(bench: Bench) -> None:
    bench.hear("order.updated", "product.updated")
    bench.shop.place_order([("SIM-1", 2), ("VAR-1-S", 1)])
    names = ["hook_A2_pending_to_processing__00_order_updated"]
    names += [f"hook_A2_pending_to_processing__0{number}_product_updated" for number in (1, 2)]
    for name, delivery in zip(names, bench.deliveries(), strict=True):
        real = recordings.load(f"{bench.shop.options.version}/{name}")
        assert differences(real["body_json"], orjson.loads(delivery.body)) == {}
        transport = {"Host", "Accept", "Accept-Encoding", "Connection", "Content-Length"}
        assert {header for header, _ in real["headers"]} - transport == delivery.headers.keys()
        agent = dict(real["headers"])["User-Agent"].split(" ")[0]
        assert delivery.headers["User-Agent"].startswith(agent)


def test_a_ping_looks_like_the_recorded_one(bench: Bench) -> None:
    real = recordings.load(f"{bench.shop.options.version}/webhook_ping")
    hook = bench.shop.add_hook("order.updated", "http://receiver.example/", "s")
    (ping,) = bench.deliveries()
    assert ping.body.decode().split("=")[0] == real["body_raw"].split("=")[0] == "webhook_id"
    assert ping.body == f"webhook_id={hook.id}".encode()
    assert not [name for name in ping.headers if name.startswith("X-WC")]
    assert ping.headers["Content-Type"] == dict(real["headers"])["Content-Type"]


def test_a_new_webhook_answers_like_the_recorded_one(bench: Bench) -> None:
    body = {"name": "n", "topic": "order.created", "delivery_url": "http://receiver.example/", "secret": "s"}
    answer = bench.answer("POST", "webhooks", body)
    real = recordings.load(f"{bench.shop.options.version}/webhook_create_response")
    assert (answer.status, differences(real["response"], orjson.loads(answer.body))) == (201, {})
    assert "Location" in answer.headers
    assert b'"s"' not in answer.body


ERRORS = {
    "rest_404_order": ("GET", "orders/999999", None),
    "rest_400_bad_param": ("GET", "orders?per_page=101", None),
    "rest_batch_101_413": ("POST", "products/batch", {"update": [{"id": 1, "stock_quantity": 1}] * 101}),
}


@pytest.mark.parametrize("name", ERRORS)
def test_refusals_are_word_for_word_the_recorded_ones(bench: Bench, name: str) -> None:
    real = recordings.load(f"10.9.0/{name}")
    answer = bench.answer(*ERRORS[name])
    assert (answer.status, orjson.loads(answer.body)) == (real["status"], real["body"])
    assert answer.headers["Content-Type"] == real["headers"]["Content-Type"]


def test_a_batch_with_errors_answers_item_by_item_as_recorded(bench: Bench) -> None:
    shop = bench.shop
    items = [shop.product_id("SIM-1"), 99999999, shop.product_id("VAR-1-S")]
    answer = bench.answer("POST", "products/batch", {"update": [{"id": item, "stock_quantity": 4} for item in items]})
    real = recordings.body("10.9.0/rest_batch_update_mixed_errors")["update"]
    told = orjson.loads(answer.body)["update"]
    assert answer.status == 200
    assert [item["error"] for item in told[1:]] == [item["error"] for item in real[1:3]]
    assert [item["id"] for item in told] == items


def test_lists_have_the_recorded_headers(bench: Bench) -> None:
    for _ in range(5):
        bench.shop.place_order([("SIM-1", 1)])
    query = "orders?per_page=2&page=2&orderby=id&order=asc&modified_after=2026-11-23T00:00:00&dates_are_gmt=true"
    answer = bench.answer("GET", query)
    real = recordings.load("10.9.0/rest_orders_list_page")["headers"]
    transport = {"Server", "Date", "Transfer-Encoding", "Connection", "Access-Control-Allow-Headers"}
    assert real.keys() - transport == answer.headers.keys()
    assert (answer.headers["X-WP-Total"], answer.headers["X-WP-TotalPages"]) == ("5", "3")
    assert 'rel="prev"' in answer.headers["Link"]
    assert 'rel="next"' in answer.headers["Link"]


def test_the_site_describes_itself_with_the_recorded_fields(bench: Bench) -> None:
    real = recordings.body("10.9.0/rest_wp_json_root")
    root = bench.call("GET", "/wp-json/?_fields=name,url,home,gmt_offset,timezone_string,namespaces,authentication")
    assert real.keys() == root.keys()
    assert differences({**real, "authentication": {}}, root) == {}
    for part in ("environment", "settings"):
        status = recordings.body("10.9.0/rest_system_status")[part]
        mine = bench.call("GET", "system_status")[part]
        assert {name: type(status[name]) for name in mine} == {name: type(value) for name, value in mine.items()}


def test_the_stock_report_has_the_recorded_fields(bench: Bench) -> None:
    report = {row["sku"]: row for row in bench.call("GET", "/wp-json/wc-analytics/reports/stock?per_page=100")}
    real = {row["sku"]: row for row in recordings.body("10.9.0/rest_analytics_reports_stock")}
    assert differences(real["VAR-2-S"], report["VAR-2-S"]) == {}
    assert (report["VAR-2-S"]["manage_stock"], report["VAR-2-S"]["stock_quantity"]) == ("parent", 7)
    assert report["VAR-1"]["stock_quantity"] == 0  # a parent that keeps none shows 0 here, null elsewhere


def test_all_variations_in_one_list_exist_since_10_3(bench: Bench) -> None:
    answer = bench.answer("GET", "variations")
    if bench.shop.options.version == "10.2.4":
        assert (answer.status, orjson.loads(answer.body)["code"]) == (404, "rest_no_route")
    else:
        real = recordings.body("10.9.0/rest_variations_list")[0]
        assert differences(real, orjson.loads(answer.body)[0]).keys() <= {"._links.self[].targetHints"}
