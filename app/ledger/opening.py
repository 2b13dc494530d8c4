"""Opening: items, and what lies where at which cost, from a merchant's table. All of it in one transaction or nothing.

Each (SKU, place) is opened once: the same row again does nothing, another quantity or cost is a fault, and an item that
has moved since is counted instead of opened. `preview` finds all that `commit_import` would refuse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import TypeVar

from app.catalog.imports import ItemRow, read_items
from app.catalog.items import NewItem, create_items
from app.catalog.locations import list_locations
from app.core.db import Row as DbRow
from app.core.db import Session
from app.core.errors import InvalidInput
from app.core.table import Faults
from app.ledger.models import BATCH_MAX, Movement, State
from app.ledger.post import post

SOURCE = "opening"
SHOWN_ROWS = 50
NAME_MAX = 200

_ITEMS = """
select i.sku, i.item_id, i.kind,
       exists (select from movement m where m.merchant_id = i.merchant_id and m.item_id = i.item_id
               and m.source <> 'opening') as moved
from item i where i.merchant_id = %(merchant_id)s and i.sku = any(%(skus)s)
"""
_OPENED = """
select m.source_key, m.quantity, case when j.provisional then null else j.amount end as value
from movement m join journal j on j.merchant_id = m.merchant_id and j.posting_id = m.movement_id and j.line = 0
where m.merchant_id = %(merchant_id)s and m.source = 'opening' and m.source_key = any(%(keys)s)
"""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What an import would do. It is refused while there are `faults`; `rows` are the first 50; `without_cost` counts
    rows with stock of unknown cost (booked at 0 and marked), `repeated` those that an earlier import has posted."""

    items_new: int
    items_known: int
    openings: int
    units: int
    value: Decimal
    without_cost: int
    repeated: int
    rows: Sequence[ItemRow]
    ignored: Sequence[str]
    faults: Faults


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did."""

    items_created: int
    openings: int
    repeated: int


@dataclass(frozen=True, slots=True)
class _Compared:
    """A table beside what is there: new items by SKU, known ids by SKU, and the stock to open, by place."""

    rows: Sequence[ItemRow]
    ignored: Sequence[str]
    faults: Faults
    new: Mapping[str, NewItem]
    known: Mapping[str, int]
    openings: Sequence[tuple[ItemRow, int]]
    repeated: int


def preview(session: Session, data: bytes) -> ImportPlan:
    """What `commit_import` would do with this file; writes nothing and never raises for what is in `data`."""
    found = _compare(session, data)
    rows = [row for row, _ in found.openings]
    return ImportPlan(
        items_new=len(found.new),
        items_known=len(found.known),
        openings=len(rows),
        units=sum(row.on_hand or 0 for row in rows),
        value=sum((row.value or Decimal(0) for row in rows), Decimal(0)),
        without_cost=sum(row.value is None for row in rows),
        repeated=found.repeated,
        rows=found.rows[:SHOWN_ROWS],
        ignored=found.ignored,
        faults=found.faults,
    )


def commit_import(session: Session, data: bytes, *, name: str) -> ImportResult:
    """Create the items that are missing and post their opening stock; `name` (a file's, say) is kept as the reason.
    Raises InvalidInput with every fault and its line and column; then nothing is written."""
    found = _compare(session, data)
    if found.faults:
        more = f" and {found.faults.more} more" if found.faults.more else ""
        detail = f"{len(found.faults.found)}{more} faults in the file; nothing was imported"
        raise InvalidInput("bad_table", detail, faults=[fault.as_fault() for fault in found.faults])
    ids = dict(found.known)
    for some in _chunks(list(found.new.values())):
        ids |= create_items(session, some)
    for openings in _chunks(found.openings):
        post(session, [_movement(session, ids[row.item.sku], row, place, name[:NAME_MAX]) for row, place in openings])
    return ImportResult(len(found.new), len(found.openings), found.repeated)


def _movement(session: Session, item_id: int, row: ItemRow, place: int, name: str) -> Movement:
    return Movement(
        item_id, row.on_hand or 0, State.OPENING, State.AVAILABLE, SOURCE, _key(row, place), session.now,
        to_location_id=place, value=row.value, reason=name,
    )  # fmt: skip


def _key(row: ItemRow, place: int) -> str:
    return f"{place}/{row.item.sku}"


def _compare(session: Session, data: bytes) -> _Compared:
    table = read_items(data)
    known = _known_items(session, table.rows)
    _check_kinds(table.rows, known, table.faults)
    placed = _place_rows(session, table.rows, table.faults)
    openings = _not_opened(session, placed, table.faults)
    for row, _ in openings:
        if row.item.sku in known and known[row.item.sku].moved:
            message = "this item has moved since: count it instead of opening it"
            table.faults.add(row.line, "on_hand", "has_movements", message)
    return _Compared(
        rows=table.rows,
        ignored=table.ignored,
        faults=table.faults,
        new={row.item.sku: row.item for row in table.rows if row.item.sku not in known},
        known={sku: item.item_id for sku, item in known.items()},
        openings=openings,
        repeated=len(placed) - len(openings),
    )


def _known_items(session: Session, rows: Sequence[ItemRow]) -> dict[str, DbRow]:
    known: dict[str, DbRow] = {}
    for skus in _chunks(list(dict.fromkeys(row.item.sku for row in rows))):
        known |= {row.sku: row for row in session.rows(_ITEMS, skus=skus)}
    return known


def _check_kinds(rows: Sequence[ItemRow], known: Mapping[str, DbRow], faults: Faults) -> None:
    for row in rows:
        item = known.get(row.item.sku)
        if item is not None and item.kind != row.item.kind:
            faults.add(row.line, "kind", "other_kind", f"this item is there already, as {item.kind}")


def _place_rows(session: Session, rows: Sequence[ItemRow], faults: Faults) -> list[tuple[ItemRow, int]]:
    """Rows with stock and their places. A blank location is the one that serves first."""
    locations = list_locations(session)
    by_name = {location.name.casefold(): location.location_id for location in locations}
    if locations:
        by_name[""] = locations[0].location_id
    placed: list[tuple[ItemRow, int]] = []
    seen: dict[str, ItemRow] = {}
    for row in rows:
        place = by_name.get(row.location.casefold())
        if place is None and (row.location or row.on_hand):
            faults.add(row.line, "location", "unknown_location", "no location of that name: create it first")
        elif place is not None and row.on_hand:
            placed.append((row, place))
            first = seen.setdefault(_key(row, place), row)
            if first.location.casefold() != row.location.casefold():  # the same name twice is the table's own fault
                faults.add(row.line, "location", "duplicate", f"this is the same place as on line {first.line}")
    return placed


def _not_opened(session: Session, placed: Sequence[tuple[ItemRow, int]], faults: Faults) -> list[tuple[ItemRow, int]]:
    """Those that no import has opened yet; one that was opened otherwise is a fault."""
    opened: dict[str, DbRow] = {}
    for keys in _chunks([_key(row, place) for row, place in placed]):
        opened |= {row.source_key: row for row in session.rows(_OPENED, keys=keys)}
    for row, place in placed:
        there = opened.get(_key(row, place))
        if there is not None and there.quantity != row.on_hand:
            faults.add(row.line, "on_hand", "opened_otherwise", "this item was opened here with another quantity")
        elif there is not None and there.value != row.value:
            faults.add(row.line, "unit_cost", "opened_otherwise", "this item was opened here at another cost")
    return [(row, place) for row, place in placed if _key(row, place) not in opened]


def _chunks(values: Sequence[T]) -> Iterator[list[T]]:
    """At most a posting's worth at a time."""
    rest = iter(values)
    while some := list(islice(rest, BATCH_MAX)):
        yield some
