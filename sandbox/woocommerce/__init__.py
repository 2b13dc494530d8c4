"""A pretend WooCommerce: real wire format, real habits, no PHP."""

from sandbox.woocommerce.shop import WooShop
from sandbox.woocommerce.state import Key, Options

__all__ = ["Key", "Options", "WooShop"]
