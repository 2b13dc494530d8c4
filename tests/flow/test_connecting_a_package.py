"""A shop of a platform that a package brings is connected by its address and keys, and offered nowhere it is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.core.errors import Conflict, NotFound
from app.listings.by_keys import connect_by_keys
from app.listings.channels import get_channel, list_channels
from app.listings.leaving import leave
from app.web import create_app
from app.wiring import connectors_of
from connectors.errors import AccessDenied, Refused
from sandbox.base import Context
from sandbox.front import Front
from sandbox.till import TOKEN, PretendTill
from tests.joining import joining_site
from tests.street import Street
from tests.unit.web.site import Site
from tests.world import World

ORIGIN = "https://perpetual.example"


@pytest.fixture
def site(street: Street) -> Site:
    return joining_site(street)


@pytest.fixture
def till(street: Street, site: Site) -> Iterator[Front]:
    shop = PretendTill(Context(lambda: street.world.now, street.rng))
    shop.add_product("mug", 10)
    with Front(shop, pump=False) as front:
        yield front


def joined(street: Street, till: Front, world: World | None = None, *, token: str = TOKEN, name: str = "") -> int:
    merchant_id = (world or street.world).merchant_id
    told = {"name": name, "origin": ORIGIN}
    return connect_by_keys(street.runtime, merchant_id, ("till", till.base_url + "/"), {"token": token}, **told)


def channels(world: World) -> list[tuple[str, str, str]]:
    with world.session() as session:
        return [(one.platform, one.name, one.state) for one in list_channels(session)]


def test_a_till_is_connected_in_shadow_and_delivers_to_an_address_of_its_own(street: Street, till: Front) -> None:
    channel_id = joined(street, till, name="Shop floor")
    assert channels(street.world) == [("till", "Shop floor", "shadow")]
    with street.world.session() as session:
        address = get_channel(session, channel_id).address
    shop = till.shop
    assert isinstance(shop, PretendTill)
    assert {hook.url for hook in shop.hooks.hooks.values()} == {f"{ORIGIN}/webhooks/till/{address}"}
    assert all(len(hook.secret) >= 32 for hook in shop.hooks.hooks.values())


def test_connecting_it_again_renews_it_and_another_merchant_can_not_have_it(
    street: Street, till: Front, other: World
) -> None:
    first = joined(street, till)
    assert joined(street, till) == first
    with pytest.raises(Conflict) as caught:
        joined(street, till, other)
    assert caught.value.reason == "channel_taken"
    assert channels(other) == []
    assert channels(street.world) == [("till", "Corner till", "shadow")]


def test_disconnecting_it_takes_our_webhooks_back_and_leaves_other_peoples(street: Street, till: Front) -> None:
    channel_id, shop = joined(street, till), till.shop
    assert isinstance(shop, PretendTill)
    theirs = shop.hooks.add("order.changed", "https://theirs.example/hook", "theirs")
    assert leave(street.runtime, street.world.merchant_id, channel_id, "somebody") == ""
    assert list(shop.hooks.hooks.values()) == [theirs]


def test_keys_that_do_not_work_there_store_nothing(street: Street, till: Front) -> None:
    with pytest.raises(AccessDenied):
        joined(street, till, token="another")
    assert channels(street.world) == []


def test_keys_are_sent_to_no_address_without_encryption(street: Street, till: Front) -> None:
    with pytest.raises(Refused) as caught:
        connect_by_keys(
            street.runtime, street.world.merchant_id, ("till", "http://93.184.216.34"), {}, name="", origin=ORIGIN
        )
    assert caught.value.reason == "needs_https"


@pytest.mark.parametrize("platform", ["drawer", "shopify", "woocommerce"])
def test_a_platform_that_no_package_brings_is_refused_and_those_there_are_named(
    street: Street, till: Front, platform: str
) -> None:
    with pytest.raises(NotFound) as caught:
        connect_by_keys(street.runtime, street.world.merchant_id, (platform, till.base_url), {}, name="", origin=ORIGIN)
    assert caught.value.reason == "unknown_platform"
    assert "there is: till" in caught.value.detail


def test_the_page_offers_what_packages_bring_and_no_till_where_tills_are_off(street: Street, site: Site) -> None:
    assert "<code>till</code>" in site.ask("/connect").text
    shopify = street.settings.shopify.model_copy(update={"point_of_sale": False})
    off = connectors_of(street.settings.model_copy(update={"shopify": shopify}), street.runtime.connectors)
    street.runtime = replace(street.runtime, connectors=off)
    assert "till" not in Site(street, create_app(street.runtime)).ask("/connect").text
    with pytest.raises(NotFound):
        connect_by_keys(street.runtime, street.world.merchant_id, ("till", ORIGIN), {}, name="", origin=ORIGIN)
