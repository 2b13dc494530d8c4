"""Orders and refunds over REST."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from sandbox.woocommerce.problem import Problem, gone, invalid
from sandbox.woocommerce.rest import Call, Route, whole
from sandbox.woocommerce.selling import Selling
from sandbox.woocommerce.state import Order, Product, Refund, State
from sandbox.woocommerce.wire import Json, Wire

ORDERBY = ("date", "id", "include", "title", "slug", "modified")
STATUSES = (
    "pending", "processing", "on-hold", "completed", "cancelled", "refunded", "failed", "checkout-draft", "auto-draft",
)  # fmt: skip


class Orders:
    """The routes below /orders and /refunds."""

    def __init__(self, state: State, wire: Wire, selling: Selling) -> None:
        self._state = state
        self._wire = wire
        self._selling = selling
        release = state.options.release
        hidden = {"trash", "auto-draft"} | ({"checkout-draft"} if release >= (10, 9) else set())
        self._hidden = frozenset(hidden)

    def routes(self) -> list[Route]:
        """What is served."""
        root = "/wp-json/wc/v3/orders"
        item = {"GET": self._get, "PUT": self._put, "POST": self._put, "DELETE": self._delete}
        return [
            Route(root, {"GET": self._list, "POST": self._create}),
            Route(f"{root}/#", item),
            Route(f"{root}/#/refunds", {"GET": self._list_refunds, "POST": self._create_refund}),
            Route(f"{root}/#/refunds/#", {"GET": self._get_refund, "DELETE": self._delete_refund}),
            Route("/wp-json/wc/v3/refunds", {"GET": self._list_all_refunds}),
        ]

    def _list(self, call: Call) -> list[Json]:
        query = call.query
        orderby = query.one_of("orderby", "date", ORDERBY)
        newest_first = query.one_of("order", "desc", ("asc", "desc")) == "desc"
        ids = self._with_status(call, self._window(call))
        ids.sort(reverse=newest_first)
        if orderby == "modified":
            # No tie-breaker in the shop's SQL: equal stamps come in any order, page by page.
            dice = self._state.context.rng
            ids.sort(key=lambda item: (self._state.orders[item].modified_at, dice.random()), reverse=newest_first)
        page = query.page(ids)
        call.paged(page, total=page.total if page.ids or page.number == 1 else 0)
        return [query.trimmed(self._wire.order(self._state.orders[item])) for item in page.ids]

    def _window(self, call: Call) -> Collection[int]:
        """WordPress compares with > and <: neither bound is included."""
        after, before = call.query.moment("modified_after"), call.query.moment("modified_before")
        include, orders = call.query.ids("include"), self._state.orders
        chosen: Collection[int] = self._state.order_ids if after is None else self._state.order_log.since(after)
        if include is not None:
            chosen = set(include) if after is None else set(include) & set(chosen)
        if after is None and before is None:
            return [item for item in chosen if item in orders]
        return [
            item
            for item in chosen
            if item in orders
            and (after is None or orders[item].modified_at > after)
            and (before is None or orders[item].modified_at < before)
        ]

    def _with_status(self, call: Call, ids: Collection[int]) -> list[int]:
        wanted = call.query.words("status") or ["any"]
        for index, status in enumerate(wanted):
            if status not in (*STATUSES, "any", "trash"):
                allowed = ", ".join(("any", "trash", *STATUSES))
                raise invalid("status", f"status[{index}] is not one of {allowed}.", "rest_not_in_enum")
        orders = self._state.orders
        if "any" in wanted:
            return [item for item in ids if orders[item].status not in self._hidden]
        if wanted == ["trash"]:
            return [item for item in ids if item in self._state.trashed_orders]
        return [item for item in ids if orders[item].status in wanted]

    def _order(self, item: int) -> Order:
        order = self._state.orders.get(item)
        if order is None:
            raise gone("shop_order")
        return order

    def _get(self, call: Call) -> Json:
        return call.query.trimmed(self._wire.order(self._order(call.ids[0])))

    def _create(self, call: Call) -> Json:
        lines = call.body.get("line_items")
        items = [self._line(line) for line in lines if isinstance(line, dict)] if isinstance(lines, list) else []
        status = "processing" if call.body.get("set_paid") is True else str(call.body.get("status", "pending"))
        order = self._selling.place(items, status, created_via="rest-api")
        call.created(f"{self._state.options.base_url}/wp-json/wc/v3/orders/{order.id}")
        return self._wire.order(order)

    def _line(self, line: Json) -> tuple[Product, int]:
        product = self._state.products.get(whole(line, "variation_id") or whole(line, "product_id") or 0)
        if product is None:
            raise Problem(400, "woocommerce_rest_required_product_reference", "Product ID or SKU is required.")
        return product, whole(line, "quantity") or 1

    def _put(self, call: Call) -> Json:
        order = self._order(call.ids[0])
        lines = call.body.get("line_items")
        for line in lines if isinstance(lines, list) else []:
            self._edit(order, line)
        status = call.body.get("status", order.status)
        if status not in STATUSES:
            raise invalid("status", f"status is not one of {', '.join(STATUSES)}.", "rest_not_in_enum")
        self._selling.set_status(order, str(status))
        return self._wire.order(order)

    def _edit(self, order: Order, body: Json) -> None:
        line = order.line(whole(body, "id") or 0)
        if line is None:
            self._selling.add_line(order, *self._line(body))
        else:
            quantity = whole(body, "quantity")
            self._selling.edit_line(order, line, line.quantity if quantity is None else quantity)

    def _delete(self, call: Call) -> Json:
        order = self._order(call.ids[0])
        if call.query.flag("force") or call.body.get("force") is True:
            body = self._wire.order(order)
            self._selling.delete(order)
            return body
        if order.status != "trash":
            self._selling.trash(order)
        return self._wire.order(order)

    def _list_refunds(self, call: Call) -> list[Json]:
        order = self._order(call.ids[0])
        page = call.query.page([refund.id for refund in order.refunds])
        call.paged(page)
        return [self._wire.refund(self._state.refunds[item]) for item in page.ids]

    def _list_all_refunds(self, call: Call) -> list[Json]:
        page = call.query.page(sorted(self._state.refunds, reverse=True))
        call.paged(page)
        return [self._wire.refund(self._state.refunds[item], with_parent=True) for item in page.ids]

    def _refund(self, call: Call) -> tuple[Order, Refund]:
        order, refund = self._order(call.ids[0]), self._state.refunds.get(call.ids[1])
        if refund is None or refund.order_id != order.id:
            raise gone("shop_order_refund")
        return order, refund

    def _get_refund(self, call: Call) -> Json:
        return self._wire.refund(self._refund(call)[1])

    def _delete_refund(self, call: Call) -> Json:
        order, refund = self._refund(call)
        body = self._wire.refund(refund)
        self._selling.delete_refund(order, refund)
        return body

    def _create_refund(self, call: Call) -> Json:
        order = self._order(call.ids[0])
        lines = call.body.get("line_items")
        items = [line for line in lines if isinstance(line, dict)] if isinstance(lines, list) else []
        wanted = sum((Decimal(str(line.get("refund_total") or 0)) for line in items), Decimal(0))
        amount = Decimal(str(call.body["amount"])) if call.body.get("amount") is not None else wanted
        if amount < 0 or amount > order.total - order.refunded:
            # The shop answers 500 with a bare number as data.
            raise Problem(500, "woocommerce_rest_cannot_create_order_refund", "Invalid refund amount.", data=500)
        units = {whole(line, "id") or 0: whole(line, "quantity") or 0 for line in items}
        restock = call.body.get("api_restock", True) is True
        reason = str(call.body.get("reason", ""))
        refund = self._selling.refund(order, units, amount=amount, restock=restock, reason=reason)
        call.created(f"{self._state.options.base_url}/wp-json/wc/v3/orders/(?P<order_id>[\\d]+)/refunds/{refund.id}")
        return self._wire.refund(refund)
