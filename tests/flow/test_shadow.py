"""Shadow: a channel that everything runs for and no number is ever written to; what it would have been sent is told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from app.core.errors import Conflict, NotFound
from app.insight.shadow import ShadowReport, read_shadow
from app.listings.channels import get_channel, set_drift_policy, set_state
from app.listings.states import Standing, change_state, get_standing
from app.publishing import shadow as shadowing
from app.publishing.attempts import claim
from app.publishing.push import push
from app.publishing.shadow import prune_shadow, shadow
from app.worker import Worker, housekeeping
from sandbox.base import Request
from sandbox.faults import Faults
from sandbox.shopify import PretendShopify
from tests.drifting import PLATFORMS, adjustments, audit, cases, edit, numbers
from tests.statements import counted
from tests.street import Street
from tests.world import World

OPENING = "opening > available@A"
Shop = PretendShopify


def to(street: Street, shop: object, state: str) -> Standing:
    with street.world.session() as session:
        return change_state(session, channel(street, shop), state, "ann")


def channel(street: Street, shop: object) -> int:
    return next(channel_id for channel_id, some in street.shops.items() if some is shop)


def state_of(street: Street, shop: object) -> str:
    with street.world.session() as session:
        return get_channel(session, channel(street, shop)).state


def report(world: World, name: str | None = None) -> Sequence[ShadowReport]:
    with world.session() as session:
        return read_shadow(session, name)


def is_write(call: Request) -> bool:
    """Whether a call changes anything in the shop but our own webhook subscriptions."""
    if call.path.startswith("/admin/api"):
        return b"mutation" in call.body and b"webhookSubscription" not in call.body
    return call.method != "GET" and "/webhooks" not in call.path


def writes(street: Street, shop: object) -> list[Request]:
    return [call for call in street.adapters[channel(street, shop)].calls if is_write(call)]


def open_pair(street: Street, platform: str, units: int = 10) -> tuple[Shop, Shop]:
    """(the shop that goes to shadow, the other one), both showing the same."""
    street.world.move("mug", units, OPENING, "50")
    shops = {"shopify": street.open_shopify({"mug": units}), "woo": street.open_woo({"mug": units})}
    street.settle(10)
    watched = shops.pop(platform)
    return watched, next(iter(shops.values()))  # type: ignore[return-value]


@PLATFORMS
def test_no_write_reaches_a_shop_in_shadow_while_everything_else_runs(street: Street, platform: str) -> None:
    shop, other = open_pair(street, platform)
    to(street, shop, "shadow")
    before = len(writes(street, shop))
    other.place_order([("mug", 2)])
    street.settle()
    shop.place_order([("mug", 1)])
    street.settle()
    street.world.move("mug", 5, OPENING, "5")
    street.settle()
    audit(street)
    assert len(writes(street, shop)) == before
    assert numbers(street, other, shop) == (12, 12, 9)  # its sale reached the ledger and the other shop
    with street.world.session() as session:
        due = session.value("select count(*) from due_listing where merchant_id = %(merchant_id)s")
    assert due == 0


@PLATFORMS
def test_the_report_tells_each_number_that_would_have_been_sent_and_what_was_shown_instead(
    street: Street, platform: str
) -> None:
    shop, other = open_pair(street, platform)
    to(street, shop, "shadow")
    started = street.world.now
    other.place_order([("mug", 2)])
    street.settle()
    shop.place_order([("mug", 1)])  # its own sale moves the ledger and its own number alike: nothing would be sent
    street.settle()
    street.world.move("mug", 5, OPENING, "5")
    street.settle()
    (told,) = report(street.world)
    (number,) = told.numbers
    assert [(w.expected, w.target, w.shown) for w in number.writes] == [(7, 12, 9), (10, 8, 10)]
    assert [w.steps for w in number.writes] == [(("available", 12),), (("available", 8),)]
    assert all(w.at >= started for w in number.writes)
    assert (number.sku, number.would_show, number.shows, told.would_be_writes, told.listings) == ("mug", 12, 9, 2, 1)
    assert (told.state, told.state_by, told.above_stock) == ("shadow", "ann", 0)


def test_a_shop_connected_in_shadow_is_never_written_to(street: Street) -> None:
    street.world.move("mug", 10, OPENING, "50")
    street.town.state = "shadow"
    woo = street.open_woo({"mug": 3})
    street.settle()
    assert writes(street, woo) == []
    (told,) = report(street.world)
    assert [(w.expected, w.target, w.shown) for w in told.numbers[0].writes] == [(3, 10, 3)]


def test_units_sold_beyond_the_ledger_are_avoided_where_our_number_was_lower(street: Street) -> None:
    shop, other = open_pair(street, "shopify", units=3)
    to(street, shop, "shadow")
    other.place_order([("mug", 2)])
    street.settle()  # one is left; the shop in shadow goes on showing three
    shop.place_order([("mug", 3)])
    street.settle()
    (told,) = report(street.world)
    assert (told.avoided, told.kept, told.held_back) == (2, 0, 0)
    assert street.world.available("mug") == -2


def test_an_oversell_that_our_number_would_have_allowed_too_is_told_as_such(street: Street) -> None:
    shop, other = open_pair(street, "shopify", units=3)
    to(street, shop, "shadow")
    with street.world.session() as session:
        session.run("update stock_owner set shown_min = 9 where merchant_id = %(merchant_id)s and channel_id = %(c)s",
                    c=channel(street, shop))  # fmt: skip
    street.settle()
    other.place_order([("mug", 3)])
    street.settle()
    shop.place_order([("mug", 2)])
    street.settle()
    (told,) = report(street.world)
    assert (told.avoided, told.kept, told.held_back) == (0, 2, 0)
    assert told.above_stock >= 1


def test_units_that_a_buffer_would_have_kept_from_sale_are_told(street: Street) -> None:
    shop, _ = open_pair(street, "shopify", units=3)
    with street.world.session() as session:
        session.run("update stock_owner set buffer = 2 where merchant_id = %(merchant_id)s")
    to(street, shop, "shadow")
    street.settle()
    shop.place_order([("mug", 3)])
    street.settle()
    (told,) = report(street.world)
    assert (told.avoided, told.kept, told.held_back) == (0, 0, 2)


@PLATFORMS
@pytest.mark.parametrize("policy", ["ledger_wins", "channel_wins", "ask"])
def test_what_others_write_to_a_shop_in_shadow_is_news_and_no_drift(street: Street, platform: str, policy: str) -> None:
    shop, _ = open_pair(street, platform)
    to(street, shop, "shadow")
    with street.world.session() as session:
        set_drift_policy(session, channel(street, shop), policy)
    edit(shop, -4)
    audit(street)
    assert (cases(street), adjustments(street), street.world.available("mug")) == ([], [], 10)
    with street.world.session() as session:
        believed = session.value(
            "select believed from stock_owner where merchant_id = %(merchant_id)s and channel_id = %(c)s",
            c=channel(street, shop),
        )
    assert believed == 6


@PLATFORMS
def test_becoming_active_reads_the_numbers_first_and_then_writes_from_what_was_read(
    street: Street, platform: str
) -> None:
    shop, other = open_pair(street, platform)
    to(street, shop, "shadow")
    other.place_order([("mug", 2)])
    street.settle()
    edit(shop, -4)  # nobody has told us: it shows 6, we believe 10, it should show 8
    calls = street.adapters[channel(street, shop)].calls
    seen = len(calls)
    to(street, shop, "active")
    assert state_of(street, shop) == "shadow"
    street.settle(60)
    assert state_of(street, shop) == "active"
    assert numbers(street, other, shop) == (8, 8, 8)
    asked = [is_write(call) for call in calls[seen:]]
    assert asked.index(True) > 0
    assert (cases(street), adjustments(street)) == ([], [])
    with street.world.session() as session:
        left = session.rows("select from stock_owner where merchant_id = %(merchant_id)s and shadow_shown is not null")
    assert left == []


@PLATFORMS
def test_a_shop_that_was_paused_is_read_first_too_and_its_policy_decides_about_what_was_edited(
    street: Street, platform: str
) -> None:
    shop, other = open_pair(street, platform)
    to(street, shop, "paused")
    other.place_order([("mug", 2)])
    street.settle()
    with street.world.session() as session:
        set_drift_policy(session, channel(street, shop), "channel_wins")
    edit(shop, -4)
    to(street, shop, "active")
    street.settle(60)
    assert state_of(street, shop) == "active"
    assert [units for _, units, _ in adjustments(street)] == [4]
    assert numbers(street, other, shop) == (4, 4, 4)


def test_a_shop_that_cannot_be_read_does_not_become_active_until_it_can(street: Street) -> None:
    shop, _ = open_pair(street, "woo")
    to(street, shop, "shadow")
    to(street, shop, "active")
    shop.context.faults = Faults(timeout_before=1.0)
    street.live(5)
    assert state_of(street, shop) == "shadow"
    shop.context.faults = Faults()
    street.settle(30)
    assert state_of(street, shop) == "active"


def test_an_activation_can_be_called_off(street: Street) -> None:
    shop, _ = open_pair(street, "woo")
    to(street, shop, "shadow")
    assert to(street, shop, "active").activating_since is not None
    assert to(street, shop, "active").activating_since is not None  # asked twice is asked once
    standing = to(street, shop, "shadow")
    assert (standing.state, standing.activating_since, standing.by) == ("shadow", None, "ann")
    street.settle(60)
    assert state_of(street, shop) == "shadow"


def test_a_write_that_was_under_way_when_the_shop_went_to_shadow_is_read_back_and_never_sent_again(
    street: Street,
) -> None:
    shop, other = open_pair(street, "shopify")
    other.place_order([("mug", 2)])
    street.deliver()
    street.worker.step()
    shop.context.faults = Faults(timeout_after=1.0)
    with street.world.session() as session:
        session.run("update channel_poll set due_at = %(now)s + interval '1 hour' where merchant_id = %(merchant_id)s "
                    "and kind not in ('push', 'look')", now=session.now)  # fmt: skip
    push(street.runtime, street.world.merchant_id, channel(street, shop))
    sent = len(writes(street, shop))
    assert sent > 0
    shop.context.faults = Faults()
    to(street, shop, "shadow")
    street.world.now += timedelta(seconds=5)
    push(street.runtime, street.world.merchant_id, channel(street, shop))  # by a worker that looked before
    street.settle(90)
    assert len(writes(street, shop)) == sent
    with street.world.session() as session:
        open_still = session.value("select count(*) from push_attempt where merchant_id = %(merchant_id)s "
                                   "and state <> 'done'")  # fmt: skip
    assert open_still == 0


@pytest.mark.parametrize("state", ["paused", "shadow"])
def test_who_looked_while_a_shop_was_active_still_writes_nothing_once_it_is_not(street: Street, state: str) -> None:
    shop, _ = open_pair(street, "shopify")
    street.world.move("mug", 5, OPENING, "5")
    assert any(act == "push_0" for _, some, act in Worker(street.runtime, only_merchant=street.world.merchant_id).due()
               if some == channel(street, shop))  # fmt: skip
    to(street, shop, state)
    before = len(writes(street, shop))
    assert push(street.runtime, street.world.merchant_id, channel(street, shop)).rows == 0
    with street.world.session() as session:
        assert claim(street.runtime, session, channel(street, shop), 0) is None
    assert len(writes(street, shop)) == before


def test_a_disconnected_shop_is_connected_again_and_not_switched_on(street: Street) -> None:
    shop, _ = open_pair(street, "woo")
    with street.world.session() as session:
        set_state(session, channel(street, shop), "disconnected")
    with pytest.raises(Conflict) as refused:
        to(street, shop, "active")
    assert refused.value.reason == "channel_disconnected"


def test_what_is_kept_of_a_shadow_is_bounded(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, _ = open_pair(street, "woo")
    to(street, shop, "shadow")
    for _ in range(4):
        street.world.move("mug", 1, OPENING, "1")
        street.settle(1)
    monkeypatch.setattr(shadowing, "ROWS_MAX", 2)
    housekeeping(street.runtime)
    (told,) = report(street.world)
    assert told.would_be_writes == 2
    street.world.now += shadowing.KEEP + timedelta(days=1)
    with street.world.session() as session:
        prune_shadow(session)
    assert report(street.world)[0].would_be_writes == 0


def test_the_report_takes_as_many_statements_for_many_numbers_as_for_few(street: Street) -> None:
    shop, _ = open_pair(street, "woo")
    to(street, shop, "shadow")
    street.world.move("mug", 1, OPENING, "1")
    street.settle(1)
    with counted(street.world.database) as few:
        report(street.world)
    for sku in ("cup", "bowl"):
        street.world.move(sku, 5, OPENING, "5")
        to(street, street.open_woo({sku: 1}), "shadow")
    street.settle()
    with counted(street.world.database) as many:
        assert len(report(street.world)) == 3
    assert len(many) == len(few)


def test_one_merchant_sees_and_changes_nothing_of_anothers_shadow(street: Street, other: World) -> None:
    shop, _ = open_pair(street, "woo")
    to(street, shop, "shadow")
    street.world.move("mug", 1, OPENING, "1")
    street.settle()
    assert report(other) == []
    for ask in (lambda s: get_standing(s, channel(street, shop)), lambda s: read_shadow(s, "Woo 1"),
                lambda s: change_state(s, channel(street, shop), "active", "eve")):  # fmt: skip
        with other.session() as session, pytest.raises(NotFound):
            ask(session)
    assert state_of(street, shop) == "shadow"
    with pytest.raises(NotFound):
        shadow(street.runtime, other.merchant_id, channel(street, shop))
