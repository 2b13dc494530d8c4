"""Shopify's exports over real HTTP: started once, waited for, read line by line from any byte on, and never half."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.base import CatalogueEntry, OrderHead, Window
from connectors.errors import ChannelError, Malformed, OutcomeUnknown, Refused, Transient
from connectors.export import Export, ExportOf, ExportPage, ExportState
from connectors.http import LINE_MAX
from sandbox.base import Response
from tests.contract.rig import Clock, answering, faults
from tests.contract.shopify_rig import ShopifyRig
from tests.contract.suite import DAY, documents, until_now, whole


@pytest.fixture
def rig() -> Iterator[ShopifyRig]:
    rig = ShopifyRig(Clock())
    with rig.front:
        yield rig


def start(rig: ShopifyRig, what: ExportOf) -> Export:
    return rig.connector.start_export(rig.http, rig.shop, what, until_now(rig))


def finished(rig: ShopifyRig, what: ExportOf) -> Export:
    begun = start(rig, what)
    rig.clock.tick(60)
    return rig.connector.read_export(rig.http, rig.shop, begun.export_key)


def pages(rig: ShopifyRig, export: Export, what: ExportOf, offset: int = 0) -> list[ExportPage]:
    return list(rig.connector.read_export_pages(rig.http, rig.shop, export, what, offset))


def entries(read: Sequence[ExportPage]) -> list[CatalogueEntry]:
    return [entry for page in read for entry in page.entries]


def heads(read: Sequence[ExportPage]) -> list[OrderHead]:
    return [head for page in read for head in page.heads]


def until_it_breaks(rig: ShopifyRig, export: Export, what: ExportOf) -> tuple[list[ExportPage], Malformed]:
    read: list[ExportPage] = []
    try:
        for page in rig.connector.read_export_pages(rig.http, rig.shop, export, what, 0):
            read.append(page)
    except Malformed as error:
        return read, error
    raise AssertionError("it did not break")


def spoiled(rig: ShopifyRig, bend: Callable[[bytes], bytes]) -> Export:
    """A catalogue of 600 whose file is bent on its way."""
    for n in range(600):
        rig.add(f"S{n}", n)
    export = finished(rig, ExportOf.CATALOGUE)
    rig.pretend.bulk.spoil = bend
    return export


def test_an_exported_catalogue_is_the_paged_one(rig: ShopifyRig) -> None:
    places = [rig.shelf, rig.add_location("Annex")]
    rig.pretend.add_variant("WIDE", dict.fromkeys(places, 2), price="19.90", unit_cost="7.25", barcode="4006381333931")
    rig.pretend.add_variant("NOWHERE", {})
    rig.pretend.add_variant("KIT", {rig.shelf: 0}, bundle=True)
    for n in range(300):
        rig.add(f"S{n}", n)
    paged = [entry for page in rig.connector.read_catalogue(rig.http, rig.shop) for entry in page.entries]
    assert entries(pages(rig, finished(rig, ExportOf.CATALOGUE), ExportOf.CATALOGUE)) == paged


def test_exported_orders_are_those_of_the_window_and_say_what_a_read_says(rig: ShopifyRig) -> None:
    rig.add("A", 1_000)
    rig.order("A", 1)
    rig.clock.tick(2 * DAY.total_seconds())
    orders = [rig.order("A", 2) for _ in range(30)]
    rig.ship(orders[3])
    rig.refund(orders[4], 1, restock=True)
    read = {document.order_key: document for document in documents(rig, until_now(rig))}
    exported = heads(pages(rig, finished(rig, ExportOf.ORDERS), ExportOf.ORDERS))
    assert sorted(head.order_key for head in exported) == sorted(orders)
    assert {head.order_key for head in exported if head.document is None} == {orders[3], orders[4]}
    assert {document.order_key: document for document in whole(rig, exported)} == read


def test_reading_an_export_costs_no_points_but_those_of_asking(rig: ShopifyRig) -> None:
    for n in range(500):
        rig.add(f"S{n}", 1)
    before = rig.pretend.endpoint.bucket.available(rig.clock())
    assert len(entries(pages(rig, finished(rig, ExportOf.CATALOGUE), ExportOf.CATALOGUE))) == 500
    assert before - rig.pretend.endpoint.bucket.available(rig.clock()) <= 40


def test_a_file_is_read_on_from_the_byte_where_a_page_ended_and_nothing_twice(rig: ShopifyRig) -> None:
    for n in range(700):
        rig.add(f"S{n}", n)
    export = finished(rig, ExportOf.CATALOGUE)
    every = pages(rig, export, ExportOf.CATALOGUE)
    assert [len(page.entries) for page in every] == [250, 250, 200]
    for ranges in (True, False):  # a server may ignore the wish for a part
        rig.pretend.bulk.ranges = ranges
        for done, page in enumerate(every, 1):
            rest = pages(rig, export, ExportOf.CATALOGUE, page.offset)
            assert entries(rest) == entries(every[done:])


def test_a_start_whose_answer_was_lost_is_found_again_instead_of_a_second(rig: ShopifyRig) -> None:
    with faults(rig, timeout_after=1.0), pytest.raises((OutcomeUnknown, Transient)):
        start(rig, ExportOf.ORDERS)
    rig.pretend.bulk.operations.clear()
    window = until_now(rig)
    begun = rig.connector.start_export(rig.http, rig.shop, ExportOf.ORDERS, window)
    rig.clock.tick(10)
    again = rig.connector.start_export(rig.http, rig.shop, ExportOf.ORDERS, window)
    assert again.export_key == begun.export_key
    assert len(rig.pretend.bulk.operations) == 1
    later = Window(window.since, rig.clock())
    assert rig.connector.start_export(rig.http, rig.shop, ExportOf.ORDERS, later).export_key != begun.export_key


def test_an_old_catalogue_is_not_taken_for_a_new_one(rig: ShopifyRig) -> None:
    old = finished(rig, ExportOf.CATALOGUE)
    rig.clock.tick(3_600)
    asked = Window(rig.clock(), rig.clock())
    assert rig.connector.start_export(rig.http, rig.shop, ExportOf.CATALOGUE, asked).export_key != old.export_key


def test_a_shop_that_is_busy_with_other_exports_is_asked_again_later(rig: ShopifyRig) -> None:
    rig.pretend.bulk.at_once_max = 1
    start(rig, ExportOf.CATALOGUE)
    with pytest.raises(Transient) as caught:
        start(rig, ExportOf.ORDERS)
    assert (caught.value.reason, caught.value.retry_after_s) == ("export_busy", 30)
    rig.clock.tick(60)
    assert start(rig, ExportOf.ORDERS).state is ExportState.RUNNING


def test_an_export_says_how_far_it_is_until_it_is_ready(rig: ShopifyRig) -> None:
    rig.add("A", 1)
    begun, states = start(rig, ExportOf.CATALOGUE), []
    for _ in range(4):
        states.append(rig.connector.read_export(rig.http, rig.shop, begun.export_key).state)
        rig.clock.tick(10)
    assert states == [ExportState.RUNNING, ExportState.RUNNING, ExportState.READY, ExportState.READY]


def test_an_empty_shop_s_export_is_ready_and_holds_nothing(rig: ShopifyRig) -> None:
    export = finished(rig, ExportOf.CATALOGUE)
    assert (export.state, pages(rig, export, ExportOf.CATALOGUE)) == (ExportState.READY, [])


def test_a_failed_export_gives_what_it_had_but_its_last_object_which_may_lack_parts(rig: ShopifyRig) -> None:
    for n in range(30):
        rig.add(f"S{n}", n)
    rig.pretend.bulk.next_error, rig.pretend.bulk.next_partial = "TIMEOUT", True
    export = finished(rig, ExportOf.CATALOGUE)
    assert (export.state, export.reason) == (ExportState.PARTIAL, "timeout")
    assert [entry.sku for entry in entries(pages(rig, export, ExportOf.CATALOGUE))] == [f"S{n}" for n in range(19)]


def test_what_became_of_an_export_is_named(rig: ShopifyRig) -> None:
    rig.add("A", 1)
    rig.pretend.bulk.next_error = "ACCESS_DENIED"
    failed = finished(rig, ExportOf.CATALOGUE)
    canceled = start(rig, ExportOf.ORDERS)
    rig.pretend.bulk.cancel()
    canceled = rig.connector.read_export(rig.http, rig.shop, canceled.export_key)
    ready = finished(rig, ExportOf.CATALOGUE)
    rig.pretend.bulk.expire()
    expired = rig.connector.read_export(rig.http, rig.shop, ready.export_key)
    gone = rig.connector.read_export(rig.http, rig.shop, "gid://shopify/BulkOperation/1")
    assert {export.state for export in (failed, canceled, expired, gone)} == {ExportState.FAILED}
    reasons = [export.reason for export in (failed, canceled, expired, gone)]
    assert reasons == ["access_denied", "export_canceled", "export_expired", "export_gone"]
    with pytest.raises(ChannelError):
        pages(rig, ready, ExportOf.CATALOGUE)


def _cut(body: bytes) -> bytes:
    return body[: len(body) // 2]


def _broken_line(body: bytes) -> bytes:
    lines = body.split(b"\n")
    lines[len(lines) // 2] = b'{"id": '
    return b"\n".join(lines)


def _no_object(body: bytes) -> bytes:
    lines = body.split(b"\n")
    lines[len(lines) // 2] = b"[1, 2]"
    return b"\n".join(lines)


def _field_gone(body: bytes) -> bytes:
    return body.replace(b'"displayName":"S400"', b'"displayNome":"S400"')


def _absurd(body: bytes) -> bytes:
    return body.replace(b'"quantity":400', b'"quantity":4.5')


def _ungrouped(body: bytes) -> bytes:
    return b"\n".join(sorted(body.split(b"\n"), key=lambda line: b"__parentId" in line))


def _endless_line(body: bytes) -> bytes:
    return body + b" " * (LINE_MAX + 100_000)


def _page(body: bytes) -> bytes:
    return b"<html>" + body


@pytest.mark.parametrize(
    ("bend", "reason"),
    [
        (_cut, "export_size_differs"),
        (_broken_line, "not_json"),
        (_no_object, "wrong_type"),
        (_field_gone, "missing_field"),
        (_ungrouped, "export_not_grouped"),
        (_endless_line, "line_too_long"),
        (_page, "not_json"),
        (lambda body: b"", "export_size_differs"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_malformed_and_what_came_before_is_whole(
    rig: ShopifyRig, bend: Callable[[bytes], bytes], reason: str
) -> None:
    export = spoiled(rig, bend)
    if bend is _cut:
        cut = len(_cut(rig.pretend.bulk.operations[0].body or b"").rpartition(b"\n")[0]) + 1
        rig.pretend.bulk.spoil = lambda body: body[:cut]  # at a line's end, where nothing but the size tells
    read, error = until_it_breaks(rig, export, ExportOf.CATALOGUE)
    assert error.reason == reason
    assert [entry.sku for entry in entries(read)] == [f"S{n}" for n in range(len(entries(read)))]
    assert bend is _ungrouped or all(len(entry.stock) == 1 for entry in entries(read))


def test_one_number_of_a_file_that_is_none_is_set_aside_and_all_others_are_whole(rig: ShopifyRig) -> None:
    export = spoiled(rig, _absurd)
    read = entries(pages(rig, export, ExportOf.CATALOGUE))
    shown = {entry.sku: (entry.stock[0].quantity, entry.stock[0].reason) for entry in read}
    assert shown.pop("S400") == (None, "not_whole")
    assert len(shown) > 400
    assert set(shown.values()) == {(n, "") for n in range(len(shown) + 1) if n != 400}


def test_of_an_order_whose_lines_do_not_follow_it_nothing_is_believed(rig: ShopifyRig) -> None:
    rig.add("A", 1_000)
    for _ in range(600):
        rig.order("A", 1)
    export = finished(rig, ExportOf.ORDERS)
    rig.pretend.bulk.spoil = _ungrouped
    read, error = until_it_breaks(rig, export, ExportOf.ORDERS)
    assert error.reason == "export_not_grouped"
    assert read
    assert [head.document for head in heads(read)] == [None] * len(heads(read))


@pytest.mark.parametrize(
    "url",
    [
        "http://storage.googleapis.com/x", "https://storage.googleapis.com.evil.example/x", "https://127.0.0.1/x",
        "https://user@storage.googleapis.com/x", "https://storage.googleapis.com:8443/x", "file:///etc/passwd",
        "https://169.254.169.254/latest", "https://[::1]/x", "https://storage.googleapis.com:port/x", "x",
    ],
)  # fmt: skip
def test_a_file_that_does_not_lie_with_shopify_is_not_asked_for(rig: ShopifyRig, url: str) -> None:
    export = replace(finished(rig, ExportOf.CATALOGUE), url=url)
    with pytest.raises(Refused) as caught:
        pages(rig, export, ExportOf.CATALOGUE)
    assert caught.value.reason == "export_address"


def test_the_token_never_leaves_for_the_file_and_no_redirect_is_followed(rig: ShopifyRig) -> None:
    rig.add("A", 1)
    export = finished(rig, ExportOf.CATALOGUE)
    assert len(entries(pages(rig, export, ExportOf.CATALOGUE))) == 1
    assert all("x-shopify-access-token" not in request.headers for request in rig.pretend.bulk.fetched)
    with answering(rig, Response(302, {"Location": "http://169.254.169.254/"}, b"")), pytest.raises(Refused) as caught:
        pages(rig, export, ExportOf.CATALOGUE)
    assert caught.value.reason == "redirected"


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b"<html>", b'{"data":{}}', b'{"data":{"bulkOperations":{"nodes":[]}}}',
        b'{"data":{"bulkOperation":{"id":1,"status":"COMPLETED"}}}', b'{"data":{"bulkOperation":{"status":"TIRED"}}}',
        b'{"data":{"bulkOperation":{"status":"COMPLETED","objectCount":"-3"}}}', b'{"data":{"bulkOperation":[]}}',
        b'{"data":{"bulkOperation":{"status":"COMPLETED","objectCount":1e30}}}',
    ],
)  # fmt: skip
def test_an_answer_about_an_export_that_says_nothing_is_a_typed_error(rig: ShopifyRig, body: bytes) -> None:
    with answering(rig, Response(200, {"Content-Type": "application/json"}, body)):
        with pytest.raises(ChannelError):
            start(rig, ExportOf.CATALOGUE)
        try:
            found = rig.connector.read_export(rig.http, rig.shop, "gid://shopify/BulkOperation/2")
        except ChannelError:
            return
        assert (found.state, found.url) in ((ExportState.FAILED, ""), (ExportState.READY, ""))


def test_more_orders_of_a_window_than_one_search_reaches_are_all_listed_once(
    rig: ShopifyRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.shopify.orders.SEARCHED_MAX", 40)
    rig.add("A", 1_000)
    orders = []
    for _ in range(15):
        orders += [rig.order("A", 1) for _ in range(7)]  # some in each second
        rig.clock.tick(1)
    window = Window(rig.clock() - timedelta(hours=1), rig.clock())
    listed = [head.order_key for page in rig.connector.read_order_heads(rig.http, rig.shop, window) for head in page]
    assert sorted(listed) == sorted(orders)


def test_a_second_with_more_orders_than_a_search_reaches_is_refused_and_not_half_read(
    rig: ShopifyRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.shopify.orders.SEARCHED_MAX", 10)
    rig.add("A", 1_000)
    for _ in range(25):
        rig.order("A", 1)
    with pytest.raises(Refused) as caught:
        list(rig.connector.read_order_heads(rig.http, rig.shop, until_now(rig)))
    assert caught.value.reason == "window_too_large"
