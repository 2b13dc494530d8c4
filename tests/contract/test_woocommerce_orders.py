"""What is special about reading WooCommerce's orders, over real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from random import Random

import orjson
import pytest

from connectors.base import Window
from connectors.errors import Malformed, Transient
from sandbox.base import Request, Response
from sandbox.woocommerce import Options, WooShop
from tests.contract.rig import Clock
from tests.contract.suite import DAY, documents, heads, snapshot, until_now, whereabouts
from tests.contract.woo_rig import Answer, WooRig, running


@pytest.fixture
def rig() -> Iterator[WooRig]:
    yield from running()


@pytest.fixture(params=["10.2.4", "10.9.0"])
def either(request: pytest.FixtureRequest) -> Iterator[WooRig]:
    yield from running(version=request.param)


def test_a_window_is_right_in_a_shop_east_and_west_of_greenwich() -> None:
    for zone in ("America/New_York", "Europe/Berlin", "Asia/Kolkata"):
        rig = WooRig(Clock(), Options(timezone=zone))
        with rig.front:
            rig.add("A", 10)
            rig.order("A", 1)
            rig.clock.tick(600)
            order = rig.order("A", 1)
            window = Window(rig.clock() - timedelta(seconds=1), rig.clock())
            assert [document.order_key for document in documents(rig, window)] == [order]
            rig.http.session.close()


def test_trashed_orders_are_in_the_window_and_frozen(rig: WooRig) -> None:
    rig.add("A", 10)
    order = int(rig.order("A", 3))
    rig.pretend.trash(order)
    (document,) = documents(rig, until_now(rig))
    found = rig.connector.parse_order(document.body)
    assert (found.frozen, found.lines[0].units[0].taken) == (True, 3)
    assert snapshot(rig, str(order)).frozen


def test_a_hard_deleted_order_is_missing_and_a_draft_that_no_list_shows_is_not(either: WooRig) -> None:
    either.add("A", 10)
    draft = either.pretend.place_order([("A", 1)], "checkout-draft")
    deleted = int(either.order("A", 1))
    either.pretend.delete(deleted)
    keys = [str(draft), str(deleted)]
    found = either.connector.read_orders_by_key(either.http, either.shop, keys)
    assert [(document.order_key, document.missing) for document in found] == [(keys[0], False), (keys[1], True)]


def test_a_webhook_s_document_and_a_read_one_are_the_same_bytes(rig: WooRig) -> None:
    rig.subscribe()
    rig.add("A", 10)
    order = rig.order("A", 3)
    (read,) = rig.connector.read_orders_by_key(rig.http, rig.shop, [order])
    deliveries = [d for d in rig.pretend.due_deliveries() if d.headers.get("X-WC-Webhook-Topic") == "order.updated"]
    assert [rig.connector.notice(rig.shop, d.headers, d.body).body for d in deliveries] == [read.body]


def test_more_refunds_than_a_page_are_all_read(rig: WooRig) -> None:
    rig.add("A", 1_000)
    order = int(rig.order("A", 500))
    (line,) = rig.pretend.line_ids(order)
    for _ in range(130):
        rig.pretend.refund(order, {line: 1})
    assert whereabouts(snapshot(rig, str(order))) == {"committed": 370}


def test_one_order_that_can_not_be_kept_does_not_hide_the_others(rig: WooRig) -> None:
    rig.add("A", 10)
    bad, good = rig.order("A", 1), rig.order("A", 1)
    rig.pretend.get_order(int(bad)).lines[0].sku = "A\x00"
    found = {document.order_key: document for document in documents(rig, until_now(rig))}
    assert rig.connector.parse_order(found[good].body).order_key == good
    with pytest.raises(Malformed) as caught:
        rig.connector.parse_order(found[bad].body)
    assert caught.value.reason == "nul_in_string"


Change = Callable[[str, object], object]  # path and answer → answer


class _Filtered:
    """A plugin changes what the shop says."""

    def __init__(self, pretend: WooShop, change: Change) -> None:
        self.context, self._pretend, self._change = pretend.context, pretend, change

    def handle(self, request: Request) -> Response:
        answer = self._pretend.handle(request)
        return replace(answer, body=orjson.dumps(self._change(request.path, orjson.loads(answer.body))))


def _in_order(key: str, refunds: object) -> Change:
    """The refunds that the order itself names."""

    def change(path: str, answer: object) -> object:
        for order in answer if isinstance(answer, list) else [answer]:
            if str(order.get("id")) == key and not path.endswith("/refunds"):
                order["refunds"] = refunds
        return answer

    return change


def _apart(key: str, refunds: object) -> Change:
    """The refunds that are read apart."""
    return lambda path, answer: refunds if path.endswith(f"/orders/{key}/refunds") else answer


@pytest.mark.parametrize(
    ("filtered", "refunds", "reason"),
    [
        (_in_order, {"1": {"id": 12, "total": "-1.00"}}, "not_a_list"),  # as PHP writes an array that was filtered
        (_in_order, [{"id": number} for number in range(1, 1_002)], "too_many"),
        (_in_order, [{"id": [12]}], "not_a_whole_number"),
        (_in_order, "yes", "not_a_list"),
        (_apart, [{"id": 12, "line_items": []}], "order_changing"),
        (_apart, [{"id": number, "line_items": []} for number in range(100)], "too_many"),
        (_apart, {"1": {"id": 12}}, "not_a_list"),
        (_apart, [{"id": {"of": 12}}], "not_a_whole_number"),
    ],
)
def test_one_order_whose_refunds_can_not_be_read_says_so_by_itself_and_its_neighbours_are_read(
    rig: WooRig, filtered: Callable[[str, object], Change], refunds: object, reason: str
) -> None:
    rig.add("A", 10)
    keys = [rig.order("A", 1) for _ in range(3)]
    for key in keys:
        rig.refund(key, 1, restock=True)
    rig.front.shop = _Filtered(rig.pretend, filtered(keys[1], refunds))  # type: ignore[assignment]
    by_page = documents(rig, until_now(rig))
    by_key = rig.connector.read_orders_by_key(rig.http, rig.shop, keys)
    for found in (by_page, by_key):
        assert [document.order_key for document in found] == keys
        for document in (found[0], found[2]):
            assert rig.connector.parse_order(document.body).lines[0].ordered == 1
        with pytest.raises(Malformed) as caught:
            rig.connector.parse_order(found[1].body)
        assert caught.value.reason == reason


@pytest.mark.parametrize("odd", [[12], {"of": 12}, 1.5, True])
@pytest.mark.parametrize("listing", ["orders", "products"])
def test_a_listing_of_what_has_no_id_is_refused_in_words(rig: WooRig, listing: str, odd: object) -> None:
    rig.add("A", 10)
    rig.order("A", 1)

    def change(path: str, answer: object) -> object:
        return [{**row, "id": odd} for row in answer] if path.endswith(f"/{listing}") else answer  # type: ignore[attr-defined]

    rig.front.shop = _Filtered(rig.pretend, change)  # type: ignore[assignment]
    read = {
        "orders": lambda: documents(rig, until_now(rig)),
        "products": lambda: list(rig.connector.read_catalogue(rig.http, rig.shop)),
    }
    with pytest.raises(Malformed) as caught:
        read[listing]()
    assert caught.value.reason == "not_a_whole_number"


def test_an_order_in_no_listing_that_is_no_order_says_so_by_itself(rig: WooRig) -> None:
    rig.add("A", 10)
    hidden, shown = str(rig.pretend.place_order([("A", 1)], "checkout-draft")), rig.order("A", 1)
    spoilt = _Filtered(rig.pretend, lambda path, answer: [] if path.endswith(f"/orders/{hidden}") else answer)
    rig.front.shop = spoilt  # type: ignore[assignment]
    found = rig.connector.read_orders_by_key(rig.http, rig.shop, [hidden, shown])
    with pytest.raises(Malformed) as caught:
        rig.connector.parse_order(found[0].body)
    assert caught.value.reason == "not_an_object"
    assert rig.connector.parse_order(found[1].body).order_key == shown


def test_refund_ids_that_one_list_writes_as_text_are_the_same_refunds(rig: WooRig) -> None:
    rig.add("A", 10)
    order = rig.order("A", 2)
    rig.refund(order, 1, restock=True)
    (refund,) = rig.pretend.get_order(int(order)).refunds
    rig.front.shop = _Filtered(rig.pretend, _in_order(order, [{"id": str(refund.id)}]))  # type: ignore[assignment]
    assert whereabouts(snapshot(rig, order)) == {"committed": 1}


def test_a_deleted_product_leaves_a_line_without_a_listing(rig: WooRig) -> None:
    rig.add("A", 10)
    order = rig.order("A", 3)
    rig.pretend.delete_product("A")
    (found,) = snapshot(rig, order).lines
    assert (found.listing_key, found.stock_key, found.units[0].committed) == (None, None, 3)


class _Shrinking:
    """Answers page after page while the listing's total never stands still."""

    def __init__(self, pretend: WooShop) -> None:
        self.context, self._pretend, self.asked = pretend.context, pretend, 0

    def handle(self, request: Request) -> Response:
        self.asked += 1
        answer = self._pretend.handle(request)
        total = {"X-WP-Total": str(1_000 + self.asked % 2)}
        return replace(answer, headers={**answer.headers, **total})


def test_a_listing_that_never_stands_still_ends_as_an_error_and_not_as_a_gap(rig: WooRig) -> None:
    rig.add("A", 10)
    rig.order("A", 1)
    shifting = _Shrinking(rig.pretend)
    rig.front.shop = shifting  # type: ignore[assignment]
    with pytest.raises(Transient) as caught:
        documents(rig, until_now(rig))
    assert caught.value.reason == "paging_unstable"
    assert shifting.asked < 100


def test_a_window_that_shrinks_to_fewer_pages_is_still_complete(rig: WooRig) -> None:
    rig.add("A", 1_000)
    orders = [rig.order("A", 1) for _ in range(101)]
    rig.clock.tick(3_600)
    window = Window(rig.clock() - DAY, rig.clock() - timedelta(seconds=2))
    pages = rig.connector.read_order_heads(rig.http, rig.shop, window)
    found = {head.order_key for head in next(iter(pages))}
    for order in orders[:3]:
        rig.touch(order)  # page 2 is past the end now, where the shop says that the total is 0
    found.update(head.order_key for page in pages for head in page)
    assert set(orders) <= found


@pytest.mark.parametrize("seed", range(8))
def test_an_order_that_nobody_touched_is_in_the_window_whatever_happens_to_others_between_the_pages(
    rig: WooRig, seed: int
) -> None:
    dice = Random(seed)
    rig.add("A", 5_000)
    orders = [rig.order("A", 1) for _ in range(450)]
    rig.clock.tick(3_600)
    window = Window(rig.clock() - DAY, rig.clock() - timedelta(seconds=2))
    found, touched, trashed = set[str](), set[str](), set[str]()
    for page in rig.connector.read_order_heads(rig.http, rig.shop, window):
        found.update(head.order_key for head in page)
        for order in dice.sample(sorted(set(orders) - touched), 12 if len(touched) < 200 else 0):
            touched.add(order)
            what = dice.choice(["ship", "trash", "delete"])
            if what == "ship":
                rig.ship(order)
            elif what == "trash":
                rig.pretend.trash(int(order))
                trashed.add(order)
            else:
                rig.pretend.delete(int(order))
    assert set(orders) - touched <= found
    later = {head.order_key for head in heads(rig, Window(window.until, rig.clock() + DAY))}
    assert trashed <= found | later


def test_orders_of_one_second_are_all_read(rig: WooRig) -> None:
    rig.add("A", 1_000)
    orders = {rig.order("A", 1) for _ in range(350)}
    assert {document.order_key for document in documents(rig, until_now(rig))} == orders


class _Stale:
    """A cache that gives page 1 for every page."""

    def __init__(self, pretend: WooShop) -> None:
        self.context, self._pretend = pretend.context, pretend
        self._pages: dict[str, Response] = {}

    def handle(self, request: Request) -> Response:
        status = dict(request.query)["status"]
        return self._pages.setdefault(status, self._pretend.handle(request))


def test_a_cache_that_repeats_a_page_is_an_error_and_not_a_gap(rig: WooRig) -> None:
    rig.add("A", 1_000)
    for _ in range(150):
        rig.order("A", 1)
    rig.front.shop = _Stale(rig.pretend)  # type: ignore[assignment]
    with pytest.raises(Transient) as caught:
        documents(rig, until_now(rig))
    assert caught.value.reason == "paging_unstable"


def test_a_listing_without_a_total_is_not_believed_to_be_complete(rig: WooRig) -> None:
    rig.front.shop = Answer(rig.pretend, b"[]")  # type: ignore[assignment]
    with pytest.raises(Malformed) as caught:
        documents(rig, until_now(rig))
    assert caught.value.reason == "missing_total"
