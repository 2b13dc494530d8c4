"""The pages: home, items, one item. Each is one read-only transaction and one template; its address is the view."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, render_template, request

from app.core.errors import InvalidInput
from app.insight.diagnose import list_unshown
from app.insight.home import read_home
from app.insight.items import SORTS, get_item_row, list_items, list_levels
from app.insight.movements import list_movements
from app.insight.stamp import read_stamp
from app.listings.rules import list_item_owners
from app.publishing import why
from app.web.live import Live
from app.web.merchant import carry_on, chosen, reading

ID_MAX = (1 << 63) - 1
STAMP_LENGTH = 32

blueprint = Blueprint("pages", __name__)
carry_on(blueprint)


@blueprint.get("/")
def home() -> str:
    """Channels with their health, what just moved, what waits for a person."""
    with reading() as session:
        stamp = read_stamp(session)
        found = read_home(session)
        findings = list_unshown(session)
    return render_template("home.html", merchant=chosen(), stamp=stamp, home=found, findings=findings)


@blueprint.get("/items")
def items() -> str:
    """A page of items: `q` searches, `sort` and `after` say where in which order."""
    search, sort = request.args.get("q", ""), request.args.get("sort", "sku")
    with reading() as session:
        stamp = read_stamp(session)
        page = list_items(session, search=search, sort=sort, cursor=request.args.get("after"))
    return render_template(
        "items.html", merchant=chosen(), stamp=stamp, page=page, search=search, sort=sort, sorts=SORTS
    )


@blueprint.get("/items/<path:sku>")
def item(sku: str) -> str:
    """One item: its levels by place, its number on each channel, why, and by which rule, its movements (`before` pages
    them)."""
    return render_item(sku, live=True)


def render_item(sku: str, *, live: bool, **more: object) -> str:
    """The page of an item; `more` goes into its template. Without `live` it stays as it is: a form that was refused."""
    before = whole("before")
    with reading() as session:
        stamp = {"stamp": read_stamp(session)} if live else {}
        explained = why.run(session, sku)
        row = get_item_row(session, explained.item_id)
        levels = list_levels(session, explained.item_id)
        owners = {owner.owner_id: owner for owner in list_item_owners(session, explained.item_id)}
        movements = list_movements(session, explained.item_id, before)
    return render_template(
        "item.html", merchant=chosen(), explained=explained, item=row, levels=levels, movements=movements,
        owners=owners, before=before, opened=whole("why"), **stamp, **more,
    )  # fmt: skip


@blueprint.get("/item")
def item_by_query() -> str:
    """The same for a SKU that no path can hold, such as `..`."""
    return item(request.args.get("sku", ""))


@blueprint.get("/live")
def live() -> Response:
    """The stream of one open page: an event whenever what pages show has changed since `seen`."""
    watch: Live = current_app.extensions["live"]
    merchant_id = chosen().merchant_id
    seen = request.headers.get("Last-Event-ID") or request.args.get("seen", "")
    watch.take_seat(merchant_id)
    response = Response(watch.stream(merchant_id, seen[:STAMP_LENGTH]), mimetype="text/event-stream")
    response.call_on_close(lambda: watch.leave(merchant_id))
    response.headers["X-Accel-Buffering"] = "no"  # nginx would hold events back
    return response


def whole(name: str) -> int | None:
    """A whole number of the query, None when it is not there; raises InvalidInput."""
    text = request.args.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(ID_MAX)) and int(text) <= ID_MAX):
        raise InvalidInput("bad_number", "a whole number from 0 up", where=name)
    return int(text)
