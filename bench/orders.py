"""Signed order deliveries as Shopify posts them: about 4 KB, two lines, a made-up buyer, no places.

The fields are those of the REST order resource (Admin API 2026-10); what is not about stock is there for its weight.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from datetime import datetime
from random import Random
from typing import Any

import orjson

FIRST_ID = 5_000_000_000_000
_ADDRESS = {
    "first_name": "Ada", "last_name": "Buyer", "address1": "1 Main Street", "address2": "", "phone": "+15550100",
    "city": "Ottawa", "zip": "K2P 0V6", "province": "Ontario", "country": "Canada", "company": None,
    "latitude": 45.41634, "longitude": -75.6868, "name": "Ada Buyer", "country_code": "CA", "province_code": "ON",
}  # fmt: skip


def variant_key(item: int) -> str:
    """The listing key of the bench's item number `item`."""
    return f"gid://shopify/ProductVariant/{FIRST_ID + item}"


def requests(first: int, number: int, *, items: int, domain: str, secret: str, at: datetime) -> Iterator[bytes]:
    """Whole HTTP requests for orders `first` … `first + number - 1`, of items drawn evenly from 0 … items - 1."""
    dice = Random(first)
    for order in range(first, first + number):
        body = orjson.dumps(_order(order, dice.sample(range(items), 2), at))
        signature = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
        head = (
            f"POST /webhooks/shopify HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Shopify-Captain-Hook\r\nAccept: */*\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nX-Shopify-Topic: orders/create\r\n"
            f"X-Shopify-Hmac-Sha256: {signature}\r\nX-Shopify-Shop-Domain: {domain}\r\n"
            f"X-Shopify-API-Version: 2026-10\r\nX-Shopify-Webhook-Id: {order:032x}\r\n"
            f"X-Shopify-Event-Id: {order + 1:032x}\r\n"
            f"X-Shopify-Triggered-At: {at.isoformat()}\r\n\r\n"
        )
        yield head.encode() + body


def _order(order: int, items: list[int], at: datetime) -> dict[str, Any]:
    number, when = FIRST_ID + order, at.isoformat(timespec="seconds")
    return {
        "id": number, "admin_graphql_api_id": f"gid://shopify/Order/{number}", "app_id": 580111,
        "browser_ip": "203.0.113.7",
        "buyer_accepts_marketing": False, "cancel_reason": None, "cancelled_at": None, "cart_token": _token(number),
        "checkout_id": number + 7, "checkout_token": _token(number + 7), "closed_at": None, "confirmed": True,
        "client_details": {"accept_language": "en-CA", "browser_ip": "203.0.113.7", "user_agent": "Mozilla/5.0 (X11)"},
        "contact_email": "buyer@example.com", "created_at": when, "currency": "EUR", "current_total_price": "20.00",
        "current_subtotal_price_set": _money("20.00"), "current_total_price_set": _money("20.00"), "discount_codes": [],
        "email": "buyer@example.com", "estimated_taxes": False, "financial_status": "paid", "fulfillment_status": None,
        "landing_site": "/?utm_source=newsletter", "location_id": None, "name": f"#{order}", "note": None,
        "note_attributes": [], "number": order, "order_number": order, "payment_gateway_names": ["bogus"],
        "phone": "+15550100", "presentment_currency": "EUR", "processed_at": when, "source_name": "web", "tags": "",
        "subtotal_price": "20.00", "tax_lines": [], "taxes_included": True, "test": False, "token": _token(number + 9),
        "total_price": "20.00", "total_weight": 500, "updated_at": when, "user_id": None,
        "billing_address": _ADDRESS, "shipping_address": _ADDRESS,
        "customer": {"id": 7_000_000, "email": "buyer@example.com", "state": "disabled", "default_address": _ADDRESS},
        "fulfillments": [], "refunds": [], "shipping_lines": [],
        "line_items": [_line(number, index, item) for index, item in enumerate(items)],
    }  # fmt: skip


def _line(order: int, index: int, item: int) -> dict[str, Any]:
    number = order * 10 + index
    return {
        "id": number, "admin_graphql_api_id": f"gid://shopify/LineItem/{number}", "fulfillable_quantity": 1,
        "current_quantity": 1, "fulfillment_service": "manual", "fulfillment_status": None, "gift_card": False,
        "grams": 250, "name": f"Item {item}", "price": "10.00", "price_set": _money("10.00"), "product_exists": True,
        "product_id": FIRST_ID + item, "properties": [], "quantity": 1, "requires_shipping": True, "sku": f"{item}",
        "taxable": True, "title": f"Item {item}", "total_discount": "0.00", "total_discount_set": _money("0.00"),
        "variant_id": FIRST_ID + item, "variant_inventory_management": "shopify", "variant_title": None,
        "vendor": "bench", "tax_lines": [], "duties": [], "discount_allocations": [],
    }  # fmt: skip


def _token(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:32]


def _money(amount: str) -> dict[str, Any]:
    one = {"amount": amount, "currency_code": "EUR"}
    return {"shop_money": one, "presentment_money": one}
