"""WooCommerce (wc/v3 and its webhooks), as observed on 10.2.4 and 10.9.0."""

from connectors.woocommerce.connector import WooCommerce
from connectors.woocommerce.subscriptions import TOPICS

__all__ = ["TOPICS", "WooCommerce"]
