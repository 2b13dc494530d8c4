"""Chromium, a site with two shops behind a real server, and pages in wide and phone width."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from app.catalog.items import NewItem, create_items, create_kit
from conftest import CHROMIUM
from tests.serve import serving
from tests.street import Street
from tests.unit.web.site import Site

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WIDTHS = {"wide": (1280, 850), "phone": (390, 844)}
OPENING = "opening > available@A"


@dataclass
class Live:
    """A site that a browser can visit."""

    site: Site
    address: str

    def url(self, path: str) -> str:
        separator = "&" if "?" in path else "?"
        return f"{self.address}{path}{separator}merchant={self.site.street.world.merchant_id}"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def busy(street: Street) -> Street:
    """A merchant with something of everything that a page can show."""
    world = street.world
    names = {"mug": "Blue stoneware mug", "bowl": "Salad bowl", "teapot": "Teapot with infuser"}
    with world.session() as session:
        world.items |= create_items(
            session, [NewItem(sku, name, f"400638133393{len(sku)}") for sku, name in names.items()]
        )
        create_kit(session, NewItem("set", "Tea set"), {world.items["mug"]: 2, world.items["teapot"]: 1})
    for sku in names:
        world.move(sku, 12, OPENING, "60")
    shopify, woo = street.open_shopify({"mug": 12, "set": 6, "poster": 4}), street.open_woo({"mug": 12, "bowl": 12})
    street.settle()
    shopify.place_order([("mug", 3)])
    shopify.place_order([("poster", 1)])
    woo.set_stock_by_hand("bowl", 99)
    with world.session() as session:
        session.run("update channel_poll set due_at = %(now)s where merchant_id = %(merchant_id)s", now=session.now)
    street.settle(60)
    with world.session() as session:
        session.run(
            """update channel_poll set failures = 3, last_error = 'keys_not_accepted'
               where merchant_id = %(merchant_id)s and channel_id = %(woo)s and kind = 'orders'""",
            woo=street.channel_of(woo),
        )
    return street


@pytest.fixture
def visited(busy: Street) -> Iterator[Live]:
    site = Site.of(busy)
    with serving(site.app) as address:
        yield Live(site, address)


@pytest.fixture(params=list(WIDTHS))
def page(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Page]:
    """A page in each width; whatever the browser complains of fails the test."""
    width, height = WIDTHS[request.param]
    context = chromium.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    expected = ("status of 4", "frame-ancestors")  # answers that a test asks for, and a frame that is refused
    assert [text for text in complaints if not any(words in text for words in expected)] == []
