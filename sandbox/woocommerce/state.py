"""What a pretend WooCommerce keeps: products, orders, refunds, webhooks, and the indexes that answer lists without
looking at everything.

Ids come from one sequence for all posts, as in WordPress; lines have their own. Stamps have one second, as in the shop.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from sandbox.base import Context
from sandbox.woocommerce.problem import Problem

MAIN = "en"  # the language of what is no translation
LOG_SLACK = 1_000  # entries of a change log beyond twice what exists, before it is tidied
Managed = bool | Literal["parent"]


@dataclass(frozen=True, slots=True)
class Key:
    """REST credentials; `permissions` is read, write or read_write."""

    consumer_key: str = "ck_" + "a" * 40
    consumer_secret: str = "cs_" + "b" * 40
    permissions: str = "read_write"


@dataclass(frozen=True, slots=True)
class Options:
    """How this shop is set up. `webhooks`: "cron" delivers about a minute late, "instant" at once. `needs_traffic`:
    cron runs only when somebody visits. `sells_below_zero` False: buyers are turned away. `no_stock_amount`: what is
    not above it is out of stock. `tls`: PHP believes it is called over https although the socket is plain. `host`: what
    the machine before PHP does to a call. `oauth_window_s` None: time stamps are not checked. `moved_to`: everything
    redirects there. `callback_over_tls` False: keys are sent over plain http too, which no real shop does. `languages`:
    the plugin that keeps a product for each language and copies a number that changed to all of them."""

    base_url: str = "http://shop.example"
    name: str = "Pretend Woo"
    version: str = "10.9.0"
    wp_version: str = "7.0.4"
    timezone: str = "America/New_York"
    currency: str = "USD"
    keys: tuple[Key, ...] = (Key(),)
    webhooks: Literal["cron", "instant"] = "instant"
    needs_traffic: bool = False
    sells_below_zero: bool = True
    manages_stock: bool = True
    no_stock_amount: int = 0
    tls: bool = False
    host: Literal[
        "", "strips_authorization", "hides_tls", "firewall", "challenge", "login_redirect", "login_wall", "maintenance",
        "plain_site", "plain_permalinks", "blocks_methods",
    ] = ""  # fmt: skip
    oauth_window_s: int | None = 900
    moved_to: str = ""
    callback_over_tls: bool = True
    runs_cron: bool = True
    posts_out: bool = True
    has_woocommerce: bool = True
    languages: Literal["", "wpml", "polylang"] = ""

    @property
    def release(self) -> tuple[int, ...]:
        """The version as numbers."""
        return tuple(int(part) for part in self.version.split(".")[:2])


@dataclass(slots=True)
class Product:
    """A simple or variable product, or a variation (`parent_id` set). `manage` is its own switch."""

    id: int
    kind: str
    name: str
    sku: str
    price: Decimal
    manage: bool
    stock: int | None
    created_at: datetime
    modified_at: datetime
    parent_id: int = 0
    backorders: str = "no"
    barcode: str = ""
    cost: Decimal | None = None
    variations: list[int] = field(default_factory=list)
    sold: int = 0
    trashed: bool = False
    language: str = ""  # of what is a translation
    translation_of: int = 0


@dataclass(slots=True)
class Line:
    """An order line. `reduced` is `_reduced_stock`, `restocked` is `_restock_refunded_items`; None: no such meta.
    `away` are with the customer, of which WooCommerce itself keeps no number."""

    id: int
    product_id: int
    variation_id: int
    name: str
    parent_name: str | None
    sku: str | None
    barcode: str
    price: Decimal
    cost: Decimal
    quantity: int
    reduced: int | None = None
    restocked: int | None = None
    meta_id: int = 0
    away: int = 0


@dataclass(slots=True)
class RefundLine:
    """`quantity` ≥ 0 units of an order line, for `total`."""

    id: int
    line_id: int
    quantity: int
    total: Decimal


@dataclass(slots=True)
class Refund:
    """Money given back, for lines or for nothing in particular."""

    id: int
    order_id: int
    created_at: datetime
    amount: Decimal
    reason: str
    lines: list[RefundLine]
    full: bool


@dataclass(slots=True)
class Order:
    """`stock_reduced` is WooCommerce's hidden flag per order; `status_before_trash` brings it back."""

    id: int
    status: str
    currency: str
    created_at: datetime
    modified_at: datetime
    created_via: str
    lines: list[Line]
    refunds: list[Refund] = field(default_factory=list)
    completed_at: datetime | None = None
    paid_at: datetime | None = None
    stock_reduced: bool = False
    status_before_trash: str = ""

    @property
    def total(self) -> Decimal:
        """Before refunds."""
        return sum((line.price * line.quantity for line in self.lines), Decimal("0.00"))

    @property
    def refunded(self) -> Decimal:
        """Money given back so far."""
        return sum((refund.amount for refund in self.refunds), Decimal("0.00"))

    def line(self, line_id: int) -> Line | None:
        """The line with this id."""
        return next((line for line in self.lines if line.id == line_id), None)


class ChangeLog:
    """Ids by when they were last modified, for windows. Time runs forward, so the newest is always the last."""

    def __init__(self) -> None:
        self._stamps: list[datetime] = []
        self._ids: list[int] = []

    def add(self, at: datetime, item: int) -> None:
        """`item` was modified."""
        self._stamps.append(at)
        self._ids.append(item)

    def __len__(self) -> int:
        return len(self._ids)

    def compact(self, alive: Container[int]) -> None:
        """Keep only the last entry of each that still exists."""
        kept: dict[int, datetime] = {}
        for at, item in zip(reversed(self._stamps), reversed(self._ids), strict=True):
            if item in alive:
                kept.setdefault(item, at)
        self._ids = list(reversed(kept))
        self._stamps = [kept[item] for item in self._ids]

    def since(self, at: datetime) -> set[int]:
        """Ids touched at or after this time; whether that is still their stamp the caller looks up."""
        return set(self._ids[bisect_left(self._stamps, at) :])


class State:
    """Everything the shop keeps."""

    def __init__(self, context: Context, options: Options) -> None:
        self.context = context
        self.options = options
        self.zone = ZoneInfo(options.timezone)
        self.products: dict[int, Product] = {}
        self.by_sku: dict[str, int] = {}
        self.product_ids: list[int] = []  # simple and variable, ascending
        self.orders: dict[int, Order] = {}
        self.order_ids: list[int] = []
        self.trashed_orders: set[int] = set()
        self.refunds: dict[int, Refund] = {}
        self.refused: dict[
            int, tuple[Problem, bool]
        ] = {}  # by product: how batches refuse it, and whether after saving
        self.order_log = ChangeLog()
        self.product_log = ChangeLog()
        self.keys = {key.consumer_key: key for key in options.keys}
        self._nonces: set[str] = set()
        self._next_post = 10
        self._next_line = 1

    def make_key(self, permissions: str) -> Key:
        """A new pair, as the shop makes it."""
        digits = [f"{self.context.rng.getrandbits(160):040x}" for _ in range(2)]
        key = Key(f"ck_{digits[0]}", f"cs_{digits[1]}", permissions)
        self.keys[key.consumer_key] = key
        return key

    def make_nonce(self) -> str:
        """WordPress's proof that a link was on a page of its own."""
        nonce = f"{self.context.rng.getrandbits(40):010x}"
        self._nonces.add(nonce)
        return nonce

    def use_nonce(self, nonce: str) -> bool:
        """Whether it was made and not used; it is used then."""
        known = nonce in self._nonces
        self._nonces.discard(nonce)
        return known

    def now(self) -> datetime:
        """The shop's clock, to the second."""
        return self.context.now().replace(microsecond=0)

    def post_id(self) -> int:
        """The next id of a product, order, refund."""
        self._next_post += 1
        return self._next_post

    def line_id(self) -> int:
        """The next id of an order or refund line, or of its meta data."""
        self._next_line += 1
        return self._next_line

    def add_product(self, product: Product) -> Product:
        """Store and index it."""
        self.products[product.id] = product
        if product.sku and not product.translation_of:
            self.by_sku[product.sku] = product.id
        if product.parent_id:
            self.products[product.parent_id].variations.append(product.id)
        else:
            insort(self.product_ids, product.id)
        self.touch_product(product)
        return product

    def drop_product(self, product: Product) -> None:
        """Delete it for good; order lines forget it."""
        for variation in list(product.variations):
            self.drop_product(self.products[variation])
        del self.products[product.id]
        if self.by_sku.get(product.sku) == product.id:
            del self.by_sku[product.sku]
        if product.parent_id:
            self.products[product.parent_id].variations.remove(product.id)
        else:
            self.product_ids.remove(product.id)

    def touch_product(self, product: Product) -> None:
        """Bump `date_modified`, the parent's too. Its translations show its number from now on."""
        product.modified_at = self.now()
        for twin in self.translations(product).values():
            self.products[twin].stock = product.stock
        top = self.products[product.parent_id] if product.parent_id else product
        top.modified_at = product.modified_at
        self.product_log.add(top.modified_at, top.id)
        if len(self.product_log) > 2 * len(self.products) + LOG_SLACK:
            self.product_log.compact(self.products)

    def translations(self, product: Product) -> dict[str, int]:
        """Itself and its translations by language; nothing where it has none."""
        if not self.options.languages:
            return {}
        first = product.translation_of or product.id
        found = [one for one in self.products.values() if first in (one.id, one.translation_of)]
        return {one.language or MAIN: one.id for one in found} if len(found) > 1 else {}

    def translated(self, product: Product, language: str) -> Product:
        """It in that language. Raises KeyError."""
        return self.products[self.translations(product)[language]]

    def add_order(self, order: Order) -> None:
        """Store and index it."""
        self.orders[order.id] = order
        insort(self.order_ids, order.id)
        self.touch_order(order)

    def touch_order(self, order: Order) -> None:
        """Bump `date_modified`."""
        order.modified_at = self.now()
        self.order_log.add(order.modified_at, order.id)
        if len(self.order_log) > 2 * len(self.orders) + LOG_SLACK:
            self.order_log.compact(self.orders)

    def drop_order(self, order: Order) -> None:
        """Delete it for good."""
        del self.orders[order.id]
        del self.order_ids[bisect_left(self.order_ids, order.id)]
        self.trashed_orders.discard(order.id)
        for refund in order.refunds:
            del self.refunds[refund.id]

    def product_of_sku(self, sku: str) -> Product:
        """The product or variation with this SKU. Raises KeyError."""
        return self.products[self.by_sku[sku]]

    def managed(self, product: Product) -> Managed:
        """`manage_stock` as the API shows it."""
        if not self.options.manages_stock:
            return False
        if product.parent_id and not product.manage:
            return "parent" if self.products[product.parent_id].manage else False
        return product.manage

    def owner(self, product: Product) -> Product | None:
        """Who keeps the number that a sale of this product moves; None when nobody does."""
        managed = self.managed(product)
        if managed == "parent":
            return self.products[product.parent_id]
        return product if managed else None

    def owners(self) -> Iterable[Product]:
        """All that keep a number."""
        return (product for product in self.products.values() if product.manage and not product.trashed)
