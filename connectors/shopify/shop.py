"""What is asked of a shop when it is connected: who it is, what we may do, and where it reports to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.base import Shop
from connectors.errors import Refused
from connectors.http import Http
from connectors.shopify import graphql
from connectors.shopify.catalogue import read_locations, read_pages

SCOPES = (
    "read_products", "read_inventory", "write_inventory", "read_locations", "read_orders", "read_fulfillments",
    "read_merchant_managed_fulfillment_orders", "read_third_party_fulfillment_orders", "read_returns",
)  # fmt: skip
TOPICS = (
    "ORDERS_CREATE", "ORDERS_UPDATED", "ORDERS_CANCELLED", "ORDERS_EDITED", "ORDERS_DELETE", "REFUNDS_CREATE",
    "FULFILLMENTS_CREATE", "FULFILLMENTS_UPDATE", "FULFILLMENT_ORDERS_MOVED",
    "FULFILLMENT_ORDERS_ORDER_ROUTING_COMPLETE", "RETURNS_UPDATE", "REVERSE_FULFILLMENT_ORDERS_DISPOSE",
    "INVENTORY_LEVELS_UPDATE", "INVENTORY_LEVELS_CONNECT", "INVENTORY_LEVELS_DISCONNECT", "PRODUCTS_UPDATE",
    "PRODUCTS_DELETE", "INVENTORY_ITEMS_UPDATE", "LOCATIONS_ACTIVATE", "LOCATIONS_DEACTIVATE", "APP_UNINSTALLED",
    "APP_SCOPES_UPDATE",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Subscription:
    """A webhook subscription made through the API. `topic` as in the GraphQL enum."""

    key: str
    topic: str
    uri: str


def only_location(shop: Shop) -> str | None:
    """The shop's location, when exactly one is mapped and the shop is not known to have others that orders could be
    assigned to; then a place that a document leaves out can only be that one."""
    alone = len(shop.location_keys) == 1 and shop.facts.get("location_count", "1") == "1"
    return shop.location_keys[0] if alone else None


def read_facts(http: Http, shop: Shop) -> dict[str, str]:
    """`shop_key name domain currency time_zone plan development scopes missing_scopes location_count api_version`, and
    `api_version_mismatch` when the shop answers as another version than ours. Lists are comma-separated."""
    reply = graphql.query(http, shop, "shop_facts", {})
    told, granted = reply.data["shop"], reply.data["currentAppInstallation"]["accessScopes"]
    scopes = {scope["handle"] for scope in granted}
    missing = [scope for scope in SCOPES if not {scope, scope.replace("read_", "write_", 1)} & scopes]
    active = [location for location in read_locations(http, shop) if location.active]
    facts = {
        "shop_key": told["id"],
        "name": told["name"],
        "domain": told["myshopifyDomain"],
        "currency": told["currencyCode"],
        "time_zone": told["ianaTimezone"],
        "plan": told["plan"]["publicDisplayName"],
        "development": "yes" if told["plan"]["partnerDevelopment"] else "no",
        "scopes": ",".join(sorted(scopes)),
        "missing_scopes": ",".join(missing),
        "location_count": str(len(active)),
        "api_version": reply.version,
    }
    if reply.version not in ("", graphql.API_VERSION):
        facts["api_version_mismatch"] = f"{reply.version} instead of {graphql.API_VERSION}"
    return facts


def read_webhooks(http: Http, shop: Shop) -> list[Subscription]:
    """The subscriptions made through the API; those of the app's configuration file are never listed."""
    nodes = read_pages(http, shop, "webhooks_page", "webhookSubscriptions")
    return [Subscription(node["id"], node["topic"], node["uri"]) for node in nodes]


def write_webhooks(http: Http, shop: Shop, uri: str, topics: Sequence[str] = TOPICS) -> list[Subscription]:
    """Make sure that each topic is delivered to `uri`, once: missing ones are made, those of another address moved.

    Safe to repeat. Returns the topics' subscriptions. Raises `Refused("webhook_refused")`.
    """
    existing: dict[str, Subscription] = {}
    for subscription in read_webhooks(http, shop):
        if subscription.topic not in existing or subscription.uri == uri:
            existing[subscription.topic] = subscription
    return [_ensure(http, shop, uri, topic, existing.get(topic)) for topic in topics]


def _ensure(http: Http, shop: Shop, uri: str, topic: str, existing: Subscription | None) -> Subscription:
    if existing is not None and existing.uri == uri:
        return existing
    subscription: Mapping[str, object] = {"uri": uri, "format": "JSON"}
    if existing is None:
        variables: dict[str, object] = {"topic": topic, "subscription": subscription}
        reply = graphql.mutate(http, shop, "webhook_create", variables)
    else:
        reply = graphql.mutate(http, shop, "webhook_update", {"id": existing.key, "subscription": subscription})
    payload = next(iter(reply.data.values()))
    if payload["userErrors"]:
        raise Refused("webhook_refused", f"{topic}: {payload['userErrors'][0]['message']}"[:200])
    made = payload["webhookSubscription"]
    return Subscription(made["id"], made["topic"], made["uri"])
