"""The merchant and its places."""

from __future__ import annotations

from app.catalog.locations import list_locations
from app.ledger.period import get_merchant
from app.web.api.call import Call
from app.web.api.fields import Out
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
    """A place; of several that could, the one of the lowest `priority` serves an order."""

    location_id: int
    name: str
    priority: int
    active: bool


class LocationsOut(Out):
    """All places, the first to serve first."""

    data: list[LocationOut]


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
