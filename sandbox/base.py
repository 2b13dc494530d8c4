"""What every pretend shop has in common: a clock and dice from outside, an order book, and deliveries that fall due.

The state machine is plain Python without threads, sockets or sleeping, so that the same code runs behind HTTP in the
demo and in virtual time in the simulator. The order book, sales and parcels, is the truth that audits use: it is
written by the shop's own people and never by anything Perpetual sends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Protocol

from sandbox.faults import NONE, Faults, delivery_delays_s


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook on its way: POST `body` with `headers` to `url` at or after `due_at`."""

    due_at: datetime
    url: str
    headers: Mapping[str, str]
    body: bytes
    hook_key: str  # whose failure counter an answer moves


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as a shop sees it; headers lower-case, query decoded in order."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    url: str


@dataclass(frozen=True, slots=True)
class Response:
    """What a shop answers."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Sale:
    """A line of the shop's own order book. `units` > 0 took stock off the shelf, < 0 put it back."""

    at: datetime
    order_key: str
    sku: str
    units: int
    shown_after: int  # the shop's number after it; negative = oversold


@dataclass(frozen=True, slots=True)
class Parcel:
    """Goods of an order on their way: `units` > 0 left the house, < 0 came back to it, whatever becomes of them there.
    Selling moves none, and a unit that comes back need not be for sale again."""

    at: datetime
    order_key: str
    sku: str
    units: int


@dataclass(frozen=True, slots=True)
class Shown:
    """One change of a shop's shown number by a write of ours."""

    at: datetime
    sku: str
    quantity: int


def nobody_answers(url: str, headers: Mapping[str, str], body: bytes) -> int | None:
    """A way out that leads nowhere."""
    return None


@dataclass
class Context:
    """What a shop gets from outside, and what it writes down. `post`: the shop's server calls somebody; the status,
    None for no answer. `seen` counts deliveries that were lost or doubled."""

    now: Callable[[], datetime]
    rng: Random
    faults: Faults = NONE
    sales: list[Sale] = field(default_factory=list)
    writes: list[Shown] = field(default_factory=list)
    post: Callable[[str, Mapping[str, str], bytes], int | None] = nobody_answers
    seen: Counter[str] = field(default_factory=Counter)
    parcels: list[Parcel] = field(default_factory=list)

    def send(self, order_key: str, sku: str, units: int) -> None:
        """Write a parcel down, if there is anything in it."""
        if units:
            self.parcels.append(Parcel(self.now(), order_key, sku, units))

    def delays_s(self) -> tuple[float, ...]:
        """Seconds until each copy of one delivery arrives, by the dice."""
        delays = delivery_delays_s(self.faults, self.rng)
        if len(delays) != 1:
            self.seen["doubled" if delays else "lost"] += 1
        return delays


class Shop(Protocol):
    """A pretend shop: sells by itself, answers requests, and has deliveries that fall due."""

    context: Context

    def handle(self, request: Request) -> Response:
        """Answer one API call and apply its effect at once (latency and faults belong to the HTTP front)."""

    def due_deliveries(self) -> list[Delivery]:
        """Take the deliveries whose time has come; each is handed out once per copy."""

    def next_delivery_at(self) -> datetime | None:
        """When the next delivery falls due; None when none is on its way."""

    def delivered(self, hook_key: str, status: int | None) -> None:
        """The receiver's answer to a delivery; None when there was none. Moves the failure counter."""

    def shown(self) -> dict[str, int]:
        """The number each tracked SKU shows (summed over locations)."""

    def for_sale(self) -> dict[str, int]:
        """Units of each tracked SKU that a buyer can buy: a number below zero, of any location, sells none."""
