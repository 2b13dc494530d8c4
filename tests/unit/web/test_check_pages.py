"""The page of a channel's connection: what is broken with its cure, asked now, other keys, disconnected."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from werkzeug.test import TestResponse

from app.listings import joining
from app.listings.channels import get_channel
from connectors.join import Found
from sandbox.woocommerce import WooShop
from tests.joining import joining_site, serving_woo
from tests.street import Street
from tests.unit.web.site import BROWSER, Site
from tests.world import World


@pytest.fixture
def site(street: Street) -> Site:
    street.world.item("mug")
    return joining_site(street)


@pytest.fixture
def woo(site: Site) -> Iterator[tuple[WooShop, int]]:
    """A connected shop and its channel."""
    with serving_woo(site.street, runs_cron=False) as (shop, front):
        runtime, merchant_id = site.street.runtime, site.street.world.merchant_id
        found = joining.begin_joining(runtime, merchant_id, "woocommerce", Found(front.base_url, "Mug shop"))
        typed = keys(shop)
        yield shop, joining.join_by_hand(runtime, merchant_id, found, typed, origin="http://localhost")


def keys(shop: WooShop) -> dict[str, str]:
    key = shop.state.make_key("read_write")
    return {"consumer_key": key.consumer_key, "consumer_secret": key.consumer_secret}


def post(site: Site, path: str, world: World | None = None, **fields: str) -> TestResponse:
    merchant = site.street.world.merchant_id
    token = site.get(f"/connect?merchant={merchant}").text.split('name="csrf_token" value="')[1].split('"')[0]
    asked = (world or site.street.world).merchant_id
    data = {"csrf_token": token, **fields}
    return site.client.post(f"{path}?merchant={asked}", data=data, headers=BROWSER)


def test_the_page_says_when_the_shop_was_asked_and_of_each_requirement_how_it_stands(
    site: Site, woo: tuple[WooShop, int]
) -> None:
    path = f"/channels/{woo[1]}/check"
    before = site.ask(path).text
    assert "never asked" in before
    assert "America/New_York" in before
    assert post(site, path).status_code == 303
    after = site.ask(path).text
    assert "last asked" in after
    assert "wp-cron.php" in after
    assert after.count(">look at it<") == 1  # that WordPress's own cron is off: known, and perhaps as it should be
    assert 'href="/channels/' in site.ask("/").text


def test_a_broken_requirement_shows_its_cure_first(site: Site, woo: tuple[WooShop, int]) -> None:
    shop, channel_id = woo
    shop.state.keys.clear()
    post(site, f"/channels/{channel_id}/check")
    page = site.ask(f"/channels/{channel_id}/check").text
    assert "Give other keys below" in page
    assert "requirements are broken" in page


def test_other_keys_are_stored_only_when_the_shop_accepts_them(site: Site, woo: tuple[WooShop, int]) -> None:
    shop, channel_id = woo
    path = f"/channels/{channel_id}/keys"
    for wrong in ({"consumer_key": "x", "consumer_secret": "y"}, {**keys(shop), "consumer_key": "ck_" + "0" * 40}):
        refused = post(site, path, **wrong)
        assert (refused.status_code, 'role="alert"' in refused.text) == (422, True)
        assert wrong["consumer_secret"] not in refused.text or len(wrong["consumer_secret"]) < 3
    assert post(site, path, **keys(shop)).status_code == 303


def test_keys_that_may_only_read_are_not_stored_since_no_number_could_be_written_with_them(
    site: Site, woo: tuple[WooShop, int]
) -> None:
    shop, channel_id = woo
    key = shop.state.make_key("read")
    typed = {"consumer_key": key.consumer_key, "consumer_secret": key.consumer_secret}
    before = sealed(site, channel_id)
    refused = post(site, f"/channels/{channel_id}/keys", **typed)
    assert (refused.status_code, "the key may only read" in refused.text) == (422, True)
    assert sealed(site, channel_id) == before


def sealed(site: Site, channel_id: int) -> str | None:
    with site.street.world.session() as session:
        return get_channel(session, channel_id).sealed_credentials


def test_a_shop_is_disconnected_only_by_somebody_who_ticks_the_box(site: Site, woo: tuple[WooShop, int]) -> None:
    shop, channel_id = woo
    path = f"/channels/{channel_id}/disconnect"
    assert post(site, path).status_code == 422
    assert len(shop.hooks()) > 0
    assert post(site, path, sure="yes").status_code == 303
    assert shop.hooks() == []
    page = site.ask(f"/channels/{channel_id}/check").text
    assert "Connect it again" in page
    assert "Give other keys" not in page


def test_a_shop_is_erased_when_it_is_disconnected_and_somebody_ticks_the_box(
    site: Site, woo: tuple[WooShop, int]
) -> None:
    shop, channel_id = woo
    path, address = f"/channels/{channel_id}/erase", shop.state.options.base_url
    assert post(site, path, sure="yes").status_code == 409
    assert "Erase the shop" not in site.ask(f"/channels/{channel_id}/check").text
    assert post(site, f"/channels/{channel_id}/disconnect", sure="yes").status_code == 303
    refused = post(site, path)
    assert (refused.status_code, "tick the box first" in refused.text) == (422, True)
    assert address in site.ask(f"/channels/{channel_id}/check").text
    assert post(site, path, sure="yes").status_code == 303
    page = site.ask(f"/channels/{channel_id}/check").text
    assert address not in page
    assert "Removed shop" in page


def test_another_merchant_meets_none_of_it_21(site: Site, woo: tuple[WooShop, int], other: World) -> None:
    shop, channel_id = woo
    path = f"/channels/{channel_id}"
    answers = [
        site.get(f"{path}/check?merchant={other.merchant_id}"),
        post(site, f"{path}/check", other),
        post(site, f"{path}/keys", other, **keys(shop)),
        post(site, f"{path}/disconnect", other, sure="yes"),
        post(site, f"{path}/erase", other, sure="yes"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 5
    assert len(shop.hooks()) > 0


@pytest.mark.parametrize("path", ["check", "keys", "disconnect", "erase"])
def test_a_form_from_elsewhere_is_refused_36(site: Site, path: str) -> None:
    merchant = site.street.world.merchant_id
    answer = site.client.post(f"/channels/1/{path}?merchant={merchant}", data={"sure": "yes"}, headers=BROWSER)
    assert answer.status_code == 403


@pytest.mark.parametrize("wrong", ["..%2f..%2fetc", "0x1", "-1", "9" * 40, "1%00"])
def test_an_id_that_is_none_is_not_there_42(site: Site, wrong: str) -> None:
    assert site.ask(f"/channels/{wrong}/check").status_code == 404
    assert site.ask(f"/connect/woocommerce/{wrong}").status_code == 404
