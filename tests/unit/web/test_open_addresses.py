"""Addresses that ask for no login judge whoever comes by proofs of their own. Each is tried without any, by a stranger
and by a member of another merchant, with a shop that is connected and with one that is nobody's: the answers tell
nothing, and nothing changes. Those of the API are tried in `tests/unit/web/api/test_table.py`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import Engine

from app.simulation.town import ORIGIN
from app.web.access import OPEN_BLUEPRINTS
from tests.installing import Installing
from tests.people import People
from tests.unit.web.site import BROWSER, Site

NOBODYS = "nobody-has-this.myshopify.com"
SIGNED = {"hmac": "0" * 64, "timestamp": "1795435200", "host": "eA"}
# By endpoint: method, path and query, headers and body; `{shop}` is the shop's domain. And the status without proof.
TRIES: Mapping[str, tuple[str, str, Mapping[str, Any], int]] = {
    "webhooks.deliver": (
        "POST", "/webhooks/shopify",
        {"headers": {"X-Shopify-Shop-Domain": "{shop}", "X-Shopify-Topic": "app/uninstalled",
                     "X-Shopify-Hmac-Sha256": "AAAA"}, "data": '{{"myshopify_domain": "{shop}"}}'}, 401,
    ),
    "callbacks.take": ("POST", "/callbacks/woocommerce", {"json": {"user_id": "{merchant}-1-x", "at": "{shop}"}}, 400),
    "shopify_app.app_page": ("GET", "/shopify/app", {"query_string": {"shop": "{shop}", **SIGNED}}, 400),
    "shopify_app.connect_again": ("POST", "/shopify/again", {"query_string": {"shop": "{shop}"}}, 401),
    "shopify_app.begin_signed": ("GET", "/shopify/install", {"query_string": {"shop": "{shop}", **SIGNED}}, 400),
    "shopify_app.come_back": (
        "GET", "/shopify/callback", {"query_string": {"shop": "{shop}", "code": "c", "state": "s", **SIGNED}}, 400,
    ),
    "embedding.session": ("GET", "/shopify/session", {"query_string": {"shop": "{shop}"}}, 400),
    "health.healthz": ("GET", "/healthz", {"query_string": {"shop": "{shop}"}}, 200),
}  # fmt: skip


def filled(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return value.format_map(words)
    return {name: filled(one, words) for name, one in value.items()} if isinstance(value, Mapping) else value


def ask(site: Site, endpoint: str, shop: str, merchant: int) -> tuple[int, str]:
    """What is answered, but for the shop's name where it was given."""
    method, path, said, _ = TRIES[endpoint]
    told = filled(said, {"shop": shop, "merchant": str(merchant)})
    headers = {**BROWSER, **told.pop("headers", {})}
    answer = site.client.open(path, method=method, headers=headers, base_url=ORIGIN, **told)
    text = re.sub(r'(name="csrf_token" value=")[^"]+', "", answer.text)
    return answer.status_code, text.replace(shop, "SHOP")


def everything(owner: Engine, merchant_id: int) -> list[object]:
    """What of a merchant somebody without proof could have changed."""
    tables = ("channel", "inbox", "audit_log", "case_file", "privacy_request", "shop_joining", "membership")
    with owner.connect() as connection:
        return [
            tuple(row)
            for table in tables
            for row in connection.exec_driver_sql(
                f"select t::text from {table} t where merchant_id = %(m)s order by 1", {"m": merchant_id}
            )
        ]


@pytest.fixture(params=["stranger", "member of another merchant"])
def asked(request: pytest.FixtureRequest, people: People, owner: Engine) -> tuple[Site, str, int, Engine]:
    """Who asks, and the shop and merchant that they have nothing to do with."""
    people.user("anna@example.com")
    installing = Installing(people.street)
    shop = installing.shop("theirs")
    installing.installed(shop)
    site = Site(people.street, installing.site.app)
    if request.param != "stranger":
        people.user("eve@example.com", "owner", people.other)
        entered = site.log_in("a long enough password", email="eve@example.com", base_url=ORIGIN)
        assert entered.status_code == 302
    return site, shop.domain, installing.found(shop)[0], owner


def test_there_is_a_try_for_every_address_that_asks_for_no_login(people: People) -> None:
    rules = people.site().app.url_map.iter_rules()
    endpoints = {rule.endpoint for rule in rules if rule.endpoint.partition(".")[0] in OPEN_BLUEPRINTS - {"api"}}
    assert endpoints == TRIES.keys()


@pytest.mark.parametrize("endpoint", TRIES)
def test_without_proof_a_connected_shop_is_answered_like_one_that_is_nobodys_and_nothing_changes_21(
    asked: tuple[Site, str, int, Engine], endpoint: str
) -> None:
    site, shop, merchant_id, owner = asked
    before = everything(owner, merchant_id)
    assert before
    real, nobodys = ask(site, endpoint, shop, merchant_id), ask(site, endpoint, NOBODYS, 10**9)
    assert (real[0], nobodys[0]) == (TRIES[endpoint][3],) * 2
    assert real[1] == nobodys[1]
    assert everything(owner, merchant_id) == before
