"""The template connector keeps the contract over real HTTP, and what it alone has to decide is settled."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import orjson
import pytest

from connectors.base import NoticeKind, Rejected, StockKey, StockReading, StockWrite, Units, Window, Written
from connectors.errors import AccessDenied, InvalidSignature, Malformed, NotFound, OutcomeUnknown, Throttled, Transient
from sandbox.base import Response
from sandbox.till import SECRET
from tests.contract.rig import Clock, answering, faults
from tests.contract.suite import ConnectorContract, documents, heads, snapshot, until_now
from tests.contract.till_rig import HOOK_URL, TillRig, running

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def rig() -> Iterator[TillRig]:
    made = running(Clock())
    yield from made  # type: ignore[misc]


class TestTill(ConnectorContract):
    """The checks that every connector passes."""


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (401, AccessDenied, "unauthorized"),
        (404, NotFound, "not_found"),
        (429, Throttled, "throttled"),
        (500, OutcomeUnknown, "http_500"),
        (503, Transient, "unavailable"),
    ],
)
def test_each_status_that_a_write_is_refused_with_is_an_error_by_name(
    rig: TillRig, status: int, kind: type[Exception], reason: str
) -> None:
    key = rig.add("A", 7)
    with answering(rig, Response(status, {**JSON, "Retry-After": "7"}, b"{}")), pytest.raises(kind) as caught:
        rig.connector.write_stock(rig.http, rig.shop, [StockWrite(key, 7, 6)], "k")
    assert getattr(caught.value, "reason", "") == reason
    assert getattr(caught.value, "retry_after_s", 0) == 7


def test_another_token_is_refused_by_the_till_itself(rig: TillRig) -> None:
    key = rig.add("A", 7)
    with pytest.raises(AccessDenied):
        rig.connector.read_stock(rig.http, replace(rig.shop, credentials={"token": "another"}), [key])


def test_each_row_of_a_batch_is_answered_for_itself(rig: TillRig) -> None:
    good, untracked, gone = rig.add("A", 7), rig.add_untracked("U"), rig.gone_stock()
    rows = [StockWrite(key, 0, 5) for key in (good, untracked, gone)]
    outcomes = rig.connector.write_stock(rig.http, rig.shop, rows, "k")
    assert outcomes[0] == Written(good, 5)
    assert [o.reason for o in outcomes[1:] if isinstance(o, Rejected)] == ["untracked", "gone"]
    assert rig.pretend.shown() == {"A": 5}


@pytest.mark.parametrize("stock", ["12", 1.5, True, [12], 2_000_000_000])
def test_one_product_whose_number_can_not_be_read_says_so_by_itself_and_the_others_are_read(
    rig: TillRig, stock: object
) -> None:
    first, odd, last = rig.add("A", 5), rig.add("B", 6), rig.add("C", 7)
    rig.pretend.products[odd.stock_key].stock = stock  # type: ignore[assignment]
    wanted = [StockReading(first, 5), StockReading(odd, None, "not_whole"), StockReading(last, 7)]
    assert list(rig.connector.read_stock(rig.http, rig.shop, [first, odd, last])) == wanted
    entries = [entry for page in rig.connector.read_catalogue(rig.http, rig.shop) for entry in page.entries]
    assert [reading for entry in entries for reading in entry.stock] == wanted


def test_more_rows_than_a_call_takes_and_differences_are_mistakes_of_the_caller(rig: TillRig) -> None:
    for rows in ([StockWrite(StockKey("1"), 0, 1)] * 21, [StockWrite(StockKey("1"), 0, 1, relative=True)]):
        with pytest.raises(ValueError):
            rig.connector.write_stock(rig.http, rig.shop, rows, "k")


def test_an_answer_about_other_products_leaves_the_outcome_unknown(rig: TillRig) -> None:
    key = rig.add("A", 7)
    other = Response(200, JSON, b'{"rows":[{"product":"77","quantity":6}]}')
    with answering(rig, other), pytest.raises(OutcomeUnknown) as caught:
        rig.connector.write_stock(rig.http, rig.shop, [StockWrite(key, 7, 6)], "k")
    assert caught.value.reason == "answer_out_of_order"


def test_a_page_that_names_itself_as_the_next_ends_in_an_error_not_for_ever(rig: TillRig) -> None:
    round_and_round = Response(200, JSON, b'{"orders":[],"next":"x"}')
    with answering(rig, round_and_round), pytest.raises(Transient) as caught:
        heads(rig, until_now(rig))
    assert caught.value.reason == "paging_unstable"


def test_one_order_that_can_not_be_read_leaves_the_others_of_its_page(rig: TillRig) -> None:
    rig.add("A", 10)
    good, bad = rig.order("A", 1), rig.order("A", 2)
    rig.pretend.orders[bad].lines[0].sku = "\0" * 3
    kept = {document.order_key: document.body for document in documents(rig, until_now(rig))}
    assert rig.connector.parse_order(kept[good]).order_key == good
    with pytest.raises(Malformed) as caught:
        rig.connector.parse_order(kept[bad])
    assert caught.value.field == "lines[0].sku"


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("quantity", 1.5, "not_a_whole_number"),
        ("quantity", True, "not_a_whole_number"),
        ("quantity", -1, "out_of_range"),
        ("handed_over", 4, "out_of_range"),
        ("held", 2, "units_do_not_add_up"),
        ("returned", 3, "units_do_not_add_up"),
        ("price", 9.99, "not_text"),
        ("price", "NaN", "not_an_amount"),
        ("product", {"id": 1}, "not_text"),
        ("id", "1,2", "bad_key"),
    ],
)
def test_a_line_that_says_something_impossible_is_named_and_not_guessed(
    rig: TillRig, field: str, value: object, reason: str
) -> None:
    rig.add("A", 10)
    (document,) = rig.connector.read_orders_by_key(rig.http, rig.shop, [rig.order("A", 3)])
    order = orjson.loads(document.body)
    order["lines"][0] |= {"handed_over": 2, field: value}
    with pytest.raises(Malformed) as caught:
        rig.connector.parse_order(orjson.dumps(order))
    assert caught.value.reason == reason


def test_a_date_without_a_zone_is_refused(rig: TillRig) -> None:
    rig.add("A", 10)
    (document,) = rig.connector.read_orders_by_key(rig.http, rig.shop, [rig.order("A", 3)])
    order = orjson.loads(document.body) | {"updated_at": "2026-11-23T12:00:00"}
    with pytest.raises(Malformed) as caught:
        rig.connector.parse_order(orjson.dumps(order))
    assert (caught.value.reason, caught.value.field) == ("no_time_zone", "order.updated_at")


def test_a_status_that_is_not_known_is_told_and_the_units_are_still_read(rig: TillRig) -> None:
    rig.add("A", 10)
    order = rig.order("A", 3)
    rig.pretend.orders[order].status = "parked"
    found = snapshot(rig, order)
    assert [problem.reason for problem in found.problems] == ["unknown_status"]
    assert found.lines[0].units == (Units(committed=3, taken=3),)
    assert found.lines[0].unit_price == Decimal("10.00")


def test_an_order_that_was_deleted_is_missing_and_its_delivery_rings(rig: TillRig) -> None:
    rig.subscribe()
    rig.add("A", 10)
    order = rig.order("A", 3)
    rig.pretend.due_deliveries()
    rig.pretend.delete_order(order)
    (delivery,) = rig.pretend.due_deliveries()
    notice = rig.connector.notice(rig.shop, delivery.headers, delivery.body)
    assert (notice.kind, notice.resource, notice.resource_key) == (NoticeKind.DOORBELL, "order", order)
    (document,) = rig.connector.read_orders_by_key(rig.http, rig.shop, [order])
    assert document.missing


def test_a_number_typed_at_the_counter_is_an_observation_of_what_is_shown(rig: TillRig) -> None:
    rig.subscribe()
    key = rig.add("A", 10)
    rig.pretend.due_deliveries()
    rig.pretend.set_stock_by_hand("A", 4)
    (delivery,) = rig.pretend.due_deliveries()
    notice = rig.connector.notice(rig.shop, delivery.headers, delivery.body)
    assert notice.kind is NoticeKind.OBSERVATION
    assert orjson.loads(notice.body or b"")["quantity"] == 4
    assert notice.resource_key == key.stock_key


def test_an_empty_secret_lets_nobody_sign(rig: TillRig) -> None:
    signature = hmac.new(b"", b"{}", hashlib.sha256).hexdigest()
    with pytest.raises(InvalidSignature) as caught:
        rig.connector.verify(["", SECRET], {"X-Till-Signature": signature}, b"{}")
    assert caught.value.reason == "invalid_signature"
    with pytest.raises(InvalidSignature) as caught:
        rig.connector.verify([SECRET], {}, b"{}")
    assert caught.value.reason == "missing_signature"


def test_every_delivery_has_an_id_of_its_own_which_its_copies_share(rig: TillRig) -> None:
    rig.subscribe()
    rig.add("A", 10)
    rig.pretend.due_deliveries()
    with faults(rig, duplicate=1.0):
        rig.pretend.set_stock_by_hand("A", 4)
        rig.pretend.set_stock_by_hand("A", 5)
    told = [rig.connector.notice(rig.shop, d.headers, d.body).delivery_key for d in rig.pretend.due_deliveries()]
    assert len(told) == 4
    assert len(set(told)) == 2


def test_a_subscription_that_the_till_paused_is_woken_and_an_old_address_is_moved(rig: TillRig) -> None:
    old = "http://127.0.0.1:9/old/webhooks/key-of-this-shop"
    rig.connector.write_webhooks(rig.http, rig.shop, url=old, secret=SECRET)
    strange = rig.pretend.hooks.add("order.changed", HOOK_URL, "theirs")
    first = next(iter(rig.pretend.hooks.hooks.values()))
    first.status = "paused"
    url = "http://127.0.0.1:9/new/webhooks/key-of-this-shop"
    made = rig.connector.write_webhooks(rig.http, rig.shop, url=url, secret=SECRET)
    assert {(one.url, one.status) for one in made} == {(url, "active")}
    assert len(rig.pretend.hooks.hooks) == len(rig.connector.topics) + 1
    assert strange.url == HOOK_URL


def test_a_window_is_asked_for_to_the_microsecond(rig: TillRig) -> None:
    rig.add("A", 10)
    rig.clock.tick(0.000_001)
    order = rig.order("A", 1)
    at = rig.clock()
    assert [head.order_key for head in heads(rig, Window(at, at))] == [order]
    assert heads(rig, Window(at + timedelta(microseconds=1), at + timedelta(seconds=1))) == []
