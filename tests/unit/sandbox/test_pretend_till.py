"""The pretend till keeps its own books right: every unit that leaves or comes back is in them, our writes never are."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import orjson
import pytest

from sandbox.base import Context, Request, Shown
from sandbox.faults import Faults
from sandbox.till import TOKEN, PretendTill
from sandbox.till.hooks import FAILURES_MAX
from tests.contract.rig import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 23, 12, 0, tzinfo=UTC))


@pytest.fixture
def till(clock: Clock) -> PretendTill:
    made = PretendTill(Context(now=clock, rng=Random(1)))
    made.add_product("A", 10)
    return made


def ask(till: PretendTill, method: str, path: str, body: object = None, **query: str) -> tuple[int, dict[str, object]]:
    headers = {"authorization": f"Bearer {TOKEN}"}
    request = Request(method, path, tuple(query.items()), headers, b"" if body is None else orjson.dumps(body), path)
    answer = till.handle(request)
    return answer.status, orjson.loads(answer.body)


def sold(till: PretendTill) -> list[tuple[str, int, int]]:
    return [(sale.sku, sale.units, sale.shown_after) for sale in till.context.sales]


def test_a_sale_takes_its_units_off_and_a_cancellation_puts_them_back(till: PretendTill) -> None:
    order = till.place_order([("A", 3)])
    assert order is not None
    till.cancel(order)
    assert sold(till) == [("A", 3, 7), ("A", -3, 10)]
    assert till.orders[order].status == "cancelled"


def test_money_back_puts_goods_on_the_shelf_only_if_somebody_says_so(till: PretendTill) -> None:
    order = till.place_order([("A", 4)])
    assert order is not None
    till.refund(order, {"1": 1}, restock=False)
    till.hand_over(order)
    till.refund(order, {"1": 1}, restock=True)
    till.refund(order, {"1": 1}, restock=False)
    (line,) = till.orders[order].lines
    assert (line.held, line.handed_over, line.returned, line.written_off) == (1, 3, 1, 1)
    assert sold(till) == [("A", 4, 6), ("A", -1, 7)]
    assert [(parcel.sku, parcel.units) for parcel in till.context.parcels] == [("A", 3), ("A", -1)]
    assert till.orders[order].status == "completed"


def test_more_than_was_bought_is_never_given_back(till: PretendTill) -> None:
    order = till.place_order([("A", 2)])
    assert order is not None
    till.hand_over(order)
    till.refund(order, {"1": 9})
    assert till.shown() == {"A": 10}
    assert till.orders[order].status == "refunded"


def test_a_till_sells_what_lies_on_the_counter_unless_it_is_told_not_to(clock: Clock) -> None:
    strict = PretendTill(Context(now=clock, rng=Random(1)), sells_below_zero=False)
    strict.add_product("A", 1)
    strict.add_product("U", None)
    assert strict.place_order([("A", 2)]) is None
    assert strict.place_order([("U", 2)]) is not None
    strict.sells_below_zero = True
    assert strict.place_order([("A", 2)]) is not None
    assert strict.shown() == {"A": -1}


def test_a_written_number_replaces_what_is_there_and_is_no_sale(till: PretendTill, clock: Clock) -> None:
    till.place_order([("A", 3)])
    status, answer = ask(till, "PUT", "/api/stock", {"rows": [{"product": "1", "quantity": 9}]})
    assert (status, answer) == (200, {"rows": [{"product": "1", "quantity": 9}]})
    assert till.context.writes == [Shown(clock(), "A", 9)]
    assert len(till.context.sales) == 1
    ask(till, "PUT", "/api/stock", {"rows": [{"product": "1", "quantity": 9}]})
    assert len(till.context.writes) == 1


def test_a_hand_that_types_a_number_is_neither_a_sale_nor_a_write(till: PretendTill) -> None:
    till.set_stock_by_hand("A", 2)
    assert (till.shown(), till.context.sales, till.context.writes) == ({"A": 2}, [], [])


@pytest.mark.parametrize(
    ("method", "path", "body", "query", "status"),
    [
        ("GET", "/api/nothing", None, {}, 404),
        ("PUT", "/api/stock", {"rows": "x"}, {}, 400),
        ("PUT", "/api/stock", {"rows": [{}] * 21}, {}, 413),
        ("GET", "/api/orders", None, {"from": "yesterday", "to": ""}, 400),
        ("GET", "/api/products", None, {"after": "x"}, 400),
        ("GET", "/api/products", None, {"ids": ",".join(map(str, range(101)))}, 400),
        ("POST", "/api/webhooks", {"event": "nothing"}, {}, 422),
        ("PUT", "/api/webhooks/9", {}, {}, 404),
    ],
)
def test_a_call_that_makes_no_sense_is_refused_and_changes_nothing(
    till: PretendTill, method: str, path: str, body: object, query: dict[str, str], status: int
) -> None:
    assert ask(till, method, path, body, **query)[0] == status
    assert till.shown() == {"A": 10}


def test_deliveries_are_lost_and_doubled_by_the_dice_and_a_deaf_receiver_is_paused(till: PretendTill) -> None:
    hook = till.hooks.add("stock.changed", "http://there.test/key", "secret")
    till.context.faults = Faults(duplicate=1.0)
    till.set_stock_by_hand("A", 1)
    assert len(till.due_deliveries()) == 2
    till.context.faults = Faults(lose=1.0)
    for number in range(FAILURES_MAX):
        till.set_stock_by_hand("A", number)
    assert till.next_delivery_at() is None
    assert hook.status == "paused"


def test_a_deleted_order_is_in_no_listing_and_its_units_stay_where_they_are(till: PretendTill) -> None:
    order, other = till.place_order([("A", 3)]), till.place_order([("A", 1)])
    assert order is not None
    till.delete_order(order)
    _, answer = ask(till, "GET", "/api/orders", ids=f"{order},{other}")
    assert [one["id"] for one in answer["orders"]] == [other]  # type: ignore[index, attr-defined]
    assert till.shown() == {"A": 6}
