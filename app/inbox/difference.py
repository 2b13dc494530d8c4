"""The difference between what an order's line holds now and what the ledger has posted for it, as movements. Pure.

Units of a line are committed, shipped, returned to stock, returned damaged or held for a check, per item and place. The
difference goes per unit by the shortest path: what comes back from the customer may come back elsewhere, what moves
between places goes back to available there and is taken here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from app.core.record import record
from app.ledger.models import State

Place = tuple[int, int]  # item id, location id


@record
class Counts:
    """Units of one line of one item at one place; all ≥ 0."""

    committed: int = 0
    shipped: int = 0
    restocked: int = 0
    damaged: int = 0
    held: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.committed + other.committed, self.shipped + other.shipped, self.restocked + other.restocked,
            self.damaged + other.damaged, self.held + other.held,
        )  # fmt: skip

    def as_tuple(self) -> tuple[int, int, int, int, int]:
        """In the order of the fields."""
        return (self.committed, self.shipped, self.restocked, self.damaged, self.held)


NOTHING = Counts()


@record
class Step:
    """One movement to post. `returns`: it comes back from the customer; with `returns_now` from the issue that is the
    step right before it (sold and returned before we heard of either)."""

    item_id: int
    quantity: int
    from_state: State
    from_location_id: int | None
    to_state: State
    to_location_id: int | None
    returns: bool = False
    returns_now: bool = False


# A bucket's physical state; "none" is free stock. Restocked units are free stock that we remember.
_STATE = {
    "committed": State.COMMITTED,
    "shipped": State.CUSTOMER,
    "restocked": State.AVAILABLE,
    "damaged": State.DAMAGED,
    "held": State.QUARANTINED,
    "none": State.AVAILABLE,
}
_BUCKETS = ("committed", "shipped", "restocked", "damaged", "held")
_COMES_BACK = ("restocked", "damaged", "held")
# Tried in this order at one place: first what really happens to goods, then corrections of it.
_HERE = (
    *(("shipped", back) for back in _COMES_BACK),
    ("committed", "shipped"), ("committed", "held"), ("shipped", "committed"),
    *((back, "shipped") for back in _COMES_BACK),
    *((a, b) for a in _COMES_BACK for b in _COMES_BACK if a != b),
    ("held", "committed"), ("restocked", "committed"), ("damaged", "committed"),
    ("committed", "restocked"), ("committed", "damaged"),
)  # fmt: skip


def difference(posted: Mapping[Place, Counts], target: Mapping[Place, Counts]) -> list[Step]:
    """The movements that lead one line from `posted` to `target`; empty when they are equal."""
    steps: list[Step] = []
    for item in sorted({item for item, _ in (*posted, *target)}):
        before = {place: counts for (i, place), counts in posted.items() if i == item}
        after = {place: counts for (i, place), counts in target.items() if i == item}
        if before != after:
            steps += _item_steps(item, before, after)
    return steps


def _item_steps(item: int, before: Mapping[int, Counts], after: Mapping[int, Counts]) -> Iterable[Step]:
    surplus: dict[tuple[str, int], int] = {}
    deficit: dict[tuple[str, int], int] = {}
    places = sorted({*before, *after})
    for place in places:
        pairs = zip(before.get(place, NOTHING).as_tuple(), after.get(place, NOTHING).as_tuple(), strict=True)
        for bucket, (had, has) in zip(_BUCKETS, pairs, strict=True):
            if had > has:
                surplus[bucket, place] = had - has
            elif has > had:
                deficit[bucket, place] = has - had
    if surplus and deficit:  # a new order has nothing to give back
        yield from _pairs(item, surplus, deficit, places)
    for (bucket, place), units in list(surplus.items()):
        yield from _steps(item, units, (bucket, place), ("none", place))
    for (bucket, place), units in list(deficit.items()):
        yield from _steps(item, units, ("none", place), (bucket, place))


def _pairs(
    item: int, surplus: dict[tuple[str, int], int], deficit: dict[tuple[str, int], int], places: Sequence[int]
) -> Iterable[Step]:
    """What goes from bucket to bucket at one place, then what comes back elsewhere."""
    for place in places:
        for source, target in _HERE:
            yield from _take(item, surplus, deficit, (source, place), (target, place))
    for back in _COMES_BACK:
        for there in places:
            for here in places:
                yield from _take(item, surplus, deficit, ("shipped", there), (back, here))


def _take(
    item: int,
    surplus: dict[tuple[str, int], int],
    deficit: dict[tuple[str, int], int],
    source: tuple[str, int],
    target: tuple[str, int],
) -> Iterable[Step]:
    """As many units as both sides have, off both."""
    units = min(surplus.get(source, 0), deficit.get(target, 0))
    if not units:
        return
    for side, key in ((surplus, source), (deficit, target)):
        side[key] -= units
        if not side[key]:
            del side[key]
    yield from _steps(item, units, source, target)


def _steps(item: int, units: int, source: tuple[str, int], target: tuple[str, int]) -> Iterable[Step]:
    """From bucket to bucket: one movement, two where the goods were with the customer in between, none where they lie
    still."""
    (was, there), (becomes, here) = source, target
    start, end = _STATE[was], _STATE[becomes]
    through_customer = becomes in ("restocked", "damaged") and was in ("none", "committed")
    if through_customer:
        yield Step(item, units, start, there, State.CUSTOMER, None)
        yield Step(item, units, State.CUSTOMER, None, end, here, returns=True, returns_now=True)
        return
    from_place = None if start is State.CUSTOMER else there
    to_place = None if end is State.CUSTOMER else here
    if (start, from_place) != (end, to_place):
        yield Step(item, units, start, from_place, end, to_place, returns=start is State.CUSTOMER)
