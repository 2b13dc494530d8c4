"""A pretend Shopify shop: it sells by itself, answers the Admin API and sends webhooks.

Selling, shipping, refunding and the rest are methods (see `orders.py`), so that a demo, a test or the simulator plays
the shop's staff and customers. Its order book (`context.sales`) is written by those alone, never by the API.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
from graphql import GraphQLResolveInfo, get_directive_values

from sandbox.base import Context, Delivery, Request, Response
from sandbox.shopify.admin import Admin
from sandbox.shopify.allocations import Allocations
from sandbox.shopify.api import Endpoint, admin_schema
from sandbox.shopify.bulk import Bulk
from sandbox.shopify.cost import Bucket
from sandbox.shopify.state import FIRST_ID, Level, Location, Order, Subscription, Variant, gid, number
from sandbox.shopify.stock import Inventory
from sandbox.shopify.views import Views, connection, keyset, location
from sandbox.shopify.webhooks import Webhooks, level_body, product_body

ACCESS_TOKEN = "shpat_sandbox"  # noqa: S105 - a pretend shop's
ALL_ORDERS = "read_all_orders"
WEBHOOK_SECRET = "shpss_sandbox"  # noqa: S105 - a pretend app's
DOMAIN = "pretend.myshopify.com"
SCOPES = (
    "read_products", "read_inventory", "write_inventory", "read_locations", "read_orders", "read_fulfillments",
    "read_merchant_managed_fulfillment_orders", "read_third_party_fulfillment_orders", "read_returns",
)  # fmt: skip
_PATH = re.compile(r"/admin/api/([0-9]{4}-[0-9]{2}|unstable)/graphql\.json")
_NOT_FOUND = {"field": ["id"], "message": "Webhook subscription does not exist"}
_WINDOW = re.compile(r"updated_at:(>=|<=|>|<)'([^']+)'")
THROTTLED_COST = 110  # of an injected throttle, above what is left: some 1.1 seconds on a Standard plan


class PretendShopify(Allocations):
    """One shop. `sells_below_zero`: may take orders for what it does not have (then a number goes negative).

    `refuses_with`: an HTTP status that every call gets (402 frozen, 423 locked, 401 token revoked …), None to answer.
    """

    def __init__(
        self, context: Context, *, domain: str = DOMAIN, currency: str = "EUR", sells_below_zero: bool = False,
        bucket: Bucket | None = None,
    ) -> None:  # fmt: skip
        self.context = context
        self.domain = domain
        self.currency = currency
        self.sells_below_zero = sells_below_zero
        self.name = "Pretend shop"
        self.first_number = 1_001  # of its orders
        self.access_token = ACCESS_TOKEN
        self.refuses_with: int | None = None
        self.webhooks = Webhooks(context, domain, WEBHOOK_SECRET)
        self.locations: dict[int, Location] = {}
        self.variants: dict[int, Variant] = {}  # by inventory item id
        self._by_sku: dict[str, Variant] = {}
        self.orders: dict[int, Order] = {}
        self.inventory = Inventory(context, self.locations, self.variants, self._number_changed)
        self.views = Views(self)
        self.bulk = Bulk(context, self._read_root(), self.next_id)
        self.endpoint = Endpoint(self._root(), bucket or Bucket(), set(SCOPES))
        self._last_id = FIRST_ID
        self.admin = Admin(context, domain, self.webhooks, self.next_id)

    # What staff do besides orders.

    def add_location(self, name: str) -> str:
        """A new place; returns its gid."""
        place = Location(self.next_id(), name)
        self.locations[place.id] = place
        return gid("Location", place.id)

    def deactivate_location(self, key: str) -> None:
        """Close a place; its numbers stay, inactive."""
        self.locations[number(key)].active = False
        for (_, place), level in self.inventory.levels.items():
            if place == number(key):
                level.active = False
        self.webhooks.emit("locations/deactivate", {"id": number(key), "active": False})

    def add_variant(
        self, sku: str, stock: Mapping[str, int] | None = None, price: str = "10.00", **fields: Any
    ) -> Variant:
        """A new sellable with its inventory item, stocked at the locations (gids) that `stock` names. `fields` are
        those of `Variant`: `tracked`, `bundle`, `gift_card`, `unit_cost`, `barcode`, `title`."""
        title = str(fields.pop("title", sku))
        variant = Variant(self.next_id(), self.next_id(), self.next_id(), sku, title, Decimal(price), **fields)
        self.variants[variant.item_id] = variant
        self._by_sku.setdefault(sku, variant)
        for place, quantity in (stock or {}).items():
            self.inventory.levels[variant.item_id, number(place)] = Level(quantity)
        self.webhooks.emit("products/create", product_body(variant))
        return variant

    def rename_variant(self, sku: str, new: str) -> None:
        """Staff give a sellable another SKU."""
        variant = self.variant(sku)
        variant.sku = new
        self._by_sku.setdefault(new, variant)
        del self._by_sku[sku]
        self.webhooks.emit("products/update", product_body(variant))

    def delete_variant(self, sku: str) -> None:
        """Delete a sellable; orders keep its SKU."""
        variant = self.variant(sku)
        variant.deleted = True
        self.webhooks.emit("products/delete", {"id": variant.product_id})

    def set_stock_by_hand(self, sku: str, place: str, quantity: int) -> None:
        """A member of staff types a number into the admin."""
        self.inventory.put(self.variant(sku).item_id, number(place), quantity)

    def disconnect(self, sku: str, place: str) -> None:
        """Stop stocking an item at a location; the number stays, inactive."""
        variant = self.variant(sku)
        self.inventory.levels[variant.item_id, number(place)].active = False
        body = {"inventory_item_id": variant.item_id, "location_id": number(place)}
        self.webhooks.emit("inventory_levels/disconnect", body)

    def subscribe(self, topic: str, uri: str, *, of_app: bool = True) -> str:
        """Deliver a topic (`ORDERS_CREATE`) to an address, as the app's configuration does. Returns its gid."""
        subscription = Subscription(self.next_id(), topic, uri, of_app)
        self.webhooks.subscriptions.append(subscription)
        return gid("WebhookSubscription", subscription.id)

    def variant(self, sku: str) -> Variant:
        """By SKU, the oldest of several. Raises `KeyError`."""
        return self._by_sku[sku]

    # What a pretend shop is to the rest of the sandbox.

    def handle(self, request: Request) -> Response:
        """Answer one Admin API call, or the download of an export's file."""
        self.bulk.origin = request.url.partition(request.path)[0] if request.path in request.url else self.bulk.origin
        file = self.bulk.serve(request)
        if file is not None:
            return file
        if self.refuses_with is not None:
            return _refusal(self.refuses_with, "Unavailable")
        page = self.admin.handle(request)
        if page is not None:
            return page
        token = request.headers.get("x-shopify-access-token", "")
        client_id = None if token == self.access_token else self.admin.grants.allows(token, self.context.now())
        if token != self.access_token and client_id is None:
            return _refusal(401, "[API] Invalid API key or access token (unrecognized login or wrong password)")
        if request.method != "POST" or _PATH.fullmatch(request.path) is None:
            return _refusal(404, "Not Found")
        return self._executed(request.body, client_id)

    def _executed(self, body: bytes, client_id: str | None) -> Response:
        """A call of the shop's own token, or of an installed app with that app's scopes."""
        kept = set(self.endpoint.scopes)
        if client_id is not None:
            self.endpoint.scopes.clear()
            self.endpoint.scopes.update(self.admin.apps[client_id].scopes)
        try:
            return self.endpoint.execute(body, self.context.now())
        finally:
            self.endpoint.scopes.clear()
            self.endpoint.scopes.update(kept)

    def throttled(self, request: Request) -> Response:
        """An injected throttle, in Shopify's words; nothing has run."""
        return self.endpoint.throttled(THROTTLED_COST + int(self.endpoint.bucket.available(self.context.now())),
                                       self.context.now())  # fmt: skip

    def due_deliveries(self) -> list[Delivery]:
        """Take the webhooks whose time has come."""
        return self.webhooks.due()

    def next_delivery_at(self) -> datetime | None:
        """When the next webhook falls due."""
        return self.webhooks.next_at()

    def delivered(self, hook_key: str, status: int | None) -> None:
        """The receiver's answer to one delivery."""
        self.webhooks.delivered(hook_key, status)

    def shown(self) -> dict[str, int]:
        """The number each tracked SKU shows, summed over the locations where it is stocked."""
        return {
            variant.sku: self.inventory.total(variant.item_id)
            for variant in self.variants.values()
            if variant.tracked and not variant.bundle and not variant.deleted
        }

    def for_sale(self) -> dict[str, int]:
        """Units that a buyer can buy, from whatever location."""
        return {sku: self.inventory.for_sale(self.variant(sku).item_id) for sku in self.shown()}

    def next_id(self) -> int:
        """A fresh number."""
        self._last_id += 1
        return self._last_id

    def _number_changed(self, item_id: int, location_id: int) -> None:
        available = self.inventory.available(item_id, location_id)
        body = level_body(self.variants[item_id], location_id, available, self.context.now())
        self.webhooks.emit("inventory_levels/update", body)

    # Root fields of the schema.

    def _read_root(self) -> dict[str, Callable[..., Any]]:
        return {
            "node": lambda _info, id: self.views.node(id),
            "nodes": lambda _info, ids: [self.views.node(key) for key in ids],
            "shop": lambda _info: self._shop(),
            "currentAppInstallation": lambda _info: {"accessScopes": [{"handle": s} for s in self.endpoint.scopes]},
            "locations": lambda info, **page: connection(list(self.locations.values()), location)(info, **page),
            "productVariants": self._product_variants,
            "orders": self._orders,
            "productVariantsCount": lambda _info, **_: {"count": len(self._living()), "precision": "EXACT"},
            "webhookSubscriptions": self._webhook_subscriptions,
        }

    def _root(self) -> dict[str, Callable[..., Any]]:
        return {
            **self._read_root(),
            "bulkOperation": self.bulk.find,
            "bulkOperations": self.bulk.recent,
            "bulkOperationRunQuery": self.bulk.run_query,
            "inventorySetQuantities": lambda info, input: self.inventory.set_quantities(input, _key(info)),
            "inventoryAdjustQuantities": lambda info, input: self.inventory.adjust_quantities(input, _key(info)),
            "webhookSubscriptionCreate": self._create_subscription,
            "webhookSubscriptionUpdate": self._update_subscription,
            "webhookSubscriptionDelete": self._delete_subscription,
        }

    def _shop(self) -> dict[str, Any]:
        return {
            "id": gid("Shop", 1),
            "name": self.name,
            "myshopifyDomain": self.domain,
            "currencyCode": self.currency,
            "ianaTimezone": "America/Toronto",
            "plan": {"publicDisplayName": "Basic", "partnerDevelopment": True},
        }

    def _product_variants(self, info: object, **page: Any) -> dict[str, Any]:
        return connection(self._living(), self.views.variant)(info, **page)

    def _living(self) -> list[Variant]:
        return [variant for variant in self.variants.values() if not variant.deleted]

    def shows(self, order: Order) -> bool:
        """An app without `read_all_orders` is shown the orders of the last 60 days."""
        return ALL_ORDERS in self.endpoint.scopes or self.context.now() - order.created_at < timedelta(days=60)

    def _orders(self, info: object, query: str = "", **page: Any) -> dict[str, Any]:
        bounds = [(op, datetime.fromisoformat(at).astimezone(UTC)) for op, at in _WINDOW.findall(query or "")]
        now, lag_s = self.context.now(), self.context.faults.search_lag_s
        at = {order.id: order.found_at(now, lag_s) for order in self.orders.values() if self.shows(order)}
        found = [self.orders[key] for key, at_ in at.items() if at_ and all(_within(at_, *bound) for bound in bounds)]
        return keyset(found, lambda order: (f"{at[order.id]}", order.id), self.views.order)(info, **page)

    def _webhook_subscriptions(self, info: object, **page: Any) -> dict[str, Any]:
        made = [subscription for subscription in self.webhooks.subscriptions if not subscription.of_app]
        return connection(made, _subscription)(info, **page)

    def _create_subscription(self, _info: object, topic: str, webhookSubscription: dict[str, Any]) -> dict[str, Any]:
        uri = webhookSubscription.get("uri") or ""
        if any(s.topic == topic and s.uri == uri and not s.of_app for s in self.webhooks.subscriptions):
            taken = "Address for this topic has already been taken"
            error = {"field": ["webhookSubscription", "uri"], "message": taken}
            return {"webhookSubscription": None, "userErrors": [error]}
        self.subscribe(topic, uri, of_app=False)
        return {"webhookSubscription": _subscription(self.webhooks.subscriptions[-1]), "userErrors": []}

    def _update_subscription(self, _info: object, id: str, webhookSubscription: dict[str, Any]) -> dict[str, Any]:
        for subscription in self.webhooks.subscriptions:
            if subscription.id == number(id):
                subscription.uri = webhookSubscription.get("uri") or subscription.uri
                return {"webhookSubscription": _subscription(subscription), "userErrors": []}
        return {"webhookSubscription": None, "userErrors": [_NOT_FOUND]}

    def _delete_subscription(self, _info: object, id: str) -> dict[str, Any]:
        for subscription in self.webhooks.subscriptions:
            if subscription.id == number(id) and not subscription.of_app:
                self.webhooks.subscriptions.remove(subscription)
                return {"deletedWebhookSubscriptionId": id, "userErrors": []}
        return {"deletedWebhookSubscriptionId": None, "userErrors": [_NOT_FOUND]}


def _subscription(subscription: Subscription) -> dict[str, Any]:
    return {"id": gid("WebhookSubscription", subscription.id), "topic": subscription.topic, "uri": subscription.uri}


def _key(info: GraphQLResolveInfo[Any]) -> str | None:
    directive = admin_schema().get_directive("idempotent")
    values = get_directive_values(directive, info.field_nodes[0], info.variable_values) if directive else None
    return str(values["key"]) if values else None


def _within(at: datetime, operator: str, bound: datetime) -> bool:
    at = at.replace(microsecond=0)
    return {">=": at >= bound, "<=": at <= bound, ">": at > bound, "<": at < bound}[operator]


def _refusal(status: int, text: str) -> Response:
    return Response(status, {"Content-Type": "application/json"}, orjson.dumps({"errors": text}))
