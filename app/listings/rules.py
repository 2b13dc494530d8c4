"""The rule of a stock owner: how much is held back, the bounds of what is shown, which of our locations count.

A rule is checked whole before any of it is written; writing it marks the number as due.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypedDict

from app.accounts import audit
from app.core.db import Row, Session
from app.core.errors import Fault, InvalidInput, NotFound, Stale
from app.listings.lookup import Listing
from connectors.base import QUANTITY_MAX

PERCENT_MAX = 100
OVERSELL_MIN, OVERSELL_MAX = Decimal("0.00001"), Decimal("0.5")
_COLUMNS = """o.owner_id, o.channel_id, o.stock_key, o.location_key, o.item_id, o.state, o.buffer, o.buffer_percent,
o.oversell_target, o.shown_min, o.shown_max, o.location_ids, o.believed"""


class Change(TypedDict, total=False):
    """What of a rule is to be another; what is not named stays. Units, percent (0 to 100); `shown_max` None: no upper
    bound; `locations`: names of ours, None: all that feed the number. `oversell_target`: the chance that may be taken
    of selling what others have sold already, from which the buffer then follows; None: the two buffers apply."""

    buffer: int
    buffer_percent: int
    oversell_target: Decimal | None
    shown_min: int
    shown_max: int | None
    locations: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Owner:
    """A number on a channel with its rule. `feeding`: our locations behind its place there, id to name, first to serve
    first; `location_ids` None: all of them count. `believed`: what we think it shows."""

    owner_id: int
    channel_id: int
    stock_key: str
    location_key: str
    item_id: int | None
    state: str
    buffer: int
    buffer_percent: int
    oversell_target: Decimal | None
    shown_min: int
    shown_max: int | None
    location_ids: Sequence[int] | None
    believed: int | None
    feeding: Mapping[int, str]

    @property
    def location_names(self) -> tuple[str, ...] | None:
        """The chosen locations by name, None: all."""
        if self.location_ids is None:
            return None
        return tuple(name for id_, name in self.feeding.items() if id_ in self.location_ids)

    @property
    def rule_key(self) -> str:
        """Another one whenever what a person sets of the rule is another."""
        counted = "all" if self.location_ids is None else ",".join(map(str, sorted(self.location_ids)))
        return f"{self.buffer} {self.buffer_percent} {self.shown_min} {self.shown_max} {counted}"


def list_owners(session: Session, stock_keys: Sequence[tuple[int, str]]) -> Sequence[Owner]:
    """Every number of these (channel id, stock key), in order of channel, stock key and place."""
    rows = session.rows(
        f"""select {_COLUMNS} from stock_owner o
            join (select distinct * from unnest(%(channels)s::bigint[], %(keys)s::text[])) k(channel_id, stock_key)
                 using (channel_id, stock_key)
            where o.merchant_id = %(merchant_id)s order by o.channel_id, o.stock_key, o.location_key""",  # noqa: S608
        channels=[channel for channel, _ in stock_keys],
        keys=[key for _, key in stock_keys],
    )
    return _with_feeding(session, rows)


def list_item_owners(session: Session, item_id: int) -> Sequence[Owner]:
    """Every number of an item."""
    rows = session.rows(
        f"""select {_COLUMNS} from stock_owner o where o.merchant_id = %(merchant_id)s and o.item_id = %(item)s
            order by o.channel_id, o.location_key, o.stock_key""",  # noqa: S608  constants only
        item=item_id,
    )
    return _with_feeding(session, rows)


def get_owner(session: Session, owner_id: int) -> Owner:
    """Raises NotFound, also for another merchant's."""
    found = _get_owners(session, [owner_id])
    if not found:
        raise NotFound("unknown_number", "no such number on any channel")
    return found[0]


def _get_owners(session: Session, owner_ids: Sequence[int]) -> Sequence[Owner]:
    rows = session.rows(
        f"""select {_COLUMNS} from stock_owner o
            where o.merchant_id = %(merchant_id)s and o.owner_id = any(%(ids)s::bigint[])
            order by o.channel_id, o.stock_key, o.location_key""",  # noqa: S608
        ids=list(owner_ids),
    )
    return _with_feeding(session, rows)


def _with_feeding(session: Session, rows: Sequence[Row]) -> Sequence[Owner]:
    feeding: defaultdict[tuple[int, str], dict[int, str]] = defaultdict(dict)
    for row in session.rows(
        """select c.channel_id, c.location_key, l.location_id, l.name
           from channel_location c join location l using (merchant_id, location_id)
           where c.merchant_id = %(merchant_id)s and c.channel_id = any(%(channels)s)
           order by l.priority, l.location_id""",
        channels=sorted({row.channel_id for row in rows}),
    ):
        feeding[row.channel_id, row.location_key][row.location_id] = row.name
    return [Owner(**row._mapping, feeding=feeding[row.channel_id, row.location_key]) for row in rows]


def owners_of(session: Session, listing: Listing) -> Sequence[Owner]:
    """The listing's numbers; raises NotFound when the channel has no place for one."""
    owners = list_owners(session, [(listing.channel_id, listing.stock_key)])
    if not owners:
        raise NotFound("no_number", "nothing is counted for it there: map one of the channel's locations first")
    return owners


def set_rule(session: Session, owners: Sequence[Owner], change: Change, *, was: str | None = None) -> None:
    """Change the rule of these numbers, all or none; each is due from now on. What is not named stays as it is by now,
    whatever it was when `owners` were read. Raises InvalidInput with every fault by field: `buffer`, `buffer_percent`,
    `oversell_target`, `shown_min`, `shown_max`, `locations`; Stale when it is not the rule with the key `was`."""
    owner_ids = [owner.owner_id for owner in owners]
    lock_owners(session, owner_ids)
    owners = _get_owners(session, owner_ids)
    if was is not None and any(owner.rule_key != was for owner in owners):
        raise Stale("changed_meanwhile", "somebody changed the rule since it was read")
    faults = list(dict.fromkeys(fault for owner in owners for fault in faults_of(owner, change)))
    if faults:
        raise InvalidInput(faults[0].reason, "; ".join(map(str, faults)), faults=faults)
    for owner in owners:
        session.run(
            """update stock_owner
               set buffer = %(buffer)s, buffer_percent = %(buffer_percent)s,
                   oversell_target = %(oversell_target)s, shown_min = %(shown_min)s, shown_max = %(shown_max)s,
                   location_ids = %(locations)s::bigint[]
               where merchant_id = %(merchant_id)s and owner_id = %(id)s""",
            id=owner.owner_id,
            buffer=change.get("buffer", owner.buffer),
            buffer_percent=change.get("buffer_percent", owner.buffer_percent),
            oversell_target=change.get("oversell_target", owner.oversell_target),
            shown_min=change.get("shown_min", owner.shown_min),
            shown_max=change.get("shown_max", owner.shown_max),
            locations=location_ids_of(owner, change),
        )
    for owner in owners:
        before = {field: getattr(owner, "location_names" if field == "locations" else field) for field in change}
        audit.note(session, None, "rule.changed", f"number {owner.owner_id}", before=before, after=change)


def lock_owners(session: Session, owner_ids: Sequence[int]) -> None:
    """Nobody changes these numbers or their rules until the transaction ends."""
    session.rows(
        """select from stock_owner where merchant_id = %(merchant_id)s and owner_id = any(%(ids)s::bigint[])
           order by owner_id for update""",
        ids=list(owner_ids),
    )


def split_names(text: str, owners: Sequence[Owner]) -> list[str]:
    """Names of locations between commas; a name that has commas itself alone, or in quotes."""
    if any(text in owner.feeding.values() for owner in owners):
        return [text]
    return [name.strip() for row in csv.reader([text], skipinitialspace=True) for name in row if name.strip()]


def location_ids_of(owner: Owner, change: Change) -> list[int] | None:
    """The locations that count for the owner's number after the change, None: all that feed it."""
    names = change.get("locations", owner.location_names)
    return None if names is None else [id_ for id_, name in owner.feeding.items() if name in names]


def faults_of(owner: Owner, change: Change) -> Iterator[Fault]:
    """What of a change can't be for this owner, by field."""
    bounds = {"buffer": QUANTITY_MAX, "buffer_percent": PERCENT_MAX, "shown_min": QUANTITY_MAX}
    for field, most in bounds.items():
        value = change.get(field, 0)
        if not (isinstance(value, int) and 0 <= value <= most):
            yield Fault("out_of_bounds", f"a whole number from 0 to {most}", field)
    chance = change.get("oversell_target")
    if chance is not None and not OVERSELL_MIN <= chance <= OVERSELL_MAX:
        yield Fault("out_of_bounds", f"a chance from {OVERSELL_MIN:f} to {OVERSELL_MAX}, or none", "oversell_target")
    lowest, highest = change.get("shown_min", owner.shown_min), change.get("shown_max", owner.shown_max)
    if highest is not None and not 0 <= highest <= QUANTITY_MAX:
        yield Fault("out_of_bounds", f"a whole number from 0 to {QUANTITY_MAX}, or none", "shown_max")
    elif highest is not None and lowest > highest:
        yield Fault("min_above_max", f"not below the least that is shown ({lowest}), or none", "shown_max")
    yield from _location_faults(owner, change.get("locations"))


def _location_faults(owner: Owner, names: Sequence[str] | None) -> Iterator[Fault]:
    if names is None:
        return
    there = ", ".join(owner.feeding.values()) or "none"
    if not names:
        yield Fault("no_location", f"at least one of {there}, or all", "locations")
    elif not set(names) <= set(owner.feeding.values()):
        place = f"the channel's place {owner.location_key}" if owner.location_key else "the channel's number"
        yield Fault("location_not_feeding", f"{place} is fed by {there}: choose among these, or all", "locations")
