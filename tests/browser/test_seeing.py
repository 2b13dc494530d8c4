"""What a merchant sees in a real browser: reachable for everybody, live, and whole without JavaScript."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import OPENING, Live
from tests.serve import serving
from tests.unit.web.site import PASSWORD, Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
PAGES = ["/", "/items", "/items?q=nothing-like-this", "/items/mug", "/items/set", "/items/absent", "/nowhere"]
PAGES += ["/listings", "/listings?unmapped=1"]


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_keeps_anybody_out_or_scrolls_sideways(visited: Live, page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    found = {}
    for path in PAGES:
        page.goto(visited.url(path))
        for details in page.query_selector_all("details"):
            details.evaluate("one => { one.open = true; }")
        found[path] = violations(page)
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), path
    assert found == {path: [] for path in PAGES}


def test_the_list_of_merchants_and_the_login_keep_nobody_out(visited: Live, page: Page) -> None:
    page.goto(visited.address)
    assert violations(page) == []
    with serving(Site.of(visited.site.street, password=True).app) as address:
        page.goto(f"{address}/items?merchant={visited.site.street.world.merchant_id}")
        assert violations(page) == []
        page.get_by_label("Password").fill("wrong password")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_have_text("That is not the password.")
        assert violations(page) == []
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Items")
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


def test_a_movement_appears_on_the_open_home_page_without_reloading_it(visited: Live, page: Page) -> None:
    page.goto(visited.url("/"))
    page.evaluate("window.before = true")
    left = page.locator('[data-watch="left bowl"]').first
    expect(left).to_have_text("12")
    visited.site.street.world.move("bowl", 5, OPENING, "5")
    expect(left).to_have_text("17")
    expect(page.locator("#moved tbody tr").first).to_contain_text("bowl")
    assert page.evaluate("window.before")


def test_an_open_proof_stays_open_with_the_focus_when_its_numbers_change(visited: Live, page: Page) -> None:
    page.goto(visited.url("/items/mug"))
    summary = page.locator("details.tree > summary").first
    summary.focus()
    page.keyboard.press("Enter")
    available = page.locator('#levels [data-watch="available"]')
    expect(available).to_have_text("9")
    visited.site.street.world.move("mug", 4, OPENING, "4")
    expect(available).to_have_text("13")
    expect(page.locator("details.tree").first).to_have_attribute("open", "")
    expect(page.locator("details.tree > summary").first).to_be_focused()


def test_everything_can_be_read_and_searched_without_javascript(visited: Live, chromium: Browser) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(visited.url("/"))
    expect(page.locator("#channels")).to_contain_text("it does not accept our key")
    page.get_by_role("link", name="Items").click()
    page.get_by_role("searchbox").fill("STONEWARE")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="mug", exact=True).click()
    page.locator("details.tree > summary").first.click()
    expect(page.locator("details.tree").first).to_contain_text("Available in the ledger")
    context.close()


def test_an_unknown_sku_is_mapped_on_the_page_and_the_order_that_waited_books_itself(visited: Live, page: Page) -> None:
    street = visited.site.street
    page.goto(visited.url("/"))
    page.get_by_role("link", name="Map it on Shopify 0").click()
    field = page.get_by_label("SKU of the item that is poster")
    field.fill("postr")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("no item has that SKU")
    expect(field).to_be_focused()
    expect(field).to_have_value("postr")
    assert violations(page) == []
    street.world.item("poster")
    page.reload()  # asks nothing: the form is sent again
    expect(page.get_by_role("alert")).to_contain_text("there is poster")
    field.fill("poster")
    page.get_by_role("button", name="Map poster").click()
    expect(page.get_by_role("status").first).to_have_text("poster is poster now.")
    expect(page.get_by_text("Every listing is an item.")).to_be_visible()
    assert violations(page) == []
    street.settle(5)
    assert (street.parked(), street.world.available("poster")) == ([], -1)


def test_a_rule_is_set_by_keyboard_on_the_items_page_and_a_wrong_one_is_marked(visited: Live, page: Page) -> None:
    page.goto(visited.url("/items/mug"))
    rule = page.locator("#rules details").first
    rule.locator("summary").focus()
    page.keyboard.press("Enter")
    rule.get_by_label("Show at least").fill("5")
    rule.get_by_label("Show at most").fill("3")
    page.keyboard.press("Enter")
    expect(rule.get_by_label("Show at most")).to_be_focused()
    expect(rule.get_by_label("Show at least")).to_have_value("5")
    assert violations(page) == []
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    rule.get_by_label("Show at most").fill("8")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("The rule is set")
    expect(page.locator("#rules summary").first).to_contain_text("at least 5, at most 8")


def test_the_first_tab_leads_past_the_header_to_the_content(visited: Live, page: Page) -> None:
    page.goto(visited.url("/items"))
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_times_count_on_by_themselves(visited: Live, page: Page) -> None:
    visited.site.street.world.move("bowl", 1, OPENING, "1")
    page.goto(visited.url("/"))
    time = page.locator("#moved time").first
    expect(time).not_to_have_text(time.text_content() or "")


def test_row_38_markup_in_a_name_stays_text_in_a_real_browser(visited: Live, page: Page) -> None:
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for sku in ("<script>alert(1)</script>", '"><img src=x onerror=alert(2)>'):
        visited.site.street.world.move(sku, 1, OPENING, "1", source=sku, reason=sku)
    for path in ("/", "/items"):
        page.goto(visited.url(path))
        expect(page.get_by_text("<script>alert(1)</script>").first).to_be_visible()
        assert page.locator("main img, main script").count() == 0
    page.get_by_role("link", name='"><img', exact=False).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text('"><img src=x onerror=alert(2)>')
    assert dialogs == []


def test_row_37_another_site_cannot_frame_a_page(visited: Live, page: Page) -> None:
    page.goto(visited.url("/nowhere"))
    page.set_content(f'<iframe id="f" src="{visited.url("/")}"></iframe>')
    frame = page.frame_locator("#f")
    expect(frame.get_by_role("heading", name="Channels")).to_have_count(0)
