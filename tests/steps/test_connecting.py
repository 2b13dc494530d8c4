"""Connecting a shop: once and for one merchant, again after it broke off, with its places behind ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import Conflict
from app.listings.channels import (
    NewChannel,
    create_channel,
    get_channel,
    renew_channel,
    set_state,
)
from app.listings.connect import connect
from app.listings.credentials import WEBHOOK_SECRETS, unseal_credentials
from app.simulation.town import ORIGIN
from connectors.errors import AccessDenied, ChannelError
from sandbox.base import Context
from sandbox.faults import NONE, Faults
from sandbox.inprocess import ShopAdapter
from sandbox.shopify import PretendShopify
from sandbox.shopify.shop import ACCESS_TOKEN, WEBHOOK_SECRET
from sandbox.woocommerce import Key, Options, WooShop
from tests.street import Street
from tests.world import World

HOOKS = f"{ORIGIN}/webhooks/shopify"


def shopify(street: Street, *, places: tuple[str, ...] = ("A",), faults: Faults = NONE) -> PretendShopify:
    """A shop that answers and that nobody has connected yet, with ten mugs at its first place."""
    domain = f"new-{street.world.merchant_id}.myshopify.com"
    shop = PretendShopify(Context(lambda: street.world.now, street.rng, faults), domain=domain)
    keys = [shop.add_location(name) for name in places]
    shop.add_variant("mug", {key: 10 if key == keys[0] else 0 for key in keys})
    street.session.mount(f"https://{domain}", ShopAdapter(shop))
    return shop


def of(shop: PretendShopify, **more: Any) -> NewChannel:
    credentials = {"access_token": ACCESS_TOKEN, WEBHOOK_SECRETS: WEBHOOK_SECRET}
    new = NewChannel("shopify", "Shop", shop.domain, f"https://{shop.domain}", credentials, {}, "active")
    return replace(new, **more)


def join(street: Street, shop: PretendShopify, places: Mapping[str, int] | None = None, **more: Any) -> int:
    return connect(street.runtime, street.world.merchant_id, of(shop, **more), webhook_url=HOOKS, places=places)


def count(world: World, table: str) -> int:
    with world.session() as session:
        return int(session.value(f"select count(*) from {table} where merchant_id = %(merchant_id)s"))


def mapped(world: World) -> list[tuple[str, int]]:
    with world.session() as session:
        rows = session.rows(
            """select l.name, l.location_id from channel_location c join location l using (merchant_id, location_id)
               where c.merchant_id = %(merchant_id)s order by c.location_key"""
        )
    return [(row.name, row.location_id) for row in rows]


def test_a_shop_connected_twice_is_one_channel_with_one_webhook_of_each_topic(street: Street) -> None:
    street.world.item("mug")
    shop = shopify(street)
    first = join(street, shop)
    topics = [subscription.topic for subscription in shop.webhooks.subscriptions]
    assert join(street, shop) == first
    assert count(street.world, "channel") == 1
    assert [subscription.topic for subscription in shop.webhooks.subscriptions] == topics
    assert len(topics) == len(set(topics)) > 0


def test_a_shop_of_another_merchant_is_refused_and_nothing_of_it_is_kept(street: Street, other: World) -> None:
    shop = shopify(street)
    join(street, shop)
    with pytest.raises(Conflict) as refused:
        connect(street.runtime, other.merchant_id, of(shop), webhook_url="http://elsewhere.test/webhooks/shopify")
    assert refused.value.reason == "channel_taken"
    assert [count(other, table) for table in ("channel", "channel_poll", "listing", "channel_location")] == [0, 0, 0, 0]
    assert {subscription.uri for subscription in shop.webhooks.subscriptions} == {HOOKS}


def test_a_name_that_another_channel_has_is_refused_whether_new_or_renewed(street: Street, tmp_path: Path) -> None:
    shop = shopify(street)
    join(street, shop)
    with pytest.raises(Conflict):
        join(street, shop, address="other.myshopify.com", base_url="https://other.myshopify.com")
    street.open_woo({"mug": 1})
    with pytest.raises(Conflict):
        join(street, shop, name="Woo 0")
    assert count(street.world, "channel") == 2


def test_one_woocommerce_shop_can_not_be_two_channels_that_undo_each_others_numbers(street: Street) -> None:
    base, key = f"https://twice-{street.world.merchant_id}.test", Key()
    shop = WooShop(Context(lambda: street.world.now, street.rng), Options(base_url=base, tls=True))
    street.session.mount(base, ShopAdapter(shop))
    keys = {"consumer_key": key.consumer_key, "consumer_secret": key.consumer_secret, WEBHOOK_SECRETS: "s"}
    for address in ("first", "second"):
        at = f"{address}-{street.world.merchant_id}"
        new = NewChannel("woocommerce", address, at, base, keys, {})
        url = f"{ORIGIN}/webhooks/woocommerce/{at}"
        if address == "first":
            connect(street.runtime, street.world.merchant_id, new, webhook_url=url)
        else:
            with pytest.raises(Conflict):
                connect(street.runtime, street.world.merchant_id, new, webhook_url=url)
    assert (count(street.world, "channel"), {hook.url.rpartition("/")[2][:5] for hook in shop.hooks()}) == (
        1,
        {"first"},
    )


@pytest.mark.parametrize("written", ["https://{}", "http://{}/", "https://WWW.{}", "https://{}:443"])
def test_a_woocommerce_shop_of_another_merchant_is_refused_however_its_address_is_written(
    street: Street, other: World, written: str
) -> None:
    woo = street.open_woo({"mug": 1})
    host = woo.options.base_url.removeprefix("https://")
    base = written.format(host)
    street.session.mount(base, ShopAdapter(woo))
    before = len(woo.hooks())
    keys = {"consumer_key": Key().consumer_key, "consumer_secret": Key().consumer_secret, WEBHOOK_SECRETS: "s"}
    new = NewChannel("woocommerce", "Theirs", f"theirs-{other.merchant_id}", base, keys, {})
    with pytest.raises(Conflict) as refused:
        connect(street.runtime, other.merchant_id, new, webhook_url=f"{ORIGIN}/webhooks/woocommerce/theirs")
    assert (refused.value.reason, refused.value.detail) == ("channel_taken", "this shop is connected already")
    assert [count(other, table) for table in ("channel", "channel_poll", "listing", "channel_location")] == [0, 0, 0, 0]
    assert len(woo.hooks()) == before


def test_a_shop_can_not_be_moved_to_the_place_of_another_merchants(street: Street, other: World) -> None:
    woo, mine = street.open_woo({"mug": 1}), street.open_woo({"mug": 1})
    keys = {"consumer_key": Key().consumer_key, "consumer_secret": Key().consumer_secret, WEBHOOK_SECRETS: "s"}
    theirs = NewChannel("woocommerce", "Theirs", f"moved-{other.merchant_id}", "https://moved.test", keys, {})
    with other.session() as session:
        channel_id = create_channel(street.runtime, session, theirs)
    with pytest.raises(Conflict), other.session() as session:
        renew_channel(street.runtime, session, channel_id, replace(theirs, base_url=woo.options.base_url))
    with other.session() as session:  # and where nobody is, it can
        free = replace(theirs, base_url=f"{mine.options.base_url}/second-shop")
        renew_channel(street.runtime, session, channel_id, free)
        assert get_channel(session, channel_id).base_url == free.base_url


@pytest.mark.parametrize("answers", range(6))
def test_a_connection_that_broke_off_anywhere_is_finished_by_connecting_again(street: Street, answers: int) -> None:
    street.world.move("mug", 10, "opening > available@A", "10")
    shop = shopify(street)
    calm, given = shop.handle, []

    def handle(request: Any) -> Any:
        given.append(request)
        if len(given) > answers:
            shop.context.faults = Faults(timeout_before=1.0)
        return calm(request)

    shop.handle = handle  # type: ignore[method-assign]
    with pytest.raises(ChannelError):
        join(street, shop)
    shop.handle, shop.context.faults = calm, NONE  # type: ignore[method-assign]
    channel_id = join(street, shop)
    street.shops[channel_id], street.adapters[channel_id] = shop, ShopAdapter(shop)
    street.settle()
    shop.place_order([("mug", 3)])
    street.settle()
    assert (street.world.available("mug"), shop.shown()["mug"], count(street.world, "channel")) == (7, 7, 1)


def test_a_wrong_token_is_told_and_the_right_one_is_taken_the_next_time(street: Street) -> None:
    shop = shopify(street)
    with pytest.raises(AccessDenied):
        join(street, shop, credentials={"access_token": "shpat_wrong", WEBHOOK_SECRETS: WEBHOOK_SECRET})
    channel_id = join(street, shop)
    with street.world.session() as session:
        channel = get_channel(session, channel_id)
    stored = unseal_credentials(street.runtime.sealer, street.world.merchant_id, channel_id, channel.sealed_credentials)
    assert stored["access_token"] == ACCESS_TOKEN
    assert count(street.world, "listing") == 1


@pytest.mark.parametrize(("before", "after"), [("disconnected", "active"), ("paused", "paused"), ("shadow", "shadow")])
def test_connecting_again_wakes_what_was_disconnected_and_nothing_that_was_put_to_rest(
    street: Street, before: str, after: str
) -> None:
    shop = shopify(street)
    channel_id = join(street, shop)
    with street.world.session() as session:
        set_state(session, channel_id, before)
    street.shops[channel_id], street.adapters[channel_id] = shop, ShopAdapter(shop)
    join(street, shop)
    street.settle()  # what was disconnected is read before it is active
    with street.world.session() as session:
        assert get_channel(session, channel_id).state == after


def test_places_are_matched_by_what_is_said_then_by_name_and_the_rest_is_made(street: Street) -> None:
    world = street.world
    join(street, shopify(street, places=("Shelf", "B", "Cellar")), {"Shelf": world.a})
    assert mapped(world)[:2] == [("A", world.a), ("B", world.b)]
    assert [name for name, _ in mapped(world)] == ["A", "B", "Cellar"]
    assert count(world, "location") == 3


def test_two_places_of_one_name_are_one_place_of_ours(street: Street) -> None:
    join(street, shopify(street, places=("Cellar", "Cellar")))
    assert [name for name, _ in mapped(street.world)] == ["Cellar", "Cellar"]
    assert count(street.world, "location") == 3


def test_a_place_that_was_renamed_or_added_later_changes_no_mapping_that_was_there(street: Street) -> None:
    world, shop = street.world, shopify(street, places=("A", "B"))
    join(street, shop)
    for place in shop.locations.values():
        place.name = f"New {place.name}"
    shop.add_location("Cellar")
    join(street, shop)
    assert [name for name, _ in mapped(world)] == ["A", "B", "Cellar"]
    assert mapped(world)[:2] == [("A", world.a), ("B", world.b)]


def test_a_shop_without_places_is_fed_by_all_of_ours_or_by_those_that_are_named(street: Street) -> None:
    world = street.world
    street.open_woo({"mug": 1})
    assert sorted(mapped(world)) == [("A", world.a), ("B", world.b)]


def test_a_merchant_without_places_gets_one_with_the_first_shop(street: Street) -> None:
    with street.world.session() as session:
        session.run("delete from location where merchant_id = %(merchant_id)s")
    street.open_woo({"mug": 1})
    assert [name for name, _ in mapped(street.world)] == ["Main"]


def test_an_order_from_a_place_that_nobody_mapped_waits_and_goes_on_when_somebody_has(street: Street) -> None:
    world = street.world
    world.move("mug", 10, "opening > available@A", "10")
    shop = street.open_shopify({"mug": 10}, places={"A": world.a, "B": world.b})
    street.settle()
    with world.session() as session:
        session.run(
            "delete from channel_location where merchant_id = %(merchant_id)s and location_id = %(a)s", a=world.a
        )
    shop.place_order([("mug", 2)])
    street.settle()
    assert (world.available("mug"), street.parked()) == (10, ["unknown_location"])
    join(street, shop, name="Shopify 0")
    assert street.parked() == []  # before any poll comes by again
    street.settle()
    assert (world.available("mug"), street.parked()) == (8, [])
