"""A pretend Shopify: the real Admin schema, executed over a small shop in memory."""

from sandbox.shopify.shop import PretendShopify

__all__ = ["PretendShopify"]
