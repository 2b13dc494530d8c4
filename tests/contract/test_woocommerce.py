"""WooCommerce keeps the contract of connectors, and what is special about it holds over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from connectors.base import Rejected, Shop, StockKey, StockWrite, Unknown, Unsent, Window, Written
from connectors.errors import AccessDenied, Malformed, OutcomeUnknown, Transient
from connectors.http import Http
from connectors.woocommerce import TOPICS, WooCommerce
from connectors.woocommerce.auth import OneTime, _nonce
from sandbox.base import Context, Request, Response
from sandbox.faults import CallFault, Faults
from sandbox.front import Front
from sandbox.inprocess import ShopAdapter, session
from sandbox.woocommerce import Key, Options, WooShop
from tests.contract.suite import (
    Clock,
    ConnectorContract,
    documents,
    faults,
    snapshot,
    until_now,
    whereabouts,
)

SECRET = "contractsecret"
HOOK_URL = "http://127.0.0.1:9/hook"


class WooRig:
    """See `suite.Rig`."""

    def __init__(self, clock: Clock, options: Options = Options()) -> None:  # noqa: B008
        self.clock = clock
        self.pretend = WooShop(Context(now=clock, rng=Random(7)), options)
        self.front = Front(self.pretend, pump=False)
        self.connector = WooCommerce(OneTime(nonce=_nonce, timestamp=lambda: int(clock().timestamp())))
        key = options.keys[0]
        credentials = {"consumer_key": key.consumer_key, "consumer_secret": key.consumer_secret}
        self.shop = Shop(self.front.base_url, "shop.example", credentials, facts={"version": options.version})
        self.http = Http(sleep=lambda seconds: None)
        self.secret = SECRET

    def add(self, sku: str, stock: int) -> StockKey:
        return StockKey(str(self.pretend.add_product(sku, stock)))

    def add_untracked(self, sku: str) -> StockKey:
        return StockKey(str(self.pretend.add_product(sku, None)))

    def gone_stock(self) -> StockKey:
        return StockKey("999999")

    def gone_order(self) -> str:
        return "999999"

    def order(self, sku: str, units: int) -> str:
        return str(self.pretend.place_order([(sku, units)]))

    def ship(self, order_key: str) -> None:
        self.pretend.set_status(int(order_key), "completed")

    def cancel(self, order_key: str) -> None:
        self.pretend.set_status(int(order_key), "cancelled")

    def refund(self, order_key: str, units: int, *, restock: bool) -> None:
        (line,) = self.pretend.line_ids(int(order_key))
        self.pretend.refund(int(order_key), {line: units}, restock=restock)

    def touch(self, order_key: str) -> None:
        self.pretend.set_status(int(order_key), "on-hold")

    def subscribe(self) -> None:
        self.connector.write_webhooks(self.http, self.shop, url=HOOK_URL, secret=SECRET)


@pytest.fixture
def rig() -> Iterator[WooRig]:
    made = WooRig(Clock())
    with made.front:
        yield made
    made.http.session.close()


class TestWooCommerce(ConnectorContract):
    """The checks that every connector passes."""


@pytest.fixture(params=["10.2.4", "10.9.0"])
def either(request: pytest.FixtureRequest) -> Iterator[WooRig]:
    made = WooRig(Clock(), Options(version=request.param))
    with made.front:
        yield made
    made.http.session.close()


def fresh(rig: WooRig, **changed: str) -> Shop:
    return replace(rig.shop, credentials={**rig.shop.credentials, **changed})


# -- proof of who asks


@pytest.mark.parametrize(("tls", "auth"), [(False, "oauth"), (True, "basic"), (True, "query")])
def test_each_way_to_prove_who_asks_is_accepted(tls: bool, auth: str) -> None:
    rig = WooRig(Clock(), Options(tls=tls))
    with rig.front:
        key = rig.add("A", 7)
        shop = replace(rig.shop, facts={"auth": auth})
        assert rig.connector.read_stock(rig.http, shop, [key])[0].quantity == 7
        rig.http.session.close()


def test_basic_over_plain_http_never_reaches_the_shop_s_keys(rig: WooRig) -> None:
    shop = replace(rig.shop, facts={"auth": "basic"})
    with pytest.raises(AccessDenied) as caught:
        rig.connector.read_stock(rig.http, shop, [StockKey("1")])
    assert caught.value.reason == "keys_not_accepted"


def test_a_wrong_secret_an_unknown_key_and_a_read_only_key_are_told_apart() -> None:
    reader = Key("ck_read", "cs_read", "read")
    rig = WooRig(Clock(), Options(keys=(Key(), reader)))
    with rig.front:
        key = rig.add("A", 7)
        with pytest.raises(AccessDenied) as wrong:
            rig.connector.read_stock(rig.http, fresh(rig, consumer_secret="cs_other"), [key])
        with pytest.raises(AccessDenied) as unknown:
            rig.connector.read_stock(rig.http, fresh(rig, consumer_key="ck_other"), [key])
        only_reads = fresh(rig, consumer_key="ck_read", consumer_secret="cs_read")
        assert rig.connector.read_stock(rig.http, only_reads, [key])[0].quantity == 7
        with pytest.raises(AccessDenied) as reading:
            rig.connector.write_stock(rig.http, only_reads, [StockWrite(key, 7, 6, relative=True)], "k")
        rig.http.session.close()
    assert [e.value.reason for e in (wrong, unknown, reading)] == [
        "wrong_signature",
        "keys_not_accepted",
        "read_only_key",
    ]


def test_a_clock_that_differs_by_more_than_a_quarter_of_an_hour_is_named(rig: WooRig) -> None:
    behind = WooCommerce(OneTime(timestamp=lambda: int(rig.clock().timestamp()) - 901))
    with pytest.raises(AccessDenied) as caught:
        behind.read_stock(rig.http, rig.shop, [StockKey("1")])
    assert caught.value.reason == "clock_differs"


def test_a_read_that_is_tried_again_signs_anew(rig: WooRig) -> None:
    key = rig.add("A", 7)
    reasons = set()
    with faults(rig, timeout_after=0.5):
        for _ in range(8):
            try:
                rig.connector.read_stock(rig.http, rig.shop, [key])
            except Transient as error:
                reasons.add(error.reason)
    assert reasons <= {"connection_lost"}  # never nonce_reused


# -- facts and webhooks


def test_the_facts_of_a_shop_are_read(either: WooRig) -> None:
    facts = either.connector.read_facts(either.http, either.shop)
    assert facts["version"] == either.pretend.options.version
    assert (facts["timezone"], facts["hpos"], facts["manage_stock"]) == ("America/New_York", "yes", "yes")
    assert facts["auth"] == "oauth"


def test_subscribing_twice_changes_nothing_and_a_disabled_webhook_lives_again(rig: WooRig) -> None:
    first = rig.connector.write_webhooks(rig.http, rig.shop, url=HOOK_URL, secret=SECRET)
    rig.pretend.hooks()[0].status = "disabled"
    second = rig.connector.write_webhooks(rig.http, rig.shop, url=HOOK_URL, secret=SECRET)
    assert [hook.key for hook in first] == [hook.key for hook in second]
    assert {hook.status for hook in second} == {"active"}
    assert [hook.topic for hook in second] == list(TOPICS)
    assert len(rig.pretend.hooks()) == len(TOPICS)


def test_a_topic_subscribed_twice_is_put_right_and_others_webhooks_are_left_alone(rig: WooRig) -> None:
    rig.pretend.add_hook("order.updated", HOOK_URL, SECRET)
    rig.pretend.add_hook("order.updated", HOOK_URL, SECRET)
    rig.pretend.add_hook("order.updated", "http://other.example/", "x")
    rig.connector.write_webhooks(rig.http, rig.shop, url=HOOK_URL, secret=SECRET)
    assert sorted(hook.url for hook in rig.pretend.hooks() if hook.topic == "order.updated") == [
        HOOK_URL,
        "http://other.example/",
    ]
    assert len(rig.connector.read_webhooks(rig.http, rig.shop, HOOK_URL)) == len(TOPICS)


# -- orders


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


def test_every_call_asks_caches_to_stay_out_of_the_way(rig: WooRig) -> None:
    adapter = ShopAdapter(rig.pretend)
    rig.http.session.mount("http://", adapter)
    key = rig.add("A", 7)
    rig.connector.read_stock(rig.http, rig.shop, [key])
    rig.connector.write_stock(rig.http, rig.shop, [StockWrite(key, 7, 6, relative=True)], "k")
    assert [call.headers["cache-control"] for call in adapter.calls] == ["no-cache", "no-cache"]


@pytest.mark.parametrize(
    ("host", "auth", "scheme"),
    [("", "basic", ""), ("strips_authorization", "query", ""), ("hides_tls", "oauth", "http")],
)
def test_connecting_finds_the_way_that_the_host_lets_through(host: Any, auth: str, scheme: str) -> None:
    rig = WooRig(Clock(), Options(host=host))
    http = Http(session=session(rig.pretend))
    with rig.front:
        facts = rig.connector.read_facts(http, replace(rig.shop, base_url="https://shop.example", facts={}))
        assert (facts["auth"], facts["signed_scheme"]) == (auth, scheme)
        shop = replace(rig.shop, base_url="https://shop.example", facts=facts)
        key = rig.add("A", 7)
        assert rig.connector.read_stock(http, shop, [key])[0].quantity == 7


def test_a_wrong_secret_is_not_tried_in_every_way(rig: WooRig) -> None:
    adapter = ShopAdapter(rig.pretend)
    rig.http.session.mount("https://", adapter)
    shop = replace(fresh(rig, consumer_secret="cs_other"), base_url="https://shop.example", facts={})
    with pytest.raises(AccessDenied) as caught:
        rig.connector.read_facts(rig.http, shop)
    assert caught.value.reason == "wrong_secret"
    assert len(adapter.calls) == 2  # the root, and one attempt


def test_a_listing_without_a_total_is_not_believed_to_be_complete(rig: WooRig) -> None:
    rig.front.shop = _Answer(rig.pretend, b"[]")  # type: ignore[assignment]
    with pytest.raises(Malformed) as caught:
        documents(rig, until_now(rig))
    assert caught.value.reason == "missing_total"


class _Answer:
    def __init__(self, pretend: WooShop, body: bytes) -> None:
        self.context, self._body = pretend.context, body

    def handle(self, request: Request) -> Response:
        return Response(200, {"Content-Type": "application/json"}, self._body)


# -- stock


def variable(rig: WooRig) -> tuple[StockKey, StockKey]:
    """A variation that keeps its own number, and a parent that keeps it for its variations."""
    rig.pretend.add_variable("V", {"V-S": 5, "V-M": 6})
    rig.pretend.add_variable("P", {"P-S": None, "P-M": None}, stock=7)
    return StockKey(rig.pretend.stock_key("V-S")), StockKey(rig.pretend.stock_key("P-S"))


def test_variations_are_read_where_their_number_is_kept(either: WooRig) -> None:
    own, parent = variable(either)
    managed = StockKey(f"{parent.stock_key}/{either.pretend.product_id('P-S')}")
    gone = StockKey(f"{own.stock_key.split('/', maxsplit=1)[0]}/99999")
    orphan = StockKey("99999/99998")
    found = either.connector.read_stock(either.http, either.shop, [own, parent, managed, gone, orphan])
    assert [(reading.quantity, reading.reason) for reading in found] == [
        (5, ""),
        (7, ""),
        (None, "parent_managed"),
        (None, "gone"),
        (None, "gone"),
    ]


def test_variations_are_written_where_their_number_is_kept(either: WooRig) -> None:
    own, parent = variable(either)
    rows = [StockWrite(own, 5, 3, relative=True), StockWrite(parent, 7, 10, relative=True)]
    assert [type(outcome) for outcome in either.connector.write_stock(either.http, either.shop, rows, "k")] == [
        Written,
        Written,
    ]
    assert (either.pretend.shown()["V-S"], either.pretend.shown()["P"]) == (3, 10)


def test_the_catalogue_shares_a_parent_s_number_among_its_variations(either: WooRig) -> None:
    own, parent = variable(either)
    entries = {e.sku: e for page in either.connector.read_catalogue(either.http, either.shop) for e in page}
    assert set(entries) == {"V-S", "V-M", "P-S", "P-M"}
    assert (entries["V-S"].stock_key, entries["P-S"].stock_key) == (own.stock_key, parent.stock_key)
    assert entries["P-S"].listing_key == f"{parent.stock_key}/{either.pretend.product_id('P-S')}"
    assert entries["P-S"].title == "Product P - P-S"
    assert [reading.quantity for reading in entries["P-S"].stock] == [7]


def test_an_unmanaged_product_ignores_the_number_with_200_and_is_refused_by_us(rig: WooRig) -> None:
    key = rig.add_untracked("U")
    (outcome,) = rig.connector.write_stock(rig.http, rig.shop, [StockWrite(key, 0, 5)], "k")
    assert outcome == Rejected(key, "untracked", "the shop keeps no number here")


def test_a_variation_under_the_wrong_parent_is_refused(rig: WooRig) -> None:
    own, _ = variable(rig)
    key = StockKey(f"{rig.pretend.product_id('P')}/{own.stock_key.split('/')[1]}")
    (outcome,) = rig.connector.write_stock(rig.http, rig.shop, [StockWrite(key, 5, 3, relative=True)], "k")
    assert isinstance(outcome, Rejected)
    assert outcome.reason == "gone"


def test_an_answer_shows_a_sale_that_came_between(rig: WooRig) -> None:
    key = rig.add("A", 7)
    rig.order("A", 2)
    (outcome,) = rig.connector.write_stock(rig.http, rig.shop, [StockWrite(key, 7, 6, relative=True)], "k")
    assert outcome == Written(key, 4)


def test_a_number_below_nought_is_read_and_moved(rig: WooRig) -> None:
    key = rig.add("A", 1)
    rig.order("A", 5)
    assert rig.connector.read_stock(rig.http, rig.shop, [key])[0].quantity == -4
    (outcome,) = rig.connector.write_stock(rig.http, rig.shop, [StockWrite(key, -4, 0, relative=True)], "k")
    assert outcome == Written(key, 0)


class _FailsAt:
    """Lets calls through until the n-th, which goes wrong in a given way."""

    def __init__(self, rig: WooRig, number: int, fault: CallFault) -> None:
        self._rig, self._number, self._fault, self.asked = rig, number, fault, 0
        self.context = rig.pretend.context

    def handle(self, request: Request) -> Response:
        self.asked += 1
        answer = self._rig.pretend.handle(request)
        if self.asked == self._number - 1:
            self.context.faults = Faults(**{self._fault.value: 1.0})
        return answer

    def throttled(self, request: Request) -> Response:
        return self._rig.pretend.throttled(request)


def three_groups(rig: WooRig) -> list[StockWrite]:
    keys = [rig.add("A", 5)]
    for sku in ("V", "W"):
        rig.pretend.add_variable(sku, {f"{sku}-S": 5})
        keys.append(StockKey(rig.pretend.stock_key(f"{sku}-S")))
    return [StockWrite(key, 5, 4, relative=True) for key in keys]


@pytest.mark.parametrize("fault", [CallFault.TIMEOUT_BEFORE, CallFault.TIMEOUT_AFTER])
def test_a_part_of_a_write_without_an_answer_is_unknown_beside_what_is_known(rig: WooRig, fault: CallFault) -> None:
    rows = three_groups(rig)
    rig.front.shop = _FailsAt(rig, 2, fault)  # type: ignore[assignment]
    outcomes = rig.connector.write_stock(rig.http, rig.shop, rows, "k")
    assert [type(outcome) for outcome in outcomes] == [Written, Unknown, Unsent]
    applied = 4 if fault is CallFault.TIMEOUT_AFTER else 5
    assert rig.pretend.shown() == {"A": 4, "V-S": applied, "W-S": 5}


def test_a_part_of_a_write_that_is_throttled_was_not_sent(rig: WooRig) -> None:
    rows = three_groups(rig)
    rig.front.shop = _FailsAt(rig, 2, CallFault.THROTTLE)  # type: ignore[assignment]
    outcomes = rig.connector.write_stock(rig.http, rig.shop, rows, "k")
    assert [type(outcome) for outcome in outcomes] == [Written, Unsent, Unsent]


def test_an_answer_about_other_items_leaves_the_outcome_unknown(rig: WooRig) -> None:
    key = rig.add("A", 5)
    rig.front.shop = _Answer(rig.pretend, b'{"update":[{"id":1,"manage_stock":true,"stock_quantity":4}]}')  # type: ignore[assignment]
    with pytest.raises(OutcomeUnknown) as caught:
        rig.connector.write_stock(rig.http, rig.shop, [StockWrite(key, 5, 4)], "k")
    assert caught.value.reason == "answer_out_of_order"


def test_a_gateway_error_to_a_write_is_unknown(rig: WooRig) -> None:
    key = rig.add("A", 5)
    seen = set()
    for _ in range(12):
        try:
            with faults(rig, error=1.0):
                rig.connector.write_stock(rig.http, rig.shop, [StockWrite(key, 5, 5, relative=True)], "k")
        except (Transient, OutcomeUnknown) as error:
            seen.add((type(error), error.reason))
        finally:
            rig.pretend.context.faults = Faults()
    assert seen == {(Transient, "unavailable"), (OutcomeUnknown, "http_502")}


def test_a_byte_order_mark_before_the_json_is_forgiven(rig: WooRig) -> None:
    body = b"\xef\xbb\xbf" + b'[{"id":1,"manage_stock":true,"stock_quantity":4}]'
    rig.front.shop = _Answer(rig.pretend, body)  # type: ignore[assignment]
    assert rig.connector.read_stock(rig.http, rig.shop, [StockKey("1")])[0].quantity == 4


def test_plugins_stock_that_is_no_whole_number_is_not_rounded(rig: WooRig) -> None:
    body = b'[{"id":1,"manage_stock":true,"stock_quantity":1.5},{"id":2,"manage_stock":null,"stock_quantity":3}]'
    rig.front.shop = _Answer(rig.pretend, body)  # type: ignore[assignment]
    readings = rig.connector.read_stock(rig.http, rig.shop, [StockKey("1"), StockKey("2")])
    assert [(reading.quantity, reading.reason) for reading in readings] == [(None, "not_whole"), (None, "untracked")]
