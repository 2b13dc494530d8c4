"""What the contract suite needs of a vendor: a connector, its pretend shop over HTTP, and what people do in a shop.

Whoever writes a connector gives one `Rig` per test (docs/writing-a-connector.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from connectors.base import Connector, Shop, StockKey
from connectors.http import Http
from sandbox.base import Context, Delivery, Request, Response
from sandbox.base import Shop as PretendShop
from sandbox.faults import NONE, Faults
from sandbox.front import Front

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Clock:
    """Time that moves when told."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def tick(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class Rig(Protocol):
    """A connector, its pretend shop behind a front, and the few things people do in a shop.

    `http` must not wait (`sleep=clock.tick`); `secret` signs the deliveries once `subscribe` was called. A vendor whose
    listings are bare JSON lists also has `bare_lists = True`: an empty list is an answer there.
    """

    connector: Connector
    pretend: PretendShop
    front: Front
    shop: Shop
    http: Http
    clock: Clock
    secret: str

    def add(self, sku: str, stock: int) -> StockKey:
        """A product with that number."""

    def add_untracked(self, sku: str) -> StockKey:
        """A product that the shop keeps no number for."""

    def gone_stock(self) -> StockKey:
        """Where a number is no more."""

    def gone_order(self) -> str:
        """An order that is no more."""

    def order(self, sku: str, units: int) -> str:
        """A paid order of one line; its key."""

    def ship(self, order_key: str) -> None:
        """All of it leaves."""

    def cancel(self, order_key: str) -> None:
        """Before it left; the shop puts it back into its own number."""

    def refund(self, order_key: str, units: int, *, restock: bool) -> None:
        """Of its only line, before or after it left."""

    def touch(self, order_key: str) -> None:
        """Anything that changes the order."""

    def subscribe(self) -> None:
        """Have the shop deliver to an address of ours."""


class Fixed:
    """A shop that always answers the same."""

    def __init__(self, context: Context, response: Response) -> None:
        self.context = context
        self._response = response

    def handle(self, request: Request) -> Response:
        return self._response

    def due_deliveries(self) -> list[Delivery]:
        return []

    def delivered(self, hook_key: str, status: int | None) -> None:
        pass

    def shown(self) -> dict[str, int]:
        return {}


class Counting:
    """The shop itself, and how many calls reached it."""

    def __init__(self, shop: PretendShop) -> None:
        self._shop, self.calls = shop, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shop, name)

    def handle(self, request: Request) -> Response:
        self.calls += 1
        return self._shop.handle(request)


@contextmanager
def counting(rig: Rig) -> Iterator[Counting]:
    """Calls to the shop are counted."""
    rig.front.shop = counted = Counting(rig.pretend)  # type: ignore[assignment]
    try:
        yield counted
    finally:
        rig.front.shop = rig.pretend


@contextmanager
def answering(rig: Rig, response: Response) -> Iterator[None]:
    """The shop's place is taken by a firewall, a broken proxy or worse."""
    rig.front.shop = Fixed(rig.pretend.context, response)
    try:
        yield
    finally:
        rig.front.shop = rig.pretend


@contextmanager
def faults(rig: Rig, **rates: float) -> Iterator[None]:
    """Every call goes wrong in this way."""
    rig.pretend.context.faults = Faults(**rates)
    try:
        yield
    finally:
        rig.pretend.context.faults = NONE
