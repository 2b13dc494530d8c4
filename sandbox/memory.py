"""What a pretend shop remembers when its process ends: everything it sold and shows, as bytes, and back again.

Clock, dice and faults are not part of it; they come from outside each time.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop

_SHOPIFY = (
    "locations", "variants", "_by_sku", "orders", "_last_id", "inventory.levels", "inventory._kept",
    "webhooks.subscriptions", "webhooks._queue", "webhooks._sent", "webhooks._count",
    "admin.apps", "admin.grants.installed", "admin.grants.tokens", "admin.grants.refreshes",
)  # fmt: skip
_WOO = (
    "state.products", "state.by_sku", "state.product_ids", "state.orders", "state.order_ids", "state.trashed_orders",
    "state.refunds", "state.order_log", "state.product_log", "state._next_post", "state._next_line", "_hooks.hooks",
    "_hooks._by_topic", "_hooks._pending", "_hooks._queue", "_hooks._flying", "_hooks._sequence", "_hooks._last_id",
    "state.keys",
)  # fmt: skip
_COUNTERS = ("_last_id", "_next_post", "_next_line")  # of what is named: ids, never to be used twice
SKIPPED_IDS = 1_000_000  # a memory may be older than the last order; no id of the forgotten ones is given again


def remember(shop: PretendShopify | WooShop) -> bytes:
    """The shop's state. Hold its lock meanwhile."""
    return pickle.dumps([_get(shop, path) for path in _paths(shop)], protocol=5)


def recall(shop: PretendShopify | WooShop, memory: bytes) -> None:
    """Put a state back into a shop that was just opened. `memory` is our own file: never bytes from elsewhere."""
    for path, value in zip(_paths(shop), pickle.loads(memory), strict=True):  # noqa: S301
        _put(shop, path, value + SKIPPED_IDS if path.rpartition(".")[2] in _COUNTERS else value)


def _paths(shop: PretendShopify | WooShop) -> Sequence[str]:
    return _SHOPIFY if isinstance(shop, PretendShopify) else _WOO


def _owner(shop: object, path: str) -> tuple[Any, str]:
    *way, name = path.split(".")
    for step in way:
        shop = getattr(shop, step)
    return shop, name


def _get(shop: object, path: str) -> Any:
    owner, name = _owner(shop, path)
    return getattr(owner, name)


def _put(shop: object, path: str, value: Any) -> None:
    """Dictionaries and lists are filled, not replaced: several parts of a shop hold the same one."""
    owner, name = _owner(shop, path)
    held = getattr(owner, name)
    if isinstance(held, dict):
        held.clear()
        held.update(value)
    elif isinstance(held, list):
        held[:] = value
    else:
        setattr(owner, name, value)
