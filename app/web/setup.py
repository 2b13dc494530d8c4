"""From a connected shop to its first correct push, by clicks: the list of what is done and next, the import, matching,
the opening stock, and the first numbers that a person approves.

Every form says what it was made with: what has changed meanwhile is shown again instead of being done.
"""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response as Answer

from app.core.errors import Conflict, InvalidInput
from app.core.table import write_table
from app.insight.first_push import COLUMNS, export_numbers, list_numbers
from app.insight.matching import list_proposals
from app.insight.setup import read_setup
from app.listings import matching
from app.listings.channels import get_channel
from app.listings.importing import cancel_import, request_import
from app.listings.opening import choose, find_choice, open_from_shop, preview_opening
from app.publishing.first_push import KINDS, NumbersMoved, approve, is_approved, lay_out
from app.web.asker import asker, needs
from app.web.merchant import WHOLE_TIMEOUT_S, carry_on, chosen, reading, writing
from app.web.pages import ID_MAX, whole
from app.web.said import refuse

_CHANNEL = f"/channels/<int(max={ID_MAX}):id_>"
_MATCH_VIEW = ("kind", "q", "after")
SMALL_EXPORT = 16

blueprint = Blueprint("setup", __name__)
carry_on(blueprint)


def who() -> str:
    """Who clicks, as the records name them."""
    return asker().name


@blueprint.get(f"{_CHANNEL}/setup")
def index(id_: int) -> str:
    """The list: what is done, what is next."""
    with reading() as session:
        setup = read_setup(session, id_)
    return render_template("setup.html", merchant=chosen(), setup=setup)


@blueprint.post(f"{_CHANNEL}/import")
@needs("channels.change")
def start_import(id_: int) -> Answer:
    """Have the whole catalogue read by the worker, from the beginning."""
    with writing() as session:
        get_channel(session, id_)
        request_import(session, id_, "catalogue", since=session.now, until=session.now)
    flash(gettext("The catalogue is being read."))
    return _to("setup.index", id_)


@blueprint.post(f"{_CHANNEL}/import/cancel")
@needs("channels.change")
def stop_import(id_: int) -> Answer:
    """Stop the reading of the catalogue; what is stored stays."""
    with writing() as session:
        get_channel(session, id_)
        stopped = cancel_import(session, id_, "catalogue")
    flash(gettext("Stopped; what is stored stays.") if stopped else gettext("There was nothing to stop."))
    return _to("setup.index", id_)


@blueprint.get(f"{_CHANNEL}/matching")
def match(id_: int) -> str:
    """What the shop's products probably are: `kind` one kind of them, `q` searches, `after` pages."""
    kind, search = request.args.get("kind") or None, request.args.get("q", "")
    with reading() as session:
        channel = get_channel(session, id_)
        found = matching.read_matching(session, id_)
        told = matching.count_by_state(session, id_)
        page = list_proposals(session, id_, kind=kind, search=search, after=whole("after") or 0)
        batches = matching.list_batches(session, id_)
    view = {name: request.args[name] for name in _MATCH_VIEW if name in request.args}
    return render_template(
        "matching.html", merchant=chosen(), channel=channel, found=found, told=told, page=page, kind=kind,
        search=search, batches=batches, certain=matching.CERTAIN, probable=matching.PROBABLE, view=view,
    )  # fmt: skip


@blueprint.post(f"{_CHANNEL}/matching/again")
@needs("channels.change")
def match_again(id_: int) -> Answer:
    """Work the proposals out anew."""
    with writing(WHOLE_TIMEOUT_S) as session:
        get_channel(session, id_)
        matching.propose(session, id_)
    return _to("setup.match", id_)


@blueprint.get(f"{_CHANNEL}/matching/accept")
def preview_match(id_: int) -> str:
    """What accepting the kinds named by `kind` would do, with its count, before it is done."""
    kinds = _kinds(request.args.getlist("kind"))
    with reading() as session:
        channel = get_channel(session, id_)
        found = matching.read_matching(session, id_)
        pages = [list_proposals(session, id_, kind=kind) for kind in kinds]
    rows = [row for page in pages for row in page.rows][:50]
    listings, items = found.of(kinds)
    return render_template(
        "matching_accept.html", merchant=chosen(), channel=channel, kinds=kinds, listings=listings, items=items,
        rows=rows,
    )  # fmt: skip


@blueprint.post(f"{_CHANNEL}/matching/accept")
@needs("channels.change")
def accept_match(id_: int) -> Answer:
    """Do it, if it is still as many as were shown."""
    kinds = _kinds(request.form.getlist("kind"))
    try:
        with writing(WHOLE_TIMEOUT_S) as session:
            get_channel(session, id_)
            batch = matching.accept(session, id_, kinds, listings=_count("listings"), by=who())
    except Conflict as error:
        refuse(gettext("Nothing was changed: %(why)s.", why=error.detail))
        return redirect(url_for("setup.preview_match", id_=id_, kind=kinds), 303)
    text = gettext("%(listings)s products are items now; %(items)s items are new.", listings=batch.listings,
                   items=batch.items)  # fmt: skip
    flash(text)
    return _to("setup.match", id_)


def _kinds(given: list[str]) -> list[str]:
    allowed = {*matching.CERTAIN, *matching.PROBABLE}
    if not given or not set(given) <= allowed:
        raise InvalidInput("bad_kind", f"one of {', '.join(sorted(allowed))}", where="kind")
    return list(dict.fromkeys(given))


def _count(name: str) -> int:
    text = request.form.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= SMALL_EXPORT):
        raise InvalidInput("bad_number", "a whole number from 0 up", where=name)
    return int(text)


@blueprint.post(f"{_CHANNEL}/matching/<int(max={ID_MAX}):batch_id>/undo")
@needs("channels.change")
def undo_match(id_: int, batch_id: int) -> Answer:
    """Take an acceptance back."""
    try:
        with writing(WHOLE_TIMEOUT_S) as session:
            if matching.get_batch(session, batch_id).channel_id != id_:
                raise InvalidInput("bad_batch", "that was accepted on another channel", where="batch_id")
            unmapped, gone = matching.undo(session, batch_id)
    except Conflict as error:
        refuse(error.detail)
        return _to("setup.match", id_)
    flash(gettext("Taken back: %(unmapped)s products are no items again, %(gone)s items are gone again.",
                  unmapped=unmapped, gone=gone))  # fmt: skip
    return _to("setup.match", id_)


@blueprint.get(f"{_CHANNEL}/opening")
@needs("costs.see")
def opening(id_: int) -> str:
    """What the ledger would begin with, from this shop."""
    with reading() as session:
        channel = get_channel(session, id_)
        told, choice, approved = preview_opening(session, id_), find_choice(session), is_approved(session, id_)
        source = get_channel(session, choice.channel_id) if choice and choice.channel_id else None
    return render_template(
        "opening.html", merchant=chosen(), channel=channel, told=told, choice=choice, source=source, approved=approved
    )


@blueprint.post(f"{_CHANNEL}/opening")
@needs("channels.change")
def open_ledger(id_: int) -> Answer:
    """Say where the opening stock comes from; from this shop, it is posted at once."""
    source = request.form.get("source", "")
    try:
        with writing(WHOLE_TIMEOUT_S) as session:
            get_channel(session, id_)
            if find_choice(session) is None:
                choose(session, source, id_ if source == "shop" else None, who())
            posted = open_from_shop(session, id_) if source == "shop" else None
    except Conflict as error:
        refuse(gettext("Nothing was changed: %(why)s.", why=error.detail))
        return _to("setup.opening", id_)
    if posted is None:
        flash(gettext("Noted. The stock is not taken from this shop."))
        return _to("imports.index", None) if source == "csv" else _to("setup.index", id_)
    flash(gettext("The ledger is open: %(items)s items, %(units)s units.", items=posted[0], units=posted[1]))
    return _to("setup.index", id_)


@blueprint.get(f"{_CHANNEL}/first-push")
def first_push(id_: int) -> str:
    """The numbers that would be sent first, as they were laid out: `kind` one kind, `q` searches, `after` pages."""
    kind, search = request.args.get("kind") or None, request.args.get("q", "")
    with reading() as session:
        setup = read_setup(session, id_)
        page = list_numbers(session, id_, kind=kind, search=search, after=whole("after") or 0)
    return render_template(
        "first_push.html", merchant=chosen(), setup=setup, page=page, kind=kind, search=search, kinds=KINDS
    )


@blueprint.post(f"{_CHANNEL}/first-push")
@needs("channels.change")
def show_first_push(id_: int) -> Answer:
    """Lay them out anew."""
    try:
        with writing(WHOLE_TIMEOUT_S) as session:
            lay_out(session, id_)
    except Conflict as error:
        refuse(error.detail)
    return _to("setup.first_push", id_)


@blueprint.get(f"{_CHANNEL}/first-push.csv")
def first_push_table(id_: int) -> Response:
    """All of them as a table; formulas stay text."""
    with reading() as session:
        get_channel(session, id_)
        table = write_table(COLUMNS, export_numbers(session, id_))
    return Response(
        table, mimetype="text/csv", headers={"Content-Disposition": f"attachment; filename=first-push-{id_}.csv"}
    )


@blueprint.post(f"{_CHANNEL}/first-push/approve")
@needs("channels.change")
def approve_first_push(id_: int) -> Answer:
    """Approve exactly what was shown; what has moved since is shown again."""
    try:
        with writing(WHOLE_TIMEOUT_S) as session:
            approve(session, id_, request.form.get("digest", ""), by=who(), zeros="zeros" in request.form)
    except NumbersMoved as error:
        with writing(WHOLE_TIMEOUT_S) as session:
            lay_out(session, id_, moved=error.moved)
        text = ngettext(
            "%(num)s number has moved since it was shown. This is how it is now.",
            "%(num)s numbers have moved since they were shown. This is how it is now.",
            error.moved,
        )
        refuse(text)
        return _to("setup.first_push", id_)
    except Conflict as error:
        refuse(gettext("Nothing was approved: %(why)s.", why=error.detail))
        return _to("setup.first_push", id_)
    flash(gettext("Approved. The shop is read once more, then the numbers are written."))
    return _to("setup.index", id_)


def _to(endpoint: str, id_: int | None) -> Answer:
    return redirect(url_for(endpoint) if id_ is None else url_for(endpoint, id_=id_), 303)
