"""Bad deliveries over HTTP, by the numbers of docs/bad-input.md: the answer, and that nothing is half written."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from sqlalchemy import event
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from app.core.db import Database, connect
from app.core.embedded import APP_ROLE, Embedded
from app.core.errors import ConfigError
from app.core.secrets import Sealer
from app.inbox.receive import receive
from app.insight.diagnose import diagnose
from app.insight.home import list_channel_views
from app.simulation.town import WOO_SECRET
from app.web import create_app
from app.wiring import check_sealer
from sandbox.base import Delivery
from sandbox.shopify import PretendShopify
from sandbox.shopify.shop import WEBHOOK_SECRET
from sandbox.woocommerce import WooShop
from tests.conftest import NOW
from tests.deliveries import as_delivery, refusals
from tests.street import Street


@pytest.fixture
def shops(street: Street) -> tuple[PretendShopify, WooShop]:
    street.world.move("mug", 10, "opening > available@A", "50")
    shops = street.open_shopify({"mug": 10}), street.open_woo({"mug": 10})
    street.settle()
    return shops


@pytest.fixture
def client(street: Street) -> FlaskClient:
    return create_app(street.runtime).test_client()


def caught(street: Street, shop: PretendShopify | WooShop, lines: int = 1) -> Delivery:
    """A real order delivery of the shop, not handed over."""
    kept: list[Delivery] = []
    street.heard = lambda posted: kept.append(posted) is not None
    shop.place_order([("mug", 1)])
    street.deliver()
    street.heard = lambda posted: True
    return next(posted for posted in kept if b"line_items" in posted.body)


def post(client: FlaskClient, posted: Delivery) -> TestResponse:
    return client.post("/" + posted.url.split("/", 3)[3], data=posted.body, headers=dict(posted.headers))


def signed_with(secret: str, posted: Delivery) -> Delivery:
    """The delivery as whoever has that secret would sign it."""
    name = next(name for name in posted.headers if name.endswith(("Signature", "Hmac-Sha256")))
    signature = base64.b64encode(hmac.new(secret.encode(), posted.body, hashlib.sha256).digest()).decode()
    return replace(posted, headers={**posted.headers, name: signature})


def send(client: FlaskClient, posted: Delivery, **change: object) -> int:
    headers = {**posted.headers, **change.pop("headers", {})}  # type: ignore[dict-item]
    for name in change.pop("without", ()):  # type: ignore[attr-defined]
        headers = {n: v for n, v in headers.items() if n.lower() != name.lower()}
    path = "/" + posted.url.split("/", 3)[3]
    return client.post(path, data=change.get("body", posted.body), headers=headers).status_code


def reason_of(answer: TestResponse) -> str:
    assert answer.content_type == "application/problem+json"
    assert answer.json is not None
    return str(answer.json["reason"])


def refused_kinds(logged: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the log says of refused deliveries: one line, with each kind."""
    (line,) = [entry for entry in logged if entry["event"] == "deliveries_refused"]
    assert line["log_level"] == "warning"
    return list(line["refused"])


def rows(street: Street) -> list[tuple[str, str | None]]:
    with street.world.session() as session:
        told = "select state, reason from inbox where merchant_id = %(merchant_id)s and kind <> 'doorbell'"
        return [tuple(r) for r in session.rows(told)]


def details(street: Street) -> list[str]:
    with street.world.session() as session:
        return [row.detail for row in session.rows("select detail from inbox where merchant_id = %(merchant_id)s")]


def movements(street: Street) -> int:
    with street.world.session() as session:
        count = "select count(*) from movement where merchant_id = %(merchant_id)s and source = 'order'"
        return int(session.value(count))


def test_a_delivery_without_signature_is_refused_by_each_platforms_rules_1(
    street: Street, shops: tuple[PretendShopify, WooShop], client: FlaskClient
) -> None:
    shopify, woo = (caught(street, shop) for shop in shops)
    bare = {name: value for name, value in shopify.headers.items() if name != "X-Shopify-Hmac-Sha256"}
    answer = post(client, replace(shopify, headers=bare))
    assert (answer.status_code, reason_of(answer)) == (401, "missing_signature")
    assert send(client, woo, without=["X-WC-Webhook-Signature"]) == 202
    assert rows(street) == []
    assert refusals(street.world) == {(street.channel_of(shop), "missing_signature"): 1 for shop in shops}


def test_a_woocommerce_ping_is_answered_200_and_stored_nowhere_1(
    street: Street, shops: tuple[PretendShopify, WooShop], client: FlaskClient
) -> None:
    path = "/" + caught(street, shops[1]).url.split("/", 3)[3]
    assert client.post(path, data={"webhook_id": "6"}).status_code == 200
    assert rows(street) == []


def test_a_signature_of_another_shops_secret_is_refused_2(
    street: Street, shops: tuple[PretendShopify, WooShop], client: FlaskClient
) -> None:
    shopify, woo = (caught(street, shop) for shop in shops)
    answer = post(client, signed_with(WOO_SECRET, shopify))
    assert (answer.status_code, reason_of(answer)) == (401, "invalid_signature")
    assert post(client, signed_with(WEBHOOK_SECRET, woo)).status_code == 202
    assert rows(street) == []
    assert refusals(street.world) == {(street.channel_of(shop), "invalid_signature"): 1 for shop in shops}
    own = [signed_with(WEBHOOK_SECRET, shopify), signed_with(WOO_SECRET, woo)]
    assert [post(client, posted).status_code for posted in own] == [200, 200]
    assert len(rows(street)) == 2


def test_a_body_that_was_encoded_again_on_its_way_is_refused_and_the_log_says_what_it_may_be_3(
    street: Street, shops: tuple[PretendShopify, WooShop], client: FlaskClient
) -> None:
    for shop, platform, status in ((shops[0], "shopify", 401), (shops[1], "woocommerce", 202)):
        posted = caught(street, shop)
        again = orjson.dumps(orjson.loads(posted.body), option=orjson.OPT_INDENT_2)
        with capture_logs() as logged:
            assert send(client, posted, body=again) == status
        (kind,) = refused_kinds(logged)
        assert (kind["platform"], kind["reason"], kind["count"]) == (platform, "invalid_signature", 1)
        assert "the body was changed on its way" in kind["hint"]
        assert kind["shop"].startswith("https://")
        told = repr(logged)
        assert not [word for word in ("line_items", WOO_SECRET, WEBHOOK_SECRET, posted.url) if word in told]


def test_refused_deliveries_of_one_batch_are_one_line_of_the_log_with_a_count_3(
    street: Street, shops: tuple[PretendShopify, WooShop]
) -> None:
    shopify, woo = (as_delivery(caught(street, shop)) for shop in shops)
    changed = replace(shopify, body=shopify.body + b" ")
    with capture_logs() as logged:
        receive(street.runtime, [changed, replace(woo, body=b"{}"), changed, shopify])
    kinds = {kind["platform"]: kind["count"] for kind in refused_kinds(logged)}
    assert kinds == {"shopify": 2, "woocommerce": 1}


def test_a_delivery_replayed_a_day_later_is_counted_as_a_duplicate_and_moves_nothing_4(
    street: Street, shops: tuple[PretendShopify, WooShop], client: FlaskClient
) -> None:
    posted = caught(street, shops[0])
    assert send(client, posted) == 200
    street.settle(3)
    assert movements(street) == 1
    street.world.now += timedelta(days=1)
    assert send(client, posted) == 200
    street.settle(3)
    assert (movements(street), street.world.available("mug")) == (1, 9)
    assert refusals(street.world) == {(street.channel_of(shops[0]), "duplicate"): 1}
    with street.world.session() as session:
        assert {link.reason for view in list_channel_views(session) for link in view.health} == {"nothing_wrong"}
        said = {one.channel: {finding.link: finding for finding in one.findings} for one in diagnose(session)}
    note = said["Shopify 0"]["webhooks_repeated"]
    assert (note.count, note.broken) == (1, False)


def test_a_delivery_that_comes_twice_in_one_batch_is_stored_once_and_counted_as_a_duplicate_4(
    street: Street, shops: tuple[PretendShopify, WooShop]
) -> None:
    delivery = as_delivery(caught(street, shops[0]))
    assert [receipt.status for receipt in receive(street.runtime, [delivery] * 3)] == [200] * 3
    assert len(rows(street)) == 1
    assert refusals(street.world) == {(street.channel_of(shops[0]), "duplicate"): 2}


def test_a_delivery_for_a_disconnected_shop_keeps_no_data_5(
    street: Street, shops: tuple[PretendShopify, WooShop], client: FlaskClient
) -> None:
    shopify, woo = (caught(street, shop) for shop in shops)
    with street.world.session() as session:
        session.run("update channel set state = 'disconnected' where merchant_id = %(merchant_id)s")
    assert (send(client, shopify), send(client, woo)) == (200, 410)
    assert rows(street) == []


def test_a_topic_that_does_not_fit_its_body_is_parked_sealed_and_shown_6(
    street: Street, shops: tuple[PretendShopify, WooShop], client: FlaskClient
) -> None:
    posted = caught(street, shops[0])
    assert send(client, posted, headers={"X-Shopify-Topic": "inventory_levels/update"}) == 200
    assert [state for state, _ in rows(street)] == ["parked"]
    with street.world.session() as session:
        body = session.value("select body from inbox where merchant_id = %(merchant_id)s")
    assert b"line_items" not in bytes(body)
    home = client.get(f"/?merchant={street.world.merchant_id}", headers={"Accept": "text/html"})
    assert "topic_body_mismatch" in home.text


def test_a_delivery_over_the_bound_is_refused_before_it_is_read_7(
    street: Street, shops: tuple[PretendShopify, WooShop], client: FlaskClient
) -> None:
    posted = caught(street, shops[0])
    assert send(client, posted, body=b"x" * 25_000_000) == 413


def test_a_compressed_delivery_is_refused_and_never_inflated_8(
    street: Street, shops: tuple[PretendShopify, WooShop], client: FlaskClient
) -> None:
    posted = caught(street, shops[0])
    assert send(client, posted, headers={"Content-Encoding": "gzip"}) == 413


@pytest.mark.parametrize("quantity", ["-5", "1000000000000", '"3"', "1.5", "null", "1e400", "true"])
def test_a_line_with_an_impossible_quantity_is_parked_with_its_field_9(
    street: Street, shops: tuple[PretendShopify, WooShop], client: FlaskClient, quantity: str
) -> None:
    posted = caught(street, shops[1])
    body = posted.body.replace(b'"quantity":1,', b'"quantity":' + quantity.encode() + b",", 1)
    assert body != posted.body
    assert send(client, street.signed(shops[1], posted, body)) == 200
    street.worker.step()
    assert [state for state, _ in rows(street)] == ["parked"]
    assert "line_items[0].quantity" in details(street)[0] or quantity == "1e400"
    assert movements(street) == 0


def test_two_lines_of_one_id_are_one_movement_and_flagged_10(
    street: Street, shops: tuple[PretendShopify, WooShop], client: FlaskClient
) -> None:
    posted = caught(street, shops[1])
    body = orjson.loads(posted.body)
    body["line_items"] *= 2
    assert send(client, street.signed(shops[1], posted, orjson.dumps(body))) == 200
    for _ in range(3):
        street.worker.step()
    assert movements(street) == 1
    assert street.cases() == ["duplicate_line"]


def test_a_refund_larger_than_the_order_is_refused_by_the_ledger_with_a_case_while_belief_follows_11(
    street: Street, shops: tuple[PretendShopify, WooShop]
) -> None:
    woo = shops[1]
    order = woo.place_order([("mug", 1)])
    assert order is not None
    street.settle(3)
    street.world.now += timedelta(minutes=1)
    woo.refund(order, {woo.line_ids(order)[0]: 4}, restock=True)
    street.settle(10)
    assert street.world.available("mug") == 10
    assert "refund_exceeds_order" in street.cases()
    assert [shop.shown()["mug"] for shop in shops] == [10, 10]


def test_a_currency_that_changes_later_is_flagged_and_cost_is_untouched_12(
    street: Street, shops: tuple[PretendShopify, WooShop], client: FlaskClient
) -> None:
    posted = caught(street, shops[1])
    send(client, posted)
    street.settle(2)
    body = orjson.loads(posted.body)
    body |= {"currency": "JPY", "status": "on-hold", "date_modified_gmt": "2026-11-23T12:30:00"}
    send(client, street.signed(shops[1], posted, orjson.dumps(body)))
    for _ in range(3):
        street.worker.step()
    assert street.cases() == ["currency_changed"]
    assert movements(street) == 1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"id":1,"line_items":' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="13"),
        pytest.param(b'{"id":1,"line_items":[{"quantity":NaN}]}', id="14"),
        pytest.param(b'{"id":1,"line_items":[{"id":1,"sku":"a\\u0000b","quantity":1}]}', id="15"),
        pytest.param(b'{"id":1,"line_items":[{"id":1,"sku":"\\ud800","quantity":1}]}', id="15b"),
        pytest.param(b'{"id":' + b"9" * 5_000 + b"}", id="16"),
        pytest.param(b"", id="19 empty"),
        pytest.param(b"[]", id="19 array"),
        pytest.param(b'{"id":1,"name":"\xff\xfe"}', id="20"),
        pytest.param('{"id":1}'.encode("utf-16"), id="20b"),
    ],
)
def test_signed_bytes_that_can_not_be_read_are_parked_sealed_and_move_nothing(
    street: Street, shops: tuple[PretendShopify, WooShop], client: FlaskClient, body: bytes
) -> None:
    for shop in shops:
        posted = caught(street, shop)
        assert send(client, street.signed(shop, posted, body)) == 200
    for _ in range(3):
        street.worker.step()
    assert {state for state, _ in rows(street)} == {"parked"}
    assert all(reason for _, reason in rows(street))
    if b'"sku"' in body:
        assert ["line_items[0].sku" in detail for detail in details(street)] == [True, True]
    assert movements(street) == 0


def test_a_repeated_key_counts_as_its_last_value_17(
    street: Street, shops: tuple[PretendShopify, WooShop], client: FlaskClient
) -> None:
    posted = caught(street, shops[1])
    body = posted.body.replace(b'"quantity":1,', b'"quantity":7,"quantity":1,', 1)
    assert send(client, street.signed(shops[1], posted, body)) == 200
    street.worker.step()
    assert street.world.level("mug")["committed"] == 1


def test_an_unknown_address_is_a_404_that_says_nothing(street: Street, client: FlaskClient) -> None:
    assert client.post("/webhooks/woocommerce/nobody", data=b"{}").status_code == 404
    assert client.post("/webhooks/ebay", data=b"{}").status_code == 404


def test_one_merchants_webhook_address_never_reaches_the_other_merchant(
    street: Street, shops: tuple[PretendShopify, WooShop], client: FlaskClient
) -> None:
    posted = caught(street, shops[0])
    elsewhere = {"X-Shopify-Shop-Domain": "somebody-else.myshopify.com"}
    assert send(client, posted, headers=elsewhere) == 401
    assert rows(street) == []


def test_a_database_that_is_away_is_a_503_with_retry_after_62(
    street: Street, shops: tuple[PretendShopify, WooShop], tmp_path: Path
) -> None:
    posted = caught(street, shops[0])
    nowhere = connect(f"postgresql+psycopg://nobody@/nothing?host={tmp_path}")
    answer = post(create_app(replace(street.runtime, database=nowhere)).test_client(), posted)
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)


def test_a_database_that_can_not_write_is_a_503_and_nothing_is_half_written_62(
    server: Embedded, street: Street, shops: tuple[PretendShopify, WooShop]
) -> None:
    posted = caught(street, shops[0])
    read_only = connect(server.url(APP_ROLE))
    event.listen(read_only.engine, "begin", lambda c: c.exec_driver_sql("set transaction read only"))
    answer = post(create_app(replace(street.runtime, database=read_only)).test_client(), posted)
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)
    assert rows(street) == []
    read_only.close()


def test_a_key_that_did_not_seal_this_database_stops_the_start_and_shows_no_secret_61(database: Database) -> None:
    check_sealer(database, Sealer({"a": b"1" * 32}, "a"), NOW)
    with pytest.raises(ConfigError) as refused:
        check_sealer(database, Sealer({"a": b"2" * 32}, "a"), NOW)
    assert "security.encryption_keys" in str(refused.value)
    assert "2222" not in str(refused.value)
