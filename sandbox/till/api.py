"""The till's API: a bearer token, plain JSON, pages by a cursor, and a batch of numbers, each row answered."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson

from sandbox.base import Request, Response, Shown
from sandbox.till import wire
from sandbox.till.hooks import EVENTS
from sandbox.till.wire import Json

if TYPE_CHECKING:
    from sandbox.till.shop import PretendTill

PAGE_MAX = 100
ROWS_MAX = 20  # numbers in one call
QUANTITY_MAX = 1_000_000_000
FIRST = (datetime.min.replace(tzinfo=UTC), 0)


class _Wrong(Exception):
    """An answer that says no."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status, self.error = status, error


class Api:
    """Answers calls to one till."""

    def __init__(self, till: PretendTill) -> None:
        self._till = till
        self._acts: dict[tuple[str, str], Callable[[dict[str, str], Json], Json]] = {
            ("GET", "shop"): self._shop,
            ("GET", "products"): self._products,
            ("PUT", "stock"): self._set_stock,
            ("GET", "orders"): self._orders,
            ("GET", "webhooks"): self._hooks,
            ("POST", "webhooks"): self._add_hook,
            ("PUT", "webhooks"): self._change_hook,
            ("DELETE", "webhooks"): self._remove_hook,
        }

    def answer(self, request: Request) -> Response:
        """One call."""
        try:
            return _json(200, self._answer(request))
        except _Wrong as wrong:
            return _json(wrong.status, {"error": wrong.error})

    def _answer(self, request: Request) -> Json:
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._till.token}".encode()):
            raise _Wrong(401, "unauthorized")
        prefix, _, rest = request.path.strip("/").partition("/")
        name, _, own = rest.partition("/")
        act = self._acts.get((request.method, name))
        if prefix != "api" or act is None:
            raise _Wrong(404, "not_found")
        return act(dict(request.query) | ({"id": own} if own else {}), _body(request))

    def _shop(self, query: dict[str, str], body: Json) -> Json:
        return {"name": "Corner till", "version": "1.4", "currency": wire.CURRENCY}

    def _products(self, query: dict[str, str], body: Json) -> Json:
        products = self._till.products
        if "ids" in query:
            found = [products[key] for key in _ids(query) if key in products]
            return {"products": [wire.product(one) for one in found], "next": None}
        after = _whole(query.get("after", "0"))
        rest = sorted((one for one in products.values() if int(one.id) > after), key=lambda one: int(one.id))
        page = rest[:PAGE_MAX]
        return {"products": [wire.product(one) for one in page], "next": page[-1].id if len(rest) > PAGE_MAX else None}

    def _orders(self, query: dict[str, str], body: Json) -> Json:
        orders = self._till.orders
        if "ids" in query:
            return {"orders": [wire.order(orders[key]) for key in _ids(query) if key in orders], "next": None}
        at, _, own = query.get("after", "").partition("_")
        after = (_instant(at), _whole(own)) if at else FIRST
        rest = self._till.changed_between(_instant(query.get("from", "")), _instant(query.get("to", "")), after)
        page = rest[:PAGE_MAX]
        more = f"{wire.stamp(page[-1].updated_at)}_{page[-1].id}" if len(rest) > PAGE_MAX else None
        return {"orders": [wire.order(one) for one in page], "next": more}

    def _set_stock(self, query: dict[str, str], body: Json) -> Json:
        rows = body.get("rows")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise _Wrong(400, "bad_rows")
        if len(rows) > ROWS_MAX:
            raise _Wrong(413, "too_many_rows")
        return {"rows": [self._set_row(row) for row in rows]}

    def _set_row(self, row: Json) -> Json:
        key, quantity = str(row.get("product")), row.get("quantity")
        product = self._till.products.get(key)
        if product is None:
            return {"product": key, "error": "no_such_product"}
        if not isinstance(quantity, int) or isinstance(quantity, bool) or abs(quantity) > QUANTITY_MAX:
            return {"product": key, "error": "bad_quantity"}
        if product.stock is None:
            return {"product": key, "error": "no_stock_kept"}
        if product.stock != quantity:
            product.stock = quantity  # whatever was there
            self._till.context.writes.append(Shown(self._till.context.now(), product.sku, quantity))
            self._till.hooks.emit("stock.changed", {"product": wire.product(product)})
        return {"product": key, "quantity": product.stock}

    def _hooks(self, query: dict[str, str], body: Json) -> Json:
        return {"webhooks": [wire.hook(one) for one in self._till.hooks.hooks.values()]}

    def _add_hook(self, query: dict[str, str], body: Json) -> Json:
        event, url, secret = (str(body.get(name) or "") for name in ("event", "url", "secret"))
        if event not in EVENTS or not url or not secret:
            raise _Wrong(422, "bad_webhook")
        return wire.hook(self._till.hooks.add(event, url, secret))

    def _change_hook(self, query: dict[str, str], body: Json) -> Json:
        hook = self._till.hooks.hooks.get(query.get("id", ""))
        if hook is None:
            raise _Wrong(404, "no_such_webhook")
        hook.url, hook.secret = str(body.get("url") or hook.url), str(body.get("secret") or hook.secret)
        hook.status, hook.failures = "active", 0
        return wire.hook(hook)

    def _remove_hook(self, query: dict[str, str], body: Json) -> Json:
        if self._till.hooks.hooks.pop(query.get("id", ""), None) is None:
            raise _Wrong(404, "no_such_webhook")
        return {}


def _ids(query: dict[str, str]) -> list[str]:
    ids = query["ids"].split(",")
    if len(ids) > PAGE_MAX:
        raise _Wrong(400, "too_many_ids")
    return list(dict.fromkeys(ids))


def _instant(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise _Wrong(400, "bad_instant") from error


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise _Wrong(400, "bad_cursor")
    return int(text)


def _body(request: Request) -> Json:
    try:
        value = orjson.loads(request.body or b"{}")
    except orjson.JSONDecodeError as error:
        raise _Wrong(400, "bad_json") from error
    return value if isinstance(value, dict) else {}


def _json(status: int, value: Json) -> Response:
    return Response(status, {"Content-Type": "application/json"}, orjson.dumps(value))
