"""Privacy on Shopify: no customer is kept, what may hold one is erased, an uninstalled shop is silent."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest

from app.catalog.items import NewItem, create_items
from app.core.embedded import Embedded
from app.inbox.app_events import WAITED_FOR
from app.inbox.erase import SHOP
from app.inbox.receive import Delivery, receive
from app.listings.catalogue import match_by_sku
from app.outbox.endpoints import EVENTS, create_endpoint
from sandbox.base import Delivery as Posted
from sandbox.shopify import PretendShopify
from sandbox.shopify.state import gid
from tests.haystack import Haystack
from tests.installing import CLIENT_ID, FORMER, SECRET, Installing
from tests.street import Street

CANARY = "canary-ada-lovelace"
PHONE = "+4915550100999"


@pytest.fixture
def installing(street: Street) -> Installing:
    return Installing(street)


@pytest.fixture
def shop(installing: Installing) -> PretendShopify:
    shop = installing.shop("one")
    installing.installed(shop)
    installing.street.worker.only_merchant = installing.found(shop)[0]
    work(installing)
    return shop


def work(installing: Installing) -> None:
    """Deliver and do what is due until nothing is."""
    for _ in range(60):
        delivered, done = installing.street.deliver(), installing.street.worker.step()
        if not delivered and not done:
            return
        installing.street.world.now += timedelta(seconds=0.05)


def post(installing: Installing, shop: PretendShopify, topic: str, body: bytes, **more: str) -> int:
    """A delivery as Shopify signs it; the status it is answered with."""
    secret = more.pop("secret", SECRET).encode()
    headers = {
        "x-shopify-topic": topic, "x-shopify-shop-domain": more.pop("domain", shop.domain),
        "x-shopify-webhook-id": more.pop("key", f"{topic} {hashlib.sha1(body).hexdigest()}"),
        "x-shopify-triggered-at": installing.street.world.now.isoformat(),
        "x-shopify-hmac-sha256": base64.b64encode(hmac.new(secret, body, hashlib.sha256).digest()).decode(), **more,
    }  # fmt: skip
    return receive(installing.street.runtime, [Delivery("shopify", None, headers, body)])[0].status


def redact(shop: PretendShopify) -> bytes:
    return orjson.dumps({"shop_id": 1, "shop_domain": shop.domain, "customer": {}, "orders_to_redact": []})


def poisoned(value: Any) -> Any:
    """A payload whose every text that may be a person's is the canary."""
    keep = {"id", "admin_graphql_api_id", "name", "sku", "created_at", "updated_at", "currency", "price", "status",
            "cancelled_at", "closed_at", "restock_type", "processed_at", "source_name", "variant_inventory_management",
            "fulfillment_service", "fulfillment_status", "cancel_reason"}  # fmt: skip
    if isinstance(value, dict):
        told = {k: v if k in keep and not isinstance(v, dict | list) else poisoned(v) for k, v in value.items()}
        return {**told, f"{CANARY}-key": CANARY}
    if isinstance(value, list):
        return [poisoned(one) for one in value]
    return CANARY if isinstance(value, str) else value


@pytest.fixture
def haystack(server: Embedded, installing: Installing) -> Iterator[Haystack]:
    made = Haystack(server, installing.street.runtime.sealer)
    yield made
    made.engine.dispose()


def put_in_everywhere(installing: Installing, shop: PretendShopify) -> int:
    """Every topic's body with the customer in every field, whole, cut and under wrong topics; how many were taken."""
    kept: list[Posted] = []
    installing.street.heard = lambda posted: kept.append(posted) is not None
    order = shop.place_order([("mug", 1)])
    assert order is not None
    shop.fulfill(order)
    shop.refund(order, {shop.order(order).lines[0].id: 1}, "RETURN")
    installing.street.deliver()
    installing.street.heard = lambda posted: True
    taken = 0
    for number, posted in enumerate(kept):
        topic, body = posted.headers["X-Shopify-Topic"], orjson.dumps(poisoned(orjson.loads(posted.body)))
        for name, bytes_ in {topic: body, "orders/updated": body, "products/update": body[:-20]}.items():
            taken += post(installing, shop, name, bytes_, key=f"{number} {name}") == 200
    return taken


def test_a_customer_is_kept_nowhere_but_sealed_where_nobody_could_read_it_and_erased_from_there(
    installing: Installing, shop: PretendShopify, haystack: Haystack
) -> None:
    assert put_in_everywhere(installing, shop) > 10
    work(installing)
    assert haystack.find(CANARY) == ["inbox.body"]
    person = {"id": 7, "email": CANARY, "phone": PHONE}
    body = {"shop_id": 1, "shop_domain": shop.domain, "customer": person, "orders_to_redact": [1]}
    assert post(installing, shop, "customers/redact", orjson.dumps(body)) == 200
    assert haystack.find(PHONE) == []
    work(installing)
    assert haystack.find(CANARY, PHONE) == []


def test_a_request_for_a_customers_data_tells_the_merchant_what_is_held_and_keeps_no_customer(
    installing: Installing, shop: PretendShopify, haystack: Haystack
) -> None:
    order = shop.place_order([("mug", 1)])
    assert order is not None
    work(installing)
    number = int(order.rpartition("/")[2])
    asked = {"customer": {"email": CANARY, "phone": PHONE}, "orders_requested": [number], "data_request": {"id": 99}}
    asked["shop_domain"] = shop.domain
    assert post(installing, shop, "customers/data_request", orjson.dumps(asked)) == 200
    work(installing)
    home = installing.open(shop, "/").text
    assert "A customer asked for their data" in home
    assert "request 99" in home
    assert f"#{shop.order(order).number}" in home or str(shop.order(order).number) in home
    assert haystack.find(CANARY, PHONE) == []


def test_the_other_merchants_deliveries_are_untouched_by_an_erasure(
    installing: Installing, shop: PretendShopify, haystack: Haystack
) -> None:
    other = installing.shop("two")
    installing.installed(other)
    post(installing, other, "orders/create", b'{"id": 1, "note": "' + CANARY.encode())
    post(installing, shop, "customers/redact", redact(shop))
    work(installing)
    assert haystack.find(CANARY) == ["inbox.body"]
    post(installing, other, "customers/redact", redact(other))
    installing.street.worker.only_merchant = installing.found(other)[0]
    work(installing)
    assert haystack.find(CANARY) == []


def test_uninstalling_ends_everything_at_once_and_keeps_what_a_reinstall_needs_5(
    installing: Installing, shop: PretendShopify
) -> None:
    shop.place_order([("mug", 1)])
    work(installing)
    before = installing.found(shop)
    shop.admin.uninstall(CLIENT_ID)
    work(installing)
    assert installing.state(shop) == "disconnected"
    assert installing.credentials(shop) == {}
    calls = len(installing.street.adapters[-1].calls)
    installing.street.world.now += timedelta(days=1)
    work(installing)
    assert len(installing.street.adapters[-1].calls) == calls
    stored = rows(installing, shop, "inbox")
    assert post(installing, shop, "orders/create", b'{"id": 1, "line_items": []}', key="late") == 200
    assert rows(installing, shop, "inbox") == stored
    listings = rows(installing, shop, "listing")
    installing.installed(shop)
    assert installing.found(shop) == before
    assert rows(installing, shop, "listing") == listings
    work(installing)
    assert installing.state(shop) in ("active", "shadow")
    assert "expires_at" in installing.credentials(shop)


def rows(installing: Installing, shop: PretendShopify, table: str) -> int:
    merchant_id, channel_id = installing.found(shop)
    with installing.street.runtime.begin(merchant_id, installing.street.world.now) as session:
        count: int = session.value(
            f"select count(*) from {table} where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
            channel=channel_id,
        )
    return count


def test_word_of_an_uninstall_that_comes_after_a_quick_reinstall_is_ignored(
    installing: Installing, shop: PretendShopify
) -> None:
    late: list[Posted] = []
    shop.admin.uninstall(CLIENT_ID)
    installing.street.heard = lambda posted: late.append(posted) is not None
    installing.street.deliver()
    installing.street.heard = lambda posted: True
    installing.street.world.now += timedelta(minutes=1)
    dead = installing.credentials(shop)["access_token"]
    installing.installed(shop)
    assert installing.credentials(shop)["access_token"] != dead
    (word,) = [posted for posted in late if posted.headers["X-Shopify-Topic"] == "app/uninstalled"]
    assert installing.street.hand_over(shop, word) == 200
    work(installing)
    assert installing.state(shop) != "disconnected"
    assert "expires_at" in installing.credentials(shop)
    assert outcomes(installing, shop, "app/uninstalled") == ["reinstalled_since"]
    shop.place_order([("mug", 1)])
    work(installing)
    assert rows(installing, shop, "sales_order") == 1


def outcomes(installing: Installing, shop: PretendShopify, topic: str) -> list[str]:
    """What became of each word of that kind, oldest first; empty while it waits."""
    merchant_id, channel_id = installing.found(shop)
    with installing.street.runtime.begin(merchant_id, installing.street.world.now) as session:
        told = session.rows(
            """select coalesce(reason, '') as reason from inbox
               where merchant_id = %(merchant_id)s and channel_id = %(channel)s and topic = %(topic)s
               order by inbox_id""",
            channel=channel_id, topic=topic,
        )  # fmt: skip
    return [row.reason for row in told]


NAME, TITLE, NUMBER = "Zephyrine Lampworks", "Unheard-of quince lamp", 987_650_001


@pytest.fixture
def named(installing: Installing) -> PretendShopify:
    """A shop whose name, product and order numbers nobody else has. The product is an item of another name, and events
    are told to an endpoint."""
    shop = installing.shop("zephyrine", {})
    shop.name, shop.first_number = NAME, NUMBER
    shop.add_variant("lamp", {gid("Location", place): 5 for place in shop.locations}, title=TITLE)
    installing.installed(shop)
    merchant_id, _ = installing.found(shop)
    installing.street.worker.only_merchant = merchant_id
    runtime = installing.street.runtime
    with runtime.begin(merchant_id, runtime.clock()) as session:
        create_items(session, [NewItem("lamp", "A lamp", None)])
        match_by_sku(session)
        create_endpoint(runtime, session, url="https://events.test/", description="", events=EVENTS)
    work(installing)
    return shop


def test_of_a_shop_that_left_neither_its_name_nor_what_it_sold_nor_its_orders_numbers_stay(
    installing: Installing, named: PretendShopify, haystack: Haystack
) -> None:
    named.place_order([("lamp", 1)])
    work(installing)
    before = haystack.find(NAME, TITLE, str(NUMBER))
    assert {"webhook_event.data", "listing.title", "sales_order.number", "channel.name"} <= set(before)
    named.admin.uninstall(CLIENT_ID)
    work(installing)
    named.admin.ask_privacy(CLIENT_ID, "shop/redact")
    work(installing)
    found = haystack.find(NAME, TITLE, str(NUMBER), named.domain)
    assert {place.partition(".")[0] for place in found} <= {"audit_log"}  # see below


def test_a_shop_that_left_is_erased_but_for_the_books_and_may_come_back_as_a_new_one(
    installing: Installing, shop: PretendShopify, haystack: Haystack
) -> None:
    shop.place_order([("mug", 1)])
    work(installing)
    before = installing.found(shop)
    shop.admin.uninstall(CLIENT_ID)
    work(installing)
    shop.admin.ask_privacy(CLIENT_ID, "shop/redact")
    work(installing)
    found = haystack.find(shop.domain, shop.domain.partition(".")[0])
    # Who connected which shop is told for ever: that log is a chain that nobody can take a link out of.
    assert [place for place in found if not place.startswith("audit_log.")] == []
    with installing.street.runtime.begin(before[0], installing.street.world.now) as session:
        done = session.rows("select topic, outcome from privacy_request where merchant_id = %(merchant_id)s")
        assert [(row.topic, row.outcome) for row in done] == [("shop/redact", "erased")]
    shop.admin.install(CLIENT_ID)
    assert installing.open(shop).status_code == 200
    assert installing.found(shop) != before


def test_no_table_that_tells_of_a_channel_is_forgotten_when_a_shop_is_erased(haystack: Haystack) -> None:
    kept = {"channel": "a tombstone", "sales_order": "the books", "privacy_request": "the record of it",
            "channel_address": "released", "opening_choice": "the books", "opened_item": "the books"}  # fmt: skip
    with haystack.engine.connect() as connection:
        told = {table for table, column in haystack.columns(connection) if column == "channel_id"}
    erased = {table for table in told if any(f"delete from {table} " in statement for statement in SHOP)}
    assert told - erased == kept.keys()


def test_a_request_to_erase_a_shop_that_came_back_erases_nothing(installing: Installing, shop: PretendShopify) -> None:
    listings = rows(installing, shop, "listing")
    shop.admin.ask_privacy(CLIENT_ID, "shop/redact")
    work(installing)
    assert rows(installing, shop, "listing") == listings


def test_a_shop_is_erased_though_the_word_that_the_app_was_removed_never_came(
    installing: Installing, shop: PretendShopify, haystack: Haystack
) -> None:
    installing.street.world.now += timedelta(days=9)
    work(installing)
    installing.street.heard = lambda posted: posted.headers.get("X-Shopify-Topic") != "app/uninstalled"
    shop.admin.uninstall(CLIENT_ID)
    work(installing)
    installing.street.world.now += timedelta(hours=48)
    shop.admin.ask_privacy(CLIENT_ID, "shop/redact")
    work(installing)
    found = haystack.find(shop.domain, shop.domain.partition(".")[0])
    assert [place for place in found if not place.startswith("audit_log.")] == []


def uninstalled(shop: PretendShopify) -> bytes:
    return orjson.dumps({"id": 1, "domain": shop.domain, "myshopify_domain": shop.domain})


@pytest.mark.parametrize("topic", ["shop/redact", "app/uninstalled"])
def test_an_old_word_of_a_shop_that_came_back_sent_again_neither_erases_nor_disconnects_it(
    installing: Installing, shop: PretendShopify, topic: str
) -> None:
    installing.street.world.now += timedelta(days=9)
    work(installing)
    stored = rows(installing, shop, "listing")
    body = redact(shop) if topic == "shop/redact" else uninstalled(shop)
    assert post(installing, shop, topic, body, key="captured, under an id of its own") == 200
    work(installing)
    assert outcomes(installing, shop, topic) == ["still_installed"]
    assert (installing.state(shop), rows(installing, shop, "listing")) == ("shadow", stored)
    assert "refresh_token" in installing.credentials(shop)
    assert installing.street.worker.due() == []


def test_while_the_shop_does_not_say_whether_the_app_is_in_it_word_of_the_uninstall_waits_but_for_some_days_alone(
    installing: Installing, shop: PretendShopify
) -> None:
    shop.refuses_with = 503
    assert post(installing, shop, "app/uninstalled", uninstalled(shop)) == 200
    assert post(installing, shop, "customers/redact", redact(shop)) == 200
    work(installing)
    assert (installing.state(shop), outcomes(installing, shop, "app/uninstalled")) == ("shadow", ["unavailable"])
    assert outcomes(installing, shop, "customers/redact") == ["erased"]  # what needs no answer goes on
    installing.street.world.now += WAITED_FOR - timedelta(hours=1)
    work(installing)
    assert installing.state(shop) == "shadow"
    installing.street.world.now += timedelta(hours=2)
    work(installing)
    assert (installing.state(shop), outcomes(installing, shop, "app/uninstalled")) == ("disconnected", ["disconnected"])


def test_a_word_that_waited_is_judged_by_the_shops_answer_once_there_is_one(
    installing: Installing, shop: PretendShopify
) -> None:
    shop.refuses_with = 503
    post(installing, shop, "app/uninstalled", uninstalled(shop))
    work(installing)
    shop.refuses_with = None
    installing.street.world.now += timedelta(hours=1)
    work(installing)
    assert (installing.state(shop), outcomes(installing, shop, "app/uninstalled")) == ("shadow", ["still_installed"])


@pytest.mark.parametrize("topic", ["customers/data_request", "customers/redact", "shop/redact"])
def test_a_compliance_webhook_is_answered_by_its_signature_whether_the_shop_is_known_or_not_1_2(
    installing: Installing, shop: PretendShopify, topic: str
) -> None:
    body = b'{"shop_id": 1, "customer": {"id": 1}}'
    for domain in (shop.domain, "nobody-has-this.myshopify.com"):
        assert post(installing, shop, topic, body, domain=domain, key=f"a {domain}") == 200
        assert post(installing, shop, topic, body, domain=domain, secret=FORMER, key=f"b {domain}") == 200
        assert post(installing, shop, topic, body, domain=domain, secret="wrong", key=f"c {domain}") == 401
        assert post(installing, shop, topic, body, domain=domain, secret="", key=f"d {domain}") == 401


def test_a_signed_delivery_that_is_sent_again_for_another_shop_erases_nothing_there(
    installing: Installing, shop: PretendShopify
) -> None:
    shop.place_order([("mug", 1)])
    work(installing)
    stored = rows(installing, shop, "sales_order")
    for body in (redact(installing.shop("thief")), b'{"id": 5, "line_items": []}'):
        assert post(installing, shop, "shop/redact", body, key=f"{len(body)}") == 200
    work(installing)
    assert (installing.state(shop), rows(installing, shop, "sales_order"), stored) == ("shadow", 1, 1)
