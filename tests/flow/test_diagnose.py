"""`diagnose`: each link between a shop and us is broken in the pretend shop or in the database, is named, with the one
thing to do, and is gone once that is done."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from app.core.db import psycopg_url
from app.core.embedded import APP_ROLE, Embedded
from app.core.errors import InvalidInput, NotFound
from app.insight.diagnose import diagnose
from app.insight.home import LATE, OVERDUE
from app.listings.channels import set_state
from app.listings.connect import renew_credentials
from app.listings.credentials import WEBHOOK_SECRETS
from app.listings.states import change_state
from connectors.errors import AccessDenied
from sandbox.base import Request, Response
from sandbox.faults import NONE, Faults
from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop
from tests.diagnosing import OPENING, broken, first, in_session, later, run, told
from tests.statements import counted
from tests.street import Street
from tests.world import World


@pytest.fixture(autouse=True)
def worker(server: Embedded) -> Iterator[psycopg.Connection[Any]]:
    """A worker is there."""
    with psycopg.connect(psycopg_url(server.url(APP_ROLE)), autocommit=True) as presence:
        presence.execute("select pg_advisory_lock_shared(presence_key('of any'))")
        yield presence


@pytest.fixture
def shopify(street: Street) -> PretendShopify:
    street.world.move("mug", 10, OPENING, "50")
    shop = street.open_shopify({"mug": 10})
    street.settle()
    return shop


@pytest.fixture
def woo(street: Street) -> WooShop:
    street.world.move("mug", 10, OPENING, "50")
    shop = street.open_woo({"mug": 10})
    street.settle()
    return shop


def test_a_shop_in_order_has_no_finding(street: Street, shopify: PretendShopify) -> None:
    shopify.place_order([("mug", 1)])
    later(street, times=3)
    assert (told(street).findings, told(street).broken) == ((), False)


def test_no_worker_is_told_before_everything_else_until_one_lives(
    street: Street, shopify: PretendShopify, worker: psycopg.Connection[Any]
) -> None:
    worker.execute("select pg_advisory_unlock_shared(presence_key('of any'))")
    worker.execute("select pg_advisory_lock(presence_key('of any'))")  # had only when those of other tests are gone
    street.world.now += OVERDUE + timedelta(minutes=2)
    assert broken(street)[0] == "clock_not_running"
    assert "python -m app worker" in first(street).do
    assert first(street).since is not None
    worker.execute("select pg_advisory_unlock(presence_key('of any'))")
    worker.execute("select pg_advisory_lock_shared(presence_key('of any'))")
    later(street)
    assert broken(street) == []


def test_a_worker_that_does_not_do_what_is_due_is_told_from_none(street: Street, shopify: PretendShopify) -> None:
    street.world.now += OVERDUE + timedelta(minutes=2)
    assert broken(street) == ["clock_stuck"]
    later(street)
    assert broken(street) == []


def test_a_paused_channel_says_since_when_and_by_whom_until_it_is_active(
    street: Street, shopify: PretendShopify
) -> None:
    channel = street.channel_of(shopify)
    in_session(street, change_state, channel, "paused", "ann")
    since = street.world.now
    later(street, 600)
    assert broken(street) == ["channel_paused"]
    assert (first(street).detail, first(street).since) == ("by ann", since)
    assert first(street).do == "`python -m app channel state 'Shopify 0' active`"
    in_session(street, change_state, channel, "active", "ann")
    assert [(finding.link, finding.broken) for finding in told(street).findings][-1] == ("activating", False)
    later(street)
    assert told(street).findings == ()


def test_a_disconnected_channel_says_only_that(street: Street, shopify: PretendShopify) -> None:
    in_session(street, set_state, street.channel_of(shopify), "disconnected")
    assert broken(street) == ["channel_disconnected"]


def test_shadow_is_told_and_is_nothing_broken(street: Street, shopify: PretendShopify) -> None:
    in_session(street, change_state, street.channel_of(shopify), "shadow", "ann")
    later(street)
    assert [finding.link for finding in told(street).findings] == ["shadow"]
    assert not told(street).broken


@pytest.mark.parametrize("platform", ["shopify", "woo"])
def test_a_shop_that_cannot_be_reached_is_told_and_one_that_stumbles_once_is_not(
    street: Street, platform: str, request: pytest.FixtureRequest
) -> None:
    shop = request.getfixturevalue(platform)
    shop.context.faults = Faults(timeout_before=1.0)
    later(street)
    assert broken(street) == []
    later(street, 60, times=5)
    assert broken(street)[0] == "channel_unreachable"
    assert first(street).count >= 3
    assert "takes too long to answer" in first(street).detail
    shop.context.faults = NONE
    later(street, 400, times=2)
    assert broken(street) == []


def test_a_token_that_is_refused_is_told_until_the_shop_accepts_another(
    street: Street, shopify: PretendShopify
) -> None:
    shopify.access_token = "shpat_new"
    later(street)
    assert broken(street)[0] == "token_refused"
    assert "unauthorized" in first(street).detail
    assert first(street).do.endswith("`python -m app channel credentials 'Shopify 0'`")
    channel = street.channel_of(shopify)
    with pytest.raises(AccessDenied):
        renew_credentials(street.runtime, street.world.merchant_id, channel, {"access_token": "shpat_wrong"})
    with pytest.raises(InvalidInput) as refused:
        renew_credentials(street.runtime, street.world.merchant_id, channel, {"token": "x"})
    assert "access_token" in refused.value.detail
    renew_credentials(street.runtime, street.world.merchant_id, channel, {"access_token": "shpat_new"})
    street.settle(2)
    assert broken(street) == []


def test_a_key_that_the_shop_does_not_know_is_told(street: Street, woo: WooShop) -> None:
    woo.handle = lambda request: _answer(401, "woocommerce_rest_cannot_view", "")  # type: ignore[method-assign]
    later(street)
    assert broken(street)[0] == "token_refused"
    assert "keys_not_accepted" in first(street).detail


def test_a_missing_scope_is_told_until_it_is_granted(street: Street, shopify: PretendShopify) -> None:
    shopify.endpoint.scopes.discard("read_orders")
    later(street)
    assert broken(street)[0] == "scope_missing"
    assert "access_denied" in first(street).detail
    shopify.endpoint.scopes.add("read_orders")
    later(street)
    assert broken(street) == []


def test_clocks_that_differ_are_told_until_they_agree(street: Street, woo: WooShop) -> None:
    calm = woo.handle
    text = "Invalid timestamp."
    woo.handle = lambda request: _answer(401, "woocommerce_rest_authentication_error", text)  # type: ignore[method-assign]
    later(street)
    assert broken(street)[0] == "clock_differs"
    assert "NTP" in first(street).do
    woo.handle = calm  # type: ignore[method-assign]
    later(street)
    assert broken(street) == []


def _answer(status: int, code: str, message: str) -> Response:
    body = f'{{"code": "{code}", "message": "{message}"}}'.encode()
    return Response(status, {"Content-Type": "application/json"}, body)


def test_a_shop_that_throttles_again_and_again_is_told_with_the_numbers_that_wait_for_it(
    street: Street, shopify: PretendShopify
) -> None:
    shopify.context.faults = Faults(throttle=1.0)
    street.world.move("mug", 5, OPENING, "5")
    for _ in range(8):
        street.world.now += LATE / 4
        street.worker.step()
    assert broken(street) == ["channel_throttles", "plan_stuck"]
    stuck = told(street).findings[-1]
    assert stuck.count == 1
    assert "asked us to slow down" in stuck.detail
    shopify.context.faults = NONE
    later(street, times=2)
    assert broken(street) == []


def test_a_failure_that_has_no_words_of_its_own_is_told_by_its_slug(street: Street, shopify: PretendShopify) -> None:
    run(street, "update channel_poll set failures = 3, last_error = 'odd_thing' where merchant_id = %(merchant_id)s "
                "and kind = 'sweep'")  # fmt: skip
    assert broken(street) == ["calls_fail"]
    assert "odd_thing" in first(street).detail


@pytest.mark.parametrize("platform", ["shopify", "woo"])
def test_webhooks_that_are_gone_are_told_until_a_delivery_has_come(
    street: Street, platform: str, request: pytest.FixtureRequest
) -> None:
    shop = request.getfixturevalue(platform)
    hooks = shop.webhooks.subscriptions if isinstance(shop, PretendShopify) else shop._hooks
    for hook in list(shop.webhooks.subscriptions if isinstance(shop, PretendShopify) else shop.hooks())[:3]:
        hooks.remove(hook)
    later(street, 600)
    assert broken(street) == ["webhook_gone"]
    assert first(street).do == "nothing for now: they were made again, and the case closes with the next delivery"
    shop.place_order([("mug", 1)])
    later(street, 600)
    assert broken(street) == []


def test_webhooks_that_deliver_elsewhere_are_told(street: Street, shopify: PretendShopify) -> None:
    for hook in shopify.webhooks.subscriptions:
        hook.uri = hook.uri.replace("perpetual.test", "old.test")
    later(street, 600)
    assert broken(street) == ["webhook_elsewhere"]
    shopify.place_order([("mug", 1)])
    later(street, 600)
    assert broken(street) == []


def test_webhooks_that_the_shop_switched_off_are_told(street: Street, woo: WooShop) -> None:
    woo.hooks()[0].status = "disabled"
    later(street, 600)
    assert broken(street) == ["webhook_disabled"]
    woo.place_order([("mug", 1)])
    later(street, 600)
    assert broken(street) == []


def test_refused_signatures_are_told_until_a_delivery_is_accepted(street: Street, shopify: PretendShopify) -> None:
    shopify.webhooks.secret = "another"
    shopify.place_order([("mug", 1)])
    street.settle(2)
    assert broken(street) == ["webhooks_refused"]
    channel = street.channel_of(shopify)
    renew_credentials(street.runtime, street.world.merchant_id, channel, {WEBHOOK_SECRETS: "another"})
    shopify.place_order([("mug", 1)])
    later(street)
    assert broken(street) == []


def test_the_number_of_statements_does_not_depend_on_what_is_found(street: Street) -> None:
    counts = []
    for step in range(2):
        with counted(street.world.database) as statements:
            in_session(street, diagnose)
        counts.append(len(statements))
        if not step:
            street.open_shopify({"mug": 1, "cup": 2})
            street.open_woo({"bowl": 1})
            street.settle()
    assert counts[0] == counts[1]


def test_one_merchant_is_told_nothing_of_another(street: Street, shopify: PretendShopify, other: World) -> None:
    in_session(street, change_state, street.channel_of(shopify), "paused", "ann")
    with other.session() as session:
        assert diagnose(session) == []
        with pytest.raises(NotFound):
            diagnose(session, "Shopify 0")


def test_requests_are_never_made_by_looking(street: Street, shopify: PretendShopify) -> None:
    calls: list[Request] = street.adapters[street.channel_of(shopify)].calls
    before = len(calls)
    told(street)
    assert len(calls) == before
