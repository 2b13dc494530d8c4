"""What the channels sell: the page that says which item each listing is, and the forms that say so, or set a rule.

A form that is refused is shown again with what was typed and the reason beside its field; nothing is half written. One
that is accepted leads back to where it was sent from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from app.catalog.items import Item, get_item_by_id
from app.core.db import Session
from app.core.errors import Fault, InvalidInput, NotFound, Stale
from app.insight.listings import Wanted, list_listings, list_sold
from app.listings.catalogue import map_listing, unmap_listing
from app.listings.channels import list_channels
from app.listings.lookup import Listing, get_item_or_nearest, get_listing
from app.listings.rules import Change, Owner, get_owner, set_rule
from app.web.asker import needs
from app.web.merchant import carry_on, chosen, reading, writing
from app.web.pages import ID_MAX, render_item, whole
from app.web.said import refuse
from app.web.shown import item_url

_ID = f"<int(max={ID_MAX}):id_>"
_DIGITS_MAX = 12
_VIEW = ("unmapped", "channel", "q", "after")  # what of the address is the view

blueprint = Blueprint("listings", __name__)
carry_on(blueprint)
Page = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Refused:
    """A form that was refused: whose it is, what was typed, and what is wrong by field."""

    id_: int
    typed: MultiDict[str, str]
    faults: Mapping[str, str]


@blueprint.get("/listings")
def index() -> str:
    """A page of listings: `unmapped` those without an item, `channel` one channel's, `q` searches, `after` pages."""
    return _render()


def _render(refused: Refused | None = None) -> str:
    search = request.args.get("q", "")
    wanted = Wanted(
        whole("channel") if request.args.get("channel") else None, "unmapped" in request.args, search, whole("after")
    )
    with reading() as session:
        channels = list_channels(session)
        page = list_listings(session, wanted)
        sold = list_sold(session) if wanted.unmapped and wanted.after is None else ()
    return render_template(
        "listings.html", merchant=chosen(), page=page, wanted=wanted, channels=channels, sold=sold, refused=refused,
        view=_view(),
    )  # fmt: skip


def _view() -> dict[str, Any]:
    return {name: request.args[name] for name in _VIEW if name in request.args}


@blueprint.post(f"/listings/{_ID}/map")
@needs("listings.change")
def map_one(id_: int) -> Response | Page:
    """Say which item a listing is. `was` is the item that the form was made with: who was slower overwrites nothing."""
    text = request.form.get("item", "").strip()
    try:
        with writing() as session:
            listing = get_listing(session, id_)
            item = _find_item(session, text)
            if listing.item_id != item.item_id and str(listing.item_id or "") != request.form.get("was", ""):
                return _meanwhile(session, listing)
            map_listing(session, listing.channel_id, listing.listing_key, item.item_id)
    except InvalidInput as error:
        return _render(Refused(id_, request.form, {"item": error.detail})), error.status
    flash(gettext("%(listing)s is %(item)s now.", listing=_name(listing), item=item.sku))
    return _back()


def _find_item(session: Session, sku: str) -> Item:
    try:
        return get_item_or_nearest(session, sku)
    except NotFound as error:
        raise InvalidInput(error.reason, error.detail, where="item") from None


def _meanwhile(session: Session, listing: Listing) -> Response:
    name = _name(listing)
    if listing.item_id is None:
        refuse(gettext("%(listing)s was taken out meanwhile; nothing was changed.", listing=name))
    else:
        item = get_item_by_id(session, listing.item_id).sku
        refuse(gettext("%(listing)s was said to be %(item)s meanwhile; nothing was changed.", listing=name, item=item))
    return _back()


@blueprint.post(f"/listings/{_ID}/unmap")
@needs("listings.change")
def unmap_one(id_: int) -> Response:
    """Say that a listing is none of the items. `was` as in `map_one`."""
    with writing() as session:
        listing = get_listing(session, id_)
        if str(listing.item_id or "") != request.form.get("was", ""):
            return _meanwhile(session, listing)
        unmap_listing(session, listing.channel_id, listing.listing_key)
    flash(gettext("%(listing)s is none of the items now; its number is written no more.", listing=_name(listing)))
    return _back()


def _name(listing: Listing) -> str:
    return listing.sku or listing.title or listing.listing_key


def _back() -> Response:
    return redirect(url_for("listings.index", **_view()), 303)


@blueprint.post(f"/numbers/{_ID}/rule")
@needs("listings.change")
def rule(id_: int) -> Response | Page:
    """Set the rule of one number, all of it; back to its item. `was` is the rule that the form was made with: who was
    slower is shown theirs, and what they typed."""
    with reading() as session:
        owner = get_owner(session, id_)
        if owner.item_id is None:
            raise NotFound("unknown_number", "no item has that number")
        item = get_item_by_id(session, owner.item_id)
    try:
        change = _read_rule(owner, request.form)
        with writing() as session:
            set_rule(session, [owner], change, was=request.form.get("was"))
    except (InvalidInput, Stale) as error:
        faults = {fault.where: fault.detail for fault in error.faults} if isinstance(error, InvalidInput) else {}
        return render_item(item.sku, live=False, refused=Refused(id_, request.form, faults)), error.status
    flash(gettext("The rule is set; the number follows."))
    return redirect(f"{item_url(item.sku)}#rules", 303)


def _read_rule(owner: Owner, form: MultiDict[str, str]) -> Change:
    """The rule as typed; raises InvalidInput for what is no number. An empty field holds nothing back and bounds
    nothing."""
    numbers = {field: _number(form.get(field, "")) for field in ("buffer", "buffer_percent", "shown_min", "shown_max")}
    faults = [Fault("bad_number", "a whole number from 0 up", field) for field, n in numbers.items() if n == "bad"]
    if faults:
        raise InvalidInput("bad_number", faults=faults)
    change: Change = {
        "buffer": int(numbers["buffer"] or 0),
        "buffer_percent": int(numbers["buffer_percent"] or 0),
        "shown_min": int(numbers["shown_min"] or 0),
        "shown_max": int(numbers["shown_max"]) if numbers["shown_max"] else None,
    }
    if "some_locations" in form:
        names = form.getlist("locations")
        change["locations"] = None if set(names) == set(owner.feeding.values()) else names
    return change


def _number(text: str) -> str:
    """The digits of a whole number, `` for an empty field, else `bad`."""
    text = text.strip()
    return text if not text or (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX) else "bad"
