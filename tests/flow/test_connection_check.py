"""The connection check: each requirement as the shop stands now, kept with its time, and the same in `diagnose`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from app.core.db import psycopg_url
from app.core.embedded import APP_ROLE, Embedded
from app.core.errors import NotFound
from app.insight.remedies import LINKS, NOTES, REQUIREMENTS
from app.listings.channels import get_channel
from app.listings.connect import renew_credentials
from app.reconcile.check import check
from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop
from tests.diagnosing import OPENING, broken, first, later, told
from tests.street import Street
from tests.world import World


@pytest.fixture(autouse=True)
def worker(server: Embedded) -> Iterator[psycopg.Connection[Any]]:
    """A worker is there."""
    with psycopg.connect(psycopg_url(server.url(APP_ROLE)), autocommit=True) as presence:
        presence.execute("select pg_advisory_lock_shared(presence_key('of any'))")
        yield presence


@pytest.fixture(autouse=True)
def public(street: Street) -> None:
    """This server has an address that shops can call."""
    server = street.settings.server.model_copy(update={"public_url": "https://perpetual.test"})
    street.runtime = replace(street.runtime, settings=street.settings.model_copy(update={"server": server}))


def open_woo(street: Street, **options: Any) -> WooShop:
    street.world.move("mug", 10, OPENING, "50")
    shop = street.open_woo({"mug": 10}, **options)
    street.settle()
    run(street, shop, webhooks_here=True)
    return shop


def run(street: Street, shop: WooShop | PretendShopify, *, webhooks_here: bool = False) -> None:
    if webhooks_here and isinstance(shop, WooShop):
        for hook in shop.hooks():
            hook.url = hook.url.replace("http://", "https://")
    elif webhooks_here and isinstance(shop, PretendShopify):
        for subscription in shop.webhooks.subscriptions:
            subscription.uri = subscription.uri.replace("http://", "https://")
    check(street.runtime, street.world.merchant_id, street.channel_of(shop))


def states(street: Street) -> dict[str, str]:
    return {one.name: one.state for one in told(street).requirements}


def test_every_broken_link_is_of_exactly_one_requirement() -> None:
    named = [link for _, links in REQUIREMENTS.values() for link in links]
    assert sorted(named) == sorted(set(LINKS) - NOTES)


def test_every_broken_link_has_a_cure() -> None:
    assert [link for link, (_, do) in LINKS.items() if not do] == []


def test_before_the_shop_was_asked_what_only_it_knows_is_unknown(street: Street) -> None:
    street.world.move("mug", 10, OPENING, "50")
    street.open_woo({"mug": 10})
    street.settle()
    assert told(street).checked_at is None
    unknown = {name for name, state in states(street).items() if state == "unknown"}
    assert unknown == {
        "answers", "encrypted", "key", "rights", "version", "stock_managed", "sells_all", "cron", "posts_out",
        "reachable",
    }  # fmt: skip


def test_a_shop_in_order_passes_every_requirement_and_the_time_is_kept(street: Street) -> None:
    open_woo(street)
    assert told(street).checked_at == street.world.now
    assert set(states(street).values()) == {"pass"}
    assert broken(street) == []


def test_a_shopify_shop_is_asked_the_same(street: Street) -> None:
    street.world.move("mug", 10, OPENING, "50")
    shop = street.open_shopify({"mug": 10})
    street.settle()
    run(street, shop, webhooks_here=True)
    assert set(states(street).values()) == {"pass"}
    assert broken(street) == []


def test_of_a_shop_whose_package_looks_nothing_over_only_what_can_be_asked_of_any_is_listed(street: Street) -> None:
    street.world.move("mug", 10, OPENING, "50")
    street.open_till({"mug": 10})
    street.settle()
    assert {name for name, state in states(street).items() if state == "unknown"} == {"answers", "key", "reachable"}
    of_woo = {"encrypted", "rights", "version", "stock_managed", "sells_all", "cron", "posts_out"}
    assert states(street).keys().isdisjoint(of_woo)


@pytest.mark.parametrize(
    ("options", "requirement", "link"),
    [
        ({"manages_stock": False}, "stock_managed", "stock_not_managed"),
        ({"posts_out": False}, "posts_out", "cannot_post"),
    ],
)
def test_a_setting_of_the_shop_that_is_wrong_is_broken_until_it_is_asked_again(
    street: Street, options: dict[str, Any], requirement: str, link: str
) -> None:
    shop = open_woo(street, **options)
    found = next(one for one in told(street).requirements if one.name == requirement)
    assert (found.state, found.link, bool(found.do)) == ("fail", link, True)
    assert link in broken(street)
    later(street, times=2)
    assert link in broken(street)  # orders that are read say nothing of it
    shop.state.options = replace(shop.options, manages_stock=True, posts_out=True)
    run(street, shop)
    assert (link in broken(street), states(street)[requirement]) == (False, "pass")


def test_units_that_a_shop_never_sells_are_told_of_with_the_setting_and_nothing_is_called_broken(
    street: Street,
) -> None:
    shop = open_woo(street, no_stock_amount=5)
    (found,) = [one for one in told(street).requirements if one.name == "sells_all"]
    assert (found.state, found.detail, broken(street)) == ("unknown", "5", [])
    assert "set it to 0 under WooCommerce, Settings, Products, Inventory" in found.do
    shop.state.products[next(iter(shop.state.products))].stock = 5
    assert shop.for_sale() == {"mug": 0}
    shop.state.options = replace(shop.options, no_stock_amount=0)
    run(street, shop)
    assert (states(street)["sells_all"], shop.for_sale()) == ("pass", {"mug": 5})


def test_a_key_that_the_shop_no_longer_knows_is_found_at_once_and_over_when_a_reading_works(street: Street) -> None:
    shop = open_woo(street)
    keys = dict(shop.state.keys)
    shop.state.keys.clear()
    run(street, shop)
    assert first(street).link == "token_refused"
    assert states(street)["key"] == "fail"
    assert states(street)["rights"] == "unknown"
    shop.state.keys.update(keys)
    later(street, times=2)
    assert (broken(street), states(street)["key"]) == ([], "pass")


def test_a_shop_that_stopped_answering_is_one_requirement_and_the_rest_is_unknown(street: Street) -> None:
    shop = open_woo(street)
    shop.state.options = replace(shop.options, host="firewall")
    run(street, shop)
    found = states(street)
    assert (found["answers"], found["key"], found["stock_managed"]) == ("fail", "unknown", "unknown")
    assert "a firewall" in first(street).detail


def test_webhooks_that_are_gone_are_found_by_the_check_before_supervision_comes(street: Street) -> None:
    shop = open_woo(street)
    for hook in shop.hooks()[:3]:
        shop._hooks.remove(hook)
    run(street, shop)
    found = next(one for one in told(street).requirements if one.name == "webhooks")
    assert (found.state, found.link) == ("fail", "webhook_gone")
    assert "3 of " in found.detail
    assert found.click == "nothing for now: they are made again within minutes; then press Check now"


def test_webhooks_that_the_check_finds_gone_are_made_again_at_once_and_the_check_is_not_believed_for_longer(
    street: Street,
) -> None:
    shop = open_woo(street)
    count = len(shop.hooks())
    for hook in shop.hooks()[:3]:
        shop._hooks.remove(hook)
    run(street, shop)
    later(street, 2)
    assert len(shop.hooks()) == count
    assert first(street).do == "nothing for now: they were made again, and the case closes with the next delivery"
    shop.place_order([("mug", 1)])
    later(street, 600)
    assert (broken(street), states(street)["webhooks"]) == ([], "pass")


def test_without_a_public_address_no_shop_can_tell_of_a_sale_and_that_is_said(street: Street) -> None:
    shop = open_woo(street)
    street.runtime = replace(street.runtime, settings=street.settings)
    run(street, shop)
    assert "no_public_url" in broken(street)


def test_a_channel_of_another_merchant_is_not_there_21(street: Street, other: World) -> None:
    shop = open_woo(street)
    with pytest.raises(NotFound):
        check(street.runtime, other.merchant_id, street.channel_of(shop))


def test_a_paused_channel_is_switched_off_and_what_is_not_looked_at_is_unknown(street: Street) -> None:
    shop = open_woo(street)
    with street.world.session() as session:
        session.run(
            "update channel set state = 'paused' where merchant_id = %(merchant_id)s and channel_id = %(id)s",
            id=street.channel_of(shop),
        )
    found = states(street)
    assert (found["switched_on"], found["written"], found["answers"]) == ("fail", "unknown", "pass")


def auth_of(street: Street, shop: WooShop) -> str:
    with street.world.session() as session:
        return get_channel(session, street.channel_of(shop)).facts["auth"]


def test_a_host_that_begins_to_strip_the_header_is_asked_in_another_way_from_the_next_check_on(street: Street) -> None:
    shop = open_woo(street)
    assert auth_of(street, shop) == "basic"
    shop.state.options = replace(shop.options, host="strips_authorization", version="10.8.1")
    later(street)
    assert "token_refused" in broken(street)
    run(street, shop)
    assert auth_of(street, shop) == "query"
    assert next(one.detail for one in told(street).requirements if one.name == "version") == "10.8.1"
    with street.world.session() as session:
        assert get_channel(session, street.channel_of(shop)).facts["version"] == "10.8.1"
    later(street)
    assert (broken(street), set(states(street).values())) == ([], {"pass"})


def test_other_keys_of_a_shop_whose_host_strips_the_header_work_at_once(street: Street) -> None:
    shop = open_woo(street)
    shop.state.options = replace(shop.options, host="strips_authorization")
    key = shop.state.make_key("read_write")
    given = {"consumer_key": key.consumer_key, "consumer_secret": key.consumer_secret}
    renew_credentials(street.runtime, street.world.merchant_id, street.channel_of(shop), given)
    assert auth_of(street, shop) == "query"
    later(street)
    assert broken(street) == []
