"""API keys on a page: made, seen without what opens, revoked. For owners."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from app.accounts.keys import ALL, SCOPES, create_key, list_keys, revoke_key
from app.core.errors import InvalidInput
from app.web.asker import needs
from app.web.forms import read_form
from app.web.merchant import carry_on, chosen, now, reading, writing
from app.web.pages import ID_MAX

blueprint = Blueprint("keys", __name__)
carry_on(blueprint)
Page = tuple[str, int]


@blueprint.get("/keys")
@needs("keys.change")
def index() -> str:
    """The keys, and the form of another one."""
    return _render()


def _render(**more: Any) -> str:
    with reading() as session:
        keys = list_keys(session)
    told = {"typed": {}, "error": None, "token": None, **more}
    return render_template("keys.html", merchant=chosen(), keys=keys, scopes=(ALL, *SCOPES), now_at=now(), **told)


@blueprint.post("/keys")
@needs("keys.change")
def create() -> str | Page:
    """The key is shown on the page that answers, once."""
    form = read_form("name", "expires", several=("scopes",))
    typed = {**form, "scopes": request.form.getlist("scopes")}
    try:
        with writing() as session:
            _, token = create_key(
                session, name=form["name"].strip(), scopes=typed["scopes"], expires_at=_day(form["expires"])
            )
    except InvalidInput as error:
        return _render(typed=typed, error=error), error.status
    return _render(token=token)


def _day(text: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.combine(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC), time.min, UTC)
    except ValueError:
        raise InvalidInput("bad_expiry", "a day such as 2027-06-30", where="expires_at") from None


@blueprint.post(f"/keys/<int(max={ID_MAX}):id_>/revoke")
@needs("keys.change")
def revoke(id_: int) -> Response:
    """The next call with it is refused."""
    read_form()
    with writing() as session:
        revoke_key(session, id_)
    flash(gettext("The key is revoked."))
    return redirect(url_for("keys.index"), 303)
