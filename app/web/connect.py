"""Connecting a shop by clicks: which platform, where the shop is, its owner's approval or keys by hand, and what is in
the way in words.

The shop's own call with its keys comes to `callbacks`, which asks for no login: the state in it is the proof for whom
they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as Answer

from app.core.errors import BadRequest, Conflict, PerpetualError, TooLarge, WrongContentType
from app.core.log import get_logger
from app.insight import words
from app.listings import joining
from app.listings.by_keys import list_brought
from app.web.asker import needs
from app.web.hosts import origin
from app.web.merchant import carry_on, chosen, now, reading, runtime, writing
from connectors.errors import ChannelError, Malformed
from connectors.join import Found

WOO = "woocommerce"
TYPED_MAX = 1_000
GRANT_MAX = 4_096  # bytes of a shop's call
STATE_MAX = 200
_ID = "<int(max=9223372036854775807):id_>"

blueprint = Blueprint("connect", __name__)
carry_on(blueprint)
callbacks = Blueprint("callbacks", __name__, url_prefix="/callbacks")
log = get_logger("connect")
Page = tuple[str, int] | str


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is in the way, in words with the cure; `field` is the input that it is about, `typed` what stood in it."""

    reason: str
    text: str
    field: str = ""
    typed: str = ""


@blueprint.get("/connect")
@needs("channels.change")
def index() -> str:
    """Which shop is it?"""
    return _page()


def _page(trouble: Trouble | None = None) -> str:
    others = list_brought(runtime().connectors)
    return render_template("connect.html", merchant=chosen(), trouble=trouble, others=others)


@blueprint.post(f"/connect/{WOO}")
@needs("channels.change")
def find() -> Answer | Page:
    """Look for the shop at the address that was typed; 422 with what is in the way."""
    typed = request.form.get("url", "")[: TYPED_MAX + 1]
    try:
        found = joining.find_shop(runtime(), WOO, typed)
    except ChannelError as error:
        trouble = _trouble(error, "url", typed)
        return _page(trouble), 422
    if found.moved_to:
        return render_template("connect_moved.html", merchant=chosen(), found=found, typed=typed)
    return _begin(found)


def _begin(found: Found) -> Answer:
    joining_id = joining.begin_joining(runtime(), chosen().merchant_id, WOO, found)
    return redirect(url_for("connect.ask", id_=joining_id), 303)


@blueprint.get(f"/connect/{WOO}/{_ID}")
@needs("channels.change")
def ask(id_: int) -> str:
    """What is asked for and why, the way to the shop's own page, and keys by hand."""
    return _render(id_)


def _render(id_: int, trouble: Trouble | None = None) -> str:
    with reading() as session:
        found = joining.get_joining(session, id_)
    link, hindered = "", ""
    try:
        link = joining.approval_url(
            runtime(), chosen().merchant_id, found,
            return_url=f"{origin()}{url_for('connect.back', merchant=chosen().merchant_id)}",
            callback_url=f"{origin()}{url_for('callbacks.take', platform=WOO)}",
        )  # fmt: skip
    except ChannelError as error:
        hindered = error.reason
    return render_template(
        "connect_woo.html", merchant=chosen(), joining=found, link=link, hindered=hindered, trouble=trouble,
        over=found.is_over(now()), by_hand=request.args.get("by") == "hand" or bool(hindered), now_url=origin(),
    )  # fmt: skip


@blueprint.get(f"/connect/{WOO}/back")
@needs("channels.change")
def back() -> Answer | Page:
    """The browser comes back from the shop, with or without its owner's approval; 400 with the way to start again."""
    approved = request.args.get("success") == "1"
    try:
        with writing() as session:
            joining_id = joining.note_return(session, request.args.get("user_id", "")[:STATE_MAX], approved=approved)
    except BadRequest as error:
        return _page(Trouble(error.reason, error.detail[:1].upper() + error.detail[1:])), 400
    return redirect(url_for("connect.ask", id_=joining_id), 303)


@blueprint.post(f"/connect/{WOO}/{_ID}/finish")
@needs("channels.change")
def finish(id_: int) -> Answer | Page:
    """Prove the keys that came, and connect."""
    try:
        channel_id = joining.finish_joining(runtime(), chosen().merchant_id, id_, origin=origin())
    except (ChannelError, Conflict) as error:
        return _render(id_, _trouble(error)), 422
    return _connected(channel_id)


@blueprint.post(f"/connect/{WOO}/{_ID}/keys")
@needs("channels.change")
def keys(id_: int) -> Answer | Page:
    """Keys that a person made in the shop. What was typed is not shown again."""
    typed = {name: request.form.get(name, "")[:STATE_MAX] for name in ("consumer_key", "consumer_secret")}
    try:
        channel_id = joining.join_by_hand(runtime(), chosen().merchant_id, id_, typed, origin=origin())
    except (ChannelError, Conflict) as error:
        return _render(id_, _trouble(error, getattr(error, "field", "") or "consumer_key")), 422
    return _connected(channel_id)


def _connected(channel_id: int) -> Answer:
    flash(gettext("The shop is connected. Its products are being read; no number is written to it yet."))
    return redirect(url_for("setup.index", id_=channel_id), 303)


def _trouble(error: ChannelError | PerpetualError, where: str = "", typed: str = "") -> Trouble:
    """The error's own sentence where it says what to do about an input, else the words of its reason."""
    own = isinstance(error, Malformed | PerpetualError) or error.reason not in words.FAILURES
    text = (error.detail.partition(": ")[2] or error.detail) if own else words.failure(error.reason)
    log.info("connecting_refused", reason=error.reason)
    return Trouble(error.reason, text[:1].upper() + text[1:], where, typed)


@callbacks.post("/<platform>")
def take(platform: str) -> Response:
    """A shop's server brings the keys its owner approved. 200 takes them; anything else has the shop take them back."""
    if (request.content_length or 0) > GRANT_MAX:
        raise TooLarge("body_too_large", f"keys are not over {GRANT_MAX} bytes")
    if request.mimetype != "application/json":
        raise WrongContentType("wrong_content_type", "keys come as application/json")
    try:
        joining.accept_grant(runtime(), platform, request.get_data(cache=False)[: GRANT_MAX + 1])
    except Malformed as error:
        log.warning("grant_refused", reason=error.reason)
        raise BadRequest(error.reason, error.detail) from error
    return Response(status=200)


def registered() -> tuple[Any, ...]:
    """Both blueprints."""
    return blueprint, callbacks
