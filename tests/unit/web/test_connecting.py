"""The pages that connect a WooCommerce shop: what is in the way in words, one merchant's own, and never a secret."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from werkzeug.test import TestResponse

from sandbox.front import Front
from sandbox.woocommerce import WooShop
from tests.joining import joining_site, serving_woo
from tests.street import Street
from tests.unit.web.site import BROWSER, Site
from tests.world import World


@pytest.fixture
def site(street: Street) -> Site:
    return joining_site(street)


@pytest.fixture
def woo(street: Street) -> Iterator[tuple[WooShop, Front]]:
    street.world.item("mug")
    with serving_woo(street) as found:
        yield found


def post(site: Site, path: str, world: World | None = None, **fields: str) -> TestResponse:
    merchant = (world or site.street.world).merchant_id
    token = site.get(f"/connect?merchant={merchant}").text.split('name="csrf_token" value="')[1].split('"')[0]
    data = {"csrf_token": token, **fields}
    return site.client.post(f"{path}?merchant={merchant}", data=data, headers=BROWSER)


def begin(site: Site, front: Front, world: World | None = None) -> str:
    """The page that a found shop is asked for on."""
    answer = post(site, "/connect/woocommerce", world, url=f"{front.base_url}/wp-admin/")
    assert answer.status_code == 303
    return urlsplit(answer.headers["Location"]).path


def link(page: str) -> str:
    found = re.search(r'href="([^"]*/wc-auth/v1/authorize[^"]*)"', page)
    assert found is not None
    return html.unescape(found[1])


def keys(shop: WooShop, permissions: str = "read_write") -> dict[str, str]:
    key = shop.state.make_key(permissions)
    return {"consumer_key": key.consumer_key, "consumer_secret": key.consumer_secret}


def bring(site: Site, state: str, shop: WooShop, **more: Any) -> TestResponse:
    """The shop's server calls."""
    body = {"key_id": 1, "user_id": state, "key_permissions": "read_write", **keys(shop)}
    told = {"data": orjson.dumps(body), "content_type": "application/json;charset=UTF-8", **more}
    return site.client.post("/callbacks/woocommerce", **told)


def channels(world: World) -> list[str]:
    with world.session() as session:
        rows = session.rows("select name from channel where merchant_id = %(merchant_id)s")
    return [row.name for row in rows]


def test_a_shop_is_found_approved_and_connected(site: Site, woo: tuple[WooShop, Front]) -> None:
    shop, front = woo
    path = begin(site, front)
    page = site.ask(path).text
    query = parse_qs(urlsplit(link(page)).query)
    merchant = site.street.world.merchant_id
    assert query["return_url"] == [f"http://localhost/connect/woocommerce/back?merchant={merchant}"]
    assert query["callback_url"] == ["http://localhost/callbacks/woocommerce"]
    (state,) = query["user_id"]
    assert "one step left" not in page
    assert bring(site, state, shop).status_code == 200
    back = site.get(f"/connect/woocommerce/back?merchant={merchant}&success=1&user_id={state}")
    assert (back.status_code, urlsplit(back.headers["Location"]).path) == (303, path)
    assert "one step left" in site.ask(path).text
    done = post(site, f"{path}/finish")
    assert done.status_code == 303
    assert channels(site.street.world) == ["Mug shop"]
    assert "This shop is connected" in site.ask(path).text


def test_another_merchant_meets_nothing_of_it_21(site: Site, woo: tuple[WooShop, Front], other: World) -> None:
    shop, front = woo
    path = begin(site, front)
    (state,) = parse_qs(urlsplit(link(site.ask(path).text)).query)["user_id"]
    bring(site, state, shop)
    for refused in (
        site.get(f"{path}?merchant={other.merchant_id}"),
        post(site, f"{path}/finish", other),
        post(site, f"{path}/keys", other, **keys(shop)),
    ):
        assert refused.status_code == 404
    wrong = site.get(f"/connect/woocommerce/back?merchant={other.merchant_id}&success=0&user_id={state}")
    assert (wrong.status_code, "start again" in wrong.text) == (400, True)
    assert f'<a href="/connect?merchant={other.merchant_id}">Start again</a>' in wrong.text
    assert 'action="/connect/woocommerce?' in wrong.text  # the form to start again with
    assert post(site, f"{path}/finish").status_code == 303
    assert channels(other) == []
    theirs = begin(site, front, other)
    taken = post(site, f"{theirs}/keys", other, **keys(shop))
    assert (taken.status_code, "connected already" in taken.text) == (422, True)
    assert channels(other) == []


def test_an_owner_who_denied_is_told_so_and_keys_that_come_later_are_not_taken(
    site: Site, woo: tuple[WooShop, Front]
) -> None:
    shop, front = woo
    path = begin(site, front)
    (state,) = parse_qs(urlsplit(link(site.ask(path).text)).query)["user_id"]
    site.ask(f"/connect/woocommerce/back?success=0&user_id={state}")
    assert "did not approve" in site.ask(path).text
    assert bring(site, state, shop).status_code == 400


def test_a_used_or_made_up_state_is_400_with_a_word_to_start_again_24(site: Site, woo: tuple[WooShop, Front]) -> None:
    shop, front = woo
    path = begin(site, front)
    (state,) = parse_qs(urlsplit(link(site.ask(path).text)).query)["user_id"]
    assert bring(site, state, shop).status_code == 200
    for wrong in (state, f"{state}x", "1-1-x"):
        refused = bring(site, wrong, shop)
        assert (refused.status_code, refused.json["reason"]) == (400, "unknown_state")
        assert state not in refused.text
    assert "start again" in refused.json["detail"]


@pytest.mark.parametrize(
    ("told", "status", "reason"),
    [
        ({"data": b"[]"}, 400, "not_an_object"),
        ({"data": b"{"}, 400, "not_json"),
        ({"data": b"{}"}, 400, "missing_field"),
        ({"data": b"[" * 4_000}, 400, "not_json"),
        ({"data": b"\xff\xfe{\x00}\x00"}, 400, "not_json"),
        ({"data": b"x" * 5_000}, 413, "body_too_large"),
        ({"data": b"", "environ_overrides": {"CONTENT_LENGTH": "26214400"}}, 413, "body_too_large"),
        ({"data": b"user_id=1", "content_type": "application/x-www-form-urlencoded"}, 415, "wrong_content_type"),
        ({"data": b"\x1f\x8b" + b"\x00" * 20, "headers": {"Content-Encoding": "gzip"}}, 400, "not_json"),
    ],
)
def test_a_call_that_brings_no_keys_is_refused_by_what_is_wrong_with_it_6_7_8(
    site: Site, woo: tuple[WooShop, Front], told: Mapping[str, Any], status: int, reason: str
) -> None:
    answer = bring(site, "state", woo[0], **told)
    assert (answer.status_code, answer.json["reason"]) == (status, reason)


def test_only_vendors_whose_shops_bring_keys_have_such_an_address(site: Site, woo: tuple[WooShop, Front]) -> None:
    body = {"data": b"{}", "content_type": "application/json"}
    assert site.client.post("/callbacks/shopify", **body).status_code == 404
    assert site.client.post("/callbacks/nobody", **body).status_code == 404
    assert site.client.get("/callbacks/woocommerce").status_code == 405


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://10.0.0.1", "address_not_allowed"),
        ("https://169.254.169.254/latest", "address_not_allowed"),
        ("http://[::ffff:10.0.0.1]", "address_not_allowed"),
        ("https://100.64.0.1", "address_not_allowed"),
        ("https://0xa.1", "address_not_allowed"),
        ("file:///etc/passwd", "scheme_not_allowed"),
        ("javascript:alert(1)", "scheme_not_allowed"),
        ("https://me:secret@93.184.215.14", "address_with_password"),
        ("https://93.184.215.14:22", "port_not_allowed"),
        ("", "bad_address"),
        ("a" * 2_000, "bad_address"),
        ("https://shop.example.com\nHost: inner", "bad_address"),
    ],
)
def test_an_address_that_must_not_be_called_is_422_with_the_cure_29_30(site: Site, url: str, reason: str) -> None:
    answer = post(site, "/connect/woocommerce", url=url)
    assert (answer.status_code, f"<code>{reason}</code>" in answer.text) == (422, True)
    assert 'aria-invalid="true"' in answer.text


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("firewall", "a firewall before the shop"),
        ("challenge", "a web page instead of data"),
        ("login_wall", "a login page stands before"),
        ("maintenance", "down for maintenance"),
        ("plain_site", "no WordPress site"),
        ("plain_permalinks", "Settings, Permalinks"),
    ],
)
def test_what_stands_before_a_shop_is_told_apart_in_words_33(site: Site, host: str, words: str) -> None:
    with serving_woo(site.street, host=host) as (_, front):
        answer = post(site, "/connect/woocommerce", url=front.base_url)
    assert (answer.status_code, words.lower() in answer.text.lower()) == (422, True)


def test_a_shop_that_lives_elsewhere_is_used_only_after_a_person_said_so_32(
    site: Site, woo: tuple[WooShop, Front]
) -> None:
    _, front = woo
    with serving_woo(site.street, moved_to=front.base_url) as (_, old):
        page = post(site, "/connect/woocommerce", url=old.base_url)
        assert (page.status_code, f"<code>{front.base_url}</code>" in page.text) == (200, True)
        with site.street.world.session() as session:
            assert session.value("select count(*) from shop_joining where merchant_id = %(merchant_id)s") == 0
    with serving_woo(site.street, moved_to="http://169.254.169.254") as (_, bad):
        refused = post(site, "/connect/woocommerce", url=bad.base_url)
        assert (refused.status_code, "address_not_allowed" in refused.text) == (422, True)


@pytest.mark.parametrize(
    ("typed", "field", "reason"),
    [
        ({"consumer_key": "", "consumer_secret": ""}, "consumer_key", "not_a_key"),
        ({"consumer_secret": "cs_short"}, "consumer_secret", "not_a_key"),
        ({"consumer_secret": "cs_" + "0" * 40}, "consumer_key", "wrong_signature"),
        ({"consumer_key": "ck_" + "0" * 40}, "consumer_key", "keys_refused"),
    ],
)
def test_keys_by_hand_that_are_wrong_are_said_at_their_field_and_not_shown_again(
    site: Site, woo: tuple[WooShop, Front], typed: dict[str, str], field: str, reason: str
) -> None:
    shop, front = woo
    path = begin(site, front)
    given = {**keys(shop), **typed}
    answer = post(site, f"{path}/keys", **given)
    assert answer.status_code == 422
    assert f'id="{field}-wrong"' in answer.text
    assert reason in answer.text or reason == "keys_refused"
    assert not [secret for secret in given.values() if len(secret) > 9 and secret in answer.text]
    assert channels(site.street.world) == []


def test_a_read_only_key_is_told_apart_and_nothing_is_left_half_connected(
    site: Site, woo: tuple[WooShop, Front]
) -> None:
    shop, front = woo
    path = begin(site, front)
    answer = post(site, f"{path}/keys", **keys(shop, "read"))
    assert (answer.status_code, "may only read" in answer.text) == (422, True)
    assert channels(site.street.world) == []
    assert post(site, f"{path}/keys", **keys(shop)).status_code == 303


def test_a_shops_name_is_shown_as_text_whatever_it_is_38(site: Site) -> None:
    with serving_woo(site.street, name='<script>alert(1)</script>"{{7*7}}') as (_, front):
        page = site.ask(begin(site, front)).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "49" not in page.partition("<h1>")[2].partition("</h1>")[0]


def test_a_form_from_elsewhere_is_refused_36(site: Site) -> None:
    merchant = site.street.world.merchant_id
    for path in ("/connect/woocommerce", "/connect/woocommerce/1/keys", "/connect/woocommerce/1/finish"):
        assert site.client.post(f"{path}?merchant={merchant}", data={}, headers=BROWSER).status_code == 403


def test_a_made_up_host_never_ends_in_what_a_shop_is_told_46(street: Street, woo: tuple[WooShop, Front]) -> None:
    site = joining_site(street, public_url="https://stock.example.com")
    for host in ("evil.example", "stock.example.com.evil.example", "stock.example.com@evil.example", "[", ""):
        assert site.ask("/connect", headers={**BROWSER, "Host": host}).status_code == 400
    evil = {**BROWSER, "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    assert "evil" not in site.ask("/connect", headers={**evil, "Host": "stock.example.com"}).text
    assert site.get("/healthz", headers={"Host": "10.0.0.7"}).status_code == 200


def test_the_address_that_a_shop_is_told_is_the_one_that_is_set_46(street: Street, woo: tuple[WooShop, Front]) -> None:
    site = joining_site(street, public_url="http://localhost:8000")
    page = site.ask(begin(site, woo[1])).text
    query = parse_qs(urlsplit(link(page)).query)
    assert query["callback_url"] == ["http://localhost:8000/callbacks/woocommerce"]


def test_a_forwarded_host_is_believed_of_as_many_proxies_as_are_set_and_then_judged_46(street: Street) -> None:
    forwarded = {**BROWSER, "Host": "stock.example.com", "X-Forwarded-Host": "evil.example"}
    direct = joining_site(street, public_url="https://stock.example.com")
    assert direct.ask("/connect", headers=forwarded).status_code == 403  # no password yet: only this machine may look
    behind = joining_site(street, public_url="https://stock.example.com", proxy_hops=1)
    refused = behind.ask("/connect", headers=forwarded)
    assert (refused.status_code, "evil" in refused.text) == (400, False)
    twice = {**forwarded, "X-Forwarded-Host": "evil.example, stock.example.com"}
    assert behind.ask("/connect", headers=twice).status_code == 403  # only the nearest proxy's word


def test_without_a_public_address_somebody_outside_is_told_what_to_set(street: Street) -> None:
    site = joining_site(street, proxy_hops=1)
    assert site.ask("/connect", headers={**BROWSER, "X-Forwarded-For": "203.0.113.7"}).status_code == 403
