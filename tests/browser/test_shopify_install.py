"""A shop's owner installs the app from the pretend shop's admin and goes on, by clicks alone, until the first number is
in the shop; or brings the keys of an app of the shop's own.

The admin is at 127.0.0.1 and the application at localhost: two sites, so no cookie of ours reaches the frame, as in
Shopify's own admin.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
import requests
from playwright.sync_api import FrameLocator, Page, expect

from app.core.db import psycopg_url
from app.core.embedded import APP_ROLE, Embedded
from app.wiring import platforms_of
from app.worker import Worker
from connectors.http import Http
from sandbox.front import Front
from sandbox.shopify import PretendShopify
from tests.browser.clicks import Clicks, steps_in_readme
from tests.browser.test_seeing import violations
from tests.installing import CLIENT_ID, SECRET, Installing, pretend_app
from tests.ports import free_port
from tests.serve import serving
from tests.street import Street
from tests.unit.web.site import PASSWORD, Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
PICTURES = os.environ.get("PERPETUAL_TEST_PICTURES")  # a folder: keep what is seen
SHOPIFY = 1  # the column of the README's table


@dataclass
class Admin:
    """A shop with its admin in a browser's reach, and Perpetual serving."""

    installing: Installing
    shop: PretendShopify
    front: Front
    app_origin: str

    def settle(self) -> None:
        """The worker does what is due, and what the shop tells arrives."""
        self.installing.street.settle(60)


@pytest.fixture
def admin(street: Street) -> Iterator[Admin]:
    shop = PretendShopify(street.town.context(), domain=f"clicked-{street.world.merchant_id}.myshopify.com")
    place = shop.add_location("Warehouse")
    for sku in ("mug", "bowl"):
        shop.add_variant(sku, {place: 5})
    with Front(shop, pump=False) as front:
        street.shops[-1] = shop  # whose webhooks `settle` hands over
        port = free_port()
        installing = Installing(street, origin=f"http://localhost:{port}")
        told = street.settings.shopify.model_copy(update={"pretend_shops": {shop.domain: front.base_url}})
        security = street.settings.security.model_copy(update={"allow_loopback": True})
        settings = street.settings.model_copy(update={"shopify": told, "security": security})
        session = requests.Session()
        session.trust_env = False
        street.runtime = replace(
            street.runtime, settings=settings, platforms=platforms_of(settings), open_http=lambda: Http(session=session)
        )
        street.settings, street.worker = settings, Worker(street.runtime)
        shop.admin.register(pretend_app(origin=installing.origin, secrets=(SECRET,)))
        with serving(Site.of(street, password=True).app, port=port):
            yield Admin(installing, shop, front, installing.origin)
        session.close()


def picture(page: Page, name: str) -> None:
    if PICTURES and page.viewport_size and page.viewport_size["width"] > 1_000:
        page.screenshot(path=str(Path(PICTURES) / f"shopify-{name}.png"))


@pytest.fixture(autouse=True)
def worker(server: Embedded) -> Iterator[None]:
    """A worker is there."""
    with psycopg.connect(psycopg_url(server.url(APP_ROLE)), autocommit=True) as presence:
        presence.execute("select pg_advisory_lock_shared(presence_key('of any'))")
        yield


def frame(page: Page) -> FrameLocator:
    return page.frame_locator("iframe")


def test_an_owner_installs_looks_around_and_uninstalls_by_clicks_alone(admin: Admin, page: Page) -> None:
    page.goto(f"{admin.front.base_url}/admin")
    picture(page, "1-apps")
    page.get_by_role("link", name="Install app").click()
    expect(page.get_by_text("read_orders", exact=True)).to_be_visible()
    picture(page, "2-consent")
    page.get_by_role("button", name="Install").click()
    inside = frame(page)
    expect(inside.get_by_role("heading", level=1)).to_have_text("Pretend shop")
    expect(inside.get_by_role("status")).to_contain_text("Connected")
    picture(page, "3-connected")
    assert admin.installing.state(admin.shop) == "shadow"
    assert violations(page) == []

    inside.get_by_role("link", name="All channels").click()  # without a cookie: through the admin's script
    expect(inside.get_by_role("heading", level=1)).to_have_text("Home")
    expect(inside.get_by_role("heading", level=3)).to_have_text("Pretend shop")
    expect(inside.get_by_text("Nothing needs attention.")).to_be_visible()
    admin.settle()  # the worker reads the catalogue, and home says so by itself
    expect(inside.locator("main")).to_contain_text("2 products, such as bowl")
    inside.get_by_role("link", name="Listings").click()
    expect(inside.get_by_role("heading", level=1)).to_have_text("Listings")
    expect(inside.get_by_text("mug").first).to_be_visible()

    page.goto(f"{admin.front.base_url}/admin")
    page.get_by_role("button", name="Uninstall").click()
    expect(page.get_by_role("link", name="Install app")).to_be_visible()
    assert CLIENT_ID not in admin.shop.admin.grants.installed


def test_a_page_of_the_app_is_not_shown_in_the_frame_of_another_site(admin: Admin, page: Page) -> None:
    query = admin.installing.query(admin.shop)
    url = f"{admin.app_origin}/shopify/session?shop={query['shop']}&shopify-reload={admin.app_origin}/"
    page.route("http://evil.localhost/", lambda route: route.fulfill(
        body=f'<iframe src="{url}"></iframe>', content_type="text/html"))  # fmt: skip
    page.goto("http://evil.localhost/")
    expect(frame(page).get_by_role("status")).to_have_count(0)


def install(admin: Admin, page: Page) -> FrameLocator:
    """From the admin's list of apps to the app's page, until the catalogue is here."""
    page.goto(f"{admin.front.base_url}/admin")
    page.get_by_role("link", name="Install app").click()
    page.get_by_role("button", name="Install").click()
    inside = frame(page)
    expect(inside.get_by_role("status")).to_contain_text("products are being read")
    admin.settle()
    return inside


Inside = FrameLocator | Page  # within Shopify's admin, or by itself


def click(inside: Inside, name: str, role: str = "button") -> None:
    inside.get_by_role(role, name=re.compile(name)).first.click()  # type: ignore[arg-type]


def fine(page: Page) -> None:
    assert violations(page) == []


def match_and_open(page: Page, inside: Inside) -> None:
    expect(inside.get_by_role("heading", level=1)).to_have_text("Set up Pretend shop")
    fine(page)
    picture(page, "4-setup")
    click(inside, "Match the products", "link")
    click(inside, "Accept all that are certain")
    expect(inside.get_by_role("heading", level=1)).to_have_text("2 products become items")
    fine(page)
    picture(page, "5-matching")
    click(inside, "Accept 2")
    expect(inside.get_by_role("status")).to_contain_text("2 products are items now")
    fine(page)
    inside.get_by_role("searchbox").fill("mug")
    click(inside, "Search")
    expect(inside.get_by_role("searchbox")).to_have_value("mug")
    click(inside, "Set up Pretend shop", "link")
    click(inside, "Opening stock", "link")
    expect(inside.get_by_role("heading", level=1)).to_have_text("Opening stock")
    fine(page)
    picture(page, "6-opening")
    click(inside, "Take 10 units from this shop")
    expect(inside.get_by_role("status")).to_contain_text("The ledger is open: 2 items, 10 units.")


def check(page: Page, inside: Inside) -> None:
    click(inside, "Check the connection", "link")
    click(inside, "Check now")
    expect(inside.get_by_text("The shop was last asked")).to_be_visible()
    expect(inside.get_by_role("status")).to_have_text("Nothing is broken.")
    fine(page)
    picture(page, "7-check")


def hold_back(inside: Inside, sku: str, units: str) -> None:
    click(inside, "^Items$", "link")
    inside.get_by_role("link", name=sku, exact=True).click()
    inside.locator("#rules summary").first.click()
    inside.get_by_label("Hold back").first.fill(units)
    click(inside, "Save the rule")
    expect(inside.get_by_role("status").first).to_contain_text("The rule is set")


def open_set_up(inside: Inside) -> None:
    click(inside, "^Home$", "link")
    click(inside, "setting it up", "link")


def push(admin: Admin, page: Page, inside: Inside) -> None:
    open_set_up(inside)
    click(inside, "See the first numbers", "link")
    click(inside, "Show me what would be written")
    expect(inside.locator(".lead")).to_contain_text("0 numbers would be written, 2 stay as they are")
    hold_back(inside, "mug", "2")
    open_set_up(inside)
    click(inside, "See the first numbers", "link")
    with page.expect_download() as downloading:
        click(inside, "Download as CSV", "link")
    assert downloading.value.suggested_filename.startswith("first-push-")
    assert "mug" in Path(downloading.value.path()).read_text("utf-8")
    click(inside, "Approve these 0 numbers")
    expect(inside.get_by_role("alert").first).to_contain_text("1 number has moved since it was shown")
    fine(page)
    picture(page, "8-first-push")
    assert admin.shop.shown() == {"mug": 5, "bowl": 5}
    click(inside, "Approve these 1 numbers")
    expect(inside.get_by_role("status")).to_contain_text("Approved.")
    admin.settle()
    click(inside, "Look again", "link")
    expect(inside.locator("main")).to_contain_text("The shop shows what the ledger says")
    inside.get_by_text("The shop shows what the ledger says").scroll_into_view_if_needed()
    picture(page, "9-done")
    assert admin.shop.shown() == {"mug": 3, "bowl": 5}


def test_from_install_to_the_first_number_in_the_shop_and_back_after_an_uninstall_by_clicks_in_the_frame(
    admin: Admin, page: Page
) -> None:
    clicks = Clicks.in_(page.context)
    inside = install(admin, page)
    click(inside, "Match its products", "link")
    match_and_open(page, inside)
    check(page, inside)
    push(admin, page, inside)
    assert clicks.follow(steps_in_readme(SHOPIFY, "connect", "go on")) == ""
    before = admin.installing.found(admin.shop)
    page.goto(f"{admin.front.base_url}/admin")
    page.get_by_role("button", name="Uninstall").click()
    admin.settle()
    assert admin.installing.state(admin.shop) == "disconnected"
    install(admin, page)
    admin.settle()
    assert admin.installing.found(admin.shop) == before
    assert admin.installing.state(admin.shop) == "active"
    with admin.front.lock:
        admin.shop.place_order([("bowl", 1)])
    admin.settle()
    assert admin.shop.shown() == {"mug": 3, "bowl": 4}


def test_a_shop_that_was_disconnected_says_by_whom_and_goes_on_when_somebody_clicks(admin: Admin, page: Page) -> None:
    inside = install(admin, page)
    before = admin.installing.found(admin.shop)
    click(inside, "All channels", "link")
    click(inside, "Pretend shop", "link")
    inside.get_by_text("Disconnect the shop").click()
    inside.get_by_label("Yes, disconnect it").check()
    click(inside, "^Disconnect$")
    expect(inside.get_by_text("This shop is disconnected.")).to_be_visible()
    fine(page)
    page.goto(f"{admin.front.base_url}/admin")
    click(page, "Open app", "link")
    expect(inside.get_by_text("This shop is disconnected.")).to_be_visible()
    picture(page, "10-left")
    click(inside, "Connect it again")
    expect(inside.get_by_role("heading", name="How it stands")).to_be_visible()
    fine(page)
    assert admin.installing.found(admin.shop) == before
    assert admin.installing.state(admin.shop) != "disconnected"


def test_a_shop_goes_to_its_first_number_with_the_keys_of_its_own_app_by_clicks(admin: Admin, page: Page) -> None:
    clicks = Clicks.in_(page.context)
    own = pretend_app(origin=admin.app_origin, client_id="my-own-app", own=True)
    with admin.front.lock:
        admin.shop.admin.apps = {own.client_id: own}
    page.goto(f"{admin.front.base_url}/admin")
    page.get_by_role("link", name="Install app").click()
    page.get_by_role("button", name="Install").click()
    page.goto(f"{admin.app_origin}/?merchant={admin.installing.street.world.merchant_id}")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Connect", exact=True).click()
    page.get_by_role("link", name="Connect a Shopify shop").click()
    form = page.locator("form", has_text="With an app of your own")
    form.get_by_label("The shop's address").fill(admin.shop.domain)
    form.get_by_label("Client ID").fill(own.client_id)
    form.get_by_label("Client secret").fill("wrong")
    form.get_by_role("button", name="Connect").click()
    expect(page.get_by_role("alert")).to_contain_text("it does not accept our app")
    fine(page)
    form.get_by_label("Client secret").fill(own.secrets[0])
    form.get_by_role("button", name="Connect").scroll_into_view_if_needed()
    picture(page, "own-1-keys")
    form.get_by_role("button", name="Connect").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Set up Pretend shop")
    admin.settle()
    page.get_by_role("link", name="Look again").click()
    expect(page.locator("main")).to_contain_text("2 products are here.")
    fine(page)
    picture(page, "own-2-connected")
    match_and_open(page, page)
    check(page, page)
    push(admin, page, page)
    assert clicks.follow(steps_in_readme(SHOPIFY, "or by hand")) == ""
    assert admin.installing.found(admin.shop)[0] == admin.installing.street.world.merchant_id
