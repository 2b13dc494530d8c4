"""Shopify: its bytes in, our values out. Admin GraphQL, one pinned version; nothing here keeps state."""

from connectors.shopify.app import ShopifyApp
from connectors.shopify.connector import Shopify

__all__ = ["Shopify", "ShopifyApp"]
