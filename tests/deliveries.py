"""Real order deliveries of pretend shops, handed to the web application as requests, alone or many at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Barrier, Event
from typing import Any

from flask import Flask
from sqlalchemy import event
from werkzeug.test import TestResponse

from app.core.db import Database
from app.inbox.receive import Delivery, Receipt, receive
from app.web import create_app
from app.web.flusher import Flusher
from sandbox.base import Delivery as Posted
from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop
from tests.street import Street
from tests.world import World

Shop = PretendShopify | WooShop


def opened(street: Street) -> PretendShopify:
    street.world.move("mug", 50, "opening > available@A", "50")
    shop = street.open_shopify({"mug": 50})
    street.settle()
    return shop


def orders_of(street: Street, shop: Shop, number: int) -> list[Posted]:
    """As many real order deliveries of the shop, not handed over; each is of another order."""
    kept: list[Posted] = []
    street.heard = lambda posted: kept.append(posted) is not None
    for _ in range(number):
        shop.place_order([("mug", 1)])
    street.deliver()
    street.heard = lambda posted: True
    topics = ("orders/create", "order.created")
    return [one for one in kept if one.headers.get("X-Shopify-Topic", one.headers.get("X-WC-Webhook-Topic")) in topics]


def address(posted: Posted) -> str:
    return "/" + posted.url.split("/", 3)[3]


def as_delivery(posted: Posted) -> Delivery:
    platform, *key = address(posted).split("/")[2:]
    headers = {name.lower(): value for name, value in posted.headers.items()}
    return Delivery(platform, key[0] if key else None, headers, posted.body)


def post(app: Flask, posted: Posted, **more: Any) -> TestResponse:
    headers = {**posted.headers, **more.pop("headers", {})}
    return app.test_client().post(more.pop("path", address(posted)), data=posted.body, headers=headers, **more)


def stored(world: World) -> list[str]:
    """Keys of the orders that were stored, once for each row."""
    with world.session() as session:
        return [
            row.resource_key
            for row in session.rows("select resource_key from inbox where merchant_id = %(merchant_id)s")
        ]


def refusals(world: World) -> dict[tuple[int, str], int]:
    """By channel and reason."""
    with world.session() as session:
        rows = session.rows(
            "select channel_id, reason, count from delivery_refusal where merchant_id = %(merchant_id)s"
        )
    return {(row.channel_id, row.reason): row.count for row in rows}


@contextmanager
def committed(database: Database) -> Iterator[list[int]]:
    """Counts the transactions that are committed meanwhile."""
    commits: list[int] = []

    def note(connection: object) -> None:
        commits.append(1)

    event.listen(database.engine, "commit", note)
    try:
        yield commits
    finally:
        event.remove(database.engine, "commit", note)


@dataclass
class Gate:
    """The application whose first batch waits before it is stored until `go`: all others gather behind it."""

    street: Street
    held: Event = field(default_factory=Event)
    go: Event = field(default_factory=Event)
    sizes: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.app = create_app(self.street.runtime)
        self.flusher = Flusher(self._receive)
        self.app.extensions["flusher"] = self.flusher

    def _receive(self, batch: Sequence[Delivery]) -> list[Receipt]:
        self.sizes.append(len(batch))
        if len(self.sizes) == 1:
            self.held.set()
            self.go.wait(30)
        return receive(self.street.runtime, batch)

    def answers(self, first: Posted, together: Sequence[Posted], **more: Any) -> list[TestResponse]:
        """Those of `together`, which all wait while `first` is being stored, and so are one flush."""
        barrier = Barrier(len(together))

        def send(posted: Posted) -> TestResponse:
            barrier.wait(30)
            return post(self.app, posted, **more)

        with ThreadPoolExecutor(len(together) + 1) as pool:
            alone = pool.submit(post, self.app, first)
            assert self.held.wait(30)
            rest: list[Future[TestResponse]] = [pool.submit(send, posted) for posted in together]
            while self.flusher.waiting() < len(together):
                pass
            self.go.set()
            assert alone.result().status_code == 200
            return [one.result() for one in rest]
