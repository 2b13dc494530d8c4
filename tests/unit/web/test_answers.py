"""Every answer: its headers, and errors as a page for a browser and as problem+json for everybody else."""

from __future__ import annotations

import pytest

from app.core.errors import Unavailable
from app.web import headers
from tests.street import Street
from tests.unit.web.site import BROWSER, Site

JSON = {"Accept": "application/json"}


@pytest.mark.parametrize(
    "path", ["/", "/items", "/nowhere", "/healthz", "/static/app.css", "/login", "/items/absent", "/listings"]
)
def test_every_answer_forbids_framing_sniffing_and_foreign_scripts(site: Site, path: str) -> None:
    answer = site.ask(path)
    for name, value in headers.HEADERS.items():
        assert answer.headers[name] == value
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", ["/", "/items", "/listings", "/nowhere"])
def test_pages_hold_nothing_inline_and_are_not_kept(site: Site, path: str) -> None:
    answer = site.ask(path)
    assert "style=" not in answer.text
    assert "<style" not in answer.text
    assert " onclick" not in answer.text
    assert answer.text.count("<script") == answer.text.count('<script src="/static/')
    assert answer.headers["Cache-Control"] == "private, no-store"


def test_a_browser_gets_a_page_and_a_program_a_problem_document(site: Site) -> None:
    page = site.ask("/items/absent")
    assert page.mimetype == "text/html"
    assert "no item has that SKU" in page.text
    told = site.ask("/items/absent", JSON)
    assert told.mimetype == "application/problem+json"
    assert told.get_json()["reason"] == "unknown_sku"
    assert site.ask("/items/absent", {"Accept": "*/*"}).mimetype == "application/problem+json"


@pytest.mark.parametrize("method", ["DELETE", "PUT", "POST"])
def test_a_page_takes_no_method_that_would_change_something(site: Site, method: str) -> None:
    answer = site.client.open("/", method=method, headers=BROWSER)
    assert answer.status_code in (403, 405)


def test_a_wrong_method_on_a_webhook_names_the_right_one(site: Site) -> None:
    answer = site.get("/webhooks/shopify")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert answer.mimetype == "application/problem+json"


class Down:
    """A database that can't be reached."""

    def across(self, now: object) -> None:
        raise Unavailable("database_unavailable", "the database can't be reached or can't write now")

    begin = across


@pytest.mark.parametrize("path", ["/", "/items", "/items/mug", "/live", "/healthz"])
def test_row_62_while_the_database_is_down_every_page_says_when_to_try_again(street: Street, path: str) -> None:
    site = Site.of(street, database=Down())
    for accept in (BROWSER, JSON):
        answer = site.get(path, accept)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
    assert site.get("/").text.count("Try again in") == 1


def test_what_breaks_in_a_page_is_a_500_that_tells_nothing_about_the_inside(street: Street) -> None:
    site = Site.of(street, database=None)
    answer = site.get("/")
    assert answer.status_code == 500
    assert "Something broke here" in answer.text
    assert "NoneType" not in answer.text
    assert site.get("/", JSON).get_json()["reason"] == "internal_error"
