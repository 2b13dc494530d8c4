"""Webhooks to others: endpoints, what they were told, and telling it again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from app.core.runtime import Runtime
from app.outbox.endpoints import (
    change_endpoint,
    check_url,
    create_endpoint,
    get_endpoint,
    list_deliveries,
    list_endpoints,
    remove_endpoint,
    replay,
)
from app.web.api.call import Call, Reply
from app.web.api.fields import In, Instant, Out, Paged, Text
from app.web.api.route import PREFIX, Route
from app.web.api.table import serves

Event = Literal["stock.changed", "order.booked", "case.opened", "channel.state_changed"]
Events = Annotated[list[Event], Field(min_length=1, max_length=4)]
Url = Annotated[str, Field(min_length=1, max_length=1_000, pattern=r"^[^\x00-\x1f\x7f]*$")]


class EndpointIn(In):
    """A public https address, and what it wants to be told."""

    url: Url
    events: Events
    description: Text = ""


class EndpointChange(In):
    """What is not named stays. `active` also takes up again what was disabled because it failed."""

    url: Url = Field(default_factory=str)
    events: Events = Field(default_factory=list)
    description: Text = ""
    state: Literal["active", "paused"] = "active"


class EndpointOut(Out):
    """An endpoint, without its secret. `disabled`: it failed for a day."""

    endpoint_id: int
    url: str
    description: str
    events: list[Event]
    state: Literal["active", "paused", "disabled"]
    failures: int
    failing_since: datetime | None
    retry_at: datetime | None
    last_error: str | None
    created_at: datetime


class EndpointMade(EndpointOut):
    """A new endpoint with the secret that its deliveries are signed with; it is shown this once."""

    secret: str


class EndpointsOut(Out):
    """All endpoints."""

    data: list[EndpointOut]


class DeliveriesAsked(Paged):
    """Those in a state, or all."""

    state: Literal["waiting", "delivered", "failed"] | None = None


class DeliveryOut(Out):
    """An event and how telling it goes. `error`: what the last attempt failed with."""

    event_id: int
    type: Event
    data: dict[str, Any]
    occurred_at: datetime
    state: Literal["waiting", "delivered", "failed"]
    attempts: int
    due_at: datetime
    attempted_at: datetime | None
    error: str | None


class DeliveriesOut(Out):
    """A page of deliveries, the latest event first."""

    data: list[DeliveryOut]
    next_cursor: str | None


class ReplayIn(In):
    """Everything since then that is kept (a week), at most 10,000 events."""

    since: Instant


class ReplayedOut(Out):
    """How many events will be told again."""

    events: int


def _check_address(runtime: Runtime, told: Any) -> None:
    if "url" in told.model_fields_set:
        check_url(told.url, allow_loopback=runtime.settings.security.allow_loopback)


@serves(Route("GET", "/webhook-endpoints", EndpointsOut, "Where events are sent to", "webhooks:read"))
def list_all(call: Call) -> EndpointsOut:
    """All endpoints."""
    return EndpointsOut(data=[EndpointOut.model_validate(one) for one in list_endpoints(call.session)])


@serves(Route("POST", "/webhook-endpoints", EndpointMade, "Have events sent to an address", "webhooks:write",
              body=EndpointIn, status=201, secret=True, before=_check_address))  # fmt: skip
def make(call: Call) -> Reply:
    """A new endpoint; its secret is in this answer and nowhere else."""
    told: EndpointIn = call.body
    endpoint_id, secret = create_endpoint(
        call.runtime, call.session, url=told.url, description=told.description, events=told.events
    )
    one = EndpointOut.model_validate(get_endpoint(call.session, endpoint_id))
    made = EndpointMade(**one.model_dump(), secret=secret)
    return Reply(made, location=f"{PREFIX}/webhook-endpoints/{endpoint_id}")


@serves(Route("GET", "/webhook-endpoints/{endpoint_id}", EndpointOut, "One endpoint", "webhooks:read"))
def get_one(call: Call) -> EndpointOut:
    """One endpoint."""
    return EndpointOut.model_validate(get_endpoint(call.session, call.path["endpoint_id"]))


@serves(Route("PATCH", "/webhook-endpoints/{endpoint_id}", EndpointOut, "Change, pause or take up an endpoint",
              "webhooks:write", body=EndpointChange, before=_check_address))  # fmt: skip
def change(call: Call) -> EndpointOut:
    """Change an endpoint."""
    endpoint = get_endpoint(call.session, call.path["endpoint_id"], lock=True)
    kept = {
        "url": endpoint.url,
        "description": endpoint.description,
        "events": endpoint.events,
        "state": endpoint.state,
    }
    change_endpoint(call.session, endpoint, **{**kept, **call.body.model_dump(exclude_unset=True)})
    return get_one(call)


@serves(Route("DELETE", "/webhook-endpoints/{endpoint_id}", None, "Send nothing more to an endpoint",
              "webhooks:write", status=204))  # fmt: skip
def remove(call: Call) -> Reply:
    """Remove an endpoint with what it was told."""
    remove_endpoint(call.session, call.path["endpoint_id"])
    return Reply(None)


@serves(Route("GET", "/webhook-endpoints/{endpoint_id}/deliveries", DeliveriesOut, "What an endpoint was told",
              "webhooks:read", query=DeliveriesAsked))  # fmt: skip
def list_told(call: Call) -> DeliveriesOut:
    """A page of deliveries."""
    asked: DeliveriesAsked = call.query
    endpoint = get_endpoint(call.session, call.path["endpoint_id"])
    rows = list_deliveries(
        call.session, endpoint.endpoint_id, state=asked.state, before=call.position(), limit=asked.limit + 1
    )
    page = rows[: asked.limit]
    following = call.next_cursor(rows, page[-1].event_id if page else None)
    return DeliveriesOut(data=[DeliveryOut.model_validate(row) for row in page], next_cursor=following)


@serves(Route("POST", "/webhook-endpoints/{endpoint_id}/replay", ReplayedOut, "Tell an endpoint again",
              "webhooks:write", body=ReplayIn))  # fmt: skip
def tell_again(call: Call) -> ReplayedOut:
    """Have what happened since then told again."""
    return ReplayedOut(events=replay(call.session, call.path["endpoint_id"], call.body.since))
