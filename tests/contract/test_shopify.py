"""Shopify keeps the contract of connectors, and what is special about its stock and its shop holds over real HTTP."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from connectors.base import Conflict, Rejected, StockKey, StockReading, StockWrite, Unsent, Written
from connectors.errors import AccessDenied, ChannelError, NeverApplied, OutcomeUnknown, Refused, Throttled, Transient
from connectors.shopify.stock import ROWS_MAX
from sandbox.base import Request, Response
from sandbox.shopify.cost import Bucket
from tests.contract.rig import Clock, answering, faults
from tests.contract.shopify_rig import HOOK_URL, ShopifyRig
from tests.contract.suite import ConnectorContract


@pytest.fixture
def rig() -> Iterator[ShopifyRig]:
    rig = ShopifyRig(Clock())
    with rig.front:
        yield rig


class TestShopify(ConnectorContract):
    """The shared checks."""


def write(rig: ShopifyRig, *rows: StockWrite, key: str = "k1") -> list[object]:
    return list(rig.connector.write_stock(rig.http, rig.shop, rows, key))


def test_one_stale_row_spares_the_others_but_nothing_of_the_batch_is_applied(rig: ShopifyRig) -> None:
    first, stale, last = rig.add("A", 5), rig.add("B", 5), rig.add("C", 5)
    rows = (StockWrite(first, 5, 6), StockWrite(stale, 4, 6), StockWrite(last, 5, 6))
    assert write(rig, *rows) == [Unsent(first), Conflict(stale), Unsent(last)]
    assert rig.pretend.shown() == {"A": 5, "B": 5, "C": 5}
    assert write(rig, rows[0], rows[2], key="k2") == [Written(first, 6), Written(last, 6)]


def test_a_bundle_parent_is_set_aside_and_does_not_block_hundreds_of_rows(rig: ShopifyRig) -> None:
    good = [rig.add(f"S{n}", 5) for n in range(ROWS_MAX - 1)]
    rig.pretend.add_variant("KIT", {rig.shelf: 0}, bundle=True)
    kit = rig.key("KIT")
    outcomes = write(rig, StockWrite(kit, 0, 3), *(StockWrite(key, 5, 4) for key in good))
    assert isinstance(outcomes[0], Rejected)
    assert outcomes[0].reason == "bundle_parent"
    assert outcomes[1:] == [Unsent(key) for key in good]
    assert write(rig, *(StockWrite(key, 5, 4) for key in good), key="k2") == [Written(key, 4) for key in good]


SET, OK = '{"data": {"inventorySetQuantities": %s}}', '{"userErrors": [], "inventoryAdjustmentGroup": %s}'
CHANGE = '{"changes": [{"name": "available", "item": {"id": "1"}, "location": {"id": "2"}, "quantityAfterChange": %s}]}'


@pytest.mark.parametrize(
    "body",
    [
        '{"data": {}}', SET % "null", SET % "[]", SET % "{}", SET % '{"userErrors": null}', SET % '{"userErrors": [7]}',
        SET % '{"userErrors": [{"code": "INVALID_LOCATION", "field": null, "message": 7}]}', SET % OK % '"x"',
        SET % OK % "{}", SET % OK % CHANGE % '"9"', SET % OK % CHANGE % "null",
        '{"data": null, "errors": [{"message": "new", "extensions": {"code": "NEVER_HEARD_OF"}}]}',
        '{"data": {"inventorySetQuantities": null}, "errors": [{"message": "no code"}]}',
    ],
)  # fmt: skip
def test_an_answer_to_a_write_that_cant_be_read_leaves_its_outcome_unknown(rig: ShopifyRig, body: str) -> None:
    first, second = rig.add("A", 5), rig.add("B", 5)
    with (
        answering(rig, Response(200, {"Content-Type": "application/json"}, body.encode())),
        pytest.raises(OutcomeUnknown),
    ):
        write(rig, StockWrite(first, 5, 6), StockWrite(second, 5, 6))


def test_a_write_that_was_carried_out_counts_though_a_part_of_its_answer_was_refused(rig: ShopifyRig) -> None:
    key = rig.add("A", 5)
    unseen = CHANGE.replace('{"id": "1"}', "null") % "6"
    refused = '"errors": [{"message": "no scope", "extensions": {"code": "ACCESS_DENIED"}}]'
    body = f"{(SET % OK % unseen)[:-1]}, {refused}}}"
    with answering(rig, Response(200, {"Content-Type": "application/json"}, body.encode())):
        assert write(rig, StockWrite(key, 5, 6)) == [Written(key, None)]


@pytest.mark.parametrize(
    ("location", "target", "reason"),
    [
        ("gid://shopify/Location/1", 4, "location_gone"),
        (None, -1, "quantity_out_of_range"),
        (None, 2_000_000_000, "quantity_out_of_range"),
    ],
)
def test_a_row_that_can_never_be_accepted_says_why(
    rig: ShopifyRig, location: str | None, target: int, reason: str
) -> None:
    key = rig.add("A", 5)
    key = StockKey(key.stock_key, location or key.location_key)
    (outcome,) = write(rig, StockWrite(key, 5, target))
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.permanent) == (reason, True)


def test_a_number_below_zero_can_be_raised_since_it_is_compared_as_it_is(rig: ShopifyRig) -> None:
    rig.pretend.sells_below_zero = True
    key = rig.add("A", 0)
    rig.order("A", 2)
    assert write(rig, StockWrite(key, -2, 3)) == [Written(key, 3)]


def test_a_row_that_changes_nothing_is_written_without_a_number(rig: ShopifyRig) -> None:
    key = rig.add("A", 5)
    assert write(rig, StockWrite(key, 5, 5)) == [Written(key, None)]


def test_a_relative_row_commutes_with_a_sale_that_nobody_has_seen(rig: ShopifyRig) -> None:
    key = rig.add("A", 10)
    rig.order("A", 2)
    assert write(rig, StockWrite(key, expected=10, target=7, relative=True)) == [Written(key, 5)]


def test_a_batch_that_shopify_would_refuse_whole_is_a_bug_and_never_leaves(rig: ShopifyRig) -> None:
    key = rig.add("A", 5)
    many = [StockWrite(StockKey(f"gid://shopify/InventoryItem/{n}", rig.shelf), 1, 2) for n in range(ROWS_MAX + 1)]
    for rows in (many, [StockWrite(key, 5, 4), StockWrite(key, 5, 4)]):
        with pytest.raises(ValueError):
            write(rig, *rows)
    with pytest.raises(ValueError):
        write(rig, StockWrite(key, 5, 4), StockWrite(rig.gone_stock(), 5, 4, relative=True))
    assert write(rig) == []


def test_an_answer_that_was_lost_is_told_again_under_the_same_key(rig: ShopifyRig) -> None:
    key = rig.add("A", 5)
    with faults(rig, timeout_after=1.0), pytest.raises(OutcomeUnknown):
        write(rig, StockWrite(key, 5, 3))
    rig.order("A", 1)
    assert write(rig, StockWrite(key, 5, 3)) == [Written(key, 3)]
    assert rig.pretend.shown() == {"A": 2}


def test_a_write_that_shopify_broke_over_may_have_happened(rig: ShopifyRig) -> None:
    key = rig.add("A", 5)
    body = b'{"errors":[{"message":"Internal error","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}'
    with answering(rig, Response(200, {"Content-Type": "application/json"}, body)):
        with pytest.raises(OutcomeUnknown):
            write(rig, StockWrite(key, 5, 3))
        with pytest.raises(Transient):
            rig.connector.read_stock(rig.http, rig.shop, [key])


def test_a_refusal_that_names_no_row_of_several_is_not_pinned_on_any(rig: ShopifyRig) -> None:
    first, second = StockWrite(rig.add("A", 5), 5, 3), StockWrite(rig.add("B", 5), 5, 3)
    error = b'{"code":"NON_MUTABLE_INVENTORY_ITEM","field":["input"],"message":"not here"}'
    body = b'{"data":{"inventorySetQuantities":{"inventoryAdjustmentGroup":null,"userErrors":[' + error + b"]}}}"
    with answering(rig, Response(200, {"Content-Type": "application/json"}, body)):
        with pytest.raises(Refused) as caught:
            write(rig, first, second)
        assert caught.value.reason == "bundle_parent"
        assert write(rig, first) == [Rejected(first.key, "bundle_parent", "not here")]


def test_another_content_under_a_used_key_is_refused(rig: ShopifyRig) -> None:
    key = rig.add("A", 5)
    write(rig, StockWrite(key, 5, 3))
    with pytest.raises(Refused) as caught:
        write(rig, StockWrite(key, 3, 2))
    assert caught.value.reason == "idempotency_key_parameter_mismatch"


def test_a_batch_that_was_refused_needs_a_new_key(rig: ShopifyRig) -> None:
    key = rig.add("A", 5)
    assert write(rig, StockWrite(key, 4, 3)) == [Conflict(key)]
    with pytest.raises(NeverApplied) as caught:
        write(rig, StockWrite(key, 4, 3))
    assert caught.value.reason == "idempotency_previous_attempt_failed"


def test_a_key_whose_first_request_still_runs_is_sent_again_later(rig: ShopifyRig) -> None:
    key = rig.add("A", 5)
    rig.pretend.inventory.busy_keys.add("k1")
    with pytest.raises(Transient) as caught:
        write(rig, StockWrite(key, 5, 3))
    assert caught.value.reason == "idempotency_concurrent_request"
    rig.pretend.inventory.busy_keys.clear()
    assert write(rig, StockWrite(key, 5, 3)) == [Written(key, 3)]


def test_a_throttled_write_says_how_long_to_wait_and_goes_through_with_the_same_key(rig: ShopifyRig) -> None:
    key = rig.add("A", 5)
    rig.pretend.endpoint.bucket = Bucket(size=20, restored_per_s=10)
    rig.pretend.endpoint.bucket.take(20, rig.clock())
    with pytest.raises(Throttled) as caught:
        write(rig, StockWrite(key, 5, 3))
    assert caught.value.retry_after_s == pytest.approx(1.0)
    rig.clock.tick(1.0)
    assert write(rig, StockWrite(key, 5, 3)) == [Written(key, 3)]


def test_a_write_waits_ten_seconds_for_its_answer_and_a_read_thirty(rig: ShopifyRig) -> None:
    """Asked again under the same key, the shop tells what became of a write; a lane that waits writes nothing else."""
    key, waited = rig.add("A", 5), []
    send = rig.http.session.request

    def watched(*given: Any, timeout: tuple[float, float], **more: Any) -> Any:
        waited.append(timeout[1])
        return send(*given, timeout=timeout, **more)

    rig.http.session.request = watched  # type: ignore[method-assign, assignment]
    assert write(rig, StockWrite(key, 5, 3)) == [Written(key, 3)]
    rig.connector.read_stock(rig.http, rig.shop, [key])
    assert waited == [10.0, 30.0]


def test_a_read_waits_for_the_bucket_and_then_succeeds(rig: ShopifyRig) -> None:
    key = rig.add("A", 5)
    rig.pretend.endpoint.bucket = Bucket(size=20, restored_per_s=2)
    rig.pretend.endpoint.bucket.take(20, rig.clock())
    assert rig.connector.read_stock(rig.http, rig.shop, [key])[0].quantity == 5


def test_every_reason_for_having_no_number_is_named(rig: ShopifyRig) -> None:
    annex = rig.add_location("Annex")
    stocked, untracked = rig.add("A", 5), rig.add_untracked("U")
    rig.pretend.add_variant("KIT", {rig.shelf: 0}, bundle=True)
    rig.add("B", 5)
    rig.pretend.disconnect("B", rig.shelf)
    wanted = {
        stocked: "", rig.key("A", annex): "not_stocked", untracked: "untracked", rig.key("KIT"): "bundle_parent",
        rig.key("B"): "not_stocked", rig.gone_stock(): "gone",
    }  # fmt: skip
    readings = rig.connector.read_stock(rig.http, rig.shop, list(wanted))
    assert {reading.key: reading.reason for reading in readings} == wanted
    assert [reading.quantity for reading in readings if not reading.reason] == [5]


@pytest.mark.parametrize("shown", ["4.5", '"4242"', "null", "2000000000"])
def test_one_item_whose_number_can_not_be_read_says_so_by_itself_and_the_others_are_read(
    rig: ShopifyRig, monkeypatch: pytest.MonkeyPatch, shown: str
) -> None:
    first, odd, last = rig.add("A", 5), rig.add("B", 4242), rig.add("C", 7)
    handle = rig.pretend.handle

    def answer(request: Request) -> Response:
        found = handle(request)
        return replace(found, body=found.body.replace(b'"quantity":4242', b'"quantity":' + shown.encode()))

    monkeypatch.setattr(rig.pretend, "handle", answer)
    wanted = {first: StockReading(first, 5), odd: StockReading(odd, None, "not_whole"), last: StockReading(last, 7)}
    assert {r.key: r for r in rig.connector.read_stock(rig.http, rig.shop, list(wanted))} == wanted
    entries = [entry for page in rig.connector.read_catalogue(rig.http, rig.shop) for entry in page.entries]
    assert {r.key: r for entry in entries for r in entry.stock} == wanted


def test_numbers_are_read_whole_even_where_a_full_page_is_too_expensive(rig: ShopifyRig) -> None:
    keys = [rig.add(f"S{n}", n) for n in range(ROWS_MAX)]
    rig.pretend.endpoint.cost_max = 300
    readings = rig.connector.read_stock(rig.http, rig.shop, keys)
    assert {reading.key: reading.quantity for reading in readings} == {key: n for n, key in enumerate(keys)}


def test_a_catalogue_of_many_pages_is_complete_with_cost_price_and_every_location(rig: ShopifyRig) -> None:
    places = [rig.shelf, *(rig.add_location(f"L{n}") for n in range(60))]
    rig.pretend.add_variant("WIDE", dict.fromkeys(places, 2), price="19.90", unit_cost="7.25", barcode="4006381333931")
    for n in range(130):
        rig.add(f"S{n}", n)
    rig.pretend.add_variant("KIT", {rig.shelf: 0}, bundle=True)
    entries = {entry.sku: entry for page in rig.connector.read_catalogue(rig.http, rig.shop) for entry in page.entries}
    assert len(entries) == 132
    wide = entries["WIDE"]
    assert (str(wide.price), str(wide.unit_cost), wide.barcode) == ("19.90", "7.25", "4006381333931")
    assert {reading.key.location_key for reading in wide.stock} == set(places)
    assert (entries["KIT"].bundle, entries["KIT"].stock[0].reason) == (True, "bundle_parent")


def test_two_variants_with_one_sku_stay_two_because_the_item_is_the_key(rig: ShopifyRig) -> None:
    twins = [rig.pretend.add_variant("SAME", {rig.shelf: n}) for n in (1, 2)]
    entries = [entry for page in rig.connector.read_catalogue(rig.http, rig.shop) for entry in page.entries]
    assert [(entry.sku, entry.stock[0].quantity) for entry in entries] == [("SAME", 1), ("SAME", 2)]
    assert len({entry.stock_key for entry in entries}) == len({entry.listing_key for entry in entries}) == len(twins)


def test_pages_grow_as_far_as_the_told_cost_allows(rig: ShopifyRig) -> None:
    for n in range(150):
        rig.add(f"S{n}", 1)
    pages = [len(page.entries) for page in rig.connector.read_catalogue(rig.http, rig.shop)]
    assert sum(pages) == 150
    assert pages[1] > pages[0]


def test_what_is_sold_is_found_by_its_own_key_and_by_its_numbers_and_the_rest_is_left_out(rig: ShopifyRig) -> None:
    rig.add("A", 7)
    rig.add("B", 0)
    listed = {e.sku: e for page in rig.connector.read_catalogue(rig.http, rig.shop) for e in page.entries}
    wanted, nobody = listed["A"], listed["A"].listing_key + "999"
    for keys in ([wanted.listing_key, nobody], [wanted.stock_key, "?"], [wanted.listing_key, wanted.listing_key]):
        assert list(rig.connector.read_entries(rig.http, rig.shop, keys)) == [wanted]
    assert wanted.speaks_of(wanted.listing_key)
    assert not wanted.speaks_of(nobody)
    assert list(rig.connector.read_entries(rig.http, rig.shop, [nobody])) == []


def test_closed_locations_are_listed_as_closed(rig: ShopifyRig) -> None:
    annex = rig.add_location("Annex")
    rig.pretend.deactivate_location(annex)
    locations = rig.connector.read_locations(rig.http, rig.shop)
    assert [(location.name, location.active) for location in locations] == [("Shelf", True), ("Annex", False)]


def test_connecting_reads_who_the_shop_is_and_what_we_may_not_do(rig: ShopifyRig) -> None:
    rig.pretend.endpoint.scopes -= {"read_returns", "read_inventory"}
    facts = rig.connector.read_facts(rig.http, rig.shop)
    assert (facts["domain"], facts["currency"], facts["location_count"]) == ("pretend.myshopify.com", "EUR", "1")
    assert facts["missing_scopes"] == "read_returns"  # write_inventory covers read_inventory
    assert "api_version_mismatch" not in facts


def test_a_retired_api_version_is_a_fact_and_a_line_in_the_log(
    rig: ShopifyRig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.pretend.endpoint.version = "2027-10"
    with caplog.at_level(logging.WARNING):
        facts = rig.connector.read_facts(rig.http, rig.shop)
    assert facts["api_version_mismatch"] == "2027-10 instead of 2026-10"
    assert "2027-10" in caplog.text


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (401, AccessDenied, "unauthorized"),
        (402, AccessDenied, "shop_frozen"),
        (403, AccessDenied, "forbidden"),
        (423, AccessDenied, "shop_locked"),
        (430, Throttled, "security_rejection"),
    ],
)
def test_a_shop_that_answers_nobody_is_named_for_what_it_is(
    rig: ShopifyRig, status: int, kind: type[ChannelError], reason: str
) -> None:
    key = rig.add("A", 5)
    rig.pretend.refuses_with = status
    with pytest.raises(kind) as caught:
        rig.connector.read_stock(rig.http, rig.shop, [key])
    assert caught.value.reason == reason


def test_a_missing_scope_is_refused_by_name(rig: ShopifyRig) -> None:
    key = rig.add("A", 5)
    rig.pretend.endpoint.scopes -= {"write_inventory"}
    with pytest.raises(AccessDenied) as caught:
        write(rig, StockWrite(key, 5, 4))
    assert caught.value.reason == "access_denied"
    assert rig.pretend.shown() == {"A": 5}


def test_a_token_that_was_revoked_is_denied(rig: ShopifyRig) -> None:
    key = rig.add("A", 5)
    stolen = replace(rig.shop, credentials={"access_token": "revoked"})
    with pytest.raises(AccessDenied):
        rig.connector.read_stock(rig.http, stolen, [key])


def test_webhooks_are_subscribed_once_and_follow_when_our_address_changes(rig: ShopifyRig) -> None:
    made = rig.connector.write_webhooks(rig.http, rig.shop, url=HOOK_URL)
    assert rig.connector.write_webhooks(rig.http, rig.shop, url=HOOK_URL) == made
    stray = rig.pretend.subscribe("ORDERS_CREATE", "http://127.0.0.1:9/another", of_app=False)
    rig.pretend.webhooks.subscriptions.insert(0, rig.pretend.webhooks.subscriptions.pop())
    assert rig.connector.write_webhooks(rig.http, rig.shop, url=HOOK_URL) == made
    assert (
        rig.connector.read_webhooks(rig.http, rig.shop)[0].subscription_key == stray
    )  # left alone: ours is there already
    rig.pretend.webhooks.subscriptions.pop(0)
    moved = rig.connector.write_webhooks(rig.http, rig.shop, url="http://127.0.0.1:9/new")
    assert [s.subscription_key for s in moved] == [s.subscription_key for s in made]
    listed = rig.connector.read_webhooks(rig.http, rig.shop)
    assert {subscription.url for subscription in listed} == {"http://127.0.0.1:9/new"}
    assert len(listed) == len(made)
