"""What stands in the way is put right by clicks alone, from the home page on: a number that asks which is right, a
place that nobody knows, a channel that was paused. With PERPETUAL_PICTURES set to a folder, pictures are taken."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from sandbox.shopify import PretendShopify
from tests.browser.conftest import Live
from tests.browser.test_connected_shop import click, fine, picture
from tests.drifting import audit, edit, open_shops
from tests.serve import serving
from tests.street import Street
from tests.unit.web.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def troubled(street: Street) -> Iterator[Live]:
    """Twenty mugs in two shops: somebody typed another number over one, and sold from a place that nobody knows."""
    shop, _ = open_shops(street, "shopify", "ask")
    assert isinstance(shop, PretendShopify)
    edit(shop, 3)
    audit(street)
    annex = shop.add_location("Annex")
    shop.set_stock_by_hand("mug", annex, 30)
    shop.place_order([("mug", 25)])
    street.settle(60)
    site = Site.of(street)
    with serving(site.app) as address:
        yield Live(site, address)


def test_everything_that_waits_for_a_person_is_put_right_by_clicks_from_the_home_page(
    troubled: Live, page: Page
) -> None:
    street = troubled.site.street
    page.goto(troubled.url("/"))
    click(page, re.compile("See to it"), "link")
    fine(page)
    picture(page, "cases")
    click(page, re.compile("The shop is right"))
    expect(page.get_by_role("status")).to_contain_text("Our stock is changed")
    click(page, "All", "link")
    fine(page)
    page.goto(troubled.url("/"))
    click(page, re.compile("Pretend shop|Shopify 0"), "link")
    fine(page)
    page.get_by_text("Pause it, or only look").click()
    click(page, "Pause it")
    expect(page.get_by_role("status").first).to_contain_text("Paused")
    fine(page)
    picture(page, "paused")
    click(page, "Make it active")
    expect(page.get_by_role("status").first).to_contain_text("It is read first")
    street.settle(60)
    page.goto(troubled.url("/"))
    click(page, re.compile("Say which it is"), "link")
    fine(page)
    picture(page, "places")
    page.get_by_label("It is").select_option(label="A new one of that name")
    click(page, re.compile("Say so"))
    expect(page.get_by_role("status")).to_contain_text("Annex is one of your places now")
    fine(page)
    street.settle(60)
    assert street.parked() == []
    assert street.world.verify() == []
