"""A pretend WooCommerce shop as a `sandbox.base.Shop`: REST in, webhooks out, and what people do in it as methods.

Behaviour is that recorded on 10.2.4 and 10.9.0 (2026-11-23), quirks included; `Options.version` picks between them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from sandbox.base import Context, Delivery, Request, Response
from sandbox.woocommerce.hooks import Hook, Hooks
from sandbox.woocommerce.hosts import before_php
from sandbox.woocommerce.pages import Pages
from sandbox.woocommerce.problem import gone
from sandbox.woocommerce.rest import Rest
from sandbox.woocommerce.rest_orders import Orders
from sandbox.woocommerce.rest_products import Products
from sandbox.woocommerce.rest_site import Site
from sandbox.woocommerce.selling import Selling
from sandbox.woocommerce.state import Options, Order, Product, State
from sandbox.woocommerce.wire import Wire, encode

TOO_MANY = Response(429, {"Content-Type": "text/html", "Retry-After": "1"}, b"<h1>429 Too Many Requests</h1>")


class WooShop:
    """One shop. SKUs are unique; a sale of a variation whose parent keeps the number counts under the parent's SKU."""

    def __init__(self, context: Context, options: Options = Options()) -> None:  # noqa: B008 (frozen)
        self.context = context
        self.options = options
        self.state = State(context, options)
        self._wire = Wire(self.state)
        self._hooks = Hooks(self.state, self._render)
        self._selling = Selling(self.state, self._hooks)
        self._products = Products(self.state, self._wire, self._hooks)
        orders = Orders(self.state, self._wire, self._selling)
        site = Site(self.state, self._wire, self._hooks)
        self._pages = Pages(self.state)
        self._rest = Rest(self.state, [*self._products.routes(), *orders.routes(), *site.routes()])

    # -- what `sandbox.base.Shop` asks for

    def handle(self, request: Request) -> Response:
        """Answer one call of the API or of a browser and apply its effect at once."""
        in_the_way = before_php(self.state, request)
        if in_the_way is not None:
            return in_the_way
        self._hooks.visited()
        return self._pages.answer(request) or self._rest.answer(request)

    def throttled(self, request: Request) -> Response:
        """WooCommerce has no limit of its own: this is the host's."""
        return TOO_MANY

    def due_deliveries(self) -> list[Delivery]:
        """Deliveries whose time has come, rendered as things are now."""
        return self._hooks.due()

    def next_delivery_at(self) -> datetime | None:
        """When the next delivery falls due, by our time."""
        return self._hooks.next_at()

    def delivered(self, hook_key: str, status: int | None) -> None:
        """The receiver's answer, None for none."""
        self._hooks.delivered(hook_key, status)

    def shown(self) -> dict[str, int]:
        """The number of each SKU that keeps one."""
        return {owner.sku: owner.stock or 0 for owner in self.state.owners()}

    def for_sale(self) -> dict[str, int]:
        """Units that a buyer can buy."""
        return {sku: units if units > self.state.options.no_stock_amount else 0 for sku, units in self.shown().items()}

    # -- what people do

    def add_product(
        self, sku: str, stock: int | None, price: str = "10.00", *, name: str = "", cost: str | None = None,
        barcode: str = "",
    ) -> int:  # fmt: skip
        """A simple product; `stock` None: unmanaged."""
        product = self._new("simple", sku, stock, price=price, name=name or f"Product {sku}")
        product.cost = Decimal(cost) if cost is not None else None
        product.barcode = barcode
        return self._add(product).id

    def add_variable(
        self, sku: str, variations: Mapping[str, int | None], price: str = "20.00", *, stock: int | None = None
    ) -> int:
        """A variable product with a variation per SKU. A number in `variations` is that variation's own; None: the
        parent's `stock` counts, or nothing when that is None too."""
        parent = self._add(self._new("variable", sku, stock, price=price, name=f"Product {sku}"))
        for child, own in variations.items():
            self._add(self._new("variation", child, own, price=price, name=child, parent=parent.id))
        return parent.id

    def add_translation(self, sku: str, language: str) -> int:
        """A product, with its variations, in another language: products of their own, whose numbers are copies."""
        original = self.state.product_of_sku(sku)
        made = self._add(self._translated(original, language, 0))
        for child in original.variations:
            self._add(self._translated(self.state.products[child], language, made.id))
        return made.id

    def _translated(self, original: Product, language: str, parent: int) -> Product:
        return replace(
            original, id=self.state.post_id(), name=f"{original.name} ({language})", variations=[], parent_id=parent,
            sold=0, language=language, translation_of=original.id,
        )  # fmt: skip

    def _new(self, kind: str, sku: str, stock: int | None, *, price: str, name: str, parent: int = 0) -> Product:
        now, item = self.state.now(), self.state.post_id()
        return Product(item, kind, name, sku, Decimal(price), stock is not None, stock, now, now, parent_id=parent)

    def _add(self, product: Product) -> Product:
        self.state.add_product(product)
        self._hooks.emit("product.created", product.id)
        return product

    def product_id(self, sku: str) -> int:
        """The id of a product or variation. Raises KeyError."""
        return self.state.by_sku[sku]

    def stock_key(self, sku: str) -> str:
        """Where its number is kept: `product`, or `parent/variation`."""
        product = self.state.product_of_sku(sku)
        owner = self.state.owner(product) or product
        return f"{owner.parent_id}/{owner.id}" if owner.parent_id else str(owner.id)

    def place_order(
        self, lines: Sequence[tuple[str, int]], status: str = "processing", *, created_via: str = "checkout",
        language: str = "",
    ) -> int | None:  # fmt: skip
        """A sale; the order's id, or None when the shop turns buyers away and does not have it. `language`: of the page
        that it was bought on, and so of the products."""
        self._hooks.visited()
        items = [(self.state.product_of_sku(sku), quantity) for sku, quantity in lines]
        if language:
            items = [(self.state.translated(product, language), quantity) for product, quantity in items]
        if not self.options.sells_below_zero and not all(self._has(product, units) for product, units in items):
            return None
        return self._selling.place(items, status, created_via=created_via).id

    def _has(self, product: Product, units: int) -> bool:
        owner = self.state.owner(product)
        return (
            owner is None
            or owner.backorders != "no"
            or (owner.stock or 0) >= max(units, self.state.options.no_stock_amount + 1)
        )

    def set_status(self, order: int, status: str) -> None:
        """Any status, a plugin's too."""
        self._selling.set_status(self.get_order(order), status)

    def refund(
        self, order: int, units: Mapping[int, int], *, restock: bool = True, amount: str | None = None, reason: str = ""
    ) -> int:
        """Give back `units` per line id; the amount is theirs unless said. The refund's id."""
        found = self.get_order(order)
        value = sum((line.price * units.get(line.id, 0) for line in found.lines), Decimal("0.00"))
        money = min(Decimal(amount) if amount is not None else value, found.total - found.refunded)
        return self._selling.refund(found, units, amount=money, restock=restock, reason=reason).id

    def delete_refund(self, order: int, refund: int) -> None:
        """Leaves no trace but its absence."""
        self._selling.delete_refund(self.get_order(order), self.state.refunds[refund])

    def edit_line(self, order: int, line: int, quantity: int) -> None:
        """Change a quantity; 0 removes the line."""
        found = self.get_order(order)
        item = found.line(line)
        if item is None:
            raise KeyError(line)
        self._selling.edit_line(found, item, quantity)

    def add_line(self, order: int, sku: str, quantity: int) -> int:
        """Add a line; its id."""
        return self._selling.add_line(self.get_order(order), self.state.product_of_sku(sku), quantity).id

    def trash(self, order: int) -> None:
        """Order into the trash."""
        self._selling.trash(self.get_order(order))

    def untrash(self, order: int) -> None:
        """Order out of the trash."""
        self._selling.untrash(self.get_order(order))

    def delete(self, order: int) -> None:
        """Order gone for good."""
        self._selling.delete(self.get_order(order))

    def rename_product(self, sku: str, new: str) -> None:
        """In the product editor: another SKU."""
        product = self.state.product_of_sku(sku)
        product.sku = new
        self.state.by_sku[new] = self.state.by_sku.pop(sku)
        self.state.touch_product(product)
        self._hooks.emit("product.updated", product.id)

    def add_variation(self, parent: str, sku: str, stock: int) -> int:
        """One more of a variable product, with a number of its own."""
        product = self._new("variation", sku, stock, price="20.00", name=sku, parent=self.product_id(parent))
        return self._add(product).id

    def untrash_product(self, sku: str) -> None:
        """Product out of the trash."""
        product = self.state.product_of_sku(sku)
        product.trashed = False
        self.state.touch_product(product)
        self._hooks.emit("product.restored", product.id)

    def delete_product(self, sku: str) -> None:
        """Product gone for good."""
        self._products.delete(self.state.product_of_sku(sku))

    def trash_product(self, sku: str) -> None:
        """Product into the trash."""
        self._products.trash(self.state.product_of_sku(sku))

    def set_stock_by_hand(self, sku: str, quantity: int) -> None:
        """In the product editor: neither a sale nor a write of ours."""
        product = self.state.product_of_sku(sku)
        product.stock = quantity
        self.state.touch_product(product)
        self._hooks.emit("product.updated", product.id)

    def set_stock_by_sql(self, sku: str, quantity: int) -> None:
        """Past WooCommerce: no webhook, no new date."""
        self.state.product_of_sku(sku).stock = quantity

    def get_order(self, order: int) -> Order:
        """The order. Raises KeyError."""
        return self.state.orders[order]

    def line_ids(self, order: int) -> list[int]:
        """Ids of its lines, in order."""
        return [line.id for line in self.get_order(order).lines]

    def add_hook(self, topic: str, url: str, secret: str) -> Hook:
        """A webhook made in wp-admin."""
        return self._hooks.add(f"by hand {topic}", topic, url=url, secret=secret)

    def hooks(self) -> list[Hook]:
        """The webhooks, to look at."""
        return list(self._hooks.hooks.values())

    def _render(self, topic: str, arg: int) -> bytes:
        """A delivery's body at this moment; a validly signed error when the object is gone."""
        resource, _, event = topic.partition(".")
        if resource == "action":
            return encode({"action": event, "arg": arg})
        if event == "deleted":
            return encode({"id": arg})
        if resource == "order":
            order = self.state.orders.get(arg)
            return encode(self._wire.order(order) if order else gone("shop_order").body())
        product = self.state.products.get(arg)
        return encode(self._wire.product(product) if product else gone("product").body())
