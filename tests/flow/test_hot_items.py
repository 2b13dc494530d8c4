"""A number that is sold from without a pause is not waited for as long as that lasts, whatever became of a write to
it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from app.publishing.unanswered import LATE, UNANSWERED_MAX
from sandbox.base import Request, Response
from sandbox.faults import NONE
from tests.drifting import Shop, adjustments, causes, open_shops
from tests.street import Street

UNITS = 4_020
RUSH_S = 90


class Rush:
    """Each answer of the shop takes its time, and something is sold meanwhile: there is no moment at which its number
    could be explained."""

    def __init__(self, street: Street, shop: Shop, other: Shop) -> None:
        self.street, self.shop, self.other, self.sold = street, shop, other, 0
        self._handle = shop.handle
        shop.handle = self._busy  # type: ignore[method-assign]

    def _busy(self, request: Request) -> Response:
        self.sell(self.shop)
        self.street.world.now += timedelta(seconds=0.7)
        return self._handle(request)

    def sell(self, shop: Shop, units: int = 1) -> None:
        shop.place_order([("mug", units)])
        self.sold += units

    def go_on(self, seconds: float) -> list[int]:
        """Both sell; by how much too many the shop showed, each second."""
        too_many, until = [], self.street.world.now + timedelta(seconds=seconds)
        while self.street.world.now < until:
            self.sell(self.other)
            self.street.live(1)
            too_many.append(self.shop.shown()["mug"] - (UNITS - self.sold))
        return too_many

    def end(self) -> None:
        self.shop.handle = self._handle  # type: ignore[method-assign]
        self.street.settle(120)


def begin_rush(street: Street) -> Rush:
    """Whoever believed such a number would adjust the ledger by it."""
    street.world.move("mug", UNITS - 20, "supplier > available@A", "5000")
    shop, other = open_shops(street, "woo", "channel_wins")
    street.settle(20)
    return Rush(street, shop, other)


@pytest.mark.parametrize("lost", [None, "timeout_before", "timeout_after"])
def test_a_write_without_an_answer_does_not_keep_what_others_sell_from_a_number_in_a_rush(
    street: Street, lost: str | None
) -> None:
    rush = begin_rush(street)
    if lost:
        rush.shop.context.faults = replace(NONE, **{lost: 1.0})
    rush.sell(rush.other, 5)
    street.live(3)
    rush.shop.context.faults = NONE
    assert max(rush.go_on(RUSH_S)[10:]) <= 3  # what was sold in the last seconds
    rush.end()
    assert (rush.shop.shown(), rush.other.shown()) == ({"mug": UNITS - rush.sold},) * 2
    assert adjustments(street) == []
    assert {cause for cause, _ in causes(street)} <= {"write_lost", "order_in_flight"}
    assert street.world.verify() == []


@pytest.mark.parametrize("lost", ["timeout_before", "timeout_after"])
def test_of_writes_without_an_answer_one_after_the_other_few_are_open_at_once_and_all_are_explained(
    street: Street, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    rush = begin_rush(street)
    adapter, faults = street.adapters[street.channel_of(rush.shop)], replace(NONE, **{lost: 1.0})

    def fail(request: Request) -> None:
        rush.shop.context.faults = faults if b"inventory_delta" in request.body else NONE

    monkeypatch.setattr(adapter, "_note", fail)
    rush.go_on(RUSH_S)
    with street.world.session() as session:
        unknown = session.rows(
            """select a.opened_at, a.closed_at from push_row r join push_attempt a using (merchant_id, attempt_id)
               where merchant_id = %(merchant_id)s and r.outcome = 'unknown' order by a.attempt_id"""
        )
    assert len(unknown) == UNANSWERED_MAX
    # While the shop may still be at one, another sum would replace it, or be replaced (simulator, seed 200).
    assert all(later.opened_at > former.closed_at + LATE for former, later in pairwise(unknown))
    monkeypatch.undo()
    rush.shop.context.faults = NONE
    rush.end()
    assert_all_is_equal_and_explained(street, rush)


def assert_all_is_equal_and_explained(street: Street, rush: Rush) -> None:
    assert (rush.shop.shown(), rush.other.shown()) == ({"mug": UNITS - rush.sold},) * 2
    assert adjustments(street) == []
    assert {cause for cause, _ in causes(street)} <= {"write_lost", "order_in_flight"}
    assert street.world.verify() == []
