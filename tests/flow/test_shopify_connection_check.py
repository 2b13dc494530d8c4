"""The connection check of a Shopify shop that our app is installed in: in order it passes everything, and each kind of
trouble is named once, with the one thing to click."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from app.core.db import psycopg_url
from app.core.embedded import APP_ROLE, Embedded
from app.insight.requirements import Requirement
from app.insight.setup import read_setup
from app.listings.install import install
from app.reconcile.check import check
from connectors.apps import GrantKind
from sandbox.shopify import PretendShopify
from tests.diagnosing import OPENING, broken, first, later, told
from tests.installing import CLIENT_ID, Installing
from tests.street import Street

OF_SHOPIFY = ("answers", "encrypted", "key", "rights", "version", "reachable")
Break = Callable[[PretendShopify], None]


@pytest.fixture(autouse=True)
def worker(server: Embedded) -> Iterator[psycopg.Connection[Any]]:
    """A worker is there."""
    with psycopg.connect(psycopg_url(server.url(APP_ROLE)), autocommit=True) as presence:
        presence.execute("select pg_advisory_lock_shared(presence_key('of any'))")
        yield presence


@pytest.fixture
def installing(street: Street) -> Installing:
    street.world.move("mug", 5, OPENING, "50")
    found = Installing(street, origin="https://perpetual.test")
    found.street.worker.only_merchant = street.world.merchant_id
    return found


@pytest.fixture
def shop(installing: Installing) -> PretendShopify:
    """Installed for the street's merchant, read and matched."""
    street, shop = installing.street, installing.shop("one")
    shop.admin.install(CLIENT_ID)
    token = (GrantKind.SESSION, shop.admin.session_token(CLIENT_ID))
    url = f"{installing.origin}/webhooks/shopify"
    install(street.runtime, "shopify", shop.domain, token, merchant_id=street.world.merchant_id, url=url)
    street.settle()
    return shop


def run(installing: Installing, shop: PretendShopify) -> None:
    check(installing.street.runtime, *installing.found(shop))


def requirement(street: Street, name: str) -> Requirement:
    return next(one for one in told(street).requirements if one.name == name)


def test_an_installed_shop_in_order_passes_every_requirement_and_the_setup_step_is_done(
    installing: Installing, shop: PretendShopify
) -> None:
    street = installing.street
    run(installing, shop)
    assert {one.name: one.state for one in told(street).requirements if one.state != "pass"} == {}
    assert broken(street) == []
    with street.world.session() as session:
        steps = {step.name: step.state for step in read_setup(session, installing.found(shop)[1]).steps}
    assert steps["checked"] == "done"


def test_nothing_is_asked_of_shopify_that_only_a_woocommerce_shop_can_fulfil(
    installing: Installing, shop: PretendShopify
) -> None:
    before = {one.name for one in told(installing.street).requirements}
    run(installing, shop)
    after = {one.name for one in told(installing.street).requirements}
    assert before == after
    assert after >= set(OF_SHOPIFY)
    assert after.isdisjoint({"stock_managed", "sells_all", "cron", "posts_out"})


def test_what_the_shop_told_of_itself_is_shown_in_its_own_terms(
    installing: Installing, shop: PretendShopify
) -> None:  # fmt: skip
    page = installing.open(shop, f"/channels/{installing.found(shop)[1]}/check").text
    shown = dict(re.findall(r"<dt>([^<]+)</dt><dd><bdi>([^<]+)</bdi>", page))
    assert shown["Version of Shopify's API"] == "2026-10"
    assert (shown["Time zone"], shown["Places with stock"]) == ("America/Toronto", "1")
    assert "read_orders" in shown["What we may do"]
    assert "WordPress" not in page


def lose_scope(shop: PretendShopify, name: str = "read_returns") -> None:
    app = shop.admin.apps[CLIENT_ID]
    shop.admin.register(replace(app, scopes=tuple(scope for scope in app.scopes if scope != name)))


def retire(shop: PretendShopify) -> None:
    shop.endpoint.version = "2027-10"


def refuse(status: int) -> Break:
    def break_it(shop: PretendShopify) -> None:
        shop.refuses_with = status

    return break_it


@pytest.mark.parametrize(
    ("break_it", "name", "link", "detail", "cure"),
    [
        (lose_scope, "rights", "scope_missing", "missing: read_returns", "agree to what it asks for"),
        (
            lambda shop: lose_scope(shop, "read_locations"),
            "rights",
            "scope_missing",
            "read_locations",
            "agree to what it",
        ),
        (retire, "version", "api_version_retired", "2027-10 instead of 2026-10", "install the newest Perpetual"),
        (refuse(401), "key", "token_refused", "does not accept our token", "open the app once in the shop's admin"),
        (refuse(402), "answers", "channel_unreachable", "frozen", "it is tried again by itself"),
        (refuse(503), "answers", "channel_unreachable", "down for the moment", "it is tried again by itself"),
    ],
)
def test_each_trouble_of_an_installed_shop_is_one_broken_requirement_with_one_cure(
    installing: Installing, shop: PretendShopify, *, break_it: Break, name: str, link: str, detail: str, cure: str
) -> None:
    break_it(shop)
    run(installing, shop)
    failing = [one for one in told(installing.street).requirements if one.state == "fail"]
    assert [(one.name, one.link) for one in failing] == [(name, link)]
    assert detail in failing[0].detail
    assert cure in (failing[0].click or failing[0].do)


def test_a_scope_that_the_daily_look_found_missing_is_broken_without_a_check_until_it_is_granted(
    installing: Installing, shop: PretendShopify
) -> None:
    street, app = installing.street, shop.admin.apps[CLIENT_ID]
    lose_scope(shop)
    shop.webhooks.emit("app/scopes_update", {"id": 1, "current": []})
    later(street)
    assert broken(street) == ["scope_missing"]
    assert "read_returns" in first(street).detail
    assert "agree to what it asks for" in first(street).click
    shop.admin.register(app)
    run(installing, shop)
    later(street)  # the check has the worker look at once, not a day later
    assert (broken(street), requirement(street, "rights").state) == ([], "pass")


def test_a_version_that_the_daily_look_found_retired_is_broken_with_its_cure_and_no_mere_note(
    installing: Installing, shop: PretendShopify
) -> None:
    street = installing.street
    retire(shop)
    later(street, timedelta(days=1).total_seconds())
    assert broken(street) == ["api_version_retired"]
    assert "cases_open" not in [finding.link for finding in told(street).findings]
    assert "2027-10 instead of 2026-10" in first(street).detail
    assert "install the newest Perpetual" in first(street).do
    assert requirement(street, "version").state == "fail"


def test_access_that_has_ended_is_told_as_a_refused_token_and_cured_by_opening_the_app(
    installing: Installing, shop: PretendShopify
) -> None:
    shop.admin.grants.tokens.clear()
    shop.admin.grants.refreshes.clear()
    later(installing.street, timedelta(hours=2).total_seconds())
    found = told(installing.street)
    assert [one.link for one in found.findings if one.link in ("token_refused", "cases_open")] == ["token_refused"]
    assert "open the app once" in first(installing.street).click
