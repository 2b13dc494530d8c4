"""WooCommerce adds by reading and writing: a sale in between is lost to its number, which is found and put right."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from app.inbox.process import process
from app.inbox.read import poll_orders
from app.publishing.look import look
from app.publishing.push import push
from sandbox.base import Request, Response
from sandbox.woocommerce import WooShop, adding
from tests.drifting import Shop, adjustments, audit, causes, edit, numbers, open_shops
from tests.street import Street


def while_it_adds(monkeypatch: pytest.MonkeyPatch, shop: WooShop, happen: Callable[[], object]) -> None:
    """Something happens once, between the shop's reading of a number that we change and its writing of the sum."""
    handle, happens = shop.handle, iter([happen])

    def slowly(request: Request) -> Response:
        begun = adding.begin(shop, request)
        for one in happens if begun.read else ():
            one()
        return handle(begun.request)

    monkeypatch.setattr(shop, "handle", slowly)


def open_woo(street: Street) -> tuple[WooShop, Shop]:
    """Whoever believes such a number would adjust the ledger by it."""
    woo, other = open_shops(street, "woo", "channel_wins")
    assert isinstance(woo, WooShop)
    return woo, other


@pytest.mark.parametrize("heard", [True, False], ids=["told", "only polled"])
@pytest.mark.parametrize("by", [-2, 5], ids=["down", "up"])
def test_a_sale_that_was_lost_while_we_wrote_is_taken_off_again_and_is_no_edit(
    street: Street, monkeypatch: pytest.MonkeyPatch, by: int, heard: bool
) -> None:
    woo, other = open_woo(street)
    while_it_adds(monkeypatch, woo, lambda: woo.place_order([("mug", 3)]))
    street.heard = lambda posted: heard or "woocommerce" not in posted.url
    if by < 0:
        other.place_order([("mug", -by)])
    else:
        street.world.move("mug", by, "supplier > available@A", "25")
    street.settle(90)
    assert numbers(street, woo, other) == (17 + by,) * 3
    assert ("overwritten", "explained") in causes(street)
    assert adjustments(street) == []
    assert {cause for cause, _ in causes(street)} <= {"overwritten", "order_in_flight", "webhook_lost"}


def test_a_sale_that_was_booked_and_looked_at_before_our_sum_came_is_taken_off_again_as_well(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    woo, other = open_woo(street)
    merchant, channel = street.world.merchant_id, street.channel_of(woo)

    def sell_and_book() -> None:
        street.live(0.5)
        woo.place_order([("mug", 3)])
        street.deliver()
        process(street.runtime, merchant, channel)
        street.live(8)
        look(street.runtime, merchant, channel)

    # Nothing is said about products, or the number would be looked at for that.
    street.heard = lambda posted: posted.headers.get("X-WC-Webhook-Topic", "order.").startswith("order.")
    while_it_adds(monkeypatch, woo, sell_and_book)
    other.place_order([("mug", 2)])
    street.settle(60)
    assert numbers(street, woo, other) == (15, 15, 15)
    assert adjustments(street) == []


@pytest.mark.parametrize("which", ["the sale", "its taking back"])
def test_a_sale_that_was_taken_back_before_we_knew_of_it_is_put_right_when_our_sum_replaced_one_of_the_two(
    street: Street, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    """Together they change nothing, so nothing seems to have moved (simulator, seed 3 of the short towns)."""
    woo, other = open_woo(street)
    merchant, channel = street.world.merchant_id, street.channel_of(woo)
    street.heard = lambda posted: "woocommerce" not in posted.url
    order = list[int]()

    def sell() -> None:
        order.append(woo.place_order([("mug", 3)]) or 0)

    def take_back() -> None:
        woo.set_status(order[0], "cancelled")

    if which == "its taking back":
        sell()
    while_it_adds(monkeypatch, woo, sell if which == "the sale" else take_back)
    other.place_order([("mug", 2)])
    street.deliver()
    process(street.runtime, merchant, street.channel_of(other))
    for lane in range(2):
        push(street.runtime, merchant, channel, lane)
    if which == "the sale":
        take_back()
    assert woo.shown()["mug"] == (21 if which == "the sale" else 15)
    street.settle(120)
    assert numbers(street, woo, other) == (18, 18, 18)
    assert adjustments(street) == []
    assert {cause for cause, _ in causes(street)} <= {"overwritten", "order_in_flight", "webhook_lost"}


def test_an_edit_of_a_number_that_was_as_believed_after_our_last_write_stays_an_edit(street: Street) -> None:
    woo, other = open_woo(street)
    other.place_order([("mug", 2)])
    woo.place_order([("mug", 3)])
    audit(street)
    edit(woo, 3)
    audit(street)
    assert causes(street)[-1][0] == "hand_edit"
    assert sum(units for _, units, _ in adjustments(street)) == 3


@pytest.mark.parametrize("since", [0, 30], ids=["seed 4", "seed 10"])
def test_a_number_that_is_as_believed_by_chance_does_not_settle_what_was_lost_before(
    street: Street, monkeypatch: pytest.MonkeyPatch, since: int
) -> None:
    """A sale that nobody has read yet makes up for the one that was lost, however many orders come `since`."""
    woo, other = open_woo(street)
    merchant, channel = street.world.merchant_id, street.channel_of(woo)
    street.heard = lambda posted: "woocommerce" not in posted.url
    while_it_adds(monkeypatch, woo, lambda: woo.place_order([("mug", 3)]))
    other.place_order([("mug", 2)])
    street.deliver()
    process(street.runtime, merchant, street.channel_of(other))
    for lane in range(2):
        push(street.runtime, merchant, channel, lane)
    assert woo.shown()["mug"] == 18  # three more than are there
    street.world.now += timedelta(seconds=60)
    poll_orders(street.runtime, merchant, channel)
    process(street.runtime, merchant, channel)
    woo.place_order([("mug", 3)])
    street.world.now += timedelta(seconds=10)
    look(street.runtime, merchant, channel)
    with street.world.session() as session:
        confirmed = session.value(
            """select confirmed_at = %(now)s from stock_owner
               where merchant_id = %(merchant_id)s and channel_id = %(channel)s""",
            channel=channel, now=street.world.now,
        )  # fmt: skip
    assert confirmed
    street.world.now += timedelta(seconds=60)
    for _ in range(since):
        order = woo.place_order([("mug", 1)])
        woo.set_status(order or 0, "cancelled")
    street.settle(60)  # the other sale is read, and nothing seems to be wrong
    audit(street)
    assert numbers(street, woo, other) == (12, 12, 12)
    assert adjustments(street) == []


def test_no_more_is_taken_for_lost_than_the_sale_that_may_have_hidden_it(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an item that sells, some order is always placed before a number is looked at and read after: what somebody
    corrects by hand is an edit all the same."""
    woo, other = open_woo(street)
    street.heard = lambda posted: "woocommerce" not in posted.url
    while_it_adds(monkeypatch, woo, lambda: woo.place_order([("mug", 5)]))
    other.place_order([("mug", 2)])
    street.settle(90)
    street.world.now += timedelta(seconds=120)
    audit(street, 20)
    woo.place_order([("mug", 1)])
    audit(street, 0)  # the number is as believed, less a sale that is read just after
    street.settle(60)
    edit(woo, 4)
    audit(street)
    assert sum(units for _, units, _ in adjustments(street)) == 4
