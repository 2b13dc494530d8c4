"""What a person does to a channel by a click: pause it, go on, have it read afresh, say which place is which."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as Answer

from app.catalog.locations import list_locations
from app.core.errors import Conflict, InvalidInput, NotFound
from app.insight import words
from app.listings.channels import get_channel
from app.listings.places import Place, list_places, map_place
from app.listings.states import STATES, change_state, read_afresh
from app.web.asker import asker, needs
from app.web.merchant import carry_on, chosen, reading, runtime, writing
from app.web.pages import ID_MAX
from app.web.said import refuse
from connectors.errors import ChannelError

_CHANNEL = f"/channels/<int(max={ID_MAX}):id_>"
KEY_MAX = 200
NEW = "new"  # instead of a location: make one of the place's name

blueprint = Blueprint("channels", __name__)
carry_on(blueprint)
Page = tuple[str, int]


@blueprint.post(f"{_CHANNEL}/state")
@needs("channels.change")
def change(id_: int) -> Answer:
    """To active, paused or only looking."""
    state = request.form.get("state", "")
    if state not in STATES:
        raise InvalidInput("bad_state", f"one of {', '.join(STATES)}", where="state")
    try:
        with writing() as session:
            standing = change_state(session, id_, state, asker().name)
    except Conflict as error:
        unseen = error.reason == "first_push_not_approved"
        why = gettext("its first numbers are approved under Set up") if unseen else error.detail
        refuse(gettext("Nothing was changed: %(why)s.", why=why))
        return _to_check(id_)
    if standing.activating_since:
        flash(gettext("It is read first, then its numbers are written."))
    else:
        flash(gettext("It is now: %(state)s.", state=gettext(words.CHANNEL_STATES[standing.state])))
    return _to_check(id_)


@blueprint.post(f"{_CHANNEL}/afresh")
@needs("channels.change")
def afresh(id_: int) -> Answer:
    """Have all that it shows and its orders read now, and everything planned anew."""
    try:
        with writing() as session:
            read_afresh(session, id_, asker().name)
    except Conflict as error:
        refuse(gettext("Nothing was changed: %(why)s.", why=error.detail))
        return _to_check(id_)
    flash(gettext("All that it shows and its orders are read now; then its numbers are written."))
    return _to_check(id_)


@blueprint.get(f"{_CHANNEL}/places")
@needs("channels.change")
def places(id_: int) -> str:
    """Its places, as the shop names them now, and which of ours each is."""
    return _render(id_)


def _render(id_: int, wrong: str = "", place: str = "") -> str:
    found: Sequence[Place] = ()
    trouble = ""
    with reading() as session:
        channel = get_channel(session, id_)
        ours = list_locations(session)
    try:
        found = list_places(runtime(), chosen().merchant_id, id_)
    except ChannelError as error:
        trouble = words.failure(error.reason)
    return render_template(
        "places.html", merchant=chosen(), channel=channel, places=found, ours=ours, trouble=trouble, wrong=wrong,
        wrong_place=place, new=NEW,
    )  # fmt: skip


@blueprint.post(f"{_CHANNEL}/places")
@needs("channels.change")
def map_one(id_: int) -> Answer | Page:
    """Say which of ours a place is, or that it is a new one; orders that wait for it are booked then."""
    place, location = request.form.get("place", "")[:KEY_MAX], request.form.get("location", "")
    try:
        name = map_place(runtime(), chosen().merchant_id, id_, place, _location(location))
    except (InvalidInput, NotFound, Conflict) as error:
        if error.reason == "unknown_channel":
            raise
        return _render(id_, error.detail, place), 422
    except ChannelError as error:
        return _render(id_, words.failure(error.reason), place), 422
    runtime().ring()
    flash(gettext("%(place)s is one of your places now; what waited for it is booked.", place=name))
    return redirect(url_for("channels.places", id_=id_), 303)


def _location(text: str) -> int | None:
    """None: a new one. Raises InvalidInput, also for another merchant's."""
    if text == NEW:
        return None
    with reading() as session:
        for one in list_locations(session):
            if str(one.location_id) == text:
                return one.location_id
    raise InvalidInput("unknown_location", "choose one of your places, or a new one", where="location")


def _to_check(id_: int) -> Answer:
    return redirect(url_for("checks.show", id_=id_), 303)
