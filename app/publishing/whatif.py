"""What if a listing's rule were another: the plan is a pure function, so it is planned again and nothing is written.

The fields are those of `listing rule`, as `field=value`; what can't be is refused by the checks that refuse it there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from app.core.db import Row, Session
from app.core.errors import Fault, InvalidInput
from app.listings.rules import Change, Owner, faults_of, list_item_owners, location_ids_of, split_names
from app.publishing.attempts import to_write
from app.publishing.buffer import HeldBack
from app.publishing.demand import suppose_held
from app.publishing.due import Due, unplaced_units
from app.publishing.plan import Rule, plan
from app.publishing.why_tree import Place, Supposed
from connectors.base import StockKey, WriteMode

NONE, ALL = "none", "all"


@dataclass(frozen=True, slots=True)
class Suppose:
    """A change of a rule that is asked about. `locations`: names between commas, `all` for all; `asked`: as it was
    typed; `modes`: how each platform is written to, those left out by nobody."""

    change: Change
    locations: str | None
    asked: tuple[str, ...]
    modes: Mapping[str, WriteMode]


def _whole(text: str) -> int:
    if not (text.isascii() and text.removeprefix("-").isdigit()):
        raise ValueError("a whole number")
    return int(text)


def _whole_or_none(text: str) -> int | None:
    try:
        return None if text == NONE else _whole(text)
    except ValueError:
        raise ValueError("a whole number, or none") from None


def _chance_or_none(text: str) -> Decimal | None:
    try:
        chance = None if text == NONE else Decimal(text)
    except InvalidOperation:
        chance = Decimal("nan")
    if chance is not None and not chance.is_finite():
        raise ValueError("a chance like 0.001, or none")
    return chance


_FIELDS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "buffer": ("buffer", _whole),
    "buffer-percent": ("buffer_percent", _whole),
    "oversell": ("oversell_target", _chance_or_none),
    "min": ("shown_min", _whole),
    "max": ("shown_max", _whole_or_none),
}
LOCATIONS = "locations"


def read_suppose(asked: Sequence[str], modes: Mapping[str, WriteMode]) -> Suppose:
    """`field=value` each; raises InvalidInput with every fault by its field."""
    values: dict[str, Any] = {}
    locations: str | None = None
    faults: list[Fault] = []
    for text in asked:
        name, equals, value = (part.strip() for part in text.partition("="))
        field, read = _FIELDS.get(name.replace("_", "-"), (name, str))
        if not equals or (field == name == LOCATIONS and not value):
            faults.append(Fault("no_value", "say what it would be, such as buffer=2", "--if"))
        elif field in values or (name == LOCATIONS and locations is not None):
            faults.append(Fault("named_twice", "name each field once", f"--if {name}"))
        elif name == LOCATIONS:
            locations = value
        elif field not in Change.__annotations__:
            known = ", ".join([*_FIELDS, LOCATIONS])
            faults.append(Fault("unknown_field", f"a rule has no such field; it has {known}", "--if"))
        else:
            try:
                values[field] = read(value)
            except ValueError as error:
                faults.append(Fault("bad_value", str(error), f"--if {name}"))
    _refuse(faults)
    return Suppose(cast(Change, values), locations, tuple(asked), modes)


def suppose_rule(
    session: Session, suppose: Suppose, rows: Sequence[Row], places: Mapping[int, Sequence[Place]]
) -> dict[int, Supposed]:
    """Each number (owner rows of `why`, with the units of its places) planned again, by owner id. Raises InvalidInput
    naming the channel where such a rule can't be."""
    if not rows:
        return {}
    owners = {owner.owner_id: owner for owner in list_item_owners(session, rows[0].item_id)}
    changes = {row.owner_id: _change_of(suppose, owners[row.owner_id]) for row in rows}
    _refuse(
        [
            Fault(fault.reason, fault.detail, f"{row.channel}, {fault.where}")
            for row in rows
            for fault in faults_of(owners[row.owner_id], changes[row.owner_id])
        ]
    )
    held = _read_held(session, [owners[row.owner_id] for row in rows], changes)
    return {
        row.owner_id: _again(
            row, owners[row.owner_id], changes[row.owner_id], places.get(row.owner_id, ()),
            held=held.get(row.owner_id), mode=suppose.modes.get(row.platform),
        )
        for row in rows
    }  # fmt: skip


def _refuse(faults: Sequence[Fault]) -> None:
    different = list(dict.fromkeys(faults))
    if different:
        raise InvalidInput(different[0].reason, "; ".join(map(str, different)), faults=different)


def _change_of(suppose: Suppose, owner: Owner) -> Change:
    if suppose.locations is None:
        return suppose.change
    names = None if suppose.locations == ALL else split_names(suppose.locations, [owner])
    return {**suppose.change, "locations": names}


def _read_held(session: Session, owners: Sequence[Owner], changes: Mapping[int, Change]) -> dict[int, HeldBack]:
    """What the chance of overselling holds back, for those whose rule names one then."""
    wanted: dict[int, tuple[int, float]] = {}
    for owner in owners:
        target = changes[owner.owner_id].get("oversell_target", owner.oversell_target)
        if target is not None:
            wanted[owner.owner_id] = (owner.channel_id, float(target))
    return suppose_held(session, wanted)


def _again(
    row: Row, owner: Owner, change: Change, places: Sequence[Place], *, held: HeldBack | None, mode: WriteMode | None
) -> Supposed:
    if row.state != "managed" or not places:
        return Supposed(None, (), None)
    counted = location_ids_of(owner, change)
    available = {place.location_id: place.units for place in places if counted is None or place.location_id in counted}
    rule = Rule(
        change.get("buffer", owner.buffer),
        change.get("buffer_percent", owner.buffer_percent),
        change.get("shown_min", owner.shown_min),
        change.get("shown_max", owner.shown_max),
        held,
    )
    planned = plan(available, rule, row.believed)
    key = StockKey(row.stock_key, row.location_key)
    sent = plan(available, rule, row.believed, unplaced_units(row, available))
    due = Due(
        row.owner_id, key, row.believed, row.conflicts, row.contradicted, (), row.now, sent, only_lowered=row.unlocated
    )
    write = None if mode is None or _must_wait(row) else to_write(due, mode)
    writes = None if write is None else (write.expected, write.target, write.relative)
    return Supposed(planned.target, planned.reasons, writes)


def _must_wait(row: Row) -> bool:
    """What keeps any number of it from being written now (`app.publishing.due` knows the same as SQL)."""
    waits = row.awaiting_since is not None or row.unclear_attempt_id is not None
    return row.channel_state != "active" or row.held or waits
