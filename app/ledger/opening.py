"""Opening: items, and what lies where at which cost, from a merchant's table. All of it in one transaction or nothing.

Each (SKU, place) is opened once: the same row again does nothing, another quantity or cost is a fault, and an item that
has moved since is counted instead of opened. `preview` finds all that `commit_import` would refuse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import TypeVar

from app.accounts import audit
from app.catalog.imports import ItemRow, ItemTable, read_items
from app.catalog.items import NewItem, create_items, find_items
from app.catalog.kit_rows import compare_kits
from app.catalog.kits import add_components
from app.catalog.locations import list_locations
from app.core.db import Row as DbRow
from app.core.db import Session
from app.core.errors import InvalidInput
from app.core.table import Faults
from app.ledger.import_batches import note_batch, note_movements
from app.ledger.models import BATCH_MAX, Movement, State
from app.ledger.post import post

SOURCE = "opening"
SHOWN_ROWS = 50
NAME_MAX = 200
AGAIN_MAX = 100  # times that one opening can be taken back

# Orders from before their shop was connected opened what they hold, beside what a table opens (docs/decisions/012). Of
# what was sold since, or given back, nobody knows whether it was counted.
_ITEMS = """
select i.sku, i.item_id, i.kind,
       exists (select from movement m where m.merchant_id = i.merchant_id and m.item_id = i.item_id
               and m.source not in ('opening', 'opening_undo', 'before', 'order')) as moved,
       exists (select from movement m where m.merchant_id = i.merchant_id and m.item_id = i.item_id
               and m.source = 'order' and 'available' in (m.from_state, m.to_state)) as sold,
       array(select m.to_location_id from movement m where m.merchant_id = i.merchant_id and m.item_id = i.item_id
             and m.source = 'opening' and not exists (
                 select from movement u where u.merchant_id = m.merchant_id and u.source = 'opening_undo'
                 and u.source_key = m.movement_id::text)) as opened_at
from item i where i.merchant_id = %(merchant_id)s and i.sku = any(%(skus)s)
"""
_OPENED = """
select m.source_key, m.quantity, case when j.provisional then null else j.amount end as value,
       exists (select from movement u where u.merchant_id = m.merchant_id and u.source = 'opening_undo'
               and u.source_key = m.movement_id::text) as undone
from movement m join journal j on j.merchant_id = m.merchant_id and j.posting_id = m.movement_id and j.line = 0
where m.merchant_id = %(merchant_id)s and m.source = 'opening' and m.source_key = any(%(keys)s)
"""

# What a unit costs, told without stock.
_COSTS = """
insert into known_cost (merchant_id, item_id, unit_cost, told_at)
select %(merchant_id)s, c.*, %(now)s from unnest(%(items)s::bigint[], %(costs)s::numeric[]) c
on conflict (merchant_id, item_id) do update set unit_cost = excluded.unit_cost, told_at = excluded.told_at
"""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What an import would do. It is refused while there are `faults`; `rows` are the first 50; `without_cost` counts
    rows with stock of unknown cost (booked at 0 and marked), `repeated` those that an earlier import has posted,
    `costs` those that only tell what a unit costs, which values what a shop opens later."""

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
    costs: int = 0
    source: str = ""
    left_out: Faults = field(default_factory=Faults)
    delimiter: str = ","


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did; `batch_id` takes it back. `costs`: unit costs that were noted for later."""

    items_created: int
    openings: int
    repeated: int
    costs: int = 0
    batch_id: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class _Compared:
    """A table beside what is there: new items by SKU, known ids by SKU, the stock to open, by place, and by SKU the
    kits that get components."""

    rows: Sequence[ItemRow]
    ignored: Sequence[str]
    faults: Faults
    new: Mapping[str, NewItem]
    known: Mapping[str, int]
    openings: Sequence[tuple[ItemRow, int, str]]
    repeated: int
    costs: Mapping[str, Decimal]
    table: ItemTable
    kits: Mapping[str, Mapping[str, int]]


def preview(session: Session, data: bytes) -> ImportPlan:
    """What `commit_import` would do with this file; writes nothing and never raises for what is in `data`."""
    found = _compare(session, data)
    rows = [row for row, _, _ in found.openings]
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
        costs=len(found.costs),
        source=found.table.source,
        left_out=found.table.left_out,
        delimiter=found.table.delimiter,
    )


def commit_import(session: Session, data: bytes, *, name: str, by: str = "") -> ImportResult:
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
    _fill_kits(session, found.kits, ids)
    batch_id = note_batch(session, name[:NAME_MAX], len(found.new), by)
    for openings in _chunks(found.openings):
        movements = [
            Movement(
                ids[row.item.sku], row.on_hand or 0, State.OPENING, State.AVAILABLE, SOURCE, key, session.now,
                to_location_id=place, value=row.value, reason=name[:NAME_MAX],
            )
            for row, place, key in openings
        ]  # fmt: skip
        posted = post(session, movements)
        note_movements(session, batch_id, list(posted.movement_ids.values()), sum(m.quantity for m in movements))
    for costs in _chunks(list(found.costs.items())):
        session.run(
            _COSTS, now=session.now, items=[ids[sku] for sku, _ in costs], costs=[cost for _, cost in costs]
        )  # fmt: skip
    told = {"name": name[:NAME_MAX], "items": len(found.new), "openings": len(found.openings)}
    audit.note(session, by or None, "import.committed", f"import {batch_id}", after=told)
    return ImportResult(len(found.new), len(found.openings), found.repeated, len(found.costs), batch_id)


def _fill_kits(session: Session, kits: Mapping[str, Mapping[str, int]], ids: Mapping[str, int]) -> None:
    """Components may be items that the table does not name."""
    others = {sku for components in kits.values() for sku in components} - ids.keys()
    known = {**ids, **find_items(session, others)}
    for some in _chunks(list(kits.items())):
        add_components(session, {known[kit]: {known[sku]: n for sku, n in parts.items()} for kit, parts in some})


def _key(row: ItemRow, place: int) -> str:
    return f"{place}/{row.item.sku}"


def _again(key: str) -> str:
    """The key of what is opened once more, after what was opened under `key` was taken back."""
    generation, _, plain = key.rpartition(":") if key.startswith("again") else ("again0", "", key)
    return f"again{int(generation.removeprefix('again')) + 1}:{plain}"


def _compare(session: Session, data: bytes) -> _Compared:
    table = read_items(data)
    known = _known_items(session, table.rows)
    _check_kinds(table.rows, known, table.faults)
    kits = compare_kits(session, table)
    placed = _place_rows(session, table.rows, table.faults)
    openings = _not_opened(session, placed, table.faults)
    _check_moves(openings, known, table.faults)
    _check_places(session, openings, known, table.faults)
    return _Compared(
        rows=table.rows,
        ignored=table.ignored,
        faults=table.faults,
        new={row.item.sku: row.item for row in table.rows if row.item.sku not in known},
        known={sku: item.item_id for sku, item in known.items()},
        openings=openings,
        repeated=len(placed) - len(openings),
        costs={row.item.sku: row.unit_cost for row in table.rows if row.on_hand is None and row.unit_cost is not None},
        table=table,
        kits=kits,
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


def _check_moves(openings: Sequence[tuple[ItemRow, int, str]], known: Mapping[str, DbRow], faults: Faults) -> None:
    for row, _, _ in openings:
        item = known.get(row.item.sku)
        if item is not None and item.moved:
            message = "this item has moved since: count it instead of opening it"
            faults.add(row.line, "on_hand", "has_movements", message)
        elif item is not None and item.sold:
            message = "it was sold since its shop was connected: leave on_hand blank, and take its stock from the shop"
            faults.add(row.line, "on_hand", "sold_since", f"{message} or count it and book the difference")


def _check_places(
    session: Session, openings: Sequence[tuple[ItemRow, int, str]], known: Mapping[str, DbRow], faults: Faults
) -> None:
    """Which location serves first may have been changed since a row without one was imported."""
    unused = {place.location_id for place in list_locations(session) if not place.active}
    for row, place, _ in openings:
        item = known.get(row.item.sku)
        if place in unused:
            faults.add(row.line, "location", "location_not_in_use", "this location is not in use: activate it first")
        elif item is not None and not row.location and set(item.opened_at) - {place}:
            message = "this item was opened at another location: name the one that is meant"
            faults.add(row.line, "location", "opened_elsewhere", message)


def _place_rows(session: Session, rows: Sequence[ItemRow], faults: Faults) -> list[tuple[ItemRow, int]]:
    """Rows with stock and their places. A blank location is the one that serves first."""
    locations = list_locations(session)
    by_name = {location.name.casefold(): location.location_id for location in locations}
    serving = next((location.location_id for location in locations if location.active), None)
    if serving is not None:
        by_name[""] = serving
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


def _not_opened(
    session: Session, placed: Sequence[tuple[ItemRow, int]], faults: Faults
) -> list[tuple[ItemRow, int, str]]:
    """Those that no import has opened yet, with the key that they are posted under; one that was opened otherwise is a
    fault, one whose opening was taken back is opened again."""
    keys = [_key(row, place) for row, place in placed]
    opened: dict[str, DbRow] = {}
    asked = keys
    for _ in range(AGAIN_MAX):
        found: dict[str, DbRow] = {}
        for some in _chunks(asked):
            found |= {row.source_key: row for row in session.rows(_OPENED, keys=some)}
        opened |= found
        undone = {key for key, row in found.items() if row.undone}
        keys = [_again(key) if key in undone else key for key in keys]
        asked = [key for key in keys if key not in opened]
        if not undone:
            break
    for (row, _), key in zip(placed, keys, strict=True):
        there = opened.get(key)
        if there is not None and there.quantity != row.on_hand:
            faults.add(row.line, "on_hand", "opened_otherwise", "this item was opened here with another quantity")
        elif there is not None and there.value != row.value:
            faults.add(row.line, "unit_cost", "opened_otherwise", "this item was opened here at another cost")
    return [(row, place, key) for (row, place), key in zip(placed, keys, strict=True) if key not in opened]


def _chunks(values: Sequence[T]) -> Iterator[list[T]]:
    """At most a posting's worth at a time."""
    rest = iter(values)
    while some := list(islice(rest, BATCH_MAX)):
        yield some
