"""What stock costs: pure arithmetic over one item's layers. No database, no clock, no float.

Quantities and total values are kept; a unit cost is only ever derived. Each entry is rounded once, half-even, and the
rest stays with the remainder, so parts always add up to the whole and nothing left is worth nothing.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from app.core.record import record
from app.ledger.models import MONEY_PLACES, Account, CostMethod, ReceiptUsed, ReturnExceedsIssue, State

ZERO = Decimal("0.0000")
STOCK, SHORTAGE = "stock", "shortage"

# The account on the other side of inventory, by where units leave to or come from.
OUTSIDE: dict[State, Account] = {
    State.SUPPLIER: Account.GOODS_RECEIVED,
    State.CUSTOMER: Account.COGS,
    State.SHRINKAGE: Account.SHRINKAGE,
    State.OPENING: Account.OPENING,
    State.ASSEMBLY: Account.ASSEMBLY,
}


@dataclass(slots=True)
class Layer:
    """Units of one cost. A shortage (negative) stands for units that were sold before they came; `account` is where
    their provisional cost was booked. `posting_id` is the movement that made the layer."""

    layer_id: int
    kind: str
    received_at: datetime
    posting_id: int
    account: str
    received_quantity: int
    quantity: int
    value: Decimal
    is_new: bool = False
    changed: bool = False

    def order(self) -> tuple[datetime, int]:
        return (self.received_at, self.layer_id)


@record
class Entry:
    """One journal line: a debit, a credit, one amount. `corrects` names the issue whose cost it changes."""

    posting_id: int
    item_id: int
    debit: str
    credit: str
    amount: Decimal
    provisional: bool = False
    corrects: int | None = None


@dataclass(slots=True)
class Issue:
    """What is left of an issue that returns name: units not yet returned and the cost they carry."""

    quantity: int
    value: Decimal
    account: str = Account.COGS


@dataclass(slots=True)
class Books:
    """One item's cost while a batch is booked: sums, the layers that the batch can reach, and the entries made."""

    item_id: int
    method: CostMethod
    quantity: int = 0
    value: Decimal = ZERO
    last_quantity: int = 0
    last_value: Decimal = ZERO
    stock: list[Layer] = field(default_factory=list)
    shortages: list[Layer] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    issues: dict[int, Issue] = field(default_factory=dict)  # those that the batch's returns name

    def load(self, layer: Layer) -> None:
        """An open layer; the same again does nothing."""
        layers = self.stock if layer.kind == STOCK else self.shortages
        if not layers or layers[-1].order() < layer.order():  # as they are read
            layers.append(layer)
            return
        place = bisect_left(layers, layer.order(), key=Layer.order)
        if place == len(layers) or layers[place].layer_id != layer.layer_id:
            layers.insert(place, layer)

    def forget_closed(self) -> None:
        """Drop what is used up and the entries made: a replay of a long history needs neither."""
        self.stock = [layer for layer in self.stock if layer.quantity]
        self.shortages = [layer for layer in self.shortages if layer.quantity]
        self.entries.clear()

    def layers(self) -> list[Layer]:
        """Every layer that was made or changed, closed ones included."""
        return [layer for layer in (*self.stock, *self.shortages) if layer.is_new or layer.changed]

    def issue(self, posting_id: int, quantity: int, account: str, at: datetime) -> Decimal:
        """Units leave what we own; their cost goes to `account`. Returns the cost."""
        cost, short = self._consume(quantity)
        if short:
            cost += self._go_short(posting_id, short, account, at)
        self._enter(posting_id, account, Account.INVENTORY, cost, provisional=short > 0)
        self._add(-quantity, -cost)
        return cost

    def receive(self, posting_id: int, quantity: int, value: Decimal | None, account: str, at: datetime) -> None:
        """Units become ours at a total value; shortages are settled first, oldest first."""
        known = ZERO if value is None else value
        self._enter(posting_id, Account.INVENTORY, account, known, provisional=value is None)
        if value is not None:
            self.last_quantity, self.last_value = quantity, value
        self._take_in(posting_id, quantity, known, at)

    def find_again(self, posting_id: int, quantity: int, account: str, at: datetime) -> None:
        """Units come in that name no issue (found at a count, returned without an order): at present cost, marked."""
        value = self._present_cost(quantity)
        self._enter(posting_id, Account.INVENTORY, account, value, provisional=True)
        self._take_in(posting_id, quantity, value, at)

    def take_back(self, posting_id: int, quantity: int, issue_id: int, at: datetime) -> None:
        """Units of an issue come back at that issue's cost; what it still owes (its shortage) is closed first."""
        issue = self.issues[issue_id]
        if quantity > issue.quantity:
            raise ReturnExceedsIssue(issue_id)
        closed, closed_value = self._close_shortage_of(issue_id, quantity)
        short = self._shortage_of(issue_id)
        rest = quantity - closed
        left_quantity = issue.quantity - closed - (-short.quantity if short else 0)
        left_value = issue.value - closed_value - (-short.value if short else ZERO)
        rest_value = part(left_value, left_quantity, rest) if rest else ZERO
        issue.quantity -= quantity
        issue.value -= closed_value + rest_value
        self._enter(posting_id, Account.INVENTORY, issue.account, closed_value + rest_value, corrects=issue_id)
        self._add(closed, closed_value)
        if rest:
            self._take_in(posting_id, rest, rest_value, at)

    def undo_receipt(self, posting_id: int, quantity: int, receipt_id: int, value: Decimal, account: str) -> None:
        """A receipt that was a mistake leaves again, whole and at what it was booked at."""
        layer = self._layer_of_receipt(receipt_id)
        left, worth = (layer.quantity - quantity, layer.value - value) if layer else (-1, ZERO)
        shared = self.method is CostMethod.AVERAGE and left > 0 and worth >= 0
        if layer is None or not (shared or left == worth == 0):
            raise ReceiptUsed(receipt_id)
        layer.quantity, layer.value, layer.changed = left, worth, True
        self._enter(posting_id, account, Account.INVENTORY, value)
        self._add(-quantity, -value)

    def adjust(self, posting_id: int, receipt_id: int, received: int, amount: Decimal, account: str) -> None:
        """Late cost of a receipt: the share of what is left goes to its layer, the rest to what was sold."""
        layer = self._layer_of_receipt(receipt_id)
        left = min(layer.quantity, received) if layer else 0
        share = part(amount, received, left)
        if layer and left:
            share = max(share, -layer.value)  # a credit can't make what is left worth less than nothing
            layer.value += share
            layer.changed = True
            self.value += share
            self._enter_signed(posting_id, Account.INVENTORY, account, share)
        self._enter_signed(posting_id, Account.COGS, account, amount - share)

    def _consume(self, quantity: int) -> tuple[Decimal, int]:
        """Take from the oldest layers; the cost taken and the units that were not there."""
        cost = ZERO
        for layer in self.stock:
            if not quantity:
                break
            taken = min(quantity, layer.quantity)
            if taken:
                share = part(layer.value, layer.quantity, taken)
                layer.quantity -= taken
                layer.value -= share
                layer.changed = True
                cost += share
                quantity -= taken
        return cost, quantity

    def _go_short(self, posting_id: int, quantity: int, account: str, at: datetime) -> Decimal:
        value = part(self.last_value, self.last_quantity, quantity) if self.last_quantity else ZERO
        layer = Layer(posting_id, SHORTAGE, at, posting_id, account, -quantity, -quantity, -value, is_new=True)
        insort(self.shortages, layer, key=Layer.order)
        return value

    def _take_in(self, posting_id: int, quantity: int, value: Decimal, at: datetime) -> None:
        """Settle shortages oldest first, the difference to where they were booked; what is left becomes stock."""
        self._add(quantity, value)
        for short in self.shortages:
            if not quantity:
                return
            settled = min(quantity, -short.quantity)
            if settled:
                real = part(value, quantity, settled)
                provisional = part(-short.value, -short.quantity, settled)
                _reduce(short, settled, provisional)
                quantity -= settled
                value -= real
                self.value -= real - provisional
                self._enter_signed(posting_id, short.account, Account.INVENTORY, real - provisional, short.posting_id)
                if short.posting_id in self.issues:
                    self.issues[short.posting_id].value += real - provisional
        if quantity:
            self._stack(posting_id, quantity, value, at)

    def _stack(self, posting_id: int, quantity: int, value: Decimal, at: datetime) -> None:
        pool = self._pool()
        if self.method is CostMethod.AVERAGE and pool is not None:
            pool.quantity += quantity
            pool.value += value
            pool.received_quantity += quantity
            pool.changed = True
            return
        layer = Layer(posting_id, STOCK, at, posting_id, Account.INVENTORY, quantity, quantity, value, is_new=True)
        insort(self.stock, layer, key=Layer.order)

    def _pool(self) -> Layer | None:
        return next((layer for layer in self.stock if layer.quantity), None)

    def _present_cost(self, quantity: int) -> Decimal:
        if self.method is CostMethod.AVERAGE and self.quantity > 0:
            return part(self.value, self.quantity, quantity)
        return part(self.last_value, self.last_quantity, quantity) if self.last_quantity else ZERO

    def _shortage_of(self, issue_id: int) -> Layer | None:
        return next((s for s in self.shortages if s.posting_id == issue_id and s.quantity), None)

    def _close_shortage_of(self, issue_id: int, quantity: int) -> tuple[int, Decimal]:
        short = self._shortage_of(issue_id)
        if short is None:
            return 0, ZERO
        closed = min(quantity, -short.quantity)
        value = part(-short.value, -short.quantity, closed)
        _reduce(short, closed, value)
        return closed, value

    def _layer_of_receipt(self, receipt_id: int) -> Layer | None:
        if self.method is CostMethod.AVERAGE:
            return self._pool()
        return next((layer for layer in self.stock if layer.posting_id == receipt_id), None)

    def _add(self, quantity: int, value: Decimal) -> None:
        self.quantity += quantity
        self.value += value

    def _enter(
        self,
        posting_id: int,
        debit: str,
        credit: str,
        amount: Decimal,
        *,
        provisional: bool = False,
        corrects: int | None = None,
    ) -> None:
        self.entries.append(Entry(posting_id, self.item_id, debit, credit, amount, provisional, corrects))

    def _enter_signed(
        self, posting_id: int, debit: str, credit: str, amount: Decimal, corrects: int | None = None
    ) -> None:
        if amount > 0:
            self._enter(posting_id, debit, credit, amount, corrects=corrects)
        elif amount < 0:
            self._enter(posting_id, credit, debit, -amount, corrects=corrects)


def part(value: Decimal, quantity: int, taken: int) -> Decimal:
    """The value of `taken` out of `quantity` units worth `value`; all of them take the whole of it."""
    if taken == quantity:
        return value
    return (value * taken / quantity).quantize(MONEY_PLACES, ROUND_HALF_EVEN)


def _reduce(short: Layer, units: int, value: Decimal) -> None:
    short.quantity += units
    short.value += value
    short.changed = True
