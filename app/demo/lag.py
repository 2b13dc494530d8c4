"""How long until the other shop shows a sale: measured from the shops' own books, not from anything of ours.

A write on a shop reflects as many of the changes elsewhere as its number says: the fewest that explain it. So a number
that explains nothing yet (other changes overtook) makes a lag longer, never shorter. A sale that was undone before
anything was written needs no write and has no lag.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from app.core.percentile import percentile
from app.demo.audit import Books, Change, expand
from sandbox.base import Shown


def lags_s(books: Books, writes: Mapping[str, Sequence[Shown]]) -> list[float]:
    """Seconds of every sale that a later write on another shop reflects, for items that are sold as they are (a kit's
    number depends on several)."""
    by_sku: defaultdict[str, list[Change]] = defaultdict(list)
    for change in expand(books.changes, books.kits):
        by_sku[change.sku].append(change)
    lags: list[float] = []
    for shop, written in writes.items():
        per_sku: defaultdict[str, list[Shown]] = defaultdict(list)
        for write in written:
            per_sku[write.sku].append(write)
        for sku, changes in by_sku.items():
            lags += _Watch(shop, books.opening[sku]).follow(changes, per_sku.get(sku, []))
    return lags


@dataclass
class _Watch:
    """One item on one shop: what it would show if it knew everything up to now, less what it can't know yet."""

    shop: str
    known: int  # units left by what this shop has sold itself or been told of
    pending: list[Change] = field(default_factory=list)  # elsewhere, oldest first

    def follow(self, changes: Sequence[Change], writes: Sequence[Shown]) -> Iterator[float]:
        """Walk through both in order of time."""
        waiting = iter(changes)
        change = next(waiting, None)
        for write in writes:
            while change is not None and change.at <= write.at:
                self._note(change)
                change = next(waiting, None)
            yield from self._reflected(write)

    def _note(self, change: Change) -> None:
        if change.shop == self.shop:
            self.known -= change.units
            return
        self.pending.append(change)
        if change.units < 0 and change.order_key:
            self._undo(change)

    def _undo(self, back: Change) -> None:
        """Units that came back before anything was written: neither the sale nor its end needs a write."""
        sale = next((c for c in self.pending if c.order_key == back.order_key and c.units == -back.units), None)
        if sale is not None:
            self.pending.remove(sale)
            self.pending.remove(back)

    def _reflected(self, write: Shown) -> Iterator[float]:
        left = self.known
        for count, change in enumerate(self.pending, 1):
            left -= change.units
            if max(0, left) == write.quantity:
                done, self.pending, self.known = self.pending[:count], self.pending[count:], left
                yield from ((write.at - sale.at).total_seconds() for sale in done if sale.units > 0)
                return


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and max, in milliseconds' precision; zeroes for nothing."""
    at = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: round(percentile(values, share), 3) for name, share in at.items()}
