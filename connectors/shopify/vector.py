"""Where each unit of an order line is: from the facts that Shopify's documents state to `Units` per location. Pure.

Committed is what fulfilment orders still owe, shipped what fulfilments sent and nobody brought back. A unit that left
the order before it was shipped is *gone*: refund lines say how. A unit that came back is booked once, by the
disposition on the reverse fulfilment order or by the refund line of the same return, never by both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from connectors.base import OrderLine, OrderSnapshot, Problem, Units

Place = str | None  # a location's gid; None: the channel does not say


class Restock(StrEnum):
    """How a refund line treats its units, in the order in which they are settled."""

    CANCEL = "cancel"  # not shipped, back on sale
    RETURN = "return"  # shipped, back on sale
    LEGACY = "legacy_restock"  # old data: either
    NONE = "no_restock"


class Disposition(StrEnum):
    """What became of a unit that was sent back."""

    RESTOCKED = "restocked"
    NOT_RESTOCKED = "not_restocked"
    PROCESSING_REQUIRED = "processing_required"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class RefundLine:
    """Units of a line that a refund names. `done` False: the shop says that it did not restock after all."""

    restock: Restock
    quantity: int
    place: Place
    at: datetime | None = None
    return_key: str | None = None
    done: bool = True


@dataclass(frozen=True, slots=True)
class Disposed:
    """Units of a line that a reverse fulfilment order has dealt with."""

    disposition: Disposition
    quantity: int
    place: Place
    return_key: str


@dataclass(frozen=True, slots=True)
class LineFacts:
    """One line as the documents state it. `homes`: every location it was ever assigned to, and since when.

    `current` is the shop's "ordered minus refunded and removed", None where the document lacks it. `tracked` False: the
    shop keeps no stock for it, though it may be a thing; `stocked` False: it is none (a gift card, a tip).
    """

    key: str
    listing_key: str | None
    stock_key: str | None
    sku: str | None
    ordered: int
    current: int | None
    unit_price: Decimal | None
    tracked: bool
    stocked: bool = True
    owed: tuple[tuple[Place, int], ...] = ()
    shipped: tuple[tuple[Place, int], ...] = ()
    refunded: tuple[RefundLine, ...] = ()
    disposed: tuple[Disposed, ...] = ()
    homes: tuple[tuple[datetime, str], ...] = ()


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """One order as the documents state it. `home`: the location of a shop that has only one. `confirmed`: the shop
    took stock for it."""

    key: str
    number: str
    version: datetime
    placed_at: datetime
    closed: bool
    cancelled: bool
    confirmed: bool
    currency: str | None
    home: Place
    located: bool
    lines: tuple[LineFacts, ...]
    problems: tuple[Problem, ...] = ()


def snapshot(facts: OrderFacts) -> OrderSnapshot:
    """The order with every unit in its place. `located` is False while any unit that is kept stock of has none."""
    problems = list(facts.problems)
    lines = []
    for line in facts.lines:
        settled = _Settlement(line, facts.home)
        units = settled.units(cancelled=facts.cancelled) if facts.confirmed and line.stocked else ()
        problems += settled.problems if line.tracked else []
        lines.append(
            OrderLine(
                line_key=line.key,
                listing_key=line.listing_key,
                stock_key=line.stock_key,
                sku=line.sku,
                ordered=line.ordered,
                unit_price=line.unit_price,
                units=units,
                tracked=line.tracked,
            )
        )
    placed = all(unit.location_key is not None for line in lines if line.tracked for unit in line.units)
    located = facts.located and placed
    return OrderSnapshot(
        order_key=facts.key, number=facts.number, version=facts.version, placed_at=facts.placed_at,
        status=_status(facts), currency=facts.currency, lines=tuple(lines), problems=tuple(problems), located=located,
    )  # fmt: skip


def _status(facts: OrderFacts) -> str:
    if facts.cancelled:
        return "cancelled"
    if not facts.confirmed:
        return "unconfirmed"
    return "closed" if facts.closed else "open"


@dataclass(slots=True)
class _Parcel:
    """Shipped units of one place that nothing has been said about yet."""

    place: Place
    units: int


class _Settlement:
    """Counts one line's units into places; used once."""

    def __init__(self, line: LineFacts, home: Place) -> None:
        self.line = line
        self.home = home
        self.problems: list[Problem] = []
        self._at: dict[Place, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._parcels: list[_Parcel] = []
        self._gone = 0  # units that left the order unshipped and that nothing has been said about yet

    def units(self, *, cancelled: bool) -> tuple[Units, ...]:
        self._place_what_is_sold()
        told = self._book_dispositions()
        for refund in sorted(self.line.refunded, key=lambda line: list(Restock).index(line.restock)):
            said_already = min(refund.quantity, told.get(refund.return_key or "", 0))
            if refund.return_key and said_already:
                told[refund.return_key] -= said_already
            self._book_refund(refund, refund.quantity - said_already)
        self._explain_the_rest(cancelled=cancelled)
        return self._result()

    def _place_what_is_sold(self) -> None:
        for place, quantity in self.line.owed:
            self._add(place or self.home, committed=quantity, taken=quantity)
        for place, quantity in self.line.shipped:
            self._add(place or self.home, shipped=quantity, taken=quantity)
            self._parcels.append(_Parcel(place or self.home, quantity))
        placed = _total(self.line.owed) + _total(self.line.shipped)
        self._gone = max(0, self.line.ordered - placed)
        if placed > self.line.ordered:
            self._report("more_than_ordered", f"{placed} units placed, {self.line.ordered} ordered")

    def _book_dispositions(self) -> dict[str, int]:
        told: dict[str, int] = defaultdict(int)
        for disposed in self.line.disposed:
            told[disposed.return_key] += disposed.quantity
            match disposed.disposition:
                case Disposition.RESTOCKED:
                    left = self._bring_back(disposed.quantity, disposed.place, "restocked")
                case Disposition.NOT_RESTOCKED:
                    left = self._bring_back(disposed.quantity, disposed.place, "damaged")
                case Disposition.PROCESSING_REQUIRED:
                    left = self._bring_back(disposed.quantity, disposed.place, "held")
                case Disposition.MISSING:
                    left = 0  # still with the customer, or lost: never with us
            self._report_excess(left)
        return told

    def _book_refund(self, refund: RefundLine, quantity: int) -> None:
        match refund.restock:
            case Restock.CANCEL | Restock.LEGACY:
                left = self._return_shipped(refund, self._release_gone(refund, quantity))
            case Restock.RETURN:
                left = self._release_gone(refund, self._return_shipped(refund, quantity))
            case Restock.NONE:
                held = min(quantity, self._gone)
                self._hold_gone(held, refund.at)
                left = max(0, quantity - held - sum(parcel.units for parcel in self._parcels))
        self._report_excess(left)
        if left and refund.restock is not Restock.NONE and refund.done:
            self._add(refund.place or self._origin(refund.at), taken=-left)  # the shop's own number did go up

    def _release_gone(self, refund: RefundLine, quantity: int) -> int:
        """Unshipped units back on sale; returns how many are left to explain."""
        units = min(quantity, self._gone)
        if units == 0:
            return quantity
        if not refund.done:
            self._report("not_restocked", "the shop did not put the refunded units back on sale")
            self._hold_gone(units, refund.at)
            return quantity - units
        self._gone -= units
        if refund.place and refund.place not in [place for _, place in self.line.homes or [(None, refund.place)]]:
            self._report("restocked_elsewhere", "unshipped units were put back at another location than they lie at")
            self._add(self._origin(refund.at), taken=units)
            self._add(refund.place, taken=-units)
        return quantity - units

    def _return_shipped(self, refund: RefundLine, quantity: int) -> int:
        if not refund.done:
            left = self._bring_back(quantity, refund.place, "held")
            if left < quantity:
                self._report("not_restocked", "the shop did not put the returned units back on sale")
            return left
        return self._bring_back(quantity, refund.place, "restocked")

    def _bring_back(self, quantity: int, place: Place, state: str) -> int:
        """Take units from the customer to `place` (null: where they were shipped from). Returns what was too many."""
        for parcel in sorted(self._parcels, key=lambda parcel: parcel.place != place):
            units = min(quantity, parcel.units)
            if units == 0:
                continue
            quantity -= units
            parcel.units -= units
            self._add(parcel.place, shipped=-units)
            self._add(place or parcel.place, **{state: units}, taken=-units if state == "restocked" else 0)
            if place is None and state == "restocked":
                self._report("restock_location_missing", "the shop restocked without saying where")
        return quantity

    def _hold_gone(self, units: int, at: datetime | None) -> None:
        self._gone -= units
        self._add(self._origin(at), held=units, taken=units)

    def _explain_the_rest(self, *, cancelled: bool) -> None:
        if self._gone == 0:
            return
        current = self.line.ordered - self._gone if self.line.current is None else self.line.current
        removed_by_edit = max(0, self.line.ordered - current - sum(line.quantity for line in self.line.refunded))
        unsaid = max(0, self._gone - removed_by_edit)
        if not cancelled:  # still on order, but no fulfilment order says where (yet)
            self._add(self.home, committed=unsaid, taken=unsaid)
        elif unsaid:  # a deactivated location swallows the units of a cancelled unpaid order (schema, orderCancel)
            self._report("cancelled_without_restock", f"{unsaid} cancelled units were not put back on sale")
            self._hold_gone(unsaid, None)

    def _origin(self, at: datetime | None) -> Place:
        """Where unshipped units lay at that time; None: where they were assigned last."""
        homes = sorted(self.line.homes)
        known = [place for since, place in homes if at is None or since <= at] or [place for _, place in homes[:1]]
        return known[-1] if known else self.home

    def _add(self, place: Place, **counts: int) -> None:
        for name, count in counts.items():
            self._at[place][name] += count

    def _report(self, reason: str, detail: str) -> None:
        self.problems.append(Problem(reason, detail, self.line.key))

    def _report_excess(self, units: int) -> None:
        if units:
            self._report("refund_exceeds_order", f"{units} units more came back than were sold")

    def _result(self) -> tuple[Units, ...]:
        counted = {place: counts for place, counts in self._at.items() if any(counts.values())}
        return tuple(Units(location_key=place, **counted[place]) for place in sorted(counted, key=lambda p: p or ""))


def _total(placed: Iterable[tuple[Place, int]]) -> int:
    return sum(quantity for _, quantity in placed)
