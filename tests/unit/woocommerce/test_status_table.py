"""An order's vector follows status and quantities; belief follows `_reduced_stock`."""

from __future__ import annotations

import pytest

from connectors.base import Units
from tests.unit.woocommerce.orders import line, order, read, refund, units

BEFORE, COMPLETED, AFTER = "2026-11-20T09:00:00", "2026-11-20T10:00:00", "2026-11-20T11:00:00"


@pytest.mark.parametrize("status", ["pending", "checkout-draft", "auto-draft", "failed"])
def test_an_order_that_is_not_paid_holds_nothing(status: str) -> None:
    assert units(order(status)) == Units()


@pytest.mark.parametrize("status", ["on-hold", "processing"])
def test_a_paid_order_is_committed(status: str) -> None:
    assert units(order(status, line(reduced="5"))) == Units(committed=5, taken=5)


@pytest.mark.parametrize("status", ["on-hold", "processing"])
def test_units_refunded_before_they_left_are_held_unless_the_shop_restocked_them(status: str) -> None:
    body = order(status, line(reduced="4", given_back="1"))
    assert units(body, refund(3)) == Units(committed=2, held=2, taken=4)


def test_a_completed_order_has_left() -> None:
    assert units(order("completed", line(reduced="5"), date_completed_gmt=COMPLETED)) == Units(shipped=5, taken=5)


def test_what_was_refunded_before_completion_never_left() -> None:
    body = order("completed", line(reduced="5"), date_completed_gmt=COMPLETED)
    assert units(body, refund(2, BEFORE)) == Units(shipped=3, held=2, taken=5)


def test_a_refund_after_completion_comes_back_only_if_the_shop_restocked_it() -> None:
    kept = order("completed", line(reduced="5"), date_completed_gmt=COMPLETED)
    assert units(kept, refund(2, AFTER)) == Units(shipped=5, taken=5)
    back = order("completed", line(reduced="3", given_back="2"), date_completed_gmt=COMPLETED)
    assert units(back, refund(2, AFTER)) == Units(shipped=3, restocked=2, taken=3)


def test_which_of_two_refunds_was_restocked_is_said_to_be_unclear() -> None:
    body = order("completed", line(reduced="4", given_back="1"), date_completed_gmt=COMPLETED)
    snapshot = read(body, refund(1, BEFORE), refund(1, AFTER, key=91))
    assert snapshot.lines[0].units == (Units(shipped=4, taken=4),)
    assert [problem.reason for problem in snapshot.problems] == ["restock_unclear"]


def test_a_cancelled_order_holds_nothing() -> None:
    assert units(order("cancelled")) == Units()


def test_an_order_cancelled_within_a_day_of_completion_goes_back_to_stock() -> None:
    body = order("cancelled", date_completed_gmt="2026-11-22T12:00:00", date_modified_gmt="2026-11-23T12:00:00")
    assert units(body) == Units(restocked=5)


def test_an_order_cancelled_more_than_a_day_after_completion_is_to_be_checked() -> None:
    body = order("cancelled", date_completed_gmt="2026-11-22T11:59:59", date_modified_gmt="2026-11-23T12:00:00")
    assert units(body) == Units(held=5)


def test_the_status_refunded_restocks_nothing_by_itself() -> None:
    assert units(order("refunded", line(reduced="5"))) == Units(held=5, taken=5)
    left = order("refunded", line(reduced="5"), date_completed_gmt=COMPLETED)
    assert units(left) == Units(shipped=5, taken=5)


def test_a_completion_of_an_earlier_life_does_not_count_for_an_order_that_is_processed_again() -> None:
    body = order("processing", line(reduced="5"), date_completed_gmt=COMPLETED)
    assert units(body, refund(1, AFTER)) == Units(committed=4, held=1, taken=5)


def test_a_plugin_s_status_follows_what_the_shop_took_and_is_shown() -> None:
    snapshot = read(order("wc-lab-test", line(reduced="3")))
    assert snapshot.lines[0].units == (Units(committed=3, taken=3),)
    assert [problem.reason for problem in snapshot.problems] == ["unknown_status"]
    assert units(order("wc-lab-test", line(reduced="-3"))) == Units(committed=0, taken=-3)


def test_a_trashed_order_is_frozen_and_keeps_its_belief() -> None:
    snapshot = read(order("trash", line(reduced="5")))
    assert snapshot.frozen
    assert snapshot.lines[0].units[0].taken == 5


def test_a_refund_of_more_than_was_ordered_is_cut_and_shown_while_belief_follows_the_shop() -> None:
    snapshot = read(order("processing", line(quantity=1, reduced="-3", given_back="4")), refund(4))
    assert snapshot.lines[0].units == (Units(taken=-3),)
    assert [problem.reason for problem in snapshot.problems] == ["refund_exceeds_order"]


def test_a_removed_line_holds_nothing() -> None:
    assert units(order("processing", line(quantity=0))) == Units()


def test_a_deleted_product_s_line_names_no_listing() -> None:
    (found,) = read(order("processing", line(product_id=0, variation_id=0, sku=None, reduced="5"))).lines
    assert (found.listing_key, found.stock_key, found.sku) == (None, None, None)
    assert found.units[0].committed == 5


def test_a_variation_s_line_does_not_say_who_keeps_its_stock() -> None:
    (found,) = read(order("processing", line(product_id=13, variation_id=14))).lines
    assert (found.listing_key, found.stock_key) == ("13/14", None)


def test_two_lines_with_one_id_are_counted_once_and_shown() -> None:
    snapshot = read(order("processing", line(), line()))
    assert len(snapshot.lines) == 1
    assert [problem.reason for problem in snapshot.problems] == ["duplicate_line"]


def test_a_refund_of_a_line_that_is_gone_is_shown() -> None:
    snapshot = read(order("processing"), refund(1, of=99))
    assert [problem.reason for problem in snapshot.problems] == ["refund_of_no_line"]


def test_reduced_stock_is_text_and_may_be_nought() -> None:
    assert units(order("processing", line(reduced="0"))).taken == 0
    assert units(order("processing", line(reduced=5))).taken == 5
