"""Every role walks through all pages: no link leads to where it may not go, no button says no to who may see it."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urlsplit

import pytest

from app.accounts.roles import ROLES
from tests.people import People
from tests.street import Street
from tests.unit.web.site import BROWSER, Site

PAGES_MAX = 150
LEFT_OUT = ("/logout", "/static/", "/live", "/api/")
OPENING = "opening > available@A"
_LINK = re.compile(r'<a [^>]*href="([^"]+)"')
_FORM = re.compile(r'<form ([^>]*method="post"[^>]*)>(.*?)</form>', re.DOTALL | re.IGNORECASE)
_ACTION = re.compile(r'action="([^"]*)"')
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


@pytest.fixture
def trading(people: People, street: Street) -> People:
    """There is something on every page: items, listings, a case, a channel of each kind."""
    street.world.move("mug", 20, OPENING, "100")
    shopify, woo = street.open_shopify({"mug": 20, "odd": 3}), street.open_woo({"mug": 20, "odd": 3})
    street.settle(5)
    shopify.place_order([("mug", 2)])
    woo.set_stock_by_hand("mug", 5)
    street.settle(90)
    return people


def walk(site: Site) -> tuple[dict[str, int], dict[str, dict[str, str]]]:
    """What each page that is linked answers, and each form with its hidden fields."""
    ahead, seen, forms = ["/", "/account"], dict[str, int](), dict[str, dict[str, str]]()
    while ahead and len(seen) < PAGES_MAX:
        path = ahead.pop(0)
        if path in seen or path.startswith(LEFT_OUT):
            continue
        page = site.get(path)
        seen[path] = page.status_code
        text = page.text if page.mimetype == "text/html" else ""
        ahead += [local for link in _LINK.findall(text) if (local := within(link, path))]
        for head, inside in _FORM.findall(text):
            action = _ACTION.search(head)
            target = within(action.group(1) if action else path, path)
            forms[target or path] = {name: unescape(value) for name, value in _HIDDEN.findall(inside)}
    return seen, forms


def within(link: str, page: str) -> str:
    """A link as a path of this site, '' for one that leads out of it."""
    parts = urlsplit(unescape(link))
    if parts.scheme or parts.netloc or (not parts.path and not parts.query):
        return ""
    path = parts.path or urlsplit(page).path
    return f"{path}?{parts.query}" if parts.query else path


@pytest.mark.parametrize("role", ROLES)
def test_no_link_that_a_role_sees_is_closed_to_it_and_no_button_is_refused(trading: People, role: str) -> None:
    trading.user(f"{role}@example.com", role)
    site = trading.logged_in(f"{role}@example.com")
    seen, forms = walk(site)
    assert len(seen) > 8
    assert {path: status for path, status in seen.items() if status >= 400} == {}
    refused = {}
    for path, hidden in forms.items():
        if not path.startswith(LEFT_OUT):
            answer = site.client.post(path, data=hidden, headers=BROWSER)
            if answer.status_code in (403, 405) or answer.status_code >= 500:
                refused[path] = answer.status_code
    assert refused == {}
