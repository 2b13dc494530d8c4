"""Locations: the merchant's own places, in the order in which they serve orders that say no place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.core.db import ConstraintViolated, Session
from app.core.errors import Conflict, InvalidInput

NAME_MAX = 200
PRIORITY_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Location:
    """A place; a lower `priority` serves first. Where it is not `active` it takes no order that says no place."""

    location_id: int
    name: str
    priority: int
    active: bool


def check_priority(priority: int) -> None:
    """Raises InvalidInput."""
    if not 0 <= priority <= PRIORITY_MAX:
        raise InvalidInput("bad_priority", f"a whole number from 0 to {PRIORITY_MAX}", where="priority")


def create_location(session: Session, name: str, priority: int = 100) -> int:
    """A new location; returns its id. Raises Conflict when the name is taken."""
    check_priority(priority)
    if not 1 <= len(name) <= NAME_MAX:
        raise InvalidInput("bad_name", f"1 to {NAME_MAX} characters", where="name")
    try:
        location_id: int = session.value(
            """insert into location (merchant_id, location_id, name, priority)
               values (%(merchant_id)s, nextval('location_seq'), %(name)s, %(priority)s) returning location_id""",
            name=name,
            priority=priority,
        )
    except ConstraintViolated as error:
        raise Conflict("name_taken", "a location of that name exists") from error
    return location_id


def list_locations(session: Session) -> Sequence[Location]:
    """All locations, first to serve first."""
    rows = session.rows(
        """select location_id, name, priority, active from location where merchant_id = %(merchant_id)s
           order by priority, location_id"""
    )
    return [Location(*row) for row in rows]
