"""Bodies as WooCommerce writes them: the same fields, in the same order, of the same types as recorded on 10.2.4 and
10.9.0 (2026-11-23). Amounts are text, a line's `price` is a number, stamps come in local time and in GMT.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import orjson

from sandbox.woocommerce.hooks import Hook
from sandbox.woocommerce.state import MAIN, Line, Order, Product, Refund, RefundLine, State

Json = dict[str, object]
NEVER: Json = {"date_on_sale_from": None, "date_on_sale_from_gmt": None, "date_on_sale_to": None}
ADDRESS: Json = {
    "first_name": "Ann", "last_name": "Test", "company": "", "address_1": "1 St", "address_2": "", "city": "X",
    "state": "CA", "postcode": "90001", "country": "US", "email": "ann@example.test", "phone": "1",
}  # fmt: skip
ALL_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def encode(value: object) -> bytes:
    """PHP's JSON: slashes are escaped."""
    return orjson.dumps(value).replace(b"/", rb"\/")


def money(amount: Decimal) -> str:
    """Two decimals."""
    return f"{amount:.2f}"


def number(amount: Decimal) -> int | float:
    """A JSON number as PHP writes a float: whole ones without a point."""
    return int(amount) if amount == int(amount) else float(amount)


class Wire:
    """Renders what `state` holds."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._base = state.options.base_url
        self._release = state.options.release

    def stamps(self, name: str, at: datetime | None) -> Json:
        """`name` in the site's time and `name`_gmt, both without a zone."""
        if at is None:
            return {name: None, f"{name}_gmt": None}
        local = at.astimezone(self._state.zone).replace(tzinfo=None)
        return {name: local.isoformat(), f"{name}_gmt": at.astimezone(UTC).replace(tzinfo=None).isoformat()}

    def _links(self, path: str, collection: str, up: str = "", *, allow: list[str] | None = None) -> Json:
        root = f"{self._base}/wp-json/wc/v3"
        links: Json = {
            "self": [{"href": f"{root}/{path}", "targetHints": {"allow": allow or ALL_METHODS}}],
            "collection": [{"href": f"{root}/{collection}"}],
        }
        if up:
            links["up"] = [{"href": f"{root}/{up}"}]
        return links

    def stock(self, product: Product) -> Json:
        """The stock fields; a variation under its parent's management shows the parent's number."""
        owner = self._state.owner(product)
        quantity = owner.stock if owner else None
        backorders = owner.backorders if owner else product.backorders
        status = "instock" if owner is None or (quantity or 0) > self._state.options.no_stock_amount else "outofstock"
        if status == "outofstock" and backorders != "no":
            status = "onbackorder"
        return {
            "manage_stock": self._state.managed(product),
            "stock_quantity": quantity,
            "stock_status": status,
            "backorders": backorders,
            "backorders_allowed": backorders != "no",
            "backordered": status == "onbackorder",
            "low_stock_amount": None,
        }

    def _cost(self, product: Product) -> Json:
        value = None if product.cost is None else number(product.cost)
        cost: Json = {"values": [{"defined_value": value, "effective_value": value or 0}], "total_value": value or 0}
        if product.parent_id:
            cost["defined_value_is_additive"] = False
        return cost

    def _prices(self, product: Product) -> Json:
        price = money(product.price)
        regular = "" if product.kind == "variable" else price
        return {"price": price, "regular_price": regular, "sale_price": "", **NEVER, "date_on_sale_to_gmt": None}

    def _shipping(self) -> Json:
        return {"weight": "", "dimensions": {"length": "", "width": "", "height": ""}}

    def _downloads(self) -> Json:
        return {
            "virtual": False, "downloadable": False, "downloads": [], "download_limit": -1, "download_expiry": -1,
        }  # fmt: skip

    def product(self, product: Product) -> Json:
        """As `/products/{id}` and the product webhooks show it; a variation too, with `type` and `parent_id`."""
        slug = product.name.lower().replace(" ", "-")
        stock = self.stock(product)
        status = stock.pop("stock_status")
        price = f'<span class="woocommerce-Price-amount amount"><bdi>{money(product.price)}</bdi></span>'
        return {
            "id": product.id, "name": self._full_name(product), "slug": slug,
            "permalink": f"{self._base}/product/{slug}/",
            **self.stamps("date_created", product.created_at), **self.stamps("date_modified", product.modified_at),
            "type": product.kind, "status": "trash" if product.trashed else "publish", "featured": False,
            "catalog_visibility": "visible", "description": "", "short_description": "", "sku": product.sku,
            **self._prices(product), "on_sale": False, "purchasable": True,
            "total_sales": str(product.sold) if product.parent_id else product.sold, **self._downloads(),
            "external_url": "", "button_text": "", "tax_status": "taxable", "tax_class": "", **stock,
            "sold_individually": False, **self._shipping(), "shipping_required": True, "shipping_taxable": True,
            "shipping_class": "", "shipping_class_id": 0, "reviews_allowed": not product.parent_id,
            "average_rating": "0.00", "rating_count": 0, "upsell_ids": [], "cross_sell_ids": [],
            "parent_id": product.parent_id, "purchase_note": "",
            "categories": [] if product.parent_id else [
                {"id": 15, "name": "Uncategorized", "slug": "uncategorized"}
            ],
            "brands": [], "tags": [], "images": [], "attributes": self._attributes(product),
            "default_attributes": [], "variations": list(product.variations), "grouped_products": [],
            "menu_order": 0, "price_html": price, "related_ids": [], "meta_data": [], "stock_status": status,
            "has_options": product.kind == "variable", "post_password": "", "global_unique_id": product.barcode,
            "cost_of_goods_sold": self._cost(product), **self._languages(product),
            "_links": self._links(
                f"products/{product.id}", "products", f"products/{product.parent_id}" if product.parent_id else ""
            ),
        }  # fmt: skip

    def _languages(self, product: Product) -> Json:
        """What the plugin adds; PHP writes an empty map as a list."""
        if not self._state.options.languages:
            return {}
        return {"translations": self._state.translations(product) or [], "lang": product.language or MAIN}

    def _full_name(self, product: Product) -> str:
        parent = self._state.products.get(product.parent_id)
        return f"{parent.name} - {product.name}" if parent else product.name

    def _attributes(self, product: Product) -> list[Json]:
        if product.parent_id:
            return [{"id": 0, "name": "Size", "slug": "size", "option": product.name}]
        if product.kind != "variable":
            return []
        options = [self._state.products[child].name for child in product.variations]
        common: Json = {"id": 0, "name": "Size", "slug": "Size", "position": 0, "visible": True, "variation": True}
        return [{**common, "options": options}]

    def variation(self, product: Product) -> Json:
        """As `/products/{parent}/variations` shows it."""
        path = f"products/{product.parent_id}/variations"
        gallery: Json = {"gallery_image_ids": []} if self._release >= (10, 9) else {}
        return {
            "id": product.id, "type": "variation",
            **self.stamps("date_created", product.created_at), **self.stamps("date_modified", product.modified_at),
            "description": "", "permalink": f"{self._base}/product/{product.parent_id}/?attribute_size={product.name}",
            "sku": product.sku, "global_unique_id": product.barcode, **self._prices(product), "on_sale": False,
            "status": "publish", "purchasable": True, **self._downloads(), "tax_status": "taxable", "tax_class": "",
            **self.stock(product), **self._shipping(), "shipping_class": "", "shipping_class_id": 0, "image": None,
            **gallery, "attributes": self._attributes(product), "menu_order": 0, "meta_data": [],
            "name": product.name, "parent_id": product.parent_id, "cost_of_goods_sold": self._cost(product),
            **self._languages(product),
            "_links": self._links(f"{path}/{product.id}", path, f"products/{product.parent_id}"),
        }  # fmt: skip

    def order(self, order: Order) -> Json:
        """As `/orders/{id}` and the order webhooks show it; refunds only by id and total."""
        shipping = {name: value for name, value in ADDRESS.items() if name != "email"}
        key = f"wc_order_{order.id:013d}"
        stamps = {
            **self.stamps("date_created", order.created_at), **self.stamps("date_modified", order.modified_at),
            **self.stamps("date_completed", order.completed_at), **self.stamps("date_paid", order.paid_at),
        }  # fmt: skip
        cost = sum((line.cost * line.quantity for line in order.lines), Decimal(0))
        total = money(order.total)
        return {
            "id": order.id, "parent_id": 0, "status": order.status, "currency": order.currency,
            "version": self._state.options.version, "prices_include_tax": False, "date_created": stamps["date_created"],
            "date_modified": stamps["date_modified"], "discount_total": "0.00", "discount_tax": "0.00",
            "shipping_total": "0.00", "shipping_tax": "0.00", "cart_tax": "0.00", "total": total, "total_tax": "0.00",
            "customer_id": 0, "order_key": key, "billing": ADDRESS, "shipping": shipping, "payment_method": "bacs",
            "payment_method_title": "BACS", "transaction_id": "", "customer_ip_address": "",
            "customer_user_agent": "", "created_via": order.created_via, "customer_note": "",
            "date_completed": stamps["date_completed"], "date_paid": stamps["date_paid"], "cart_hash": "",
            "number": str(order.id), "meta_data": [], "line_items": [self._line(line) for line in order.lines],
            "tax_lines": [], "shipping_lines": [], "fee_lines": [], "coupon_lines": [],
            "refunds": [self._refund_stub(refund) for refund in order.refunds],
            "payment_url": f"{self._base}/checkout/order-pay/{order.id}/?pay_for_order=true&key={key}",
            "is_editable": order.status in {"pending", "on-hold", "auto-draft"}, "needs_payment": False,
            "needs_processing": True, **{name: value for name, value in stamps.items() if name.endswith("_gmt")},
            "cost_of_goods_sold": {"total_value": number(cost)},
            "currency_symbol": "$", "_links": self._order_links(order),
        }  # fmt: skip

    def _order_links(self, order: Order) -> Json:
        links = self._links(f"orders/{order.id}", "orders")
        if self._release >= (10, 2):
            href = f"{self._base}/wp-json/wc/v3/orders/{order.id}/actions/email_templates"
            links["email_templates"] = [{"embeddable": True, "href": href}]
        return links

    def _refund_stub(self, refund: Refund) -> Json:
        tax: Json = {"total_tax": "0.00"} if self._release >= (10, 9) else {}
        return {"id": refund.id, "reason": refund.reason, "total": f"-{money(refund.amount)}", **tax}

    def _line(self, line: Line) -> Json:
        """A deleted product's line says 0, 0 and null."""
        exists = (line.variation_id or line.product_id) in self._state.products
        total = money(line.price * line.quantity)
        size = {"key": "size", "value": line.name.rsplit(" - ", 1)[-1]}
        meta: list[tuple[str, str]] = [("size", size["value"])] if line.variation_id else []
        if line.reduced is not None:
            meta.append(("_reduced_stock", str(line.reduced)))
        if line.restocked is not None:
            meta.append(("_restock_refunded_items", str(line.restocked)))
        return {
            "id": line.id, "name": line.name, "product_id": line.product_id if exists else 0,
            "variation_id": line.variation_id if exists else 0, "quantity": line.quantity, "tax_class": "",
            "subtotal": total, "subtotal_tax": "0.00", "total": total, "total_tax": "0.00", "taxes": [],
            "meta_data": [self._meta(line.meta_id + index, key, value) for index, (key, value) in enumerate(meta)],
            "sku": line.sku if exists else None, "global_unique_id": line.barcode, "price": number(line.price),
            "image": {"id": 0 if line.variation_id else "", "src": ""}, "parent_name": line.parent_name,
            "cost_of_goods_sold": {"value": number(line.cost * line.quantity)},
        }  # fmt: skip

    def _meta(self, meta_id: int, key: str, value: str) -> Json:
        shown = key.title() if key == "size" else key
        return {"id": meta_id, "key": key, "value": value, "display_key": shown, "display_value": value}

    def refund(self, refund: Refund, *, with_parent: bool = False) -> Json:
        """As `/orders/{id}/refunds/{id}` shows it; it looks the same whether goods were restocked or not."""
        parent: Json = {"parent_id": refund.order_id} if with_parent else {}
        order = self._state.orders[refund.order_id]
        path = f"orders/{order.id}/refunds"
        meta = [{"id": refund.id, "key": "_refund_type", "value": "full" if refund.full else "partial"}]
        return {
            "id": refund.id, **parent, **self.stamps("date_created", refund.created_at), "amount": money(refund.amount),
            "reason": refund.reason, "refunded_by": 1, "refunded_payment": False, "meta_data": meta,
            "line_items": [self._refund_line(order, line) for line in refund.lines], "shipping_lines": [],
            "tax_lines": [], "fee_lines": [], "cost_of_goods_sold": {"value": 0},
            "_links": self._links(f"{path}/{refund.id}", path, f"orders/{order.id}", allow=["GET", "DELETE"]),
        }  # fmt: skip

    def _refund_line(self, order: Order, refunded: RefundLine) -> Json:
        line = order.line(refunded.line_id)
        shown = self._line(line) if line else {}
        total = f"-{money(refunded.total)}"
        meta = [self._meta(refunded.id, "_refunded_item_id", str(refunded.line_id))]
        changed: Json = {"id": refunded.id, "quantity": -refunded.quantity, "subtotal": total, "total": total}
        return {**shown, **changed, "meta_data": meta}

    def hook(self, hook: Hook) -> Json:
        """As `/webhooks/{id}` shows it; the secret never."""
        resource, _, event = hook.topic.partition(".")
        return {
            "id": hook.id, "name": hook.name, "status": hook.status, "topic": hook.topic, "resource": resource,
            "event": event, "hooks": [event] if resource == "action" else [f"woocommerce_{event}_{resource}"],
            "delivery_url": hook.url, **self.stamps("date_created", hook.created_at),
            **self.stamps("date_modified", hook.modified_at), "_links": self._links(f"webhooks/{hook.id}", "webhooks"),
        }  # fmt: skip

    def stock_row(self, product: Product) -> Json:
        """A row of wc-analytics/reports/stock, where what keeps no number shows 0."""
        stock = self.stock(product)
        path = f"{self._base}/wp-json/wc-analytics/products/"
        own = f"{product.parent_id}/variations/{product.id}" if product.parent_id else f"{product.id}"
        links: Json = {"product": [{"href": path + own}]}
        if product.parent_id:
            links["parent"] = [{"href": f"{path}{product.parent_id}"}]
        return {
            "id": product.id, "parent_id": product.parent_id, "name": self._full_name(product), "sku": product.sku,
            "stock_status": stock["stock_status"], "stock_quantity": stock["stock_quantity"] or 0,
            "manage_stock": stock["manage_stock"], "low_stock_amount": 2, "_links": links,
        }  # fmt: skip
