"""The merchant and its places."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.catalog.locations import PRIORITY_MAX, list_locations
from app.core.errors import InvalidInput
from app.ledger.period import get_merchant
from app.listings.locations import change_location, get_location, lock_location
from app.web.api.call import Call
from app.web.api.fields import In, Out
from app.web.api.route import Route
from app.web.api.table import serves


class MerchantOut(Out):
    """Whose key it is."""

    merchant_id: int
    currency: str
    cost_method: str
    time_zone: str
    key_name: str
    scopes: list[str]


class LocationOut(Out):
    """A place; of several that could, the one of the lowest `priority` serves an order. One that is not `active` serves
    none that says no place, and nothing is received there."""

    location_id: int
    name: str
    priority: int
    active: bool


class LocationsOut(Out):
    """All places, the first to serve first."""

    data: list[LocationOut]


class LocationChange(In):
    """What is not named stays. Only an empty place can stop being active."""

    priority: Annotated[int, Field(ge=0, le=PRIORITY_MAX)] | None = None
    active: bool | None = None


@serves(Route("GET", "/merchant", MerchantOut, "Whose key this is, and what it may do"))
def get_own(call: Call) -> MerchantOut:
    """The merchant."""
    merchant = get_merchant(call.session)
    return MerchantOut(
        merchant_id=call.session.merchant_id, currency=merchant.currency, cost_method=str(merchant.cost_method),
        time_zone=str(merchant.time_zone), key_name=call.principal.name, scopes=sorted(call.principal.scopes),
    )  # fmt: skip


@serves(Route("GET", "/locations", LocationsOut, "All places", "stock:read"))
def list_places(call: Call) -> LocationsOut:
    """The places."""
    return LocationsOut(data=[LocationOut.model_validate(place) for place in list_locations(call.session)])


@serves(Route("GET", "/locations/{location_id}", LocationOut, "One place", "stock:read", versioned=True))
def get_place(call: Call) -> LocationOut:
    """One place."""
    return LocationOut.model_validate(get_location(call.session, call.path["location_id"]))


@serves(Route("PATCH", "/locations/{location_id}", LocationOut, "Change a place's priority, and whether it is in use",
              "stock:write", body=LocationChange, versioned=True))  # fmt: skip
def patch_place(call: Call) -> LocationOut:
    """Change a place that is still what the caller read."""
    place, change = lock_location(call.session, call.path["location_id"]), call.body
    call.check_version(LocationOut.model_validate(place))
    for field in change.model_fields_set:
        if getattr(change, field) is None:
            raise InvalidInput("invalid", "leave out what stays", where=field)
    changed = change_location(call.session, place, priority=change.priority, active=change.active)
    return LocationOut.model_validate(changed)
