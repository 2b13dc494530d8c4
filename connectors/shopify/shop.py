"""What is asked of a shop when it is connected: who it is, what we may do, and where it reports to."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.base import ALL_ORDERS_SHOWN, Shop, Subscription
from connectors.errors import AccessDenied, Refused
from connectors.http import Http
from connectors.shopify import graphql
from connectors.shopify.catalogue import read_locations, read_pages
from connectors.shopify.shape import Node

SCOPES = (
    "read_products", "read_inventory", "write_inventory", "read_locations", "read_orders", "read_fulfillments",
    "read_merchant_managed_fulfillment_orders", "read_third_party_fulfillment_orders", "read_returns",
)  # fmt: skip
TOPICS = (
    "ORDERS_CREATE", "ORDERS_UPDATED", "ORDERS_CANCELLED", "ORDERS_EDITED", "ORDERS_DELETE", "REFUNDS_CREATE",
    "FULFILLMENTS_CREATE", "FULFILLMENTS_UPDATE", "FULFILLMENT_ORDERS_MOVED",
    "FULFILLMENT_ORDERS_ORDER_ROUTING_COMPLETE", "FULFILLMENT_ORDERS_SPLIT", "FULFILLMENT_ORDERS_MERGED",
    "FULFILLMENT_ORDERS_CANCELLED", "FULFILLMENT_ORDERS_PLACED_ON_HOLD", "FULFILLMENT_ORDERS_HOLD_RELEASED",
    "RETURNS_UPDATE", "REVERSE_FULFILLMENT_ORDERS_DISPOSE", "INVENTORY_LEVELS_UPDATE", "INVENTORY_LEVELS_CONNECT",
    "INVENTORY_LEVELS_DISCONNECT", "PRODUCTS_CREATE", "PRODUCTS_UPDATE", "PRODUCTS_DELETE", "INVENTORY_ITEMS_UPDATE",
    "LOCATIONS_ACTIVATE", "LOCATIONS_DEACTIVATE", "APP_UNINSTALLED", "APP_SCOPES_UPDATE",
)  # fmt: skip


def only_location(shop: Shop) -> str | None:
    """The shop's location, when exactly one is mapped and the shop is not known to have others that orders could be
    assigned to; then a place that a document leaves out can only be that one."""
    alone = len(shop.location_keys) == 1 and shop.facts.get("location_count", "1") == "1"
    return shop.location_keys[0] if alone else None


def read_facts(http: Http, shop: Shop) -> dict[str, str]:
    """`shop_key name domain currency time_zone plan development scopes missing_scopes location_count all_orders_shown
    api_version variant_count`, and `api_version_mismatch` when the shop answers as another version than ours. Lists are
    comma-separated."""
    reply = graphql.query(http, shop, "shop_facts", {})
    told, app = Node(reply.data).node("shop"), Node(reply.data).node("currentAppInstallation")
    scopes = {scope.text("handle") for scope in app.nodes("accessScopes")}
    active = [location for location in read_locations(http, shop) if location.active]
    facts = {
        "shop_key": told.text("id"),
        "name": told.text("name"),
        "domain": told.text("myshopifyDomain"),
        "currency": told.text("currencyCode"),
        "time_zone": told.text("ianaTimezone"),
        "plan": told.node("plan").text("publicDisplayName"),
        "development": "yes" if told.node("plan").flag("partnerDevelopment", absent=False) else "no",
        "scopes": ",".join(sorted(scopes)),
        "missing_scopes": ",".join(_missing(scopes)),
        "location_count": str(len(active)),
        ALL_ORDERS_SHOWN: "yes" if "read_all_orders" in scopes else "no",
        "api_version": reply.version,
    }
    facts |= _catalogue_size(http, shop)
    if reply.version not in ("", graphql.API_VERSION):
        facts["api_version_mismatch"] = f"{reply.version} instead of {graphql.API_VERSION}"
    return facts


def read_missing_scopes(http: Http, shop: Shop) -> list[str]:
    """Those of `SCOPES` that the shop does not grant; it takes none of them to ask."""
    app = Node(graphql.query(http, shop, "shop_facts", {}).data).node("currentAppInstallation")
    return _missing({scope.text("handle") for scope in app.nodes("accessScopes")})


def _missing(granted: set[str]) -> list[str]:
    return [scope for scope in SCOPES if not {scope, scope.replace("read_", "write_", 1)} & granted]


def _catalogue_size(http: Http, shop: Shop) -> dict[str, str]:
    """`variant_count`, up to 10,000; without the scope to know it, nothing."""
    try:
        counted = Node(graphql.query(http, shop, "catalogue_size", {}).data).find_node("productVariantsCount")
    except AccessDenied:
        return {}
    return {"variant_count": str(counted.count("count"))} if counted else {}


def read_webhooks(http: Http, shop: Shop) -> list[Subscription]:
    """The subscriptions made through the API by this app; those of its configuration file are never listed."""
    nodes = [Node(node, "webhook") for node in read_pages(http, shop, "webhooks_page", "webhookSubscriptions")]
    return [Subscription(node.text("id"), node.text("topic"), node.text("uri")) for node in nodes]


def write_webhooks(http: Http, shop: Shop, uri: str, *, renew: bool = False) -> list[Subscription]:
    """Make sure that each topic is delivered to `uri`, once: missing ones are made, those of another address moved.
    `renew` writes the others again too.

    Safe to repeat. Returns the topics' subscriptions. Raises `Refused("webhook_refused")`.
    """
    existing: dict[str, Subscription] = {}
    for subscription in read_webhooks(http, shop):
        if subscription.topic not in existing or subscription.url == uri:
            existing[subscription.topic] = subscription
    return [_ensure(http, shop, uri, topic, known=existing.get(topic), renew=renew) for topic in TOPICS]


def remove_webhooks(http: Http, shop: Shop, uri: str) -> int:
    """Take back those that deliver to `uri`; how many. Safe to repeat. Raises `Refused("webhook_refused")`."""
    ours = [subscription for subscription in read_webhooks(http, shop) if subscription.url == uri]
    for subscription in ours:
        reply = graphql.mutate(http, shop, "webhook_delete", {"id": subscription.subscription_key})
        _accepted(reply, subscription.topic)
    return len(ours)


def _accepted(reply: graphql.Reply, topic: str) -> Node:
    """What a webhook's mutation answered. Raises `Refused("webhook_refused")`."""
    payload = Node(next(iter(reply.data.values()), None), "payload")
    for error in payload.find_nodes("userErrors"):
        raise Refused("webhook_refused", f"{topic}: {error.find_text('message')}"[:200])
    return payload


def _ensure(
    http: Http, shop: Shop, uri: str, topic: str, *, known: Subscription | None, renew: bool
) -> Subscription:  # fmt: skip
    if known is not None and known.url == uri and not renew:
        return known
    subscription: Mapping[str, object] = {"uri": uri, "format": "JSON"}
    if known is None:
        variables: dict[str, object] = {"topic": topic, "subscription": subscription}
        reply = graphql.mutate(http, shop, "webhook_create", variables)
    else:
        reply = graphql.mutate(
            http, shop, "webhook_update", {"id": known.subscription_key, "subscription": subscription}
        )
    made = _accepted(reply, topic).node("webhookSubscription")
    return Subscription(made.text("id"), made.text("topic"), made.text("uri"))
