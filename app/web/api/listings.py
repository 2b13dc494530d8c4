"""Listings: what the channels sell, which item each is, and the rule by which its number follows from the stock."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, cast

from pydantic import Field, PlainSerializer, WithJsonSchema

from app.catalog.items import get_item_by_id
from app.core.db import Session
from app.insight.listings import ListingView, Wanted, get_view, list_listings
from app.listings.catalogue import lock_sharers, map_listing, unmap_listing
from app.listings.lookup import get_listing
from app.listings.rules import PERCENT_MAX, Change, get_owner, lock_owners, set_rule
from app.web.api.call import Call
from app.web.api.fields import AskedFlag, AskedId, In, Name, Out, Paged, Search, Sku
from app.web.api.lines import find_ids
from app.web.api.route import Route
from app.web.api.table import serves
from connectors.base import QUANTITY_MAX

Shown = Annotated[int, Field(ge=0, le=QUANTITY_MAX)]
Chance = Annotated[float, Field(gt=0, lt=1)]
ChanceOut = Annotated[Decimal, PlainSerializer(float, return_type=float), WithJsonSchema({"type": "number"})]


class ListingsAsked(Paged):
    """Of one channel or all; `unmapped` only those without an item; `q` is contained in SKU, title or key."""

    channel_id: AskedId | None = None
    unmapped: AskedFlag = False
    q: Search = ""


class NumberOut(Out):
    """A number on a channel: what it is believed to show and what it should show. `target` null: none is written."""

    number_id: int
    location_key: str
    state: str
    shown: int | None
    target: int | None


class SuggestionOut(Out):
    """An item that a listing probably is."""

    sku: str
    name: str
    reason: str


class ListingOut(Out):
    """What a channel sells."""

    listing_id: int
    channel_id: int
    channel: str
    listing_key: str
    sku: str | None
    title: str
    item_id: int | None
    item_sku: str | None
    tracked: bool
    left_out: bool
    gone: bool
    numbers: list[NumberOut]
    suggestions: list[SuggestionOut]


class ListingsOut(Out):
    """A page of listings."""

    data: list[ListingOut]
    next_cursor: str | None


class MappingIn(In):
    """Which item the listing is."""

    sku: Sku


class MappingOut(Out):
    """Which item a listing is; `left_out`: somebody said that it is none."""

    listing_id: int
    item_id: int | None
    sku: str | None
    left_out: bool


class RuleIn(In):
    """What is not named stays. Units held back (`buffer`, `buffer_percent`, or as many as `oversell_target` asks for),
    bounds of what is shown, and which locations count (null: all)."""

    buffer: Shown = 0
    buffer_percent: Annotated[int, Field(ge=0, le=PERCENT_MAX)] = 0
    oversell_target: Chance | None = None
    shown_min: Shown = 0
    shown_max: Shown | None = None
    locations: Annotated[list[Name], Field(max_length=100)] | None = None


class RuleOut(Out):
    """The rule of a number."""

    number_id: int
    buffer: int
    buffer_percent: int
    oversell_target: ChanceOut | None
    shown_min: int
    shown_max: int | None
    locations: list[str] | None


@serves(Route("GET", "/listings", ListingsOut, "What the channels sell", "channels:read", query=ListingsAsked))
def list_page(call: Call) -> ListingsOut:
    """A page of listings."""
    asked: ListingsAsked = call.query
    wanted = Wanted(asked.channel_id, asked.unmapped, asked.q, call.position())
    page = list_listings(call.session, wanted, rows_max=asked.limit)
    following = None if page.next_after is None else call.cursors.make(page.next_after)
    return ListingsOut(data=[_out(view) for view in page.rows], next_cursor=following)


@serves(Route("GET", "/listings/{listing_id}", ListingOut, "One listing with its numbers", "channels:read"))
def get_one(call: Call) -> ListingOut:
    """One listing."""
    return _out(get_view(call.session, get_listing(call.session, call.path["listing_id"])))


def _out(view: ListingView) -> ListingOut:
    one = view.listing
    numbers = [
        NumberOut(
            number_id=number.owner.owner_id, location_key=number.owner.location_key, state=number.owner.state,
            shown=number.owner.believed, target=number.target,
        )
        for number in view.numbers
    ]  # fmt: skip
    return ListingOut(
        listing_id=one.listing_id, channel_id=one.channel_id, channel=view.channel, listing_key=one.listing_key,
        sku=one.sku, title=one.title, item_id=one.item_id, item_sku=view.item_sku, tracked=one.tracked,
        left_out=one.left_out, gone=one.gone, numbers=numbers,
        suggestions=[SuggestionOut.model_validate(s) for s in view.suggestions],
    )  # fmt: skip


@serves(Route("GET", "/listings/{listing_id}/mapping", MappingOut, "Which item a listing is", "channels:read",
              versioned=True))  # fmt: skip
def get_mapping(call: Call) -> MappingOut:
    """The mapping."""
    return _mapping(call.session, call.path["listing_id"])


@serves(Route("PUT", "/listings/{listing_id}/mapping", MappingOut, "Say which item a listing is", "channels:write",
              body=MappingIn, versioned=True))  # fmt: skip
def put_mapping(call: Call) -> MappingOut:
    """Map; orders that wait for it are booked."""
    return _map(call, find_ids(call.session, [call.body.sku])[call.body.sku])


@serves(Route("DELETE", "/listings/{listing_id}/mapping", MappingOut, "Say that a listing is none of the items",
              "channels:write", versioned=True))  # fmt: skip
def delete_mapping(call: Call) -> MappingOut:
    """Take it out: its number is written no more."""
    return _map(call, None)


def _map(call: Call, item_id: int | None) -> MappingOut:
    listing_id = call.path["listing_id"]
    listing = get_listing(call.session, listing_id)
    lock_sharers(call.session, listing.channel_id, listing.stock_key)
    call.check_version(_mapping(call.session, listing_id))
    if item_id is None:
        unmap_listing(call.session, listing.channel_id, listing.listing_key)
    else:
        map_listing(call.session, listing.channel_id, listing.listing_key, item_id)
    return _mapping(call.session, listing_id)


def _mapping(session: Session, listing_id: int) -> MappingOut:
    listing = get_listing(session, listing_id)
    sku = None if listing.item_id is None else get_item_by_id(session, listing.item_id).sku
    return MappingOut(listing_id=listing_id, item_id=listing.item_id, sku=sku, left_out=listing.left_out)


@serves(Route("GET", "/numbers/{number_id}/rule", RuleOut, "The rule of a number", "channels:read", versioned=True))
def get_rule(call: Call) -> RuleOut:
    """The rule."""
    return _rule(call.session, call.path["number_id"])


@serves(Route("PATCH", "/numbers/{number_id}/rule", RuleOut, "Change how much of the stock a number shows",
              "channels:write", body=RuleIn, versioned=True))  # fmt: skip
def patch_rule(call: Call) -> RuleOut:
    """Change the rule; the number is due from then on."""
    number_id = call.path["number_id"]
    lock_owners(call.session, [number_id])
    call.check_version(_rule(call.session, number_id))
    set_rule(call.session, [get_owner(call.session, number_id)], _change(call.body))
    return _rule(call.session, number_id)


def _change(told: RuleIn) -> Change:
    named = told.model_dump(exclude_unset=True)
    if named.get("oversell_target") is not None:
        named["oversell_target"] = Decimal(repr(named["oversell_target"]))
    return cast(Change, named)


def _rule(session: Session, number_id: int) -> RuleOut:
    owner = get_owner(session, number_id)
    names = owner.location_names
    return RuleOut(
        number_id=number_id, buffer=owner.buffer, buffer_percent=owner.buffer_percent,
        oversell_target=owner.oversell_target, shown_min=owner.shown_min, shown_max=owner.shown_max,
        locations=None if names is None else list(names),
    )  # fmt: skip
