"""Members, their accounts, keys and the log in a real browser: by keyboard and clicks, reachable for everybody."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_seeing import violations
from tests.people import PASSWORD, People
from tests.serve import serving

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
ANNA, BOB = "anna@example.com", "bob@example.com"


@pytest.fixture
def address(people: People) -> Iterator[str]:
    """Where the site is that Anna owns."""
    people.user(ANNA)
    with serving(people.site().app) as address:
        yield address


@pytest.fixture
def second(page: Page) -> Iterator[Page]:
    """A page in somebody else's browser."""
    assert page.context.browser
    context = page.context.browser.new_context(viewport=page.viewport_size)
    yield context.new_page()
    context.close()


def log_in(page: Page, address: str, email: str = ANNA, password: str = PASSWORD) -> None:
    page.goto(f"{address}/login")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Log in")


def keeps_nobody_out(page: Page) -> None:
    """Whatever can be opened is open, and nothing is too wide or not to be understood."""
    for details in page.query_selector_all("details"):
        details.evaluate("one => { one.open = true; }")
    assert violations(page) == []
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


def go_to(page: Page, name: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def invite_bob(page: Page) -> str:
    """The link that is shown once."""
    go_to(page, "Members")
    page.get_by_label("E-mail address").fill(BOB)
    page.get_by_role("button", name="Make a link").click()
    link = page.get_by_label("Link of the invitation").input_value()
    keeps_nobody_out(page)
    return link


def test_somebody_is_invited_joins_and_sees_what_the_role_may_until_it_is_taken_back(
    address: str, page: Page, second: Page
) -> None:
    log_in(page, address)
    link = invite_bob(page)
    page.goto(f"{address}/members")
    expect(page.get_by_text(link)).to_have_count(0)

    second.goto(link)
    keeps_nobody_out(second)
    second.get_by_label("Your name").fill("Bob")
    second.get_by_label("A password").fill("short")
    second.keyboard.press("Enter")
    expect(second.get_by_label("A password")).to_have_attribute("aria-invalid", "true")
    expect(second.get_by_label("Your name")).to_have_value("Bob")
    keeps_nobody_out(second)
    second.get_by_label("A password").fill(PASSWORD)
    second.get_by_role("button", name="Join").click()
    expect(second.get_by_role("link", name=BOB)).to_be_visible()
    expect(second.get_by_role("link", name="Members")).to_have_count(0)  # a clerk
    keeps_nobody_out(second)

    page.reload()
    bob = page.get_by_role("listitem").filter(has_text=BOB)
    bob.locator("summary").focus()
    page.keyboard.press("Enter")
    bob.get_by_label("Role").select_option("owner")
    bob.get_by_role("button", name="Set the role Bob").click()
    expect(page.get_by_role("status")).to_have_text("The role is set.")
    second.reload()
    go_to(second, "Members")

    bob.locator("summary").click()
    bob.get_by_role("button", name="Remove Bob").click()
    expect(page.get_by_role("status")).to_have_text("They are no member any more.")
    second.reload()
    expect(second.get_by_text(ANNA)).to_have_count(0)
    go_to(page, "Log")
    expect(page.locator("tbody tr").filter(has_text=BOB).first).to_be_visible()
    assert page.evaluate("one => one.scrollWidth <= one.clientWidth", page.query_selector(".frame"))  # nor by itself
    keeps_nobody_out(page)


def test_the_last_owner_is_told_on_the_page_why_they_stay(address: str, page: Page) -> None:
    log_in(page, address)
    go_to(page, "Members")
    page.locator("summary").first.click()
    page.get_by_role("button", name="Remove anna").click()
    expect(page.get_by_role("alert")).to_contain_text("owner")
    expect(page.locator("details").first).to_have_attribute("open", "")
    keeps_nobody_out(page)


def test_a_wrong_address_and_a_withdrawn_invitation_are_told_where_they_are(
    address: str, page: Page, second: Page
) -> None:
    log_in(page, address)
    go_to(page, "Members")
    field = page.get_by_label("E-mail address")
    field.fill("bob@nowhere")
    page.keyboard.press("Enter")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    expect(field).to_have_value("bob@nowhere")
    keeps_nobody_out(page)
    link = invite_bob(page)
    page.get_by_role("button", name=re.compile("^Withdraw")).click()
    expect(page.get_by_role("status")).to_have_text("The invitation is withdrawn.")
    second.goto(link)
    expect(second.get_by_role("heading", level=1)).not_to_have_text("Invitation")
    keeps_nobody_out(second)


def test_a_key_is_shown_once_opens_what_it_may_and_nothing_once_revoked(address: str, page: Page) -> None:
    log_in(page, address)
    go_to(page, "API keys")
    keeps_nobody_out(page)
    page.get_by_label("What it is for").fill("Till in the yard")
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_role("alert")).to_be_visible()  # it may do nothing yet
    expect(page.get_by_label("What it is for")).to_have_value("Till in the yard")
    keeps_nobody_out(page)
    page.get_by_role("checkbox", name="items:read").check()
    page.get_by_role("button", name="Make the key").click()
    key = page.get_by_label("The key").input_value()
    keeps_nobody_out(page)

    def asked() -> int:
        return page.request.get(f"{address}/api/v1/items", headers={"Authorization": f"Bearer {key}"}).status

    assert asked() == 200
    go_to(page, "API keys")
    assert key not in page.content()
    page.get_by_role("button", name="Revoke Till in the yard").click()
    expect(page.get_by_role("status")).to_have_text("The key is revoked.")
    expect(page.get_by_role("button", name=re.compile("Revoke"))).to_have_count(0)
    assert asked() == 401
    keeps_nobody_out(page)


def test_another_browser_is_logged_out_from_the_account_and_another_password_holds(
    address: str, page: Page, second: Page
) -> None:
    log_in(page, address)
    log_in(second, address)
    page.get_by_role("link", name=ANNA).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your account")
    keeps_nobody_out(page)
    page.get_by_role("button", name="Log it out").click()
    expect(page.get_by_role("status")).to_have_text("That browser is logged out.")
    second.reload()
    expect(second.get_by_role("heading", level=1)).to_have_text("Log in")
    former, new = page.get_by_label("Your password now"), page.get_by_label("The new one")
    former.fill("what was it again")
    new.fill("another long password")
    page.keyboard.press("Enter")
    expect(former).to_have_attribute("aria-invalid", "true")
    keeps_nobody_out(page)
    former.fill(PASSWORD)
    new.fill("another long password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("The password is set")
    log_in(second, address, password="another long password")
