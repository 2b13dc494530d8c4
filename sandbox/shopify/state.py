"""What a pretend Shopify holds: places, variants, levels, orders and what happened to them. Data only.

Ids are whole numbers above 2^53, as real ones may be; `gid` makes GraphQL's names of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

FIRST_ID = 9_007_199_254_740_993  # 2^53 + 1: what a float would get wrong


def gid(kind: str, number: int) -> str:
    """`gid("Order", 7)` → `gid://shopify/Order/7`."""
    return f"gid://shopify/{kind}/{number}"


def number(key: str) -> int:
    """7 of `gid://shopify/Order/7`; 0 for anything else."""
    tail = key.rpartition("/")[2].partition("?")[0]
    return int(tail) if tail.isdecimal() else 0


@dataclass
class Location:
    """A place; orders are routed to active ones."""

    id: int
    name: str
    active: bool = True

    @property
    def key(self) -> str:
        """Its gid."""
        return gid("Location", self.id)


@dataclass
class Variant:
    """A sellable with its inventory item (`item_id`)."""

    id: int
    item_id: int
    product_id: int
    sku: str
    title: str
    price: Decimal
    unit_cost: Decimal | None = None
    barcode: str | None = None
    tracked: bool = True
    bundle: bool = False
    gift_card: bool = False
    deleted: bool = False

    @property
    def item_key(self) -> str:
        """The gid of its inventory item."""
        return gid("InventoryItem", self.item_id)


@dataclass
class Level:
    """One number: `available` of an item at a location."""

    available: int
    active: bool = True


@dataclass
class Line:
    """An order line. `owed` per fulfilment order lies there; `removed` by an edit, `refunded` by refunds; `away` are
    with the customer."""

    id: int
    variant: Variant | None
    sku: str
    title: str
    quantity: int
    price: Decimal
    removed: int = 0
    refunded: int = 0
    away: int = 0

    @property
    def current(self) -> int:
        """Ordered minus refunded and removed."""
        return self.quantity - self.removed - self.refunded

    @property
    def tracked(self) -> bool:
        """Whether it moves a number."""
        return self.variant is not None and self.variant.tracked and not self.variant.gift_card


@dataclass
class FulfillmentOrder:
    """What one location owes of an order: remaining units per line id. `chosen`: which location that is was found after
    the order had come, which takes time."""

    id: int
    created_at: datetime
    location_id: int
    remaining: dict[int, int]
    status: str = "OPEN"
    chosen: bool = False


@dataclass
class Fulfillment:
    """What one location sent: units per line id."""

    id: int
    location_id: int
    units: dict[int, int]
    status: str = "SUCCESS"


@dataclass
class RefundLine:
    """Units of one line, and where they were put back."""

    line_id: int
    quantity: int
    restock_type: str
    location_id: int | None
    restocked: bool


@dataclass
class Refund:
    """A refund; `return_id` when it belongs to a return."""

    id: int
    lines: list[RefundLine]
    created_at: datetime
    return_id: int | None = None


@dataclass
class Disposition:
    """What became of units that were sent back."""

    id: int
    line_id: int
    type: str
    quantity: int
    location_id: int | None


@dataclass
class Return:
    """A return with one reverse fulfilment order."""

    id: int
    reverse_id: int
    expected: dict[int, int]
    dispositions: list[Disposition] = field(default_factory=list)


@dataclass
class Order:
    """An order as the shop keeps it."""

    id: int
    number: int
    created_at: datetime
    updated_at: datetime
    lines: list[Line]
    confirmed: bool = True
    test: bool = False
    cancelled_at: datetime | None = None
    closed_at: datetime | None = None
    allocations: list[FulfillmentOrder] = field(default_factory=list)
    fulfillments: list[Fulfillment] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    returns: list[Return] = field(default_factory=list)
    changes: list[datetime] = field(default_factory=list)  # every `updated_at` it has had, oldest first

    def __post_init__(self) -> None:
        self.changes = self.changes or [self.updated_at]

    @property
    def key(self) -> str:
        """Its gid."""
        return gid("Order", self.id)

    def found_at(self, now: datetime, lag_s: float) -> datetime | None:
        """Its `updated_at` as a search knows it whose index takes up to `lag_s` for each change, for some longer than
        for others; None while it does not know the order."""
        if self.updated_at + timedelta(seconds=lag_s) <= now:
            return self.updated_at
        shares = [(self.id * 7 + number * 3) % 10 / 10 + 0.1 for number in range(len(self.changes))]
        known = [
            at for at, share in zip(self.changes, shares, strict=True) if at + timedelta(seconds=lag_s * share) <= now
        ]
        return max(known, default=None)

    def line(self, which: str | int) -> Line:
        """A line by id, gid or SKU. Raises `KeyError`."""
        wanted = number(which) if isinstance(which, str) and which.startswith("gid://") else which
        for line in self.lines:
            if wanted in (line.id, line.sku):
                return line
        raise KeyError(which)

    def owed(self, line: Line) -> int:
        """Units that fulfilment orders still owe."""
        return sum(open_.remaining.get(line.id, 0) for open_ in self.open_allocations())

    def open_allocations(self) -> list[FulfillmentOrder]:
        """Fulfilment orders with work left, also those that have to wait."""
        return [allocation for allocation in self.allocations if allocation.status in ("OPEN", "ON_HOLD")]

    def routed(self, now: datetime, lag_s: float) -> list[FulfillmentOrder]:
        """What is assigned by now, when finding the location takes up to `lag_s`, for some longer than for others."""
        lags = {a.id: timedelta(seconds=lag_s * (a.id * 7 % 10 / 10 + 0.1)) for a in self.allocations}
        return [a for a in self.allocations if not a.chosen or a.created_at + lags[a.id] <= now]

    def shipped(self, line: Line) -> int:
        """Units that live fulfilments sent."""
        return sum(f.units.get(line.id, 0) for f in self.fulfillments if f.status == "SUCCESS")


@dataclass
class Subscription:
    """A webhook subscription. One `of_app` lives in the app's configuration: not listed, never deleted."""

    id: int
    topic: str  # as in the GraphQL enum
    uri: str
    of_app: bool = False
    answered_at: datetime | None = None  # last time the receiver said 2xx
    client_id: str = ""  # of the installed app that it belongs to
    secret: str = ""  # that app's
