"""WooCommerce keeps the contract of connectors over real HTTP; and who asks, and what the shop is, is settled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from connectors.base import StockKey, StockWrite
from connectors.errors import AccessDenied, Malformed, Refused, Transient
from connectors.http import Http
from connectors.woocommerce import TOPICS, WooCommerce
from connectors.woocommerce.auth import OneTime
from sandbox.base import Context, Request, Response
from sandbox.inprocess import ShopAdapter, session
from sandbox.woocommerce import Key, Options, WooShop
from tests.contract.rig import Clock, faults
from tests.contract.suite import ConnectorContract
from tests.contract.woo_rig import HOOK_URL, SECRET, WooRig, fresh, running


@pytest.fixture
def rig() -> Iterator[WooRig]:
    yield from running()


@pytest.fixture(params=["10.2.4", "10.9.0"])
def either(request: pytest.FixtureRequest) -> Iterator[WooRig]:
    yield from running(version=request.param)


class TestWooCommerce(ConnectorContract):
    """The checks that every connector passes."""


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


def test_a_nonce_is_taken_once_and_a_reused_one_is_told_apart(rig: WooRig) -> None:
    stuck = WooCommerce(OneTime(nonce=lambda: "same", timestamp=rig.connector.one_time.timestamp))
    key = rig.add("A", 7)
    assert stuck.read_stock(rig.http, rig.shop, [key])[0].quantity == 7
    with pytest.raises(Transient) as caught:
        stuck.read_stock(rig.http, rig.shop, [key])
    assert caught.value.reason == "nonce_reused"


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


@dataclass
class Recased:
    """The shop behind a proxy or plugin that writes the names of headers its own way."""

    shop: WooShop
    recase: Callable[[str], str]

    @property
    def context(self) -> Context:
        return self.shop.context

    def handle(self, request: Request) -> Response:
        answer = self.shop.handle(request)
        return Response(answer.status, {self.recase(name): v for name, v in answer.headers.items()}, answer.body)


@pytest.mark.parametrize(
    "recase", [str.lower, str.upper, str.swapcase], ids=["x-wp-total 34", "X-WP-TOTAL 34", "x-wp-tOTAL 34"]
)
def test_a_list_is_complete_whatever_case_its_totals_are_written_in(rig: WooRig, recase: Callable[[str], str]) -> None:
    for number in range(101):
        rig.pretend.add_product(f"A{number}", 1)
    http = Http(session=session(Recased(rig.pretend, recase)))  # type: ignore[arg-type]
    pages = list(rig.connector.read_catalogue(http, replace(rig.shop, base_url="http://shop.example")))
    assert len({entry.sku for page in pages for entry in page.entries}) == 101


@pytest.mark.parametrize("total", ["", "²", "-1", "1.5", "9" * 5_000])
def test_a_total_that_is_no_count_is_told_and_breaks_nothing(rig: WooRig, total: str) -> None:
    def answer(request: Request) -> Response:
        found = type(rig.pretend).handle(rig.pretend, request)
        return Response(found.status, {**found.headers, "X-WP-Total": total}, found.body)

    rig.pretend.handle = answer  # type: ignore[method-assign]
    http = Http(session=session(rig.pretend))
    with pytest.raises(Malformed) as caught:
        list(rig.connector.read_catalogue(http, replace(rig.shop, base_url="http://shop.example")))
    assert caught.value.reason == "missing_total"


def test_a_wrong_secret_is_not_tried_in_every_way(rig: WooRig) -> None:
    adapter = ShopAdapter(rig.pretend)
    rig.http.session.mount("https://", adapter)
    shop = replace(fresh(rig, consumer_secret="cs_other"), base_url="https://shop.example", facts={})
    with pytest.raises(AccessDenied) as caught:
        rig.connector.read_facts(rig.http, shop)
    assert caught.value.reason == "wrong_secret"
    assert len(adapter.calls) == 2  # the root, and one attempt


def test_every_call_asks_caches_to_stay_out_of_the_way(rig: WooRig) -> None:
    adapter = ShopAdapter(rig.pretend)
    rig.http.session.mount("http://", adapter)
    key = rig.add("A", 7)
    rig.connector.read_stock(rig.http, rig.shop, [key])
    rig.connector.write_stock(rig.http, rig.shop, [StockWrite(key, 7, 6, relative=True)], "k")
    assert [call.headers["cache-control"] for call in adapter.calls] == ["no-cache", "no-cache"]


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
    assert [hook.subscription_key for hook in first] == [hook.subscription_key for hook in second]
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
    assert len(rig.connector.read_webhooks(rig.http, rig.shop)) == len(TOPICS) + 1


@pytest.mark.parametrize(("tls", "auth"), [(False, "oauth"), (True, "basic"), (True, "query")])
def test_a_host_that_blocks_put_and_delete_keeps_no_webhook_from_living_again_moving_or_going(
    tls: bool, auth: str
) -> None:
    for rig in running(host="blocks_methods", tls=tls):
        shop, key = replace(rig.shop, facts={"auth": auth}), "of-this-shop"
        rig.connector.write_webhooks(rig.http, shop, url=f"http://127.0.0.1:9/old/{key}", secret=SECRET)
        rig.pretend.hooks()[0].status = "disabled"
        rig.pretend.add_hook("order.updated", f"http://127.0.0.1:9/old/{key}", SECRET)
        again = rig.connector.write_webhooks(rig.http, shop, url=f"http://127.0.0.1:9/new/{key}", secret=SECRET)
        hooks = rig.pretend.hooks()
        assert {(hook.status, hook.url) for hook in hooks} == {("active", f"http://127.0.0.1:9/new/{key}")}
        assert len(hooks) == len(again) == len(TOPICS)
        assert rig.connector.leave(rig.http, shop, f"http://127.0.0.1:9/new/{key}") == len(TOPICS)
        assert rig.pretend.hooks() == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_such_a_host_answers_what_it_blocks_with_501_and_woocommerce_never_sees_it(method: str) -> None:
    for rig in running(host="blocks_methods"):
        rig.subscribe()
        url = f"{rig.shop.base_url}/wp-json/wc/v3/webhooks/{rig.pretend.hooks()[0].id}"
        with pytest.raises(Refused) as refused:
            rig.http.write(method, url)
        assert refused.value.reason == "method_blocked"


def test_our_webhooks_follow_when_our_address_changes_and_nobody_elses_do(rig: WooRig) -> None:
    key = "kq8sd7fh2m"
    first = rig.connector.write_webhooks(rig.http, rig.shop, url=f"http://127.0.0.1:9/old/{key}", secret=SECRET)
    rig.pretend.add_hook("order.updated", "http://other.example/webhooks", "x")
    second = rig.connector.write_webhooks(rig.http, rig.shop, url=f"http://127.0.0.1:9/new/{key}", secret=SECRET)
    assert [hook.subscription_key for hook in first] == [hook.subscription_key for hook in second]
    urls = {hook.url for hook in rig.connector.read_webhooks(rig.http, rig.shop)}
    assert urls == {f"http://127.0.0.1:9/new/{key}", "http://other.example/webhooks"}
