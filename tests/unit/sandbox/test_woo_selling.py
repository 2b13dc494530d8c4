"""The stock life cycle of the pretend shop is the recorded one: `_reduced_stock`, refunds, trash."""

from __future__ import annotations

import pytest

from sandbox.base import Sale, Shown
from tests.unit.sandbox.woo import START, Bench


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.shop.add_product("A", 10)
    return made


def stock(bench: Bench) -> int:
    return bench.shop.shown()["A"]


def order(bench: Bench, status: str = "processing", units: int = 2) -> int:
    return bench.shop.place_order([("A", units)], status) or 0


@pytest.mark.parametrize("status", ["pending", "checkout-draft", "failed"])
def test_an_unpaid_order_takes_nothing(bench: Bench, status: str) -> None:
    made = order(bench, status)
    assert (stock(bench), bench.reduced(made)) == (10, [None])


@pytest.mark.parametrize("status", ["processing", "on-hold", "completed"])
def test_a_paid_order_takes_once(bench: Bench, status: str) -> None:
    made = order(bench, "pending")
    for step in (status, "on-hold", "processing", "completed"):
        bench.shop.set_status(made, step)
        assert (stock(bench), bench.reduced(made)) == (8, [2])


@pytest.mark.parametrize("status", ["cancelled", "pending"])
def test_cancelled_and_pending_give_back_and_forget(bench: Bench, status: str) -> None:
    made = order(bench)
    bench.shop.set_status(made, status)
    assert (stock(bench), bench.reduced(made)) == (10, [None])
    bench.shop.set_status(made, "processing")
    assert (stock(bench), bench.reduced(made)) == (8, [2])


def test_failed_gives_nothing_back_until_it_is_cancelled(bench: Bench) -> None:
    made = order(bench)
    bench.shop.set_status(made, "failed")
    assert (stock(bench), bench.reduced(made)) == (8, [2])
    bench.shop.set_status(made, "cancelled")
    assert (stock(bench), bench.reduced(made)) == (10, [None])


def test_an_edited_line_moves_stock_with_it(bench: Bench) -> None:
    made = order(bench)
    (line,) = bench.shop.line_ids(made)
    bench.shop.edit_line(made, line, 5)
    assert (stock(bench), bench.reduced(made)) == (5, [5])
    second = bench.shop.add_line(made, "A", 1)
    assert (stock(bench), bench.reduced(made)) == (4, [5, 1])
    bench.shop.edit_line(made, second, 0)
    assert (stock(bench), bench.reduced(made)) == (5, [5])


def test_an_edited_line_of_an_unpaid_order_moves_nothing(bench: Bench) -> None:
    made = order(bench, "pending")
    bench.shop.edit_line(made, bench.shop.line_ids(made)[0], 5)
    assert (stock(bench), bench.reduced(made)) == (10, [None])


def test_trash_untrash_and_delete_move_nothing(bench: Bench) -> None:
    made = order(bench)
    bench.shop.trash(made)
    bench.shop.untrash(made)
    assert (stock(bench), bench.reduced(made), bench.shop.get_order(made).status) == (8, [2], "processing")
    bench.shop.delete(made)
    assert stock(bench) == 8
    assert bench.answer("GET", f"orders/{made}").status == 404


def test_a_refund_with_restock_gives_back_exactly_what_was_restocked(bench: Bench) -> None:
    made = order(bench)
    (line,) = bench.shop.line_ids(made)
    bench.shop.refund(made, {line: 1}, restock=True)
    assert (stock(bench), bench.reduced(made)) == (9, [1])
    assert bench.shop.get_order(made).lines[0].restocked == 1
    bench.shop.refund(made, {line: 1}, restock=False)
    assert (stock(bench), bench.reduced(made)) == (9, [1])


def test_the_status_refunded_restocks_nothing_and_makes_a_refund_without_lines(bench: Bench) -> None:
    made = order(bench)
    bench.shop.set_status(made, "refunded")
    (refund,) = bench.shop.get_order(made).refunds
    assert (stock(bench), bench.reduced(made), refund.lines) == (8, [2], [])
    bench.shop.set_status(made, "cancelled")
    assert (stock(bench), bench.reduced(made)) == (10, [None])


def test_refunding_everything_makes_the_order_refunded(bench: Bench) -> None:
    made = order(bench)
    bench.shop.refund(made, {bench.shop.line_ids(made)[0]: 2})
    assert (bench.shop.get_order(made).status, stock(bench)) == ("refunded", 10)


def test_more_can_be_refunded_than_was_ordered(bench: Bench) -> None:
    made = order(bench, units=1)
    bench.shop.refund(made, {bench.shop.line_ids(made)[0]: 4}, amount="0")
    assert (stock(bench), bench.reduced(made)) == (13, [-3])


def test_deleting_a_refund_leaves_no_trace(bench: Bench) -> None:
    made = order(bench)
    refund = bench.shop.refund(made, {bench.shop.line_ids(made)[0]: 1})
    modified = bench.shop.get_order(made).modified_at
    bench.hear("order.updated", "product.updated")
    bench.tick(60)
    bench.shop.delete_refund(made, refund)
    assert (bench.heard(), stock(bench), bench.shop.get_order(made).modified_at) == ([], 9, modified)


def test_too_much_money_back_is_a_500_with_a_bare_number(bench: Bench) -> None:
    made = order(bench)
    body = {"amount": "1000", "api_refund": False}
    answer = bench.answer("POST", f"orders/{made}/refunds", body)
    told = bench.call("POST", f"orders/{made}/refunds", body)
    assert (answer.status, told["code"], told["data"]) == (500, "woocommerce_rest_cannot_create_order_refund", 500)


def test_orders_oversell_unless_buyers_are_turned_away() -> None:
    for below_zero, shown in ((True, -1), (False, 1)):
        bench = Bench(sells_below_zero=below_zero)
        bench.shop.add_product("A", 1)
        assert (bench.shop.place_order([("A", 2)]) is not None) == below_zero
        assert stock(bench) == shown


def test_variations_share_their_parent_s_number_and_sales_count_under_it() -> None:
    bench = Bench()
    bench.shop.add_variable("P", {"P-S": None, "P-M": None}, stock=7)
    bench.shop.place_order([("P-S", 1), ("P-M", 2)])
    assert bench.shop.shown() == {"P": 4}
    assert [(sale.sku, sale.units, sale.shown_after) for sale in bench.context.sales] == [("P", 1, 6), ("P", 2, 4)]


def test_the_order_book_holds_the_shop_s_own_sales_and_nothing_we_wrote(bench: Bench) -> None:
    made = order(bench)
    bench.shop.set_stock_by_hand("A", 20)
    product = bench.shop.product_id("A")
    bench.call("PUT", f"products/{product}", {"inventory_delta": -3})
    bench.call("POST", "products/batch", {"update": [{"id": product, "stock_quantity": 17}]})  # no change, no entry
    bench.shop.set_status(made, "cancelled")
    assert bench.context.sales == [Sale(START, str(made), "A", 2, 8), Sale(START, str(made), "A", -2, 19)]
    assert bench.context.writes == [Shown(START, "A", 17)]


def parcels(bench: Bench) -> list[tuple[str, int]]:
    return [(parcel.sku, parcel.units) for parcel in bench.context.parcels]


def test_goods_leave_when_their_order_is_completed_and_what_was_refunded_before_stays(bench: Bench) -> None:
    made = order(bench, units=5)
    (line,) = bench.shop.line_ids(made)
    bench.shop.refund(made, {line: 1})
    bench.shop.refund(made, {line: 1}, restock=False)
    assert parcels(bench) == []
    bench.shop.set_status(made, "completed")
    bench.shop.set_status(made, "completed")
    assert parcels(bench) == [("A", 3)]


def test_of_what_is_refunded_after_it_left_only_what_is_restocked_came_back(bench: Bench) -> None:
    made = order(bench, "completed", units=3)
    (line,) = bench.shop.line_ids(made)
    bench.shop.refund(made, {line: 1}, restock=False)
    bench.shop.refund(made, {line: 9})
    assert parcels(bench) == [("A", 3), ("A", -3)]
    assert bench.shop.get_order(made).status == "refunded"


@pytest.mark.parametrize("status", ["cancelled", "processing", "on-hold", "failed", "pending"])
def test_an_order_that_is_no_longer_completed_has_its_goods_here_again(bench: Bench, status: str) -> None:
    made = order(bench, "completed")
    bench.shop.set_status(made, status)
    bench.shop.set_status(made, "completed")
    assert parcels(bench) == [("A", 2), ("A", -2), ("A", 2)]


@pytest.mark.parametrize("status", ["refunded", "packed-by-a-plugin"])
def test_money_back_and_a_plugins_word_move_no_goods(bench: Bench, status: str) -> None:
    made = order(bench, "completed")
    bench.shop.set_status(made, status)
    bench.shop.set_status(made, "completed")
    assert parcels(bench) == [("A", 2)]


def test_a_line_edited_after_it_left_sends_the_difference(bench: Bench) -> None:
    made = order(bench, "completed")
    (line,) = bench.shop.line_ids(made)
    bench.shop.edit_line(made, line, 5)
    bench.shop.edit_line(made, line, 1)
    assert parcels(bench) == [("A", 2), ("A", 3), ("A", -4)]
