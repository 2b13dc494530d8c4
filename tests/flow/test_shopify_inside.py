"""What happens inside a shop's admin after the install: the catalogue is read by the worker, and what a form says is
seen though no cookie reaches the frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from werkzeug.test import TestResponse

from app.core.errors import Conflict
from app.listings.install import find_installed, install, install_own
from app.listings.leaving import leave
from app.simulation.town import ORIGIN
from connectors.apps import AppKeys, GrantKind
from connectors.errors import ChannelError
from sandbox.shopify import PretendShopify
from tests.installing import CLIENT_ID, Installing, pretend_app, query_of
from tests.street import Street
from tests.unit.web.site import BROWSER, Site

MARKUP = "<b>bold</b>"


@pytest.fixture
def installing(street: Street) -> Installing:
    return Installing(street)


@pytest.fixture
def shop(installing: Installing) -> PretendShopify:
    shop = installing.shop("one", {"mug": 5, MARKUP: 4})
    installing.installed(shop)
    return shop


def asked(installing: Installing, word: str) -> int:
    """In how many calls to the shops the word stands."""
    calls = [call for adapter in installing.street.adapters.values() for call in adapter.calls]
    return sum(word.encode() in call.body for call in calls)


def send(installing: Installing, shop: PretendShopify, path: str, form: Mapping[str, str]) -> TestResponse:
    """A form of a page in the frame, as its script fetches it: signed, and without a cookie."""
    installing.site.client = installing.site.app.test_client(use_cookies=False)
    token = shop.admin.session_token(CLIENT_ID)
    address = f"{path}?shop={shop.domain}&embedded=1"
    headers = {**BROWSER, "Authorization": f"Bearer {token}"}
    return installing.site.client.post(address, data=dict(form), headers=headers, base_url=ORIGIN)


def refused(installing: Installing, shop: PretendShopify) -> str:
    """Products are accepted that were not shown: where it leads."""
    _, channel = installing.found(shop)
    answer = send(installing, shop, f"/channels/{channel}/matching/accept", {"kind": "new", "listings": "7"})
    assert answer.status_code == 303
    return answer.headers["Location"]


def follow(installing: Installing, shop: PretendShopify, location: str) -> str:
    path, query = location.partition("?")[0], query_of(location)
    return installing.open(shop, path, **query).text


def test_an_install_reads_no_catalogue_while_its_owner_waits_and_the_worker_pages_it(
    installing: Installing, shop: PretendShopify
) -> None:
    assert asked(installing, "productVariants(") == 0
    _, channel = installing.found(shop)
    assert "0 products are here" in installing.open(shop, f"/channels/{channel}/setup").text
    installing.street.settle(1)
    assert "2 products are here" in installing.open(shop, f"/channels/{channel}/setup").text
    assert (asked(installing, "productVariants(") > 0, asked(installing, "bulkOperationRunQuery")) == (True, 0)


def test_what_a_refused_form_says_is_seen_in_the_frame_where_no_cookie_is_kept(
    installing: Installing, shop: PretendShopify
) -> None:
    page = follow(installing, shop, refused(installing, shop))
    assert '<p class="link bad" role="alert">Nothing was changed: ' in page


def test_what_was_said_is_no_longer_shown_after_two_minutes_nor_carried_on_by_links(
    installing: Installing, shop: PretendShopify
) -> None:
    location = refused(installing, shop)
    assert "said=" not in follow(installing, shop, location)
    installing.street.world.now += timedelta(minutes=2)
    assert "Nothing was changed" not in follow(installing, shop, location)


def test_what_was_said_in_one_shop_or_by_nobody_of_ours_is_shown_in_no_other(
    installing: Installing, shop: PretendShopify
) -> None:
    other = installing.shop("two")
    installing.installed(other)
    said = query_of(refused(installing, shop))["said"]
    assert "Nothing was changed" in installing.open(shop, "/", said=said).text
    for given in (said, said[:-8] + "AAAAAAA=", "Nothing was changed", "é", ""):
        answer = installing.open(other, "/", said=given)
        assert (answer.status_code, "Nothing was changed" in answer.text) == (200, False)
    outside = installing.site.get(f"/login?said={said}", base_url=ORIGIN)
    assert "Nothing was changed" not in outside.text


def test_markup_in_what_was_said_stays_text(installing: Installing, shop: PretendShopify) -> None:
    installing.street.settle(1)
    listings = installing.open(shop, "/listings", q=MARKUP).text
    listing = listings.split('action="/listings/')[1].split("/")[0]
    answer = send(installing, shop, f"/listings/{listing}/unmap", {})
    page = follow(installing, shop, answer.headers["Location"])
    assert MARKUP not in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page.split('role="status">')[1].split("</p>")[0]


def own_by_somebody(installing: Installing, shop: PretendShopify, role: str) -> None:
    merchant, _ = installing.found(shop)
    with installing.street.runtime.begin(merchant, installing.street.world.now) as session:
        session.run(
            """insert into membership (merchant_id, user_id, role, since)
               values (%(merchant_id)s, nextval('user_seq'), %(role)s, %(now)s)""",
            role=role, now=session.now,
        )  # fmt: skip


def statuses(installing: Installing, shop: PretendShopify) -> list[int]:
    """Of pages that anybody of the shop may see, and of those that make more power of a little."""
    pages = [installing.open(shop, path) for path in ("/", "/items", "/keys", "/members")]
    forms = [
        send(installing, shop, "/keys", {"name": "mine", "scopes": "all"}),
        send(installing, shop, "/members/invitations", {"email": "me@example.com", "role": "owner"}),
    ]
    return [answer.status_code for answer in (*pages, *forms)]


def test_whoever_opens_a_shop_that_came_with_its_merchant_owns_it_until_a_user_does(
    installing: Installing, shop: PretendShopify
) -> None:
    assert 403 not in statuses(installing, shop)
    own_by_somebody(installing, shop, "viewer")
    assert 403 not in statuses(installing, shop)
    own_by_somebody(installing, shop, "owner")
    assert statuses(installing, shop) == [200, 200, 403, 403, 403, 403]


def test_a_shop_that_was_added_to_a_merchant_gives_nobody_in_its_admin_keys_or_members(
    installing: Installing, shop: PretendShopify
) -> None:
    merchant, _ = installing.found(shop)
    second = installing.shop("second")
    second.admin.install(CLIENT_ID)
    install(
        installing.street.runtime, "shopify", second.domain, (GrantKind.SESSION, second.admin.session_token(CLIENT_ID)),
        merchant_id=merchant, url=f"{ORIGIN}/webhooks/shopify",
    )  # fmt: skip
    assert installing.found(second)[0] == merchant
    assert statuses(installing, second) == [200, 200, 403, 403, 403, 403]
    assert 403 not in statuses(installing, shop)


def actors(installing: Installing, shop: PretendShopify) -> list[tuple[str, str]]:
    merchant, _ = installing.found(shop)
    with installing.street.runtime.begin(merchant, installing.street.world.now) as session:
        rows = session.rows("select action, actor from audit_log where merchant_id = %(merchant_id)s order by number")
    return [(row.action, row.actor) for row in rows]


def test_the_log_says_whose_hand_connected_and_disconnected_a_shop(
    installing: Installing, shop: PretendShopify
) -> None:
    _, channel = installing.found(shop)
    assert send(installing, shop, f"/channels/{channel}/disconnect", {"sure": "yes"}).status_code == 303
    told = dict(actors(installing, shop))
    someone = f"user 42 in the admin of {shop.domain}"
    assert (told["channel.connected"], told["channel.disconnected"]) == (someone, someone)


def disconnected(installing: Installing, shop: PretendShopify) -> None:
    _, channel = installing.found(shop)
    assert send(installing, shop, f"/channels/{channel}/disconnect", {"sure": "yes"}).status_code == 303


def test_a_shop_that_somebody_disconnected_stays_so_until_somebody_wants_it_again(
    installing: Installing, shop: PretendShopify
) -> None:
    disconnected(installing, shop)
    given = list(shop.admin.grants.given)
    page = installing.open(shop).text
    assert f"user 42 in the admin of {shop.domain}</bdi> did that" in page
    assert "Connect it again" in page
    assert (installing.state(shop), shop.admin.grants.given) == ("disconnected", given)
    other = installing.shop("other")
    other.admin.install(CLIENT_ID)
    for asker, token in ((shop, ""), (shop, "forged"), (other, "")):
        form = installing.site.client.post(
            f"/shopify/again?shop={asker.domain}", data={"id_token": token}, base_url=ORIGIN
        )
        assert form.status_code == 401
    assert send(installing, other, "/shopify/again", {}).status_code == 303  # for its own shop
    assert installing.state(shop) == "disconnected"
    assert send(installing, shop, "/shopify/again", {}).status_code == 303
    assert installing.state(shop) == "shadow"
    assert "How it stands" in installing.open(shop).text


def test_an_app_that_is_taken_out_of_a_disconnected_shop_and_put_in_again_connects_it(
    installing: Installing, shop: PretendShopify
) -> None:
    disconnected(installing, shop)
    shop.admin.uninstall(CLIENT_ID)
    installing.street.deliver()
    installing.street.worker.step()
    assert "How it stands" in installing.installed(shop).text
    assert installing.state(shop) == "shadow"


def test_disconnecting_a_shop_with_its_own_app_takes_our_webhooks_back_and_no_other(installing: Installing) -> None:
    keys = AppKeys("my-own-app", ("shpss_of_my_own_app",))
    shop = installing.shop("own", app=pretend_app(client_id=keys.client_id, secrets=keys.secrets, own=True))
    shop.admin.install(keys.client_id)
    runtime, merchant = installing.street.runtime, installing.street.world.merchant_id
    found = install_own(
        runtime, "shopify", shop.domain, keys, merchant_id=merchant, url=f"{ORIGIN}/webhooks/shopify"
    )  # fmt: skip
    shop.subscribe("ORDERS_CREATE", "https://elsewhere.example/hook", of_app=False)
    assert len(shop.webhooks.subscriptions) > 1
    assert leave(runtime, merchant, found.channel_id, "somebody") == ""
    assert [subscription.uri for subscription in shop.webhooks.subscriptions] == ["https://elsewhere.example/hook"]
    assert installing.credentials(shop) == {}


def test_whoever_has_no_keys_of_a_shop_is_not_told_whether_it_is_connected_here_21(
    installing: Installing, shop: PretendShopify
) -> None:
    unknown = installing.shop("unknown")
    runtime, merchant = installing.street.runtime, installing.street.world.merchant_id
    reasons = []
    for domain in (shop.domain, unknown.domain):
        with pytest.raises((ChannelError, Conflict)) as refused:
            install_own(
                runtime, "shopify", domain, AppKeys("made-up", ("shpss_made_up",)), merchant_id=merchant,
                url=f"{ORIGIN}/webhooks/shopify",
            )  # fmt: skip
        reasons.append(refused.value.reason)
    assert reasons[0] == reasons[1] != "channel_taken"


def test_a_shop_that_changes_to_an_app_of_its_own_gets_that_apps_webhooks(
    installing: Installing, shop: PretendShopify
) -> None:
    merchant, channel = installing.found(shop)
    own = pretend_app(client_id="my-own-app", secrets=("shpss_of_my_own_app",), own=True)
    shop.admin.register(own)
    shop.admin.install(own.client_id)
    keys = AppKeys(own.client_id, own.secrets)
    install_own(
        installing.street.runtime, "shopify", shop.domain, keys, merchant_id=merchant, url=f"{ORIGIN}/webhooks/shopify"
    )
    assert installing.found(shop) == (merchant, channel)
    made = {subscription.topic for subscription in shop.webhooks.subscriptions if not subscription.of_app}
    assert "ORDERS_CREATE" in made


def test_a_made_up_host_is_given_to_no_shop_as_our_address_46(installing: Installing) -> None:
    shop = installing.shop("new")
    settings = installing.street.runtime.settings
    nowhere = settings.model_copy(update={"server": settings.server.model_copy(update={"public_url": ""})})
    installing.street.runtime = replace(installing.street.runtime, settings=nowhere)
    site = Site.of(installing.street, password=True)
    shop.admin.install(CLIENT_ID)
    address = f"/shopify/app?{urlencode(installing.query(shop))}"
    answer = site.client.get(
        address, headers=BROWSER, base_url="https://evil.example", environ_base={"REMOTE_ADDR": "203.0.113.9"}
    )
    assert answer.status_code in (400, 403)
    assert find_installed(installing.street.runtime, "shopify", shop.domain) is None


@pytest.mark.parametrize("status", [402, 423, 429, 503])
def test_a_shop_that_does_not_say_whether_our_app_is_in_it_is_shown_as_it_was(
    installing: Installing, shop: PretendShopify, status: int
) -> None:
    before = installing.credentials(shop)
    shop.refuses_with = status
    assert installing.open(shop).status_code == 200
    assert (installing.credentials(shop), shop.admin.grants.given) == (before, ["session"])


def test_the_shop_is_asked_whether_our_app_is_in_it_by_the_apps_own_page_alone(
    installing: Installing, shop: PretendShopify
) -> None:
    for path in ("/", "/items", "/listings"):
        installing.open(shop, path)
    assert asked(installing, "StillInstalled") == 0
    installing.open(shop)
    assert asked(installing, "StillInstalled") == 1
