"""From a connected shop to its first correct push by clicks alone, in a real browser; and no page on the way keeps
anybody out. With PERPETUAL_PICTURES set to a folder, the pictures of the guide are taken."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Live
from tests.browser.test_seeing import violations
from tests.serve import serving
from tests.street import Street
from tests.unit.web.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
TABLE = b"sku,name,unit_cost\nMUG,Blue stoneware mug,4.20\nBOWL,Salad bowl,6.10\n"


@pytest.fixture
def connected(street: Street) -> Iterator[Live]:
    """A Shopify shop that was just connected, and a WooCommerce shop with some of the same products."""
    street.town.state = "shadow"
    shop = street.open_shopify({})
    place = f"gid://shopify/Location/{next(iter(shop.locations))}"
    goods = {"MUG": ("Blue stoneware mug", 12), "BOWL": ("Salad bowl", 7), "TEAPOT": ("Teapot with infuser", 3)}
    for sku, (title, units) in goods.items():
        shop.add_variant(sku, {place: units}, title=title)
    for title in ("Gift wrap, paper", "Gift wrap, cloth"):
        shop.add_variant("WRAP", {place: 5}, title=title)
    woo = street.open_woo({})
    woo.add_product("MUG", 12, name="Blue stoneware mug")
    woo.add_product("bowl", 9, name="Salad bowl")
    woo.add_product("T-100", 3, name="Teapot, with infuser")
    woo.add_product("", 2, name="Something without a SKU")
    street.settle(60)
    site = Site.of(street)
    with serving(site.app) as address:
        yield Live(site, address)


def picture(page: Page, name: str) -> None:
    folder = os.environ.get("PERPETUAL_PICTURES")
    if folder and (page.viewport_size or {}).get("width", 0) > 1_000:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), scale="css")


def fine(page: Page) -> None:
    assert violations(page) == []
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), page.url


def click(page: Page, name: str | re.Pattern[str], role: str = "button") -> None:
    """Click on something that leads to a page, and wait for that page: what is asked next is asked of it."""
    with page.expect_event("load"):
        page.get_by_role(role, name=name).first.click()  # type: ignore[arg-type]


def set_up(live: Live, number: int) -> str:
    return live.url(f"/channels/{sorted(live.site.street.shops)[number]}/setup")


def match_first(live: Live, page: Page) -> None:
    page.goto(live.url("/"))
    click(page, re.compile("Go on setting it up"), "link")
    fine(page)
    picture(page, "setup")
    click(page, "Match the products", "link")
    fine(page)
    picture(page, "matching")
    click(page, re.compile("Accept all that are certain"))
    fine(page)
    click(page, re.compile("Accept 3"))
    expect(page.get_by_role("status")).to_contain_text("3 products are items now")


def bring_costs(live: Live, page: Page) -> None:
    page.goto(live.url("/import"))
    costs = {"name": "costs.csv", "mimeType": "text/csv", "buffer": TABLE}
    page.get_by_label(re.compile("File")).set_input_files(costs)  # type: ignore[arg-type]
    click(page, "Show what is in it")
    fine(page)
    picture(page, "import")
    click(page, "Import it")
    expect(page.get_by_role("status")).to_contain_text("2 costs")


def match_second(live: Live, page: Page) -> None:
    page.goto(set_up(live, 1))
    click(page, "Match the products", "link")
    for kind in ("Nearly the same SKU", "Same name"):
        click(page, re.compile(kind), "link")
        click(page, re.compile("Accept all of this kind"))
        click(page, re.compile("Accept 1"))
    fine(page)


def push(live: Live, page: Page, number: int, says: str) -> None:
    page.goto(set_up(live, number))
    click(page, "See the first numbers", "link")
    click(page, "Show me what would be written")
    fine(page)
    picture(page, "first-push")
    expect(page.locator(".lead")).to_contain_text(says)
    click(page, re.compile("Approve these"))
    live.site.street.settle(60)
    page.goto(set_up(live, number))
    expect(page.locator("main")).to_contain_text("The shop shows what the ledger says")
    fine(page)
    picture(page, "done")


def test_two_shops_go_from_connected_to_their_first_correct_push_by_clicks_alone(connected: Live, page: Page) -> None:
    match_first(connected, page)
    bring_costs(connected, page)
    page.goto(set_up(connected, 0))
    click(page, "Opening stock", "link")
    fine(page)
    picture(page, "opening")
    click(page, re.compile("Take 22 units"))
    expect(page.get_by_role("status")).to_contain_text("3 items, 22 units")
    push(connected, page, 0, "0 numbers would be written, 3 stay as they are")
    match_second(connected, page)
    page.goto(set_up(connected, 1))
    click(page, "Opening stock", "link")
    expect(page.locator("main")).to_contain_text("There is nothing left to open from this shop")
    push(connected, page, 1, "1 numbers would be written, 2 stay as they are")
    shown = [shop.shown() for shop in connected.site.street.shops.values()]
    assert [shown[0][sku] for sku in ("MUG", "BOWL", "TEAPOT")] == [12, 7, 3]
    assert [shown[1][sku] for sku in ("MUG", "bowl", "T-100")] == [12, 7, 3]
    assert connected.site.street.world.verify() == []


def test_the_pages_of_the_way_are_whole_before_anything_is_done_and_for_faults(connected: Live, page: Page) -> None:
    id_ = min(connected.site.street.shops)
    for path in ("setup", "matching", "matching?kind=duplicate_sku", "opening", "first-push"):
        page.goto(connected.url(f"/channels/{id_}/{path}"))
        fine(page)
    page.goto(connected.url("/import"))
    fine(page)
    bad = {"name": "bad.csv", "mimeType": "text/csv", "buffer": b"sku,name,on_hand\nMUG,Mug,1.5\n,Bowl,1e3\n"}
    page.get_by_label(re.compile("File")).set_input_files(bad)  # type: ignore[arg-type]
    click(page, "Show what is in it")
    expect(page.get_by_role("alert")).to_contain_text("3 faults")
    fine(page)
