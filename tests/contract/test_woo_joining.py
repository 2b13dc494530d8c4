"""Joining a pretend WooCommerce over HTTP: who answers at an address, what is in the way, and the shop's own pages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
import requests

from connectors.base import Shop
from connectors.errors import ChannelError
from connectors.guarded import guarded_session
from connectors.http import Http
from connectors.join import Approval, Found
from connectors.woocommerce import WooCommerce
from connectors.woocommerce.auth import OneTime, _nonce
from sandbox.base import Context
from sandbox.certificates import Tls, server_context, write_authority
from sandbox.front import Front
from sandbox.inprocess import session
from sandbox.woocommerce import Key, Options, WooShop
from sandbox.woocommerce.pages import PASSWORD, USER
from sandbox.woocommerce.rest import Route
from tests.contract.rig import Clock
from tests.ports import free_port

CLOCK = Clock()
CONNECTOR = WooCommerce(OneTime(nonce=_nonce, timestamp=lambda: int(CLOCK().timestamp())))


@dataclass
class Rig:
    """A pretend shop that serves at its own address."""

    pretend: WooShop
    front: Front

    @property
    def keys(self) -> dict[str, str]:
        key = self.pretend.options.keys[0]
        return {"consumer_key": key.consumer_key, "consumer_secret": key.consumer_secret}


@contextmanager
def shop(**options: Any) -> Iterator[tuple[Rig, Http]]:
    """A shop, and a guarded client that may call this machine."""
    port = free_port()
    told = {"base_url": f"http://127.0.0.1:{port}", **options}
    pretend = WooShop(Context(now=CLOCK, rng=Random(7)), Options(**told))
    with Front(pretend, pump=False, port=port) as front, guarded_session(allow_loopback=True) as session:
        yield Rig(pretend, front), Http(session=session, sleep=lambda seconds: None)


def find(rig: Rig, http: Http) -> Found:
    return CONNECTOR.find_shop(http, rig.front.base_url, allow_loopback=True)


def refusal(**options: Any) -> str:
    with shop(**options) as (rig, http), pytest.raises(ChannelError) as caught:
        find(rig, http)
    return caught.value.reason


def test_a_shop_is_found_by_its_address_and_tells_its_name() -> None:
    with shop(name="Mugs & more") as (rig, http):
        assert find(rig, http) == Found(rig.front.base_url, "Mugs & more")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"host": "firewall"}, "blocked_by_firewall"),
        ({"host": "challenge"}, "html_answer"),
        ({"host": "login_redirect"}, "login_page"),
        ({"host": "login_wall"}, "login_page"),
        ({"host": "maintenance"}, "maintenance"),
        ({"host": "plain_site"}, "not_wordpress"),
        ({"host": "plain_permalinks"}, "plain_permalinks"),
        ({"has_woocommerce": False}, "no_woocommerce"),
        ({"moved_to": "http://169.254.169.254"}, "address_not_allowed"),
        ({"moved_to": "http://10.0.0.1/shop"}, "address_not_allowed"),
        ({"moved_to": "gopher://127.0.0.1"}, "scheme_not_allowed"),
        ({"base_url": "http://10.0.0.1"}, "address_not_allowed"),
    ],
)
def test_what_stands_in_the_way_has_its_own_name_32_33(options: Mapping[str, Any], reason: str) -> None:
    assert refusal(**options) == reason


def test_a_shop_that_lives_elsewhere_says_so_and_is_not_followed_32() -> None:
    with shop() as (target, _), shop(moved_to=target.front.base_url) as (rig, http):
        assert find(rig, http).moved_to == target.front.base_url
    with shop() as (target, _), shop(base_url=target.front.base_url) as (rig, http):
        assert find(rig, http).moved_to == target.front.base_url


def test_the_way_from_https_to_http_is_refused_32(tmp_path: Any) -> None:

    pretend = WooShop(Context(now=CLOCK, rng=Random(7)), Options(moved_to="http://127.0.0.1:1"))
    with (
        Front(pretend, pump=False, tls=server_context(Tls.GOOD, tmp_path)) as front,
        guarded_session(allow_loopback=True) as session,
    ):
        session.verify = str(write_authority(tmp_path))
        with pytest.raises(ChannelError) as caught:
            CONNECTOR.find_shop(Http(session=session), front.base_url, allow_loopback=True)
    assert caught.value.reason == "redirect_downgrade"


class Browser:
    """A person in the shop's admin; `answered` is what the callback gets, `status` what it says."""

    def __init__(self, rig: Rig, status: int | None = 200) -> None:
        self.rig, self.status = rig, status
        self.answered: list[tuple[str, Mapping[str, str], bytes]] = []
        rig.pretend.context.post = self._post
        self.cookies: dict[str, str] = {}

    def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> int | None:
        self.answered.append((url, headers, body))
        return self.status

    def get(self, path: str) -> requests.Response:
        url = path if "://" in path else f"{self.rig.front.base_url}{path}"
        return requests.get(url, allow_redirects=False, timeout=5, cookies=self.cookies)

    def post(self, path: str, form: Mapping[str, str]) -> requests.Response:
        url = f"{self.rig.front.base_url}{path}"
        answer = requests.post(url, data=form, allow_redirects=False, timeout=5, cookies=self.cookies)
        self.cookies |= dict(answer.cookies)
        return answer

    def log_in(self, path: str) -> str:
        """Where the login leads back to."""
        return self.post(path, {"log": USER, "pwd": PASSWORD}).headers.get("Location", "")


APPROVAL = Approval("our-state", "https://us.example/back?merchant=1", "https://us.example/keys")


def link(page: str, text: str) -> str:
    before = page.split(f">{text}</a>")[0]
    return before.rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")


def test_the_owner_logs_in_approves_and_the_keys_that_come_work_at_the_shop() -> None:
    with shop() as (rig, http):
        browser = Browser(rig)
        url = CONNECTOR.approval_url(rig.front.base_url, APPROVAL)
        login = browser.get(url)
        assert (login.status_code, login.headers["Location"][:19]) == (302, "/wc-auth/v1/login/?")
        page = browser.get(browser.log_in(login.headers["Location"])).text
        back = browser.get(link(page, "Approve"))
        assert parse_qs(urlsplit(back.headers["Location"]).query) == {
            "merchant": ["1"], "success": ["1"], "user_id": ["our-state"],
        }  # fmt: skip
        ((called, headers, body),) = browser.answered
        assert (called, headers["Content-Type"]) == (APPROVAL.callback_url, "application/json;charset=UTF-8")
        grant = CONNECTOR.read_grant(body)
        assert grant.state == "our-state"
        facts = CONNECTOR.read_facts(http, Shop(rig.front.base_url, "key", grant.credentials))
        assert facts["version"] == "10.9.0"
        again = browser.get(link(page, "Approve"))  # the link was for once
        assert again.status_code == 401


@pytest.mark.parametrize("status", [None, 201, 401, 500])
def test_a_callback_that_does_not_answer_200_gets_its_key_taken_back(status: int | None) -> None:
    with shop() as (rig, _):
        browser = Browser(rig, status)
        browser.log_in("/wp-login.php")
        page = browser.get(CONNECTOR.approval_url(rig.front.base_url, APPROVAL)).text
        denied = browser.get(link(page, "Approve"))
        assert (denied.status_code, "Access denied" in denied.text) == (401, True)
        assert list(rig.pretend.state.keys) == [Key().consumer_key]


def test_an_owner_who_denies_is_sent_back_without_keys() -> None:
    with shop() as (rig, _):
        browser = Browser(rig)
        browser.log_in("/wp-login.php")
        page = browser.get(CONNECTOR.approval_url(rig.front.base_url, APPROVAL)).text
        assert link(page, "Deny") == "https://us.example/back?merchant=1&success=0&user_id=our-state"
        assert browser.answered == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"callback_url": "http://us.example/keys"}, "needs to be over SSL"),
        ({"return_url": ""}, "Missing parameter return_url"),
        ({"return_url": "back"}, "not a valid URL"),
        ({"state": ""}, "Missing parameter user_id"),
    ],
)
def test_the_shop_refuses_what_woocommerce_refuses(changed: dict[str, str], said: str) -> None:
    with shop() as (rig, _):
        answer = Browser(rig).get(CONNECTOR.approval_url(rig.front.base_url, replace(APPROVAL, **changed)))
        assert (answer.status_code, said in answer.text) == (401, True)


def test_keys_made_by_hand_in_the_shops_admin_work() -> None:
    with shop() as (rig, http):
        browser = Browser(rig)
        browser.log_in("/wp-login.php")
        assert "REST API keys" in browser.get("/wp-admin/").text
        page = browser.post("/wp-admin/admin.php", {"permissions": "read_write"}).text
        typed = {
            name: page.split(f'id="key_{name}">')[1].partition("<")[0] for name in ("consumer_key", "consumer_secret")
        }
        keys = CONNECTOR.read_keys(typed)
        assert CONNECTOR.read_facts(http, Shop(rig.front.base_url, "key", keys))["low_stock_amount"] == "2"


def states(rig: Rig, http: Http, **credentials: str) -> dict[str, str]:
    keys = {**rig.keys, **credentials}
    found = CONNECTOR.check(http, Shop(rig.front.base_url, "key", keys)).requirements
    return {one.name: f"{one.state} {one.reason}".strip() for one in found}


GOOD = {
    "encrypted": "pass", "answers": "pass", "key": "pass", "rights": "pass", "version": "pass",
    "stock_managed": "pass", "sells_all": "pass", "cron": "pass", "posts_out": "pass",
}  # fmt: skip


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ({}, {}),
        ({"manages_stock": False}, {"stock_managed": "fail stock_not_managed"}),
        ({"no_stock_amount": 5}, {"sells_all": "unknown keeps_last_units"}),
        ({"runs_cron": False}, {"cron": "unknown cron_elsewhere"}),
        ({"posts_out": False}, {"posts_out": "fail cannot_post"}),
        ({"version": "9.4.1"}, {"version": "unknown version_untried"}),
        ({"keys": (Key(permissions="read"),)}, {"rights": "fail read_only_key"}),
    ],
)
def test_a_check_says_of_each_requirement_whether_the_shop_fulfils_it(
    options: dict[str, Any], changed: dict[str, str]
) -> None:
    with shop(**options) as (rig, http):
        assert states(rig, http) == {**GOOD, **changed}


@pytest.mark.parametrize("host", ["firewall", "challenge", "maintenance", "plain_site", "login_wall"])
def test_behind_a_shop_that_does_not_answer_the_rest_is_unknown(host: Any) -> None:
    with shop(host=host) as (rig, http):
        found = states(rig, http)
    assert found.pop("answers").startswith("fail ")
    assert found.pop("encrypted") == "pass"
    assert set(found.values()) == {"unknown"}


@pytest.mark.parametrize("zone", ["../../etc/passwd", "<script>", "Nowhere/../..", "a" * 300, None, 7])
def test_a_time_zone_that_is_none_is_left_out_and_the_offset_counts_55(zone: Any) -> None:
    with shop() as (rig, http):
        told = {"name": "Shop", "home": rig.front.base_url, "timezone_string": zone, "gmt_offset": 2, "namespaces": []}
        rig.pretend._rest._routes.insert(0, (re.compile("/wp-json/?$"), Route("", {"GET": lambda call: told}, True)))
        facts = CONNECTOR.read_facts(http, Shop(rig.front.base_url, "key", rig.keys))
    assert (facts["timezone"], facts["gmt_offset"]) == ("", "2")


def test_a_shop_without_encryption_is_told_so() -> None:
    pretend = WooShop(Context(now=CLOCK, rng=Random(7)), Options(base_url="http://shop.example.com"))
    http = Http(session=session(pretend))
    keys = {"consumer_key": Key().consumer_key, "consumer_secret": Key().consumer_secret}
    looked = CONNECTOR.check(http, Shop("http://shop.example.com", "key", keys))
    found = {one.name: one.reason for one in looked.requirements}
    assert (found["encrypted"], found["answers"]) == ("not_encrypted", "")


def test_a_wrong_secret_is_about_the_key_and_what_needs_it_is_unknown() -> None:
    with shop() as (rig, http):
        found = states(rig, http, consumer_secret="cs_" + "c" * 40)
    assert (found["answers"], found["key"][:4], found["rights"]) == ("pass", "fail", "unknown")
    assert orjson.dumps(found).find(b"cs_c") == -1
