"""Tokens that expire: refreshed once whoever asks, stored before use, kept alive, and what to do about a refusal."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
import requests

from app.core.db import Session
from app.inbox.read import poll_orders
from app.insight.home import read_home
from app.listings.cases import list_cases
from app.listings.channels import get_channel, shop_of
from app.listings.credentials import write_credentials
from app.listings.install import install_own
from app.listings.leaving import leave
from app.listings.states import change_state
from app.reconcile.shop import ask_shop, keep_token
from connectors.apps import AppKeys
from connectors.errors import AccessDenied, Transient
from sandbox.base import Request, Response
from sandbox.inprocess import ShopAdapter
from sandbox.shopify import PretendShopify
from tests.installing import CLIENT_ID, SECRET, Installing, pretend_app
from tests.street import Street

WORKERS = 20


@pytest.fixture
def installing(street: Street) -> Installing:
    return Installing(street)


@pytest.fixture
def shop(installing: Installing) -> PretendShopify:
    shop = installing.shop("one")
    installing.installed(shop)
    shop.admin.grants.given.clear()
    return shop


def token(installing: Installing, shop: PretendShopify) -> str:
    """The access token as a call of a connector gets it."""
    runtime, (merchant_id, channel_id) = installing.street.runtime, installing.found(shop)
    with runtime.begin(merchant_id, runtime.clock()) as session:
        seen = shop_of(runtime, merchant_id, get_channel(session, channel_id))
    return seen.credentials["access_token"]


def keep(installing: Installing, shop: PretendShopify, credentials: dict[str, str]) -> None:
    runtime, (merchant_id, channel_id) = installing.street.runtime, installing.found(shop)
    with runtime.begin(merchant_id, runtime.clock()) as session:
        write_credentials(runtime.sealer, session, channel_id, credentials)


def ask(installing: Installing, shop: PretendShopify) -> str:
    """The daily look after the shop, due now; its error's reason."""
    runtime, (merchant_id, channel_id) = installing.street.runtime, installing.found(shop)
    with runtime.begin(merchant_id, runtime.clock()) as session:
        make_due(session, channel_id)
    return ask_shop(runtime, merchant_id, channel_id).error


def make_due(session: Session, channel_id: int) -> None:
    session.run(
        """update channel_poll set due_at = %(now)s where merchant_id = %(merchant_id)s and channel_id = %(id)s
           and kind = 'shop'""",
        now=session.now, id=channel_id,
    )  # fmt: skip


def cases(installing: Installing, shop: PretendShopify) -> list[str]:
    runtime, (merchant_id, _) = installing.street.runtime, installing.found(shop)
    with runtime.begin(merchant_id, runtime.clock()) as session:
        return [case.kind for case in read_home(session).cases]


def test_a_token_is_used_while_it_is_good_and_replaced_five_minutes_before_its_end(
    installing: Installing, shop: PretendShopify
) -> None:
    first = token(installing, shop)
    installing.street.world.now += timedelta(minutes=54)
    assert token(installing, shop) == first
    installing.street.world.now += timedelta(minutes=2)
    assert token(installing, shop) != first
    assert shop.admin.grants.given == ["refresh"]


def test_twenty_workers_that_find_it_ended_at_once_refresh_it_once_27(
    installing: Installing, shop: PretendShopify
) -> None:
    installing.street.world.now += timedelta(hours=2)
    barrier = Barrier(WORKERS)

    def work(_: int) -> str:
        barrier.wait(30)
        return token(installing, shop)

    with ThreadPoolExecutor(WORKERS) as pool:
        tokens = set(pool.map(work, range(WORKERS)))
    assert shop.admin.grants.given == ["refresh"]
    assert tokens == {installing.credentials(shop)["access_token"]}


def test_a_reading_that_outlives_its_token_goes_on_with_the_next_one(
    installing: Installing, shop: PretendShopify
) -> None:
    runtime, (merchant_id, channel_id) = installing.street.runtime, installing.found(shop)
    with runtime.begin(merchant_id, runtime.clock()) as session:
        seen = shop_of(runtime, merchant_id, get_channel(session, channel_id))
    connector = runtime.connectors["shopify"]
    connector.read_locations(runtime.open_http(), seen)
    installing.street.world.now += timedelta(hours=3)
    connector.read_locations(runtime.open_http(), seen)
    assert shop.admin.grants.given == ["refresh"]


def test_a_token_that_comes_after_the_shop_was_disconnected_is_not_kept(
    installing: Installing, shop: PretendShopify
) -> None:
    runtime, (merchant_id, channel_id) = installing.street.runtime, installing.found(shop)

    class Leaving(ShopAdapter):
        """The shop is disconnected while it makes a token."""

        def _answer(self, asked: Request) -> Response:
            answer = super()._answer(asked)
            if asked.path.endswith("access_token"):
                leave(runtime, merchant_id, channel_id, "somebody")
            return answer

    installing.street.session.mount(f"https://{shop.domain}", Leaving(shop))
    installing.street.world.now += timedelta(hours=2)
    with pytest.raises(AccessDenied):
        token(installing, shop)
    assert installing.credentials(shop) == {}


class Losing(ShopAdapter):
    """The shop, whose answers to token requests are lost; `before`: so are the requests."""

    def __init__(self, shop: PretendShopify, *, before: bool) -> None:
        super().__init__(shop)
        self.before, self.losing = before, True

    def _answer(self, asked: Request) -> Response:
        if not self.losing or not asked.path.endswith("access_token"):
            return super()._answer(asked)
        if not self.before:
            super()._answer(asked)
        raise requests.ReadTimeout("no answer")


@pytest.mark.parametrize("before", [True, False])
def test_an_answer_lost_while_refreshing_loses_nothing_the_next_use_works_27(
    installing: Installing, shop: PretendShopify, before: bool
) -> None:
    adapter = Losing(shop, before=before)
    installing.street.session.mount(f"https://{shop.domain}", adapter)
    installing.street.world.now += timedelta(hours=2)
    held = installing.credentials(shop)
    for _ in range(2):
        with pytest.raises(Transient):
            token(installing, shop)
    assert installing.credentials(shop) == held
    adapter.losing = False
    fresh = token(installing, shop)
    assert shop.admin.grants.allows(fresh, installing.street.world.now) == CLIENT_ID
    assert installing.credentials(shop)["access_token"] == fresh


def test_the_new_pair_is_stored_before_it_is_used(installing: Installing, shop: PretendShopify) -> None:
    stored: list[str] = []

    class Watching(ShopAdapter):
        def _answer(self, asked: Request) -> Response:
            if asked.path.endswith("graphql.json"):
                assert installing.credentials(shop)["access_token"] == asked.headers["x-shopify-access-token"]
                stored.append("yes")
            return super()._answer(asked)

    installing.street.session.mount(f"https://{shop.domain}", Watching(shop))
    installing.street.world.now += timedelta(hours=2)
    poll_orders(installing.street.runtime, *installing.found(shop))
    assert stored
    assert shop.admin.grants.given == ["refresh"]


def test_no_connection_of_the_pool_is_held_while_the_shop_is_asked_for_a_token(
    installing: Installing, shop: PretendShopify
) -> None:
    held: list[int] = []
    pool = installing.street.runtime.database.engine.pool

    class Counting(ShopAdapter):
        def _answer(self, asked: Request) -> Response:
            held.append(pool.checkedout())  # type: ignore[attr-defined]
            return super()._answer(asked)

    installing.street.session.mount(f"https://{shop.domain}", Counting(shop))
    installing.street.world.now += timedelta(hours=2)
    token(installing, shop)
    assert held == [0]


def test_a_shop_that_is_paused_for_months_keeps_its_access(installing: Installing, shop: PretendShopify) -> None:
    runtime, (merchant_id, channel_id) = installing.street.runtime, installing.found(shop)
    with runtime.begin(merchant_id, runtime.clock()) as session:
        change_state(session, channel_id, "paused", "the owner")
    for _ in range(5):
        installing.street.world.now += timedelta(days=25)
        installing.street.worker.only_merchant = merchant_id
        installing.street.worker.step()
    assert shop.admin.grants.given == ["refresh"] * 5
    assert token(installing, shop)


def test_a_refused_token_is_a_case_that_says_what_to_do_and_opening_the_app_ends_it(
    installing: Installing, shop: PretendShopify
) -> None:
    installing.street.world.now += timedelta(days=91)
    with pytest.raises(AccessDenied):
        token(installing, shop)
    assert cases(installing, shop) == ["reconnect_shop"]
    runtime, (merchant_id, channel_id) = installing.street.runtime, installing.found(shop)
    assert poll_orders(runtime, merchant_id, channel_id).error == "token_refused"
    assert "Connected" in installing.open(shop).text
    assert cases(installing, shop) == []
    assert token(installing, shop)
    assert shop.admin.grants.given == ["session"]


def for_ever(installing: Installing, shop: PretendShopify) -> None:
    """The shop has a token of the old kind."""
    told = shop.admin.grants.for_ever(shop.admin.apps[CLIENT_ID])
    keep(installing, shop, {"access_token": told["access_token"]})


def test_a_token_that_never_expires_is_exchanged_for_one_that_does(
    installing: Installing, shop: PretendShopify
) -> None:
    for_ever(installing, shop)
    assert ask(installing, shop) == ""
    assert shop.admin.grants.given == ["permanent"]
    assert "expires_at" in installing.credentials(shop)
    assert cases(installing, shop) == []


def test_twenty_workers_that_find_one_that_never_expires_exchange_it_once(
    installing: Installing, shop: PretendShopify
) -> None:
    for_ever(installing, shop)
    merchant_id, channel_id = installing.found(shop)
    barrier = Barrier(WORKERS)

    def work(_: int) -> bool:
        barrier.wait(30)
        return keep_token(installing.street.runtime, merchant_id, channel_id)

    with ThreadPoolExecutor(WORKERS) as pool:
        assert sum(pool.map(work, range(WORKERS))) == 1
    assert shop.admin.grants.given == ["permanent"]
    assert token(installing, shop) == installing.credentials(shop)["access_token"]


def test_a_token_that_never_expires_found_in_2027_asks_to_reconnect_28(
    installing: Installing, shop: PretendShopify
) -> None:
    for_ever(installing, shop)
    installing.street.world.now = datetime(2027, 1, 2, tzinfo=UTC)
    assert ask(installing, shop) == "reconnect_needed"
    home = installing.open(shop, "/").text
    assert "Connect the shop again" in home
    assert "open the app in the shop" in home
    answer = installing.open(shop)
    assert answer.status_code == 200
    assert "Connect the shop again" not in answer.text
    assert ask(installing, shop) == ""


def test_a_token_given_by_hand_is_left_alone(street: Street) -> None:
    installing = Installing(street)
    shop = street.open_shopify({"mug": 5})
    channel_id = street.channel_of(shop)
    with street.runtime.begin(street.world.merchant_id, street.world.now) as session:
        make_due(session, channel_id)
    assert ask_shop(installing.street.runtime, street.world.merchant_id, channel_id).error == ""
    assert shop.admin.grants.given == []


def test_a_shop_that_answers_as_another_version_is_a_case_until_it_no_longer_does(
    installing: Installing, shop: PretendShopify
) -> None:
    shop.endpoint.version = "2027-10"
    assert ask(installing, shop) == ""
    assert cases(installing, shop) == ["api_version_retired"]
    shop.endpoint.version = "2026-10"
    ask(installing, shop)
    assert cases(installing, shop) == []


def test_a_scope_that_is_missing_is_a_case_as_soon_as_the_shop_says_that_scopes_changed(
    installing: Installing, shop: PretendShopify
) -> None:
    app = shop.admin.apps[CLIENT_ID]
    shop.admin.register(replace(app, scopes=tuple(scope for scope in app.scopes if scope != "read_returns")))
    shop.webhooks.emit("app/scopes_update", {"id": 1, "current": []})
    installing.street.deliver()
    installing.street.worker.only_merchant = installing.found(shop)[0]
    for _ in range(5):
        installing.street.worker.step()
    assert "scope_missing" in cases(installing, shop)


def test_an_own_apps_token_is_asked_for_again_when_its_day_is_over(installing: Installing) -> None:
    shop = installing.shop("own", app=pretend_app(client_id="my-own-app", own=True))
    shop.admin.install("my-own-app")
    runtime = installing.street.runtime
    install_own(
        runtime, "shopify", shop.domain, AppKeys("my-own-app", (SECRET,)),
        merchant_id=installing.street.world.merchant_id, url="http://perpetual.test/webhooks/shopify",
    )  # fmt: skip
    installing.street.world.now += timedelta(days=2)
    assert token(installing, shop)
    assert shop.admin.grants.given == ["own", "own"]


def test_a_scope_that_an_own_app_lacks_is_said_to_be_granted_where_that_app_is_made(installing: Installing) -> None:
    app = pretend_app(client_id="my-own-app", own=True)
    lacking = tuple(scope for scope in app.scopes if scope != "read_returns")
    shop = installing.shop("own", app=replace(app, scopes=lacking))
    shop.admin.install("my-own-app")
    street = installing.street
    install_own(
        street.runtime, "shopify", shop.domain, AppKeys("my-own-app", (SECRET,)),
        merchant_id=street.world.merchant_id, url="http://perpetual.test/webhooks/shopify",
    )  # fmt: skip
    street.world.now += timedelta(days=1)
    ask_shop(street.runtime, *installing.found(shop))
    with street.world.session() as session:
        (case,) = [case for case in list_cases(session) if case.kind == "scope_missing"]
    assert "missing: read_returns" in case.detail
    assert "under Apps, Develop apps" in case.detail
