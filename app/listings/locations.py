"""Our own locations changed: which of them serves first, and whether one is in use.

One that is not in use takes no order that says no place, and nothing is received there. What lies there would still be
shown and could not be served, so it has to be empty first, and no channel may be left without a location.
"""

from __future__ import annotations

from app.accounts import audit
from app.catalog.locations import Location, check_priority
from app.core.db import Session
from app.core.errors import Conflict, NotFound

_READ = """
select location_id, name, priority, active from location
where merchant_id = %(merchant_id)s and location_id = %(id)s
"""
_HELD = """
select count(*) from level where merchant_id = %(merchant_id)s and location_id = %(id)s
   and (available, committed, damaged, quarantined, in_transit) <> (0, 0, 0, 0, 0)
"""
# A channel that says no place is served from these; of a location that no channel has, any other will do.
_ALONE = """
select c.name from channel c
where c.merchant_id = %(merchant_id)s and c.state <> 'disconnected'
  and exists (select from channel_location p where p.merchant_id = c.merchant_id and p.channel_id = c.channel_id
              and p.location_id = %(id)s)
  and not exists (select from channel_location p join location l using (merchant_id, location_id)
                  where p.merchant_id = c.merchant_id and p.channel_id = c.channel_id and l.active
                    and l.location_id <> %(id)s)
order by c.channel_id limit 1
"""
_OTHERS = """
select count(*) from location where merchant_id = %(merchant_id)s and active and location_id <> %(id)s
"""


def get_location(session: Session, location_id: int) -> Location:
    """Raises NotFound, also for another merchant's."""
    return _read(session, _READ, location_id)


def lock_location(session: Session, location_id: int) -> Location:
    """The location, changed by nobody else until the transaction ends. Raises NotFound."""
    return _read(session, f"{_READ} for no key update", location_id)


def _read(session: Session, sql: str, location_id: int) -> Location:
    row = session.row(sql, id=location_id)
    if row is None:
        raise NotFound("unknown_location", "no such location")
    return Location(*row)


def change_location(
    session: Session, location: Location, *, priority: int | None = None, active: bool | None = None
) -> Location:
    """Change a location that is locked; None stays. Orders that have a place keep it."""
    after = Location(
        location.location_id,
        location.name,
        location.priority if priority is None else priority,
        location.active if active is None else active,
    )
    check_priority(after.priority)
    if location.active and not after.active:
        _refuse_used(session, location.location_id)
    session.run(
        """update location set priority = %(priority)s, active = %(active)s
           where merchant_id = %(merchant_id)s and location_id = %(id)s""",
        id=after.location_id, priority=after.priority, active=after.active,
    )  # fmt: skip
    if after != location:
        told = [{"priority": one.priority, "active": one.active} for one in (location, after)]
        audit.note(session, None, "location.changed", f"location {after.name}", before=told[0], after=told[1])
    return after


def _refuse_used(session: Session, location_id: int) -> None:
    if held := session.value(_HELD, id=location_id):
        detail = f"{held} items have units there or on their way: move or count them out, and ship its orders, first"
        raise Conflict("location_not_empty", detail, where="active")
    channel = session.value(_ALONE, id=location_id)
    if channel is not None:
        raise Conflict("location_needed", f"it is the only one in use behind {channel}: map another first", "active")
    if not session.value(_OTHERS, id=location_id):
        raise Conflict("location_needed", "it is the only one in use: create another first", where="active")


def find_location_id(session: Session, name: str) -> int:
    """Raises NotFound with the names that there are."""
    rows = session.rows(
        "select name, location_id from location where merchant_id = %(merchant_id)s order by priority, location_id"
    )
    ids = {row.name: int(row.location_id) for row in rows}
    if name not in ids:
        raise NotFound("unknown_location", f"no location has that name; there is {', '.join(ids)}")
    return ids[name]
