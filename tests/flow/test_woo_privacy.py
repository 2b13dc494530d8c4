"""Privacy on WooCommerce: of a customer nothing is kept, whatever an order says of them; an erased shop is gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from app.accounts.audit import list_entries
from app.core.embedded import Embedded
from app.core.errors import Conflict, NotFound
from app.inbox.erase import erase_left
from app.inbox.polls import claim_poll
from app.listings.leaving import leave
from sandbox.base import Request, Response
from sandbox.woocommerce import WooShop
from tests.haystack import Haystack
from tests.street import Street
from tests.world import World

CANARY = "canary-ada-lovelace"


@pytest.fixture
def haystack(server: Embedded, street: Street) -> Iterator[Haystack]:
    made = Haystack(server, street.runtime.sealer)
    yield made
    made.engine.dispose()


@pytest.fixture
def woo(street: Street, monkeypatch: pytest.MonkeyPatch) -> WooShop:
    """Every order that is asked for names the customer wherever it can."""
    street.world.move("mug", 20, "opening > available@A", "100")
    shop = street.open_woo({"mug": 20, lamp(street): 1})
    handle = shop.handle

    def named(request: Request) -> Response:
        answer = handle(request)
        orders = "/orders" in request.path and answer.status < 300
        return replace(answer, body=told(answer.body)) if orders else answer

    monkeypatch.setattr(shop, "handle", named)
    return shop


def lamp(street: Street) -> str:
    """What this shop alone sells: other tests leave theirs behind."""
    return f"rare-lamp-{street.world.merchant_id}-"


def told(body: bytes) -> bytes:
    return orjson.dumps(named_in(orjson.loads(body)))


def named_in(value: Any) -> Any:
    """An order, or a list of them, with the customer in every field that may be theirs."""
    if isinstance(value, list):
        return [named_in(one) for one in value]
    if not isinstance(value, dict) or not {"billing", "reason"} & value.keys():
        return value
    meta = [{"id": 1, "key": CANARY, "value": {CANARY: CANARY}}]
    free = ("customer_note", "customer_ip_address", "customer_user_agent", "transaction_id", "payment_method_title",
            "reason", "payment_url", "order_key")  # fmt: skip
    return {
        **value, **{name: CANARY for name in free if name in value},
        **{name: dict.fromkeys(value[name], CANARY) for name in ("billing", "shipping") if name in value},
        "meta_data": meta, f"{CANARY}-key": CANARY, "customer_id": 4_711,
        "line_items": [{**line, "meta_data": [*line["meta_data"], *meta]} for line in value.get("line_items", [])],
        "coupon_lines": [{"id": 1, "code": CANARY}], "fee_lines": [{"id": 2, "name": CANARY}],
        "shipping_lines": [{"id": 3, "method_title": CANARY}],
        "refunds": [{**refund, "reason": CANARY} for refund in value.get("refunds", [])],
    }  # fmt: skip


def deliver(street: Street, shop: WooShop, *, cut: int | None = None) -> int:
    """What the shop has to tell, with the customer in it; how many were taken."""
    bodies = [(one, told(one.body) if one.body[:1] == b"{" else one.body) for one in shop.due_deliveries()]
    return sum(street.hand_over(shop, street.signed(shop, one, body[:cut])) < 300 for one, body in bodies)


def trade(street: Street, shop: WooShop) -> None:
    order = shop.place_order([("mug", 2)])
    assert order is not None
    deliver(street, shop)
    street.settle(10)
    shop.refund(order, {shop.state.orders[order].lines[0].id: 1})
    street.world.now += timedelta(seconds=30)
    deliver(street, shop)
    street.settle(60)


def test_a_customer_of_woocommerce_is_kept_nowhere_whatever_the_order_says_of_them(
    street: Street, woo: WooShop, haystack: Haystack
) -> None:
    trade(street, woo)
    assert street.world.level("mug")["available"] == 19
    assert haystack.find(CANARY) == []


def test_what_of_a_customer_came_in_a_delivery_that_was_cut_off_is_sealed_and_erased_with_the_shop(
    street: Street, woo: WooShop, haystack: Haystack
) -> None:
    woo.place_order([("mug", 1)])
    assert deliver(street, woo, cut=-20) >= 1
    street.settle(60)
    assert haystack.find(CANARY) in ([], ["inbox.body"])
    leave_and_erase(street, woo)
    assert haystack.find(CANARY) == []


def leave_and_erase(street: Street, shop: WooShop) -> None:
    merchant, channel = street.world.merchant_id, street.channel_of(shop)
    leave(street.runtime, merchant, channel, "anna")
    assert erase_left(street.runtime, merchant, channel, "anna") > 5


def test_of_an_erased_woocommerce_shop_neither_its_address_nor_what_it_sold_stays_but_the_books_do(
    street: Street, woo: WooShop, haystack: Haystack
) -> None:
    trade(street, woo)
    address = woo.state.options.base_url.removeprefix("https://")
    assert {"listing.sku", "channel.base_url"} <= set(haystack.find(lamp(street), address))
    leave_and_erase(street, woo)
    assert [place for place in haystack.find(lamp(street), address) if not place.startswith("audit_log.")] == []
    with street.world.session() as session:
        booked = "select sum(quantity) from movement where merchant_id = %(merchant_id)s and source = 'order'"
        assert session.value(booked) >= 1
    assert street.world.level("mug")["available"] == 19
    street.open_woo({"mug": 19})  # the same merchant may connect another one
    street.settle(10)


def test_a_shop_that_is_still_connected_is_not_erased_nor_is_another_merchants(
    street: Street, woo: WooShop, other: World
) -> None:
    merchant, channel = street.world.merchant_id, street.channel_of(woo)
    with pytest.raises(Conflict, match="still_connected"):
        erase_left(street.runtime, merchant, channel, "anna")
    with street.world.session() as session:
        session.run("update channel_poll set due_at = %(now)s where merchant_id = %(merchant_id)s", now=session.now)
        assert claim_poll(street.runtime, session, channel, "orders") is not None
    leave(street.runtime, merchant, channel, "anna")
    assert leave(street.runtime, merchant, channel, "eve") == ""
    with pytest.raises(Conflict, match="still_read"):  # what it reads would come back
        erase_left(street.runtime, merchant, channel, "anna")
    street.world.now += timedelta(seconds=street.settings.sync.attempt_deadline_s + 1)
    with pytest.raises(NotFound):
        erase_left(street.runtime, other.merchant_id, channel, "anna")
    with street.world.session() as session:
        assert [entry.actor for entry in list_entries(session) if entry.action == "channel.disconnected"] == ["anna"]
    assert erase_left(street.runtime, merchant, channel, "anna") > 5
