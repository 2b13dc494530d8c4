"""Products, variations and their batches: reading, and the ways stock can be written, silly ones included."""

from __future__ import annotations

from decimal import Decimal

from sandbox.base import Shown
from sandbox.woocommerce.hooks import Hooks
from sandbox.woocommerce.problem import Problem, gone, invalid
from sandbox.woocommerce.rest import Call, Route, batch, whole
from sandbox.woocommerce.state import Product, State
from sandbox.woocommerce.wire import Json, Wire

ORDERBY = ("date", "modified", "id", "include", "title", "slug", "price", "popularity", "rating", "menu_order")
TYPES = ("simple", "grouped", "external", "variable")
STATUSES = ("any", "future", "trash", "draft", "pending", "private", "publish")
LOOK_ELSEWHERE = (
    "To manipulate product variations you should use the /products/&lt;product_id&gt;/variations/&lt;id&gt; endpoint."
)


class Products:
    """The routes below /products, /variations and the stock report."""

    def __init__(self, state: State, wire: Wire, hooks: Hooks) -> None:
        self._state = state
        self._wire = wire
        self._hooks = hooks

    def routes(self) -> list[Route]:
        """What is served; /variations since 10.3."""
        root = "/wp-json/wc/v3/products"
        flat = [Route("/wp-json/wc/v3/variations", {"GET": self._list_all_variations})]
        return [
            Route(root, {"GET": self._list, "POST": self._create}),
            Route(f"{root}/batch", {"POST": self._batch}),
            Route(f"{root}/#", {"GET": self._get, "PUT": self._put, "POST": self._put, "DELETE": self._delete}),
            Route(f"{root}/#/variations", {"GET": self._list_variations}),
            Route(f"{root}/#/variations/batch", {"POST": self._batch_variations}),
            Route(
                f"{root}/#/variations/#",
                {"GET": self._get_variation, "PUT": self._put_variation, "POST": self._put_variation},
            ),
            Route("/wp-json/wc-analytics/reports/stock", {"GET": self._report}),
            *(flat if self._state.options.release >= (10, 3) else []),
        ]

    def _list(self, call: Call) -> list[Json]:
        query = call.query
        query.one_of("orderby", "date", ORDERBY)
        query.one_of("type", "simple", TYPES)
        status = query.one_of("status", "any", STATUSES)
        ids = [item for item in self._chosen(call) if self._state.products[item].trashed == (status == "trash")]
        page = query.page(sorted(ids, reverse=query.one_of("order", "desc", ("asc", "desc")) == "desc"))
        call.paged(page)
        return [query.trimmed(self._wire.product(self._state.products[item])) for item in page.ids]

    def _chosen(self, call: Call) -> list[int]:
        state, include, skus = self._state, call.query.ids("include"), call.query.words("sku")
        if skus:
            return [state.by_sku[sku] for sku in skus if sku in state.by_sku]
        include = self._spoken(call, include)
        after, before = call.query.moment("modified_after"), call.query.moment("modified_before")
        chosen = state.product_ids if after is None else state.product_log.since(after)
        if include is not None:
            chosen = set(include) & set(chosen) if after is not None else set(include)
        found = [state.products[item] for item in chosen if item in state.products]
        return [
            product.id
            for product in found
            if not product.parent_id
            and self._is_listed(call, product)
            and (after is None or product.modified_at > after)
            and (before is None or product.modified_at < before)
        ]

    def _spoken(self, call: Call, ids: list[int] | None) -> list[int] | None:
        """WPML puts ids in its default language, unless a language is asked for."""
        if self._state.options.languages != "wpml" or call.query.text("lang") or ids is None:
            return ids
        found = [(item, self._state.products.get(item)) for item in ids]
        return [product.translation_of or item if product else item for item, product in found]

    def _is_listed(self, call: Call, product: Product) -> bool:
        """WPML lists its default language unless all are asked for; Polylang knows its own languages only."""
        languages, lang = self._state.options.languages, call.query.text("lang")
        if languages == "polylang" and lang == "all":
            raise invalid("lang", "lang is not one of en, fr.", "rest_not_in_enum")
        return languages != "wpml" or lang == "all" or not product.translation_of

    def _top(self, item: int) -> Product:
        product = self._state.products.get(item)
        if product is None:
            raise gone("product")
        return product

    def _get(self, call: Call) -> Json:
        return call.query.trimmed(self._wire.product(self._top(call.ids[0])))

    def _writable(self, item: int) -> Product:
        product = self._state.products.get(item)
        if product is None:
            raise Problem(400, "woocommerce_rest_product_invalid_id", "Invalid ID.")
        if product.parent_id:
            raise Problem(404, "woocommerce_rest_invalid_product_id", LOOK_ELSEWHERE)
        return product

    def _put(self, call: Call) -> Json:
        product = self._writable(call.ids[0])
        self._write(product, _validated(call.body))
        return self._wire.product(product)

    def _create(self, call: Call) -> Json:
        body = _validated(call.body)
        sku = str(body.get("sku", ""))
        if sku in self._state.by_sku:
            data = {"status": 400, "resource_id": self._state.by_sku[sku], "unique_sku": f"{sku}-1"}
            raise Problem(400, "product_invalid_sku", "Invalid or duplicated SKU.", data=data)
        now = self._state.now()
        price = Decimal(str(body.get("regular_price") or "0"))
        name = str(body.get("name", ""))
        product = Product(self._state.post_id(), "simple", name, sku, price, False, None, now, now)
        self._state.add_product(product)
        self._hooks.emit("product.created", product.id)
        self._write(product, body)
        call.created(f"{self._state.options.base_url}/wp-json/wc/v3/products/{product.id}")
        return self._wire.product(product)

    def _delete(self, call: Call) -> Json:
        product = self._writable(call.ids[0])
        body = self._wire.product(product)
        if call.query.flag("force") or call.body.get("force") is True:
            self.delete(product)
        else:
            self.trash(product)
        return body

    def delete(self, product: Product) -> None:
        """For good; only the actions say so."""
        variations = list(product.variations)
        self._state.drop_product(product)
        kind = "product_variation" if product.parent_id else "product"
        self._hooks.emit(f"action.woocommerce_delete_{kind}", product.id)
        for variation in variations:
            self._hooks.emit("action.woocommerce_delete_product_variation", variation)

    def trash(self, product: Product) -> None:
        """Into the trash; a coupon topic fires with the product's id as well."""
        product.trashed = True
        self._state.touch_product(product)
        self._hooks.emit("product.deleted", product.id)
        self._hooks.emit("coupon.deleted", product.id)

    def _batch(self, call: Call) -> Json:
        return batch(call, {"update": self._batch_item})

    def _batch_item(self, body: Json) -> Json:
        product = self._writable(_id(body))
        problem, saved = self._state.refused.get(product.id, (None, True))
        if saved:
            self._write(product, _coerced(body))
        if problem is not None:
            raise problem
        return self._wire.product(product)

    def _batch_variations(self, call: Call) -> Json:
        parent = call.ids[0]

        def update(body: Json) -> Json:
            variation = self._variation(parent, _id(body), status=400)
            self._write(variation, _coerced(body))
            return self._wire.variation(variation)

        return batch(call, {"update": update})

    def _variation(self, parent: int, item: int, *, status: int = 404) -> Product:
        product = self._state.products.get(item)
        if product is None or product.parent_id != parent or not parent:
            raise Problem(status, "woocommerce_rest_product_variation_invalid_id", "Invalid ID.")
        return product

    def _get_variation(self, call: Call) -> Json:
        return call.query.trimmed(self._wire.variation(self._variation(*call.ids)))

    def _put_variation(self, call: Call) -> Json:
        variation = self._variation(*call.ids)
        self._write(variation, _validated(call.body))
        return self._wire.variation(variation)

    def _list_variations(self, call: Call) -> list[Json]:
        return self._variations(call, self._top(call.ids[0]).variations)

    def _list_all_variations(self, call: Call) -> list[Json]:
        state = self._state
        include = self._spoken(call, call.query.ids("include"))
        chosen = include or [item for parent in state.product_ids for item in state.products[parent].variations]
        return self._variations(call, [item for item in chosen if item in state.products])

    def _variations(self, call: Call, ids: list[int]) -> list[Json]:
        include = self._spoken(call, call.query.ids("include"))
        found = [self._state.products[item] for item in ids if not include or item in include]
        chosen = [product.id for product in found if product.parent_id and self._is_listed(call, product)]
        call.query.one_of("orderby", "date", ORDERBY)
        page = call.query.page(sorted(chosen, reverse=call.query.one_of("order", "desc", ("asc", "desc")) == "desc"))
        call.paged(page)
        return [call.query.trimmed(self._wire.variation(self._state.products[item])) for item in page.ids]

    def _report(self, call: Call) -> list[Json]:
        page = call.query.page([item for item, product in self._state.products.items() if not product.trashed])
        call.paged(page)
        return [self._wire.stock_row(self._state.products[item]) for item in page.ids]

    def _write(self, product: Product, body: Json) -> None:
        """Apply what a body says. Every write, even an empty one, bumps the date and echoes as product.updated."""
        before = self._shown(product)
        if "manage_stock" in body:
            _switch(product, bool(body["manage_stock"]) and body["manage_stock"] != "parent")
        if "name" in body:
            product.name = str(body["name"])
        if "regular_price" in body:
            product.price = Decimal(str(body["regular_price"] or "0"))
        if product.manage and self._state.options.manages_stock:
            _set_stock(product, body)
        self._state.touch_product(product)
        after = self._shown(product)
        if after != before and after is not None:
            self._state.context.writes.append(Shown(self._state.context.now(), product.sku, after))
        self._hooks.emit("product.updated", product.id)

    def _shown(self, product: Product) -> int | None:
        return product.stock if product.manage else None


def _switch(product: Product, manage: bool) -> None:
    """Off forgets the number and resets backorders; on begins at 0."""
    if manage and not product.manage:
        product.stock = 0
    if not manage:
        product.stock, product.backorders = None, "no"
    product.manage = manage


def _set_stock(product: Product, body: Json) -> None:
    """`stock_quantity` wins over `inventory_delta`; null is 0."""
    if "stock_quantity" in body:
        product.stock = whole(body, "stock_quantity") or 0
    elif "inventory_delta" in body:
        product.stock = (product.stock or 0) + (whole(body, "inventory_delta") or 0)


def _validated(body: Json) -> Json:
    """A single call's parameters."""
    for name in ("stock_quantity", "inventory_delta"):
        whole(body, name)
    managed = body.get("manage_stock")
    if managed is not None and not isinstance(managed, bool) and managed != "parent":
        raise invalid("manage_stock", "manage_stock is not of type boolean.", "rest_invalid_type")
    return body


def _coerced(body: Json) -> Json:
    """An item of a batch is not validated: text becomes 0, a fraction is cut off."""
    kept = dict(body)
    for name in ("stock_quantity", "inventory_delta"):
        value = kept.get(name)
        if isinstance(value, str):
            kept[name] = int(value) if value.lstrip("-").isdigit() else 0
        elif isinstance(value, float):
            kept[name] = int(value)
    return kept


def _id(body: Json) -> int:
    value = body.get("id")
    return value if isinstance(value, int) else 0
