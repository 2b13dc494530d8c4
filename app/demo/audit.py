"""The audit that knows nothing of how Perpetual works: the shops' own order books against the numbers.

Per item, what was there at the start plus what came in minus what the books sold (and took back) must be what the
ledger can sell and what each shop shows. Only the ledger's sums per item and place are read. All pure.

A sold unit leaves `available` when it is sold, whether it has been shipped or not, and a unit put back on sale is
available again: so the books compare with `available`, not with what lies on the shelf.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sandbox.base import Sale

Levels = Mapping[str, Mapping[int, int]]  # SKU → place → available
Kits = Mapping[str, Mapping[str, int]]  # kit → component → units


@dataclass(frozen=True, slots=True)
class Change:
    """Units of one item leaving the shelf (> 0) or coming to it (< 0); `shop` is empty for a supplier's delivery."""

    at: datetime
    shop: str
    order_key: str
    sku: str
    units: int


@dataclass(frozen=True, slots=True)
class Books:
    """What happened, as the shops and the suppliers wrote it down."""

    opening: Mapping[str, int]
    changes: Sequence[Change]
    kits: Kits

    def remaining(self) -> dict[str, int]:
        """Units that can be sold at the end, negative where more was sold than there was."""
        left = dict(self.opening)
        for change in expand(self.changes, self.kits):
            left[change.sku] -= change.units
        return left


@dataclass(frozen=True, slots=True)
class Verdict:
    """Units that nobody can sell although they are there, units that could be sold twice, and where (worst first)."""

    lost_units: int
    double_units: int
    where: Sequence[str]


def changes_of(sales: Mapping[str, Sequence[Sale]], receipts: Sequence[tuple[datetime, str, int]]) -> list[Change]:
    """All shops' books and the suppliers' deliveries (when, SKU, units) in one, in the order in which it happened."""
    sold = [
        Change(sale.at, shop, sale.order_key, sale.sku, sale.units) for shop, book in sales.items() for sale in book
    ]
    came = [Change(at, "", "", sku, -units) for at, sku, units in receipts]
    return sorted([*sold, *came], key=lambda change: change.at)


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


def audit(books: Books, levels: Levels, shown: Mapping[str, Mapping[str, int]], with_places: Sequence[str]) -> Verdict:
    """Compare. `shown`: shop → SKU → number; `with_places`: shops whose number is the sum over their places, each of
    which shows 0 where units are owed."""
    lost = double = 0
    where = []
    for sku, left in books.remaining().items():
        there = levels.get(sku, {})
        owed = sum(-units for units in there.values() if units < 0)
        seen = {"ledger": sum(there.values()) - left}
        for shop, numbers in shown.items():
            seen[shop] = numbers[sku] - (left + owed if shop in with_places else max(0, left))
        lost += max(0, *(-gap for gap in seen.values()))
        double += max(0, *seen.values())
        where += [f"{sku}: {name} {gap:+d}" for name, gap in seen.items() if gap]
    lost, double = _count_kits(books.kits, levels, shown, with_places, (lost, double, where))
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
