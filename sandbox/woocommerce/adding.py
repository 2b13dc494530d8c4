"""What WooCommerce does with an `inventory_delta`: it reads a number, adds, and writes the sum. A sale in between takes
units from what is then replaced (of 90 writes to a real shop among orders, 7).

`handle` of a pretend shop does all of it at once; whoever plays a busy shop lets something happen between the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import orjson

from sandbox.base import Request, Response, Shop
from sandbox.woocommerce.shop import WooShop


@dataclass(frozen=True, slots=True)
class Adding:
    """A batch that the shop works on: what it will write, and the numbers that it has read for it, by SKU."""

    request: Request
    read: Mapping[str, int] = field(default_factory=dict)


def begin(shop: Shop, request: Request) -> Adding:
    """Read what the batch adds to; for any other request, or shop, nothing is read."""
    if not isinstance(shop, WooShop) or b"inventory_delta" not in request.body:
        return Adding(request)
    body, read = orjson.loads(request.body), {}
    for item in body["update"]:
        product = shop.state.products.get(item["id"])
        if product is not None and product.manage and _saves(shop, item["id"]) and "inventory_delta" in item:
            read[product.sku] = product.stock or 0
            item["stock_quantity"] = read[product.sku] + item["inventory_delta"]
    return Adding(replace(request, body=orjson.dumps(body)), read)


def finish(shop: Shop, adding: Adding) -> tuple[Response, Mapping[str, int]]:
    """Write the sums. Returns the answer, and the units by SKU that had been taken meanwhile and are back."""
    if not isinstance(shop, WooShop) or not adding.read:
        return shop.handle(adding.request), {}
    shown = shop.shown()
    replaced = {
        sku: read - shown[sku]
        for sku, read in adding.read.items()
        if shown.get(sku, read) != read and _saves(shop, shop.state.by_sku[sku])
    }
    return shop.handle(adding.request), replaced


def _saves(shop: WooShop, product: int) -> bool:
    """Whether it is written, be it refused after that."""
    _, saved = shop.state.refused.get(product, (None, True))
    return saved
