"""A pretend WooCommerce on a clock that moves when told, asked without sockets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import parse_qsl

import orjson

from sandbox.base import Context, Delivery, Request, Response
from sandbox.woocommerce import Key, Options, WooShop

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
KEY = Key()


class Bench:
    """`shop`, its `context`, and calls as its owner would make them over TLS."""

    def __init__(self, **options: Any) -> None:
        self.at = START
        self.context = Context(now=lambda: self.at, rng=Random(3))
        self.shop = WooShop(self.context, Options(tls=True, **options))

    def tick(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def answer(self, method: str, path: str, body: object = None) -> Response:
        """The raw answer; `path` is below wc/v3 unless it begins with a slash."""
        where, _, query = path.partition("?")
        pairs = [*parse_qsl(query), ("consumer_key", KEY.consumer_key), ("consumer_secret", KEY.consumer_secret)]
        whole = where if where.startswith("/") else f"/wp-json/wc/v3/{where}"
        raw = b"" if body is None else orjson.dumps(body)
        headers = {"content-type": "application/json"}
        return self.shop.handle(Request(method, whole, tuple(pairs), headers, raw, f"http://shop.example{whole}"))

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The answer's JSON."""
        return orjson.loads(self.answer(method, path, body).body)

    def hear(self, *topics: str) -> None:
        """Subscribe, and let the pings pass."""
        for topic in topics:
            self.shop.add_hook(topic, "http://receiver.example/", "secret")
        self.heard()

    def deliveries(self) -> list[Delivery]:
        """What is due now."""
        return self.shop.due_deliveries()

    def heard(self) -> list[tuple[str, Any]]:
        """Topic and the id or argument of what is due now, in the order it is sent."""
        found = []
        for delivery in self.deliveries():
            if "X-WC-Webhook-Topic" in delivery.headers:
                body = orjson.loads(delivery.body)
                found.append((delivery.headers["X-WC-Webhook-Topic"], body.get("id", body.get("arg"))))
        return found

    def reduced(self, order: int) -> list[int | None]:
        """`_reduced_stock` per line."""
        return [line.reduced for line in self.shop.get_order(order).lines]
