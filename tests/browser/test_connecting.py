"""A pretend WooCommerce shop is connected in Chromium by clicks alone, from its own pages, over https throughout; then
on to the first number in the shop, and back after it was disconnected."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from app.core.db import psycopg_url
from app.core.embedded import APP_ROLE, Embedded
from app.listings.channels import Channel, list_channels
from app.worker import Worker
from connectors.guarded import guarded_session
from connectors.http import Http
from sandbox.base import Context
from sandbox.certificates import Tls, server_context, write_authority
from sandbox.front import Front
from sandbox.woocommerce import Options, WooShop
from sandbox.woocommerce.pages import PASSWORD, USER
from tests.browser.clicks import Clicks, steps_in_readme
from tests.browser.test_seeing import violations
from tests.ports import free_port
from tests.serve import serving
from tests.street import Street
from tests.unit.web.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
PICTURES = os.environ.get("PERPETUAL_TEST_PICTURES")  # a folder to keep screenshots in
WOOCOMMERCE = 2  # the column of the README's table


@dataclass
class Place:
    """Perpetual and a shop, both by https; the page is where a person is."""

    street: Street
    shop: WooShop
    shop_url: str
    url: str
    page: Page
    clicks: Clicks

    def take(self, name: str) -> None:
        """A picture for the documents, where one is asked for."""
        if PICTURES:
            self.page.screenshot(path=str(Path(PICTURES) / f"woo-{name}.png"))

    def say(self, path: str) -> str:
        return f"{self.url}{path}?merchant={self.street.world.merchant_id}"


@contextmanager
def place(street: Street, browser: Browser, folder: Path) -> Iterator[Place]:
    authority, ports = write_authority(folder), (free_port(), free_port())
    tls = server_context(Tls.GOOD, folder)
    session = guarded_session(allow_loopback=True)
    session.verify = str(authority)
    settings = street.settings.model_copy(
        update={
            "security": street.settings.security.model_copy(update={"allow_loopback": True}),
            "server": street.settings.server.model_copy(update={"public_url": f"https://localhost:{ports[0]}"}),
        }
    )
    street.runtime = replace(
        street.runtime, settings=settings, open_http=lambda: Http(session=session, sleep=lambda seconds: None)
    )
    street.worker = Worker(street.runtime, only_merchant=street.world.merchant_id)
    street.world.item("mug")
    shop_url = f"https://localhost:{ports[1]}"
    shop = WooShop(
        Context(lambda: street.world.now, street.rng), Options(base_url=shop_url, tls=True, name="Mug & Kettle")
    )
    shop.add_product("mug", 10, name="Blue stoneware mug")
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 980, "height": 760})
    try:
        with (
            Front(shop, pump=False, port=ports[1], tls=tls, trusts=str(authority)),
            serving(Site.of(street).app, port=ports[0], tls=tls) as url,
            session,
        ):
            clicks = Clicks.in_(context)
            yield Place(street, shop, shop_url, url, context.new_page(), clicks)
    finally:
        context.close()


@pytest.fixture(autouse=True)
def worker(server: Embedded) -> Iterator[None]:
    """A worker is there."""
    with psycopg.connect(psycopg_url(server.url(APP_ROLE)), autocommit=True) as presence:
        presence.execute("select pg_advisory_lock_shared(presence_key('of any'))")
        yield


@pytest.fixture
def there(street: Street, chromium: Browser, tmp_path: Path) -> Iterator[Place]:
    with place(street, chromium, tmp_path) as found:
        yield found


def channels(there: Place) -> Sequence[Channel]:
    with there.street.world.session() as session:
        return list_channels(session)


def look_for_the_shop(there: Place) -> None:
    """From home to the page that asks."""
    page = there.page
    page.goto(there.say("/"))
    page.get_by_role("link", name="Connect", exact=True).click()
    page.get_by_label("Address of the shop").fill(f"{there.shop_url}/wp-admin/")
    assert violations(page) == []
    if page.viewport_size and page.viewport_size["width"] > 400:
        there.take("1-address")
    page.get_by_role("button", name="Look for the shop").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Connect Mug & Kettle")
    assert violations(page) == []


def log_in_to_the_shop(page: Page) -> None:
    page.get_by_label("Username").fill(USER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log In").click()


def see_that_it_is_connected(there: Place) -> None:
    expect(there.page.get_by_role("status").first).to_contain_text("The shop is connected")
    there.take("5-connected")
    there.street.settle(10)


def check(there: Place) -> None:
    page = there.page
    page.goto(there.say("/"))
    if page.get_by_role("link", name="Go on setting it up").is_visible():
        page.get_by_role("link", name="Go on setting it up").click()
        page.get_by_role("link", name="Check the connection").click()
    else:
        page.get_by_role("link", name="Mug & Kettle", exact=True).click()
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_text("The shop was last asked")).to_be_visible()
    expect(page.get_by_role("status").first).to_have_text("Nothing is broken.")
    assert violations(page) == []
    there.take("6-check")
    assert {hook.url.split("/webhooks/")[0] for hook in there.shop.hooks()} == {there.url}


def approve_in_the_shop(there: Place, *, log_in: bool = True) -> None:
    page = there.page
    look_for_the_shop(there)
    there.take("2-ask")
    page.get_by_role("link", name="Go to the shop and approve").click()
    if log_in:
        log_in_to_the_shop(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Perpetual would like to connect")
    there.take("3-approve")
    page.get_by_role("link", name="Approve").click()
    expect(page.get_by_text("You approved us: one step left")).to_be_visible()
    assert violations(page) == []
    there.take("4-finish")
    page.get_by_role("button", name="Finish connecting").click()


def disconnect(page: Page) -> None:
    page.get_by_text("Disconnect the shop").click()
    page.get_by_label("Yes, disconnect it").check()
    page.get_by_role("button", name="Disconnect", exact=True).click()
    expect(page.get_by_role("status").first).to_contain_text("Its keys are forgotten here")


def open_set_up(there: Place) -> None:
    there.page.goto(there.say("/"))
    there.page.get_by_role("link", name="Go on setting it up").click()


def match_and_open(there: Place) -> None:
    page = there.page
    expect(page.get_by_role("heading", level=1)).to_have_text("Set up Mug & Kettle")  # it opened by itself
    page.get_by_role("link", name="Match the products").click()
    page.get_by_role("button", name="Accept all that are certain").click()
    page.get_by_role("button", name="Accept 1").click()
    expect(page.get_by_role("status")).to_contain_text("1 products are items now")
    assert violations(page) == []
    there.take("7-matching")
    open_set_up(there)
    page.get_by_role("link", name="Opening stock").click()
    page.get_by_role("button", name="Take 14 units from this shop").click()
    expect(page.get_by_role("status")).to_contain_text("The ledger is open: 2 items, 14 units.")


def push(there: Place) -> None:
    page = there.page
    page.goto(there.say("/items/mug"))
    page.locator("#rules summary").first.click()
    page.get_by_label("Hold back").first.fill("3")
    page.get_by_role("button", name="Save the rule").click()
    open_set_up(there)
    page.get_by_role("link", name="See the first numbers").click()
    page.get_by_role("button", name="Show me what would be written").click()
    expect(page.locator(".lead")).to_contain_text("1 numbers would be written, 1 stay as they are")
    assert violations(page) == []
    there.take("8-first-push")
    page.get_by_role("button", name="Approve these 1 numbers").click()
    there.street.settle(60)
    page.get_by_role("link", name="Look again").click()
    expect(page.locator("main")).to_contain_text("The shop shows what the ledger says")
    page.get_by_text("The shop shows what the ledger says").scroll_into_view_if_needed()
    there.take("9-done")


def test_a_shop_goes_from_its_own_page_to_its_first_number_and_comes_back_after_it_was_disconnected(
    there: Place,
) -> None:
    page = there.page
    there.shop.add_product("bowl", 4, name="Salad bowl")
    approve_in_the_shop(there)
    see_that_it_is_connected(there)
    match_and_open(there)
    check(there)
    push(there)
    assert there.shop.shown() == {"mug": 7, "bowl": 4}
    assert there.clicks.follow(steps_in_readme(WOOCOMMERCE, "connect")) == ""
    page.goto(there.say("/"))
    page.get_by_role("link", name="Mug & Kettle", exact=True).click()
    disconnect(page)
    approve_in_the_shop(there, log_in=False)
    see_that_it_is_connected(there)
    check(there)
    (channel,) = [channel for channel in channels(there) if channel.name == "Mug & Kettle"]
    assert channel.state == "active"
    there.shop.place_order([("mug", 1)])
    there.street.live(600)
    there.street.settle(60)
    assert (there.shop.shown(), there.street.world.available("mug")) == ({"mug": 6, "bowl": 4}, 9)


def test_a_shop_goes_to_its_first_number_with_keys_by_hand_and_is_disconnected_again(there: Place) -> None:
    page = there.page
    there.shop.add_product("bowl", 4, name="Salad bowl")
    page.goto(f"{there.shop_url}/wp-admin/")
    log_in_to_the_shop(page)
    page.get_by_role("link", name="REST API keys").click()
    page.get_by_label("Permissions").select_option("read_write")
    page.get_by_role("button", name="Generate API key").click()
    there.take("hand-1-key")
    typed = [page.locator(f"#key_consumer_{name}").inner_text() for name in ("key", "secret")]
    look_for_the_shop(there)
    page.get_by_label("Consumer key").fill(typed[0])
    page.get_by_label("Consumer secret").fill(typed[1][:-1])
    page.get_by_role("button", name="Try these keys and connect").click()
    expect(page.get_by_role("alert")).to_contain_text("copy it whole")
    assert violations(page) == []
    page.get_by_label("Consumer key").fill(typed[0])
    page.get_by_label("Consumer secret").fill(typed[1])
    there.take("hand-2-keys")
    page.get_by_role("button", name="Try these keys and connect").click()
    see_that_it_is_connected(there)
    match_and_open(there)
    check(there)
    push(there)
    assert there.shop.shown() == {"mug": 7, "bowl": 4}
    assert there.clicks.follow(steps_in_readme(WOOCOMMERCE, "or by hand")) == ""
    page.goto(there.say("/"))
    page.get_by_role("link", name="Mug & Kettle", exact=True).click()
    disconnect(page)
    assert there.shop.hooks() == []


def test_denying_it_in_the_shop_leads_back_to_a_word_about_it(there: Place) -> None:
    page = there.page
    look_for_the_shop(there)
    page.get_by_role("link", name="Go to the shop and approve").click()
    log_in_to_the_shop(page)
    page.get_by_role("link", name="Deny").click()
    expect(page.get_by_text(re.compile("did not approve us"))).to_be_visible()
    page.get_by_role("link", name="Start again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Connect a shop")


def test_the_connection_pages_fit_a_phone(there: Place) -> None:
    page = there.page
    page.set_viewport_size({"width": 390, "height": 844})
    look_for_the_shop(there)
    for _ in range(2):
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
        page.goto(there.say("/connect"))
