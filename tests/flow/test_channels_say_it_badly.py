"""Deliveries lost, doubled, late, out of order, unreadable or about unknown things: the ledger stays right."""

from __future__ import annotations

from datetime import timedelta

import orjson

from sandbox.base import Delivery
from sandbox.shopify.state import gid
from tests.street import Street

OPENING = "opening > available@A"


def test_a_lost_webhook_is_made_up_for_by_the_next_poll(street: Street) -> None:
    street.world.move("mug", 10, OPENING, "50")
    shopify, woo = street.open_shopify({"mug": 10}), street.open_woo({"mug": 10})
    street.settle()
    street.heard = lambda posted: False
    shopify.place_order([("mug", 3)])
    woo.place_order([("mug", 1)])
    street.settle(70)
    assert (shopify.shown()["mug"], woo.shown()["mug"]) == (6, 6)


def test_the_same_delivery_again_moves_nothing_even_a_day_later(street: Street) -> None:
    street.world.move("mug", 10, OPENING, "50")
    shopify = street.open_shopify({"mug": 10})
    street.settle()
    kept: list[Delivery] = []
    street.heard = lambda posted: kept.append(posted) is None
    shopify.place_order([("mug", 3)])
    street.settle(5)
    for _ in range(2):
        assert [street.hand_over(shopify, posted) for posted in kept] == [200] * len(kept)
        street.settle(5)
        assert street.world.available("mug") == 7
        street.world.now += timedelta(days=1)
    with street.world.session() as session:
        assert (
            session.value("select count(*) from movement where merchant_id = %(merchant_id)s and source = 'order'") == 1
        )


def test_an_older_state_that_arrives_late_is_ignored(street: Street) -> None:
    street.world.move("mug", 10, OPENING, "50")
    shopify = street.open_shopify({"mug": 10})
    street.settle()
    late: list[Delivery] = []
    street.heard = lambda posted: late.append(posted) is not None
    order = shopify.place_order([("mug", 3)])
    assert order is not None
    street.deliver()
    street.heard = lambda posted: True
    street.world.now += timedelta(minutes=1)
    shopify.edit_line(order, shopify.order(order).lines[0].id, 1)
    street.settle(5)
    assert street.world.available("mug") == 9
    for posted in late:
        street.hand_over(shopify, posted)
    street.settle(5)
    assert street.world.available("mug") == 9
    assert shopify.shown()["mug"] == 9


def test_an_unknown_sku_is_parked_and_posts_itself_when_it_is_mapped(street: Street) -> None:
    street.world.move("mug", 10, OPENING, "50")
    woo = street.open_woo({"mug": 10, "ghost": 5})
    street.settle()
    woo.place_order([("mug", 1), ("ghost", 2)])
    street.settle(5)
    assert street.parked() == ["unknown_listing"]
    assert street.world.available("mug") == 9
    street.world.item("ghost")
    street.map(woo, "ghost")
    street.settle(5)
    assert street.parked() == []
    assert street.world.available("ghost") == -2
    assert street.world.available("mug") == 9


def test_a_malformed_document_is_parked_and_does_not_block_the_ones_behind_it(street: Street) -> None:
    street.world.move("mug", 10, OPENING, "50")
    woo = street.open_woo({"mug": 10})
    street.settle()
    kept: list[Delivery] = []
    street.heard = lambda posted: kept.append(posted) is not None
    woo.place_order([("mug", 1)])
    street.deliver()
    posted = next(p for p in kept if b"line_items" in p.body)
    body = orjson.loads(posted.body)
    body["line_items"][0]["quantity"] = "1"
    street.heard = lambda posted: True
    street.hand_over(woo, street.signed(woo, posted, orjson.dumps(body)))
    woo.place_order([("mug", 2)])
    street.settle(1)
    assert len(street.parked()) == 1
    assert street.world.available("mug") == 8
    street.settle(40)
    assert street.parked() == []  # the order was read since, as it is
    assert street.world.available("mug") == 7


def test_a_wrong_signature_is_refused_and_counted_and_stored_nowhere(street: Street) -> None:
    shopify, woo = street.open_shopify({"mug": 1}), street.open_woo({"mug": 1})
    kept: list[Delivery] = []
    street.heard = lambda posted: kept.append(posted) is not None
    shopify.place_order([("mug", 1)])
    woo.place_order([("mug", 1)])
    street.deliver()
    for shop, status in ((shopify, 401), (woo, 202)):
        mine = [p for p in kept if ("shopify" in p.url) is (shop is shopify) and p.body.startswith(b"{")]
        spoiled = Delivery(mine[0].due_at, mine[0].url, mine[0].headers, mine[0].body + b" ", mine[0].hook_key)
        assert street.hand_over(shop, spoiled) == status
    with street.world.session() as session:
        assert session.value("select count(*) from inbox where merchant_id = %(merchant_id)s") == 0
        assert session.value("select sum(count) from delivery_refusal where merchant_id = %(merchant_id)s") == 2


def test_no_customer_field_is_ever_stored(street: Street) -> None:
    woo, shopify = street.open_woo({"mug": 5}), street.open_shopify({"mug": 5})
    woo.place_order([("mug", 1)])
    shopify.place_order([("mug", 1)])
    street.settle(70)
    with street.world.session() as session:
        rows = session.rows("select body from inbox where merchant_id = %(merchant_id)s and body is not null")
    text = b" ".join(bytes(row.body) for row in rows)
    assert rows
    for word in (b"email", b"phone", b"address", b"first_name", b"customer", b"billing", b"browser_ip"):
        assert word not in text


def test_an_item_edited_by_hand_in_the_shop_is_found_shown_and_written_again(street: Street) -> None:
    street.world.move("mug", 10, OPENING, "50")
    shopify, woo = street.open_shopify({"mug": 10}), street.open_woo({"mug": 10})
    street.settle()
    shopify.set_stock_by_hand("mug", gid("Location", next(iter(shopify.locations))), 99)
    woo.set_stock_by_hand("mug", 55)
    street.settle(90)
    assert (shopify.shown()["mug"], woo.shown()["mug"]) == (10, 10)
    assert (street.cases(), street.cases("corrected")) == ([], ["drift", "drift"])


def test_a_sale_has_only_the_number_of_what_was_sold_written_elsewhere(street: Street) -> None:
    for sku in ("mug", "cup"):
        street.world.move(sku, 10, OPENING, "50")
    shopify, woo = street.open_shopify({"mug": 10, "cup": 10}), street.open_woo({"mug": 10, "cup": 10})
    street.settle()
    calls = street.adapters[street.channel_of(shopify)].calls
    before = len(calls)
    woo.place_order([("mug", 1)])
    street.settle()
    assert shopify.shown() == {"mug": 9, "cup": 10}
    written = [call.body for call in calls[before:] if b"mutation" in call.body]
    assert written
    mug, cup = (gid("InventoryItem", shopify.variant(sku).item_id).encode() for sku in ("mug", "cup"))
    assert [(mug in body, cup in body) for body in written] == [(True, False)] * len(written)
