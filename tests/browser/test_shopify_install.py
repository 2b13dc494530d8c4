"""A shop's owner installs the app from the pretend shop's admin, by clicks alone, until the channel is connected.

The admin is at 127.0.0.1 and the application at localhost: two sites, so no cookie of ours reaches the frame, as in
Shopify's own admin.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import requests
from playwright.sync_api import FrameLocator, Page, expect

from app.wiring import platforms_of
from connectors.http import Http
from sandbox.front import Front
from sandbox.shopify import PretendShopify
from tests.browser.test_seeing import violations
from tests.installing import CLIENT_ID, SECRET, Installing, pretend_app
from tests.serve import serving
from tests.street import Street
from tests.unit.web.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
PICTURES = os.environ.get("PERPETUAL_TEST_PICTURES")  # a folder: keep what is seen


@dataclass
class Admin:
    """A shop with its admin in a browser's reach, and Perpetual serving."""

    installing: Installing
    shop: PretendShopify
    front: Front
    app_origin: str


@pytest.fixture
def admin(street: Street) -> Iterator[Admin]:
    shop = PretendShopify(street.town.context(), domain=f"clicked-{street.world.merchant_id}.myshopify.com")
    place = shop.add_location("Warehouse")
    for sku in ("mug", "bowl"):
        shop.add_variant(sku, {place: 5})
    with Front(shop) as front:
        installing = Installing(street, origin="")
        told = street.settings.shopify.model_copy(update={"pretend_shops": {shop.domain: front.base_url}})
        settings = street.settings.model_copy(update={"shopify": told})
        session = requests.Session()
        session.trust_env = False
        street.runtime = replace(
            street.runtime, settings=settings, platforms=platforms_of(settings), open_http=lambda: Http(session=session)
        )
        street.settings = settings
        with serving(Site.of(street, password=True).app) as address:
            origin = address.replace("127.0.0.1", "localhost")
            with front.lock:
                shop.admin.register(pretend_app(origin=origin, secrets=(SECRET,)))
            yield Admin(installing, shop, front, origin)
        session.close()


def picture(page: Page, name: str) -> None:
    if PICTURES and page.viewport_size and page.viewport_size["width"] > 1_000:
        page.screenshot(path=str(Path(PICTURES) / f"shopify-{name}.png"))


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
