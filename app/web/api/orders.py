"""Orders: what the channels sold and what of it is booked."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from app.insight.orders import get_order, list_lines
from app.insight.orders import list_orders as list_rows
from app.web.api.call import Call
from app.web.api.fields import Amount, AskedId, Out, Paged
from app.web.api.route import Route
from app.web.api.table import serves


class OrdersAsked(Paged):
    """Of one channel, of one number, or all."""

    channel_id: AskedId | None = None
    number: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")] | None = None


class OrderOut(Out):
    """An order. Not `booked`: it waits, such as for its product to be mapped."""

    order_id: int
    channel_id: int
    channel: str
    order_key: str
    number: str
    status: str
    currency: str | None
    placed_at: datetime | None
    recorded_at: datetime
    booked: bool


class OrderLineOut(Out):
    """A line and what is booked of it over all places."""

    line_key: str
    listing_key: str | None
    sku: str | None
    item_id: int | None
    item_sku: str | None
    quantity: int
    unit_price: Amount | None
    committed: int
    shipped: int
    restocked: int
    damaged: int
    held: int


class OrderWithLines(OrderOut):
    """An order with its lines."""

    lines: list[OrderLineOut]


class OrdersOut(Out):
    """A page of orders, the latest first."""

    data: list[OrderOut]
    next_cursor: str | None


@serves(Route("GET", "/orders", OrdersOut, "Orders, the latest first", "orders:read", query=OrdersAsked))
def list_orders(call: Call) -> OrdersOut:
    """A page of orders."""
    asked: OrdersAsked = call.query
    rows = list_rows(
        call.session, channel_id=asked.channel_id, number=asked.number, before=call.position(), limit=asked.limit + 1
    )
    page = rows[: asked.limit]
    following = call.next_cursor(rows, page[-1].order_id if page else None)
    return OrdersOut(data=[OrderOut.model_validate(row) for row in page], next_cursor=following)


@serves(Route("GET", "/orders/{order_id}", OrderWithLines, "One order with its lines", "orders:read"))
def get_one(call: Call) -> OrderWithLines:
    """One order."""
    order = get_order(call.session, call.path["order_id"])
    lines = [OrderLineOut.model_validate(line) for line in list_lines(call.session, order.order_id)]
    return OrderWithLines(**OrderOut.model_validate(order).model_dump(), lines=lines)
