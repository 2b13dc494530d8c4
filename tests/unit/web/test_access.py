"""Who may see pages: this machine, or whoever knows the owner's password. Webhooks and health are open to all."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.web import failures as failing
from tests.conftest import NOW
from tests.street import Street
from tests.unit.web.site import BROWSER, PASSWORD, Site

OUTSIDE = {"REMOTE_ADDR": "203.0.113.9"}
PAGES = ["/", "/items", "/items/x", "/item?sku=x", "/live", "/nowhere"]


@pytest.mark.parametrize("path", PAGES)
def test_without_a_password_nobody_outside_sees_a_page(site: Site, path: str) -> None:
    page = site.get(path, environ_base=OUTSIDE)
    assert page.status_code == 403
    assert "python -m app owner set-password" in page.text


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1"])
@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000"])
def test_a_browser_on_this_machine_needs_no_password(site: Site, address: str, host: str) -> None:
    page = site.ask("/", {**BROWSER, "Host": host}, environ_base={"REMOTE_ADDR": address})
    assert page.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost.evil.example"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Real-IP": "127.0.0.1"},
        {"Via": "1.1 proxy"},
    ],
)
def test_row_46_a_rebound_name_or_a_proxy_is_not_this_machine(site: Site, headers: dict[str, str]) -> None:
    assert site.get("/", {**BROWSER, **headers}).status_code == 403


@pytest.mark.parametrize("told", [{"public_url": "https://stock.example.com"}, {"proxy_hops": 1}])
def test_an_installation_with_an_outside_address_needs_a_password(street: Street, told: dict[str, object]) -> None:
    assert Site.of(street, **told).get("/").status_code == 403


@pytest.mark.parametrize("password", [False, True])
def test_health_webhooks_and_static_files_are_open(street: Street, password: bool) -> None:
    site = Site.of(street, password=password)
    assert site.get("/healthz", environ_base=OUTSIDE).status_code == 200
    assert site.get("/static/app.css", environ_base=OUTSIDE).status_code == 200
    posted = site.client.post("/webhooks/shopify", data=b"{}", headers={"Sec-Fetch-Site": "cross-site"})
    assert (posted.status_code, posted.get_json()["reason"]) == (401, "missing_signature")  # judged by that alone


@pytest.mark.parametrize("path", PAGES)
def test_with_a_password_a_browser_is_sent_to_the_login_and_others_get_401(street: Street, path: str) -> None:
    site = Site.of(street, password=True)
    page = site.get(path)
    assert page.status_code == 302
    assert page.headers["Location"].startswith("/login?next=")
    told = site.get(path, {"Accept": "application/json"})
    assert (told.status_code, told.get_json()["reason"]) == (401, "login_needed")


def test_the_right_password_opens_the_page_that_was_asked_for_and_logging_out_closes_it(street: Street) -> None:
    site = Site.of(street, password=True)
    answer = site.log_in(PASSWORD, next_path="/items?q=a", environ_base=OUTSIDE)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/items?q=a")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    page = site.ask("/items", environ_base=OUTSIDE)
    assert page.status_code == 200
    token = page.text.split('name="csrf_token" value="')[1].split('"')[0]
    site.client.post("/logout", data={"csrf_token": token}, headers=BROWSER)
    assert site.ask("/items").status_code == 302


def test_a_session_ends_when_the_password_changes(street: Street) -> None:
    site = Site.of(street, password=True)
    site.log_in(PASSWORD)
    with site.client.session_transaction() as session:
        session["owner"] = "of the former password"
    assert site.ask("/").status_code == 302


def test_the_cookie_is_only_sent_over_https_where_the_public_address_is_https(street: Street) -> None:
    site = Site.of(street, password=True, public_url="https://stock.example.com")
    assert "Secure" in site.get("/login").headers["Set-Cookie"]
    assert "max-age" in site.get("/login").headers["Strict-Transport-Security"]


@pytest.mark.parametrize("next_path", ["https://evil.example", "//evil.example", "/\\evil.example", "x", "/a\nb", ""])
def test_a_login_never_leads_to_another_site(street: Street, next_path: str) -> None:
    answer = Site.of(street, password=True).log_in(PASSWORD, next_path=next_path)
    assert answer.headers["Location"] == "/"


def test_row_35_wrong_passwords_are_slowed_and_a_good_one_is_no_way_around(street: Street) -> None:
    site = Site.of(street, password=True)
    for _ in range(failing.FAILURES_MAX):
        wrong = site.log_in("wrong password")
        assert wrong.status_code == 401
        assert "That is not the password." in wrong.text
    for password in ("wrong password", PASSWORD):
        slowed = site.log_in(password)
        assert slowed.status_code == 429
        assert int(slowed.headers["Retry-After"]) <= failing.FAILURES_WINDOW.total_seconds()
    assert site.log_in(PASSWORD, environ_base=OUTSIDE).status_code == 302
    street.world.now += failing.FAILURES_WINDOW + timedelta(seconds=1)
    assert site.log_in(PASSWORD).status_code == 302


def test_row_35_a_password_of_a_megabyte_is_refused_for_its_length(street: Street) -> None:
    answer = Site.of(street, password=True).log_in("x" * 1_000_000)
    assert answer.status_code == 422
    assert "1024 bytes" in answer.text


def test_an_address_of_version_six_counts_with_its_whole_network(street: Street) -> None:
    site = Site.of(street, password=True)
    for number in range(failing.FAILURES_MAX):
        site.log_in("wrong password", environ_base={"REMOTE_ADDR": f"2001:db8::{number}"})
    assert site.log_in(PASSWORD, environ_base={"REMOTE_ADDR": "2001:db8::ffff"}).status_code == 429
    assert site.log_in(PASSWORD, environ_base={"REMOTE_ADDR": "2001:db8:0:1::1"}).status_code == 302


@pytest.mark.parametrize("path", ["/login", "/logout"])
def test_row_36_a_form_without_its_token_or_from_another_site_is_refused(street: Street, path: str) -> None:
    site = Site.of(street, password=True)
    assert site.client.post(path, data={"password": PASSWORD}, headers=BROWSER).status_code == 403
    site.log_in(PASSWORD)
    crossed = site.client.post(path, headers={**BROWSER, "Sec-Fetch-Site": "cross-site"})
    assert crossed.status_code == 403
    assert site.ask("/").status_code == 200


def test_the_memory_of_failures_is_bounded() -> None:
    failures = failing.Failures()
    for number in range(failing.COUNTED_MAX + 50):
        failures.begin(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", NOW)
    assert len(failures._tries) == failing.COUNTED_MAX
