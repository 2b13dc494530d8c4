"""Shopify's orders over real HTTP: complete in every list, at their places, and explaining the shop's numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest

from connectors.base import NoticeKind, OrderSnapshot, Units
from connectors.errors import Malformed
from connectors.shopify.orders import ALL_PARTS, READ_ORDERS_MAX
from tests.contract.rig import Clock, counting
from tests.contract.shopify_rig import HOOK_URL, ShopifyRig
from tests.contract.shopify_staff import Staff
from tests.contract.suite import documents, snapshot, until_now, whereabouts


@pytest.fixture
def rig() -> Iterator[ShopifyRig]:
    rig = ShopifyRig(Clock())
    with rig.front:
        yield rig


def taken(found: list[OrderSnapshot]) -> Counter[tuple[str | None, str | None]]:
    """What the orders say the shop took off its numbers, by (inventory item, location)."""
    count: Counter[tuple[str | None, str | None]] = Counter()
    for order in found:
        for line in order.lines:
            for unit in line.units:
                count[line.stock_key, unit.location_key] += unit.taken
    return count


def everything(rig: ShopifyRig) -> list[OrderSnapshot]:
    return [rig.connector.parse_order(document.body) for document in documents(rig, until_now(rig))]


def test_an_order_with_many_lines_is_read_to_the_last_one(rig: ShopifyRig) -> None:
    skus = [f"S{n}" for n in range(137)]
    for sku in skus:
        rig.add(sku, 5)
    order = rig.pretend.place_order([(sku, 1) for sku in skus])
    assert order is not None
    rig.pretend.fulfill(order, dict.fromkeys(skus[:70], 1))
    rig.pretend.refund(order, dict.fromkeys(skus[:60], 1), "RETURN")
    assert whereabouts(snapshot(rig, order)) == {"committed": 67, "shipped": 10, "restocked": 60}


def test_every_line_of_a_long_order_is_at_the_place_it_is_assigned_to(rig: ShopifyRig) -> None:
    places = [rig.shelf, rig.add_location("Annex")]
    skus = [f"S{n}" for n in range(80)]
    for n, sku in enumerate(skus):
        rig.pretend.add_variant(sku, {places[n % 2]: 5})
    order = rig.pretend.place_order([(sku, 1) for sku in skus])
    assert order is not None
    found = snapshot(rig, order)
    assert found.located
    assert [line.units for line in found.lines] == [(Units(places[n % 2], committed=1, taken=1),) for n in range(80)]


def test_an_order_with_many_fulfilments_refunds_and_moves_is_read_whole(rig: ShopifyRig) -> None:
    annex = rig.add_location("Annex")
    rig.add("A", 50)
    order = rig.order("A", 40)
    for n in range(12):
        rig.pretend.fulfill(order, {"A": 1})
        rig.pretend.refund(order, {"A": 1}, "NO_RESTOCK" if n % 2 else "CANCEL")
        rig.pretend.move_fulfillment_order(order, annex if n % 2 else rig.shelf)
    rig.pretend.open_return(order, {"A": 5})
    for _ in range(5):
        rig.pretend.dispose(order, "A", 1, "PROCESSING_REQUIRED", rig.shelf)
    assert whereabouts(snapshot(rig, order)) == {"committed": 16, "shipped": 7, "held": 11}


def test_orders_of_few_lines_are_read_many_in_a_call(rig: ShopifyRig) -> None:
    rig.add("A", 100)
    rig.add("B", 100)
    orders = [rig.pretend.place_order([("A", 1), ("B", 1)]) for _ in range(READ_ORDERS_MAX)]
    for order in orders:
        assert order is not None
        rig.pretend.fulfill(order, {"A": 1})
        rig.pretend.refund(order, {"B": 1}, "CANCEL")
    with counting(rig) as reached:
        found = rig.connector.read_orders_by_key(rig.http, rig.shop, [order for order in orders if order])
    assert reached.calls == 2
    told = [whereabouts(rig.connector.parse_order(document.body)) for document in found]
    assert told == [{"shipped": 1}] * len(orders)


@pytest.mark.parametrize("overflowing", ["lines", "fulfilments", "refunds", "places"])
def test_an_order_among_small_ones_is_read_whole_whichever_of_its_lists_is_longer(
    rig: ShopifyRig, overflowing: str
) -> None:
    skus = [f"S{n}" for n in range(4)]
    for sku in skus:
        rig.add(sku, 50)
    small = rig.order("S0", 1)
    order = rig.pretend.place_order([(sku, 9) for sku in (skus if overflowing == "lines" else skus[:1])])
    assert order is not None
    for n in range(3):
        if overflowing == "fulfilments":
            rig.pretend.fulfill(order, {"S0": 1})
        elif overflowing == "refunds":
            rig.pretend.refund(order, {"S0": 1}, "CANCEL")
        elif overflowing == "places":
            rig.pretend.fulfill(order, {"S0": 1})
            rig.pretend.move_fulfillment_order(order, rig.add_location(f"Annex {n}"))
    expected = {
        "lines": {"committed": 36}, "fulfilments": {"committed": 6, "shipped": 3},
        "refunds": {"committed": 6}, "places": {"committed": 6, "shipped": 3},
    }  # fmt: skip
    told = {d.order_key: d.body for d in rig.connector.read_orders_by_key(rig.http, rig.shop, [order, small])}
    assert whereabouts(rig.connector.parse_order(told[order])) == expected[overflowing]
    assert whereabouts(rig.connector.parse_order(told[small])) == {"committed": 1}


def test_an_order_beyond_what_can_be_paged_is_refused_and_does_not_stop_the_others(rig: ShopifyRig) -> None:
    rig.add("A", 200)
    huge, small = rig.order("A", 100), rig.order("A", 1)
    for _ in range(ALL_PARTS):
        rig.pretend.fulfill(huge, {"A": 1})
    bodies = {document.order_key: document.body for document in documents(rig, until_now(rig))}
    with pytest.raises(Malformed) as caught:
        rig.connector.parse_order(bodies[huge])
    assert caught.value.reason == "order_too_large"
    assert whereabouts(rig.connector.parse_order(bodies[small])) == {"committed": 1}


def test_a_window_is_complete_even_where_every_page_is_too_expensive_at_first(rig: ShopifyRig) -> None:
    rig.add("A", 100)
    orders = [rig.order("A", 1) for _ in range(12)]
    rig.pretend.endpoint.cost_max = 320
    assert [document.order_key for document in documents(rig, until_now(rig))] == orders


def test_an_event_that_only_names_a_part_of_an_order_is_traced_to_it(rig: ShopifyRig) -> None:
    annex = rig.add_location("Annex")
    rig.add("A", 10)
    order = rig.order("A", 2)
    moved = rig.pretend.move_fulfillment_order(order, annex)
    rig.pretend.fulfill(order)
    returned = rig.pretend.open_return(order, {"A": 1})
    merged_away = "gid://shopify/FulfillmentOrder/1"
    found = rig.connector.read_orders_by_key(rig.http, rig.shop, [moved, returned, merged_away])
    assert [(document.order_key, document.missing) for document in found] == [(order, False)]


def test_without_the_scope_for_returns_orders_are_still_read(rig: ShopifyRig) -> None:
    rig.pretend.endpoint.scopes -= {"read_returns"}
    rig.shop = rig.seen_with(rig.shelf, scopes=",".join(sorted(rig.pretend.endpoint.scopes)))
    rig.add("A", 10)
    order = rig.order("A", 2)
    rig.ship(order)
    rig.pretend.open_return(order, {"A": 1})
    assert whereabouts(snapshot(rig, order)) == {"shipped": 2}


def test_the_same_order_moved_to_another_place_is_committed_there(rig: ShopifyRig) -> None:
    annex = rig.add_location("Annex")
    rig.add("A", 10)
    order = rig.order("A", 2)
    rig.pretend.move_fulfillment_order(order, annex)
    (line,) = snapshot(rig, order).lines
    assert line.units == (Units(annex, committed=2, taken=2),)


def test_a_deleted_product_stays_in_its_orders(rig: ShopifyRig) -> None:
    rig.add("A", 10)
    key = rig.key("A")
    order = rig.order("A", 2)
    rig.pretend.delete_variant("A")
    (line,) = snapshot(rig, order).lines
    assert (line.listing_key, line.stock_key, line.sku) == (None, key.stock_key, "A")


def test_no_customer_field_is_in_a_document_that_was_read(rig: ShopifyRig) -> None:
    rig.add("A", 10)
    rig.order("A", 1)
    (document,) = documents(rig, until_now(rig))
    assert not [word for word in (b"@", b"Ada", b"phone", b"+1555") if word in document.body]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_staff_do_the_orders_explain_the_shops_numbers_to_the_unit(rig: ShopifyRig, seed: int) -> None:
    places = [rig.shelf, rig.add_location("Annex"), rig.add_location("Store")]
    variants = [rig.pretend.add_variant(sku, dict.fromkeys(places, 40)) for sku in ("A", "B")]
    staff = Staff(rig.pretend, Random(seed), places, ["A", "B"])
    for _ in range(40):
        staff.act()
        rig.clock.tick(1)
    found = everything(rig)
    shown = {
        (rig.key(variant.sku).stock_key, place): rig.pretend.inventory.available(variant.item_id, int(place[23:]))
        for variant in variants
        for place in places
    }
    off = taken(found)
    assert {key: 40 - off[key] for key in shown} == shown
    assert all(order.located for order in found)
    for order in found:
        for line in order.lines:
            assert min(min(u.committed, u.shipped, u.restocked, u.damaged, u.held) for u in (*line.units, Units())) >= 0
            assert sum(u.committed + u.shipped + u.restocked + u.damaged + u.held for u in line.units) <= line.ordered


@pytest.mark.parametrize("seed", range(6))
def test_in_a_shop_with_one_location_a_webhook_says_the_same_as_a_read(rig: ShopifyRig, seed: int) -> None:
    rig.pretend.add_variant("A", {rig.shelf: 100})
    for topic in ("ORDERS_CREATE", "ORDERS_UPDATED", "ORDERS_CANCELLED"):
        rig.pretend.subscribe(topic, HOOK_URL)
    staff = Staff(rig.pretend, Random(seed), [rig.shelf], ["A"])
    documents_told = 0
    for _ in range(30):
        staff.act()
        rig.clock.tick(1)
        last = {}
        for delivery in rig.pretend.due_deliveries():
            notice = rig.connector.notice(rig.shop, delivery.headers, delivery.body)
            last[notice.resource_key] = notice
        for notice in last.values():
            if notice.kind is NoticeKind.DOCUMENT:
                documents_told += 1
                told = rig.connector.parse_order(notice.body or b"")
                read = snapshot(rig, notice.resource_key)
                assert (told.version, told.status) == (read.version, read.status)
                assert [line.units for line in told.lines] == [line.units for line in read.lines]
    assert documents_told > 5
