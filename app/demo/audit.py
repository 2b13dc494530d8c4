"""The audit that knows nothing of how Perpetual works: the shops' own order books against the numbers.

Per item, what was there at the start plus what came in minus what the books sold (and took back) must be what the
ledger can sell and what each shop shows. Only the ledger's sums per item and place are read. All pure.

A sold unit leaves `available` when it is sold, whether it has been shipped or not, and a unit put back on sale is
available again: so what was sold compares with `available`. What lies in the house (promised, damaged or to be checked
as well) changes when goods leave it or come to it: so the parcels compare with what is on hand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sandbox.base import Parcel, Sale

Levels = Mapping[str, Mapping[int, int]]  # SKU → place → available
Kits = Mapping[str, Mapping[str, int]]  # kit → component → units


@dataclass(frozen=True, slots=True)
class Change:
    """Units of one item going (> 0: sold, or sent away) or coming (< 0); `shop` is empty for a supplier's delivery."""

    at: datetime
    shop: str
    order_key: str
    sku: str
    units: int


@dataclass(frozen=True, slots=True)
class Books:
    """What happened, as the shops and the suppliers wrote it down: what could be sold `changes` with sales, what is in
    the house with `parcels`, both with deliveries."""

    opening: Mapping[str, int]
    changes: Sequence[Change]
    kits: Kits
    parcels: Sequence[Change] = ()

    def expected(self) -> Expected:
        """What must be there at the end."""
        return Expected(self._left(self.changes), self._left(self.parcels), self.kits)

    def _left(self, changes: Sequence[Change]) -> dict[str, int]:
        left = dict(self.opening)
        for change in expand(changes, self.kits):
            left[change.sku] -= change.units
        return left


@dataclass(frozen=True, slots=True)
class Expected:
    """What the books say is there: units that can be sold, negative where more was sold than there was, and units in
    the house."""

    for_sale: Mapping[str, int]
    on_hand: Mapping[str, int]
    kits: Kits


@dataclass(frozen=True, slots=True)
class Stock:
    """The ledger's sums: what can be sold at each place, and what is on hand anywhere."""

    available: Levels
    on_hand: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Units that nobody can sell although they are there, units that could be sold twice or are not there, and where
    (worst first)."""

    lost_units: int
    double_units: int
    where: Sequence[str]


def changes_of(
    books: Mapping[str, Sequence[Sale | Parcel]], receipts: Sequence[tuple[datetime, str, int]]
) -> list[Change]:
    """All shops' sales (or parcels) and the suppliers' deliveries (when, SKU, units) in one, in the order in which it
    happened."""
    went = [
        Change(line.at, shop, line.order_key, line.sku, line.units) for shop, book in books.items() for line in book
    ]
    came = [Change(at, "", "", sku, -units) for at, sku, units in receipts]
    return sorted([*went, *came], key=lambda change: change.at)


def expand(changes: Sequence[Change], kits: Kits) -> Iterator[Change]:
    """The same with kits as their components."""
    for change in changes:
        if change.sku not in kits:
            yield change
        for component, units in kits.get(change.sku, {}).items():
            yield Change(change.at, change.shop, change.order_key, component, change.units * units)


def oversold(books: Books) -> int:
    """Units sold when none was left: two shops sold the same one."""
    left = defaultdict(int, books.opening)
    total = 0
    for change in expand(books.changes, books.kits):
        before = left[change.sku]
        left[change.sku] = before - change.units
        total += max(0, max(0, -left[change.sku]) - max(0, -before))
    return total


def audit(
    expected: Expected, stock: Stock, shown: Mapping[str, Mapping[str, int]], with_places: Sequence[str]
) -> Verdict:
    """Compare. `shown`: shop → SKU → units that buyers can buy there; `with_places`: shops whose number is the sum over
    their places, each of which sells nothing where units are owed."""
    lost = double = 0
    where = []
    for sku, left in expected.for_sale.items():
        there = stock.available.get(sku, {})
        owed = sum(-units for units in there.values() if units < 0)
        seen = {
            "ledger": sum(there.values()) - left,
            "on hand": stock.on_hand.get(sku, 0) - expected.on_hand[sku],
        }
        for shop, numbers in shown.items():
            seen[shop] = numbers[sku] - (left + owed if shop in with_places else max(0, left))
        lost += max(0, *(-gap for gap in seen.values()))
        double += max(0, *seen.values())
        where += [f"{sku}: {name} {gap:+d}" for name, gap in seen.items() if gap]
    lost, double = _count_kits(expected.kits, stock.available, shown, with_places, (lost, double, where))
    return Verdict(lost, double, where)


def _count_kits(
    kits: Kits, levels: Levels, shown: Mapping[str, Mapping[str, int]], with_places: Sequence[str],
    so_far: tuple[int, int, list[str]],
) -> tuple[int, int]:  # fmt: skip
    """A kit shows what its scarcest component allows at each place."""
    lost, double, where = so_far
    for kit, components in kits.items():
        places = {place for sku in components for place in levels.get(sku, {})}
        can = sum(max(0, min(levels[sku].get(p, 0) // units for sku, units in components.items())) for p in places)
        gaps = {shop: numbers[kit] - can for shop, numbers in shown.items()}
        lost += max(0, *(-gap for gap in gaps.values()))
        double += max(0, *gaps.values())
        where += [f"{kit}: {shop} {gap:+d}" for shop, gap in gaps.items() if gap]
    return lost, double
