"""Global ids: how Shopify names a thing in GraphQL, and how its webhook bodies (REST-shaped) name the same thing."""

from __future__ import annotations

# What can be traced back to its order when a delivery names nothing else.
PARTS_OF_ORDERS = ("FulfillmentOrder", "Return", "ReverseFulfillmentOrder")
_PREFIX = "gid://shopify/"


def gid(kind: str, number: int) -> str:
    """`gid("Order", 7)` → `gid://shopify/Order/7`."""
    return f"{_PREFIX}{kind}/{number}"


def kind(key: str) -> str:
    """`Order` of `gid://shopify/Order/7`; "" for anything else."""
    if not key.startswith(_PREFIX):
        return ""
    return key.removeprefix(_PREFIX).partition("/")[0]
