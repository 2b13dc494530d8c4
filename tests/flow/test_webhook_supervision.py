"""Webhooks that are gone, switched off, deliver elsewhere or stay silent: found, put right a few times, and shown."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from app.reconcile.webhooks import PAUSES, find_faults, supervise
from connectors.base import Subscription
from sandbox.base import Response
from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop
from tests.street import Street

Shop = PretendShopify | WooShop
EVERY_S = 600


@pytest.fixture(params=["shopify", "woocommerce"])
def shop(request: pytest.FixtureRequest, street: Street) -> Shop:
    """A connected shop whose webhooks have been checked once."""
    street.world.move("mug", 500, "opening > available@A", "500")
    opened: Shop = street.open_shopify({"mug": 500}) if request.param == "shopify" else street.open_woo({"mug": 500})
    street.settle(2)
    return opened


def hooks(shop: Shop) -> list[Any]:
    return shop.webhooks.subscriptions if isinstance(shop, PretendShopify) else shop.hooks()


def url_of(hook: Any) -> str:
    return str(getattr(hook, "uri", None) or hook.url)


def move(hook: Any, url: str) -> None:
    setattr(hook, "uri" if hasattr(hook, "uri") else "url", url)


def lose(shop: Shop, count: int) -> None:
    """The shop drops subscriptions, as Shopify does after eight failed retries."""
    for hook in list(hooks(shop))[:count]:
        if isinstance(shop, PretendShopify):
            shop.webhooks.subscriptions.remove(hook)
        else:
            shop._hooks.remove(hook)


def check(street: Street, shop: Shop) -> None:
    """The next check falls due and is done."""
    street.world.now += timedelta(seconds=EVERY_S)
    street.settle(1)


def cases(street: Street) -> dict[str, tuple[str, dict[str, Any]]]:
    with street.world.session() as session:
        rows = session.rows(
            """select kind, state, evidence, detail from case_file
               where merchant_id = %(merchant_id)s and kind like 'webhook%%' order by case_id"""
        )
    return {row.kind: (row.state, {**row.evidence, "detail": row.detail}) for row in rows}


def sell(street: Street, shop: Shop) -> None:
    shop.place_order([("mug", 1)])
    street.settle(5)


def test_a_shop_in_order_is_looked_at_and_left_alone(street: Street, shop: Shop) -> None:
    before = [(hook.topic, url_of(hook)) for hook in hooks(shop)]
    for _ in range(5):
        check(street, shop)
    assert [(hook.topic, url_of(hook)) for hook in hooks(shop)] == before
    assert cases(street) == {}


def test_webhooks_that_are_gone_are_made_again_and_the_case_closes_with_the_next_delivery(
    street: Street, shop: Shop
) -> None:
    count = len(hooks(shop))
    lose(shop, 5)
    check(street, shop)
    assert len(hooks(shop)) == count
    state, evidence = cases(street)["webhook_gone"]
    assert (state, len(evidence["named"]), evidence["repairs"]) == ("open", 5, 1)
    assert evidence["detail"].startswith(f"5 of {count}")
    check(street, shop)
    assert cases(street)["webhook_gone"][0] == "open"  # subscribed again, but nothing has come yet
    sell(street, shop)
    check(street, shop)
    state, evidence = cases(street)["webhook_gone"]
    assert state == "corrected"
    assert datetime.fromisoformat(evidence["delivered_at"]) > datetime.fromisoformat(evidence["repaired_at"])


def test_webhooks_that_the_shop_switched_off_after_failures_are_woken(street: Street) -> None:
    street.world.move("mug", 500, "opening > available@A", "500")
    shop = street.open_woo({"mug": 500})
    street.settle(2)
    street.heard = lambda posted: False
    for _ in range(8):  # the 7th failure in a row switches off
        shop.place_order([("mug", 1)])
        for posted in shop.due_deliveries():
            shop.delivered(posted.hook_key, 500)
    street.heard = lambda posted: True
    off = [hook.topic for hook in shop.hooks() if hook.status == "disabled"]
    assert off
    check(street, shop)
    assert {hook.status for hook in shop.hooks()} == {"active"}
    state, evidence = cases(street)["webhook_disabled"]
    assert (state, sorted(evidence["named"])) == ("open", sorted(off))
    sell(street, shop)
    check(street, shop)
    assert cases(street)["webhook_disabled"][0] == "corrected"
    assert street.world.available("mug") == 491


def test_webhooks_that_deliver_to_an_old_address_are_moved(street: Street, shop: Shop) -> None:
    url = url_of(hooks(shop)[0])
    for hook in hooks(shop):
        move(hook, url.replace("perpetual.test", "old.test"))
    check(street, shop)
    assert {url_of(hook) for hook in hooks(shop)} == {url}
    assert cases(street)["webhook_elsewhere"][0] == "open"
    sell(street, shop)
    check(street, shop)
    assert cases(street)["webhook_elsewhere"][0] == "corrected"


def test_other_peoples_webhooks_are_never_touched(street: Street) -> None:
    woo = street.open_woo({"mug": 5})
    foreign = woo.add_hook("order.updated", "https://zapier.example/webhooks/woocommerce", "x")
    foreign.status = "disabled"
    lose(woo, 3)
    check(street, woo)
    assert foreign in woo.hooks()
    assert (foreign.status, foreign.url) == ("disabled", "https://zapier.example/webhooks/woocommerce")


def test_a_topic_that_nobody_listens_to_is_shown_and_not_written_about(street: Street) -> None:
    shop = street.open_shopify({"mug": 5})
    shop.subscribe("CARTS_CREATE", url_of(hooks(shop)[0]), of_app=False)
    writes = street.calls(shop)
    check(street, shop)
    assert cases(street)["webhook_unneeded"][1]["named"] == ["CARTS_CREATE"]
    assert street.calls(shop) - writes < 6  # the list and the polls, no mutation for every topic
    shop.webhooks.subscriptions.pop()
    check(street, shop)
    assert cases(street)["webhook_unneeded"][0] == "corrected"


def test_orders_that_only_a_poll_tells_of_mean_silence_and_a_delivery_ends_it(street: Street, shop: Shop) -> None:
    sell(street, shop)
    street.heard = lambda posted: False  # the shop believes that all is well
    for _ in range(3):
        shop.place_order([("mug", 1)])
        street.live(120)
    assert street.world.level("mug")["committed"] == 4
    assert "webhook_silent" not in cases(street)  # a delivery may still come
    for _ in range(3):
        check(street, shop)
    state, evidence = cases(street)["webhook_silent"]
    assert (state, len(evidence["named"])) == ("open", 3)
    assert evidence["repairs"] >= 1  # every subscription was written again
    street.heard = lambda posted: True
    sell(street, shop)
    check(street, shop)
    assert cases(street)["webhook_silent"][0] == "corrected"


def test_one_lost_delivery_among_others_is_no_silence(street: Street, shop: Shop) -> None:
    for lost in (True, False, True, False, True, False):
        street.heard = (lambda posted: False) if lost else (lambda posted: True)
        shop.place_order([("mug", 1)])
        street.live(60)
    for _ in range(4):
        check(street, shop)
    assert cases(street) == {}


def test_what_changed_while_nobody_was_here_to_hear_it_is_no_silence(street: Street, shop: Shop) -> None:
    street.heard = lambda posted: False
    for _ in range(5):
        shop.place_order([("mug", 1)])
        street.world.now += timedelta(hours=1)  # neither worker nor web process is running
    street.deliver()
    street.settle(3)
    assert street.world.level("mug")["committed"] == 5
    for _ in range(4):
        check(street, shop)
    assert "webhook_silent" not in cases(street)


def test_repairs_are_made_a_few_times_a_day_and_not_for_ever(street: Street, shop: Shop) -> None:
    made = []
    for n in range(200):  # more than a day
        lose(shop, 2)
        before = len(hooks(shop))
        street.world.now += timedelta(seconds=EVERY_S)
        supervise(street.runtime, street.world.merchant_id, street.channel_of(shop))
        if len(hooks(shop)) > before:
            made.append(n)
    first_day = [n for n in made if n * EVERY_S < 86_400]
    assert len(first_day) == len(PAUSES)
    pauses = [(later - earlier) * EVERY_S for earlier, later in pairwise(first_day)]
    assert all(pause >= least.total_seconds() for pause, least in zip(pauses, PAUSES[1:], strict=True))
    assert len(made) > len(first_day)  # the next day it is tried again
    assert cases(street)["webhook_gone"][0] == "open"


@pytest.mark.parametrize("answer", [b"<html>", b"{", b"[]", b'{"data":{}}'])
def test_a_list_that_can_not_be_read_is_tried_later_and_nothing_is_concluded(
    street: Street, shop: Shop, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = Response(200, {"Content-Type": "application/json"}, answer)
    monkeypatch.setattr(shop, "handle", lambda request: body)
    street.world.now += timedelta(seconds=EVERY_S)
    done = supervise(street.runtime, street.world.merchant_id, street.channel_of(shop))
    assert done.error
    assert cases(street) == {}
    monkeypatch.undo()
    street.settle(10)
    assert cases(street) == {}


def test_a_refused_repair_counts_as_one_and_is_tried_later(
    street: Street, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose(shop, 1)
    if isinstance(shop, PretendShopify):
        refusal = {"webhookSubscription": None, "userErrors": [{"field": ["uri"], "message": "not allowed"}]}
        monkeypatch.setitem(shop.endpoint.root, "webhookSubscriptionCreate", lambda *a, **k: refusal)  # type: ignore[arg-type]
    else:
        monkeypatch.setattr("sandbox.woocommerce.rest_site.is_topic", lambda *args: False)
    calls = street.calls(shop)
    street.live(EVERY_S * 2 + 60)
    assert cases(street)["webhook_gone"][1]["repairs"] == 2
    assert street.calls(shop) - calls < 400


TOPICS = ("a", "b")


@pytest.mark.parametrize(
    ("listed", "kinds"),
    [
        ([], {"webhook_gone": ["a", "b"]}),
        ([("a", "here", "active")], {"webhook_gone": ["b"]}),
        ([("a", "here", "active"), ("b", "here", "paused")], {"webhook_disabled": ["b"]}),
        ([("a", "here", "active"), ("b", "here", "paused"), ("b", "here", "active")], {}),
        ([("a", "here", "active"), ("b", "there", "active")], {"webhook_elsewhere": ["b"]}),
        ([("a", "here", "active"), ("b", "here", "active"), ("b", "there", "active")], {}),
        ([("a", "here", "active"), ("b", "foreign", "active")], {"webhook_gone": ["b"]}),
        ([("a", "here", "active"), ("b", "here", "active"), ("c", "here", "active")], {"webhook_unneeded": ["c"]}),
        ([("a", "here", "active"), ("b", "here", "active"), ("c", "foreign", "active")], {}),
    ],
)
def test_each_fault_of_a_list_is_told_apart(listed: list[tuple[str, str, str]], kinds: dict[str, list[str]]) -> None:
    subscriptions = [Subscription(str(n), topic, url, status) for n, (topic, url, status) in enumerate(listed)]
    faults = find_faults(subscriptions, TOPICS, "here", is_ours=lambda one, url: one.url != "foreign")
    assert {fault.kind: list(fault.named) for fault in faults} == kinds
