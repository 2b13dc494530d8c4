"""Installing on Shopify over HTTP: from the admin's click to a connected channel, and everything that must not pass."""

from __future__ import annotations

import io
import re
from datetime import timedelta

import pytest

from app.simulation.town import ORIGIN
from sandbox.shopify import PretendShopify
from sandbox.shopify.apps import App
from tests.installing import CLIENT_ID, FORMER, SECRET, Installing, pretend_app, query_of
from tests.street import Street
from tests.unit.web.site import BROWSER, PASSWORD


@pytest.fixture
def installing(street: Street) -> Installing:
    return Installing(street)


@pytest.fixture
def shop(installing: Installing) -> PretendShopify:
    return installing.shop("one")


def log_in(installing: Installing) -> None:
    installing.site.log_in(PASSWORD, base_url=ORIGIN)


def ask_own(installing: Installing, path: str, **form: str) -> str:
    """A form of the connect page, sent; where it leads, or the page."""
    merchant = installing.street.world.merchant_id
    page = installing.site.client.get(f"/shopify/connect?merchant={merchant}", headers=BROWSER, base_url=ORIGIN).text
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    answer = installing.site.client.post(
        f"{path}?merchant={merchant}", data={"csrf_token": token, **form}, headers=BROWSER, base_url=ORIGIN
    )
    return answer.headers.get("Location", answer.text)


def consent(shop: PretendShopify, url: str) -> dict[str, str]:
    """The owner agrees on the consent page that `url` is; the query that the browser comes back with."""
    asked = query_of(url)
    app: App = shop.admin.apps[asked["client_id"]]
    assert asked["redirect_uri"] in app.redirect_urls
    assert sorted(asked["scope"].split(",")) == sorted(app.scopes)
    shop.admin.install(app.client_id)
    return shop.admin.callback_query(app, asked["state"])


def test_the_first_opening_in_the_admin_connects_the_shop_to_a_merchant_of_its_own(
    installing: Installing, shop: PretendShopify
) -> None:
    answer = installing.installed(shop)
    assert answer.status_code == 200
    assert "Connected" in answer.text
    merchant_id, _ = installing.found(shop)
    assert merchant_id != installing.street.world.merchant_id
    assert installing.merchant_name(shop).startswith("Pretend shop")
    assert installing.state(shop) == "shadow"
    kept = installing.credentials(shop)
    assert (kept["grant"], "refresh_token" in kept, "webhook_secrets" in kept) == ("session", True, False)
    assert shop.admin.grants.given == ["session"]


def test_opening_it_again_asks_for_no_other_token_and_makes_no_other_merchant(
    installing: Installing, shop: PretendShopify
) -> None:
    installing.installed(shop)
    first = installing.found(shop)
    again = installing.open(shop)
    assert (again.status_code, installing.found(shop)) == (200, first)
    assert "Connected" not in again.text
    assert shop.admin.grants.given == ["session"]


def test_an_installed_shop_sells_and_its_order_is_taken_in_by_the_apps_own_subscriptions(
    installing: Installing, shop: PretendShopify
) -> None:
    installing.installed(shop)
    installing.street.deliver()
    shop.place_order([("mug", 1)])
    assert installing.street.deliver() > 0
    merchant_id, channel_id = installing.found(shop)
    with installing.street.runtime.begin(merchant_id, installing.street.world.now) as session:
        told = session.value(
            """select count(*) from inbox where merchant_id = %(merchant_id)s and channel_id = %(channel)s
               and topic = 'orders/create'""",
            channel=channel_id,
        )
    assert told == 1
    assert all(subscription.of_app for subscription in shop.webhooks.subscriptions)


def test_a_page_without_a_token_bounces_through_the_admins_script_and_back(
    installing: Installing, shop: PretendShopify
) -> None:
    query = installing.query(shop)
    del query["id_token"]
    answer = installing.get("/shopify/app", query)
    there = query_of(answer.headers["Location"])
    assert (answer.status_code, there["shop"]) == (302, shop.domain)
    assert there["shopify-reload"].startswith(f"{ORIGIN}/shopify/app?")
    assert "id_token" not in there["shopify-reload"]
    page = installing.get("/shopify/session", there)
    assert page.text.index("app-bridge.js") < page.text.index("</title>")
    assert f'<meta name="shopify-api-key" content="{CLIENT_ID}">' in page.text


def test_a_token_that_has_run_out_bounces_too_and_a_fetch_with_one_is_told_to_try_again(
    installing: Installing, shop: PretendShopify
) -> None:
    installing.installed(shop)
    query = installing.query(shop)
    installing.street.world.now += timedelta(minutes=5)
    assert "/shopify/session" in installing.get("/", query).headers["Location"]
    fetched = installing.get("/", {"shop": shop.domain}, Authorization=f"Bearer {query['id_token']}")
    assert (fetched.status_code, fetched.headers["X-Shopify-Retry-Invalid-Session-Request"]) == (401, "1")


@pytest.mark.parametrize("back", ["https://evil.com/", "//evil.com", f"{ORIGIN}.evil.com/", f"{ORIGIN}//evil.com", ""])
def test_the_script_is_never_sent_elsewhere_with_a_token(
    installing: Installing, shop: PretendShopify, back: str
) -> None:
    answer = installing.get("/shopify/session", {"shop": shop.domain, "shopify-reload": back})
    assert (answer.status_code, "bad_reload" in answer.text) == (400, True)


def test_every_page_inside_the_admin_is_framed_by_that_shop_alone_and_leaks_no_referrer_37_26(
    installing: Installing, shop: PretendShopify
) -> None:
    other = installing.shop("two")
    for one in (shop, other):
        installing.installed(one)
        for path in ("/shopify/app", "/", "/items", "/listings"):
            answer = installing.open(one, path)
            assert answer.status_code == 200, path
            policy = answer.headers["Content-Security-Policy"]
            ancestors = re.findall(r"frame-ancestors ([^;]*)", policy)
            assert ancestors == [f"https://{one.domain} https://admin.shopify.com"]
            assert "X-Frame-Options" not in answer.headers
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert "id_token" not in answer.text
    outside = installing.site.get("/login", base_url=ORIGIN)
    assert "frame-ancestors 'none'" in outside.headers["Content-Security-Policy"]
    assert outside.headers["X-Frame-Options"] == "DENY"


def test_the_pages_inside_are_those_of_the_shops_merchant_and_of_no_other_21(
    installing: Installing, shop: PretendShopify
) -> None:
    other = installing.shop("two", {"teapot": 3})
    installing.installed(shop)
    installing.installed(other)
    installing.street.settle(1)
    assert "mug" in installing.open(shop, "/listings").text
    assert "teapot" not in installing.open(shop, "/listings").text
    theirs, _ = installing.found(other)
    asked = installing.open(shop, "/listings", merchant=str(theirs))
    assert "teapot" not in asked.text
    _, channel = installing.found(other)
    assert "teapot" not in installing.open(shop, "/listings", channel=str(channel)).text


def test_a_shop_in_the_address_that_is_not_the_tokens_is_refused_22(
    installing: Installing, shop: PretendShopify
) -> None:
    other = installing.shop("two")
    installing.installed(shop)
    installing.installed(other)
    for path in ("/shopify/app", "/"):
        answer = installing.open(shop, path, shop=other.domain)
        assert (answer.status_code, "another_shop" in answer.text) == (403, True)


@pytest.mark.parametrize("name", ["evil.com", "a.myshopify.com.evil.com", "a.myshopify.com/@x", ""])
@pytest.mark.parametrize("path", ["/shopify/app", "/shopify/install", "/shopify/callback", "/shopify/session"])
def test_a_name_that_is_no_shops_is_refused_wherever_it_is_given_23(
    installing: Installing, path: str, name: str
) -> None:
    answer = installing.get(path, {"shop": name, "embedded": "1", "code": "c", "state": "s"})
    assert answer.status_code == 400
    assert "bad_shop" in answer.text


def test_a_token_of_another_app_or_signed_by_nobody_connects_nothing_25(
    installing: Installing, shop: PretendShopify
) -> None:
    shop.admin.register(pretend_app(client_id="another-app"))
    for token, reason in [
        (shop.admin.session_token("another-app"), "wrong_audience"),
        ("no-token", "malformed_token"),
    ]:
        answer = installing.get("/shopify/app", {"shop": shop.domain, "embedded": "1", "id_token": token})
        assert (answer.status_code, reason in answer.text) == (401, True)
    assert shop.admin.grants.given == []


def test_a_token_signed_with_the_former_secret_installs_while_the_secret_is_changed_2(installing: Installing) -> None:
    shop = installing.shop("changing", app=pretend_app(secrets=(FORMER, SECRET)))
    assert installing.installed(shop).status_code == 200
    shop.place_order([("mug", 1)])
    statuses = []
    for posted in shop.due_deliveries():
        statuses.append(installing.street.hand_over(shop, posted))
    assert statuses
    assert set(statuses) == {200}


def test_the_app_asks_with_the_secret_that_shopify_still_has(installing: Installing) -> None:
    shop = installing.shop("late", app=pretend_app(secrets=(FORMER,)))
    assert installing.installed(shop).status_code == 200
    assert shop.admin.grants.given == ["session"]


def test_opened_outside_the_admin_a_connected_shop_is_shown_inside_it(
    installing: Installing, shop: PretendShopify
) -> None:
    installing.installed(shop)
    answer = installing.get("/shopify/app", shop.admin.app_query(shop.admin.apps[CLIENT_ID]))
    assert answer.headers["Location"] == f"https://{shop.domain}/admin/apps/{CLIENT_ID}"


def test_without_managed_installs_the_consent_page_connects_the_shop(
    installing: Installing, shop: PretendShopify
) -> None:
    asked = installing.get("/shopify/app", shop.admin.app_query(shop.admin.apps[CLIENT_ID]))
    back = consent(shop, asked.headers["Location"])
    answer = installing.get("/shopify/callback", back)
    assert answer.headers["Location"] == f"https://{shop.domain}/admin/apps/{CLIENT_ID}"
    assert shop.admin.grants.given == ["code"]
    assert installing.state(shop) == "shadow"


def test_a_consent_begun_while_logged_in_joins_the_shop_to_that_merchant(
    installing: Installing, shop: PretendShopify
) -> None:
    log_in(installing)
    url = ask_own(installing, "/shopify/connect", shop=f"https://{shop.domain}/")
    answer = installing.get("/shopify/callback", consent(shop, url))
    assert answer.status_code == 302
    assert installing.found(shop)[0] == installing.street.world.merchant_id


def test_a_shop_that_another_merchant_has_is_never_joined_to_one_who_is_logged_in(
    installing: Installing, shop: PretendShopify
) -> None:
    installing.installed(shop)
    before = installing.found(shop)
    log_in(installing)
    url = ask_own(installing, "/shopify/connect", shop=shop.domain)
    answer = installing.get("/shopify/callback", consent(shop, url))
    assert (answer.status_code, "channel_taken" in answer.text) == (409, True)
    assert installing.found(shop) == before


def test_a_state_that_is_missing_reused_expired_or_of_another_browser_starts_again_24(
    installing: Installing, shop: PretendShopify
) -> None:
    def begun() -> dict[str, str]:
        asked = installing.get("/shopify/install", shop.admin.app_query(shop.admin.apps[CLIENT_ID]))
        return consent(shop, asked.headers["Location"])

    def refused(query: dict[str, str], browser: Installing = installing) -> None:
        answer = browser.get("/shopify/callback", query)
        assert (answer.status_code, "unknown_state" in answer.text) == (400, True)
        admin = f"https://{shop.domain}/admin/apps/{CLIENT_ID}"
        assert f'<a class="button" href="{admin}"' in answer.text  # nobody is logged in here

    back = begun()
    app = shop.admin.apps[CLIENT_ID]
    refused(shop.admin.callback_query(app, ""))
    refused(back)  # its cookie went with the first try
    used = begun()
    with installing.site.client.session_transaction(base_url=ORIGIN) as cookie:
        kept = cookie["shopify_state"]
    assert installing.get("/shopify/callback", used).status_code == 302
    with installing.site.client.session_transaction(base_url=ORIGIN) as cookie:
        cookie["shopify_state"] = kept
    refused(shop.admin.callback_query(app, used["state"]))
    late = begun()
    installing.street.world.now += timedelta(minutes=11)
    refused(shop.admin.callback_query(app, late["state"]))
    elsewhere = begun()
    installing.site.client = installing.site.app.test_client()
    refused(elsewhere)
    assert shop.admin.grants.given == ["code"]


def test_a_state_of_one_shop_is_worth_nothing_for_another_24(installing: Installing, shop: PretendShopify) -> None:
    other = installing.shop("two")
    asked = installing.get("/shopify/install", shop.admin.app_query(shop.admin.apps[CLIENT_ID]))
    other.admin.install(CLIENT_ID)
    back = other.admin.callback_query(other.admin.apps[CLIENT_ID], query_of(asked.headers["Location"])["state"])
    assert installing.get("/shopify/callback", back).status_code == 400
    assert other.admin.grants.given == []


def test_an_address_that_shopify_did_not_sign_asks_for_no_consent(installing: Installing, shop: PretendShopify) -> None:
    for connected in (False, True):  # nor is anybody told who is connected
        if connected:
            installing.installed(shop)
        query = shop.admin.app_query(shop.admin.apps[CLIENT_ID])
        for told in ({"shop": shop.domain}, {**query, "hmac": "0" * 64}):
            for path in ("/shopify/install", "/shopify/app", "/shopify/callback"):
                assert installing.get(path, told).status_code == 400


def test_a_shop_is_connected_with_its_owners_own_app_and_its_secret_is_shown_nowhere(installing: Installing) -> None:
    own = pretend_app(client_id="my-own-app", secrets=("shpss_canarycanarycanarycanarycanary",), own=True)
    shop = installing.shop("own", app=own)
    shop.admin.install("my-own-app")
    log_in(installing)
    form = {"own_shop": shop.domain, "client_id": "my-own-app", "client_secret": own.secrets[0]}
    where = ask_own(installing, "/shopify/own", **form)
    assert where.startswith("/")
    assert installing.found(shop)[0] == installing.street.world.merchant_id
    assert shop.admin.grants.given == ["own"]
    assert any(not subscription.of_app for subscription in shop.webhooks.subscriptions)
    assert "canary" not in installing.site.get(where, base_url=ORIGIN).text


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("own_shop", "evil.com", "the shop&#39;s own address"),
        ("client_id", "", "copy it from the app"),
        ("client_secret", "wrong-canary-secret", "it does not accept our app"),
    ],
)
def test_wrong_keys_of_an_own_app_are_said_at_their_field_and_nothing_is_connected(
    installing: Installing, field: str, value: str, said: str
) -> None:
    own = pretend_app(client_id="my-own-app", own=True)
    shop = installing.shop("own", app=own)
    shop.admin.install("my-own-app")
    log_in(installing)
    form = {"own_shop": shop.domain, "client_id": "my-own-app", "client_secret": SECRET, field: value}
    page = ask_own(installing, "/shopify/own", **form)
    assert said in page
    assert "canary" not in page
    assert shop.admin.grants.given == []


@pytest.mark.parametrize("path", ["/shopify/connect", "/shopify/own"])
def test_a_form_that_another_site_sends_connects_nothing_36(
    installing: Installing, shop: PretendShopify, path: str
) -> None:
    log_in(installing)
    form = {"shop": shop.domain, "own_shop": shop.domain, "client_id": "x", "client_secret": "y"}
    for headers in ({}, {"Sec-Fetch-Site": "cross-site"}):
        answer = installing.site.client.post(path, data=form, headers={**BROWSER, **headers}, base_url=ORIGIN)
        assert answer.status_code == 403


def test_in_the_app_stores_profile_nobody_is_asked_for_a_shops_address(street: Street) -> None:
    told = street.settings.shopify.model_copy(update={"point_of_sale": False})
    street.settings = street.settings.model_copy(update={"shopify": told})
    installing = Installing(street)
    log_in(installing)
    page = installing.site.ask("/shopify/connect", base_url=ORIGIN).text
    assert ("Shopify App Store" in page, 'name="own_shop"' in page, 'name="shop"' in page) == (True, False, False)
    for path in ("/shopify/connect", "/shopify/own"):
        fields = {"shop": "a.myshopify.com", "own_shop": "a.myshopify.com", "client_id": "x", "client_secret": "y"}
        sent = installing.site.send(path, page="/connect", environ={"base_url": ORIGIN}, **fields)
        assert (sent.status_code, "from_store_only" in sent.text) == (404, True)


def test_the_connect_page_is_not_open_to_strangers(installing: Installing) -> None:
    assert "/login" in installing.site.get("/shopify/connect", base_url=ORIGIN).headers["Location"]


def test_an_answer_that_was_lost_is_said_and_the_next_opening_connects(
    installing: Installing, shop: PretendShopify
) -> None:
    shop.admin.install(CLIENT_ID)
    shop.refuses_with = 503
    lost = installing.open(shop)
    assert lost.status_code == 503
    shop.refuses_with = None
    assert installing.open(shop).status_code == 200
    assert installing.state(shop) == "shadow"


def test_the_id_token_is_in_no_log_26(installing: Installing, shop: PretendShopify, logged: io.StringIO) -> None:
    query = installing.query(shop)
    shop.admin.install(CLIENT_ID)
    installing.get("/shopify/app", query)
    installing.get("/nowhere", query)
    installing.street.world.now += timedelta(minutes=5)
    installing.get("/", query)
    assert query["id_token"] not in logged.getvalue()
    assert shop.admin.grants.given == ["session"]
