"""One's own account: where one is logged in, and the password."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from app.accounts import audit
from app.accounts.logins import close_sessions, list_sessions, open_session
from app.accounts.users import check_password, set_password
from app.core.errors import InvalidInput, NotFound
from app.web.access import open_user_session
from app.web.asker import asker, needs
from app.web.forms import read_form
from app.web.login import begin_try, forget_tries, take_back_try
from app.web.merchant import now, runtime
from app.web.pages import ID_MAX

blueprint = Blueprint("account", __name__)
Page = tuple[str, int]


@blueprint.get("/account")
@needs(None)
def index() -> str:
    """Open sessions, and the form of another password."""
    return _render()


def _render(error: InvalidInput | None = None) -> str:
    sessions = list_sessions(runtime().database, now(), _user_id())
    return render_template("account.html", sessions=sessions, error=error)


def _user_id() -> int:
    """The operator is no user and has no account."""
    user_id = asker().user_id
    if user_id is None:
        raise NotFound("no_account", "There is nothing at this address: you are not logged in as a user.")
    return user_id


@blueprint.post("/account/password")
@needs(None)
def change_password() -> Response | Page:
    """With the former one; every session ends and this browser gets a new one."""
    user_id = _user_id()
    form = read_form("former", "password")
    address = begin_try(asker().name)  # a browser that was left open may not guess for ever
    try:
        if check_password(runtime().database, now(), asker().name, form["former"]) is None:
            raise InvalidInput("wrong_password", "That is not your password.", "former")
        forget_tries(asker().name)
        take_back_try(address)
        set_password(runtime().database, now(), asker().name, form["password"])
    except InvalidInput as error:
        return _render(error), error.status
    origin, agent = request.remote_addr or "", request.user_agent.string
    open_user_session(open_session(runtime().database, now(), user_id, origin=origin, agent=agent))
    _tell("password.changed")
    flash(gettext("The password is set, and every other browser is logged out."))
    return redirect(url_for("account.index"), 303)


@blueprint.post(f"/account/sessions/<int(max={ID_MAX}):id_>/end")
@needs(None)
def end(id_: int) -> Response:
    """Log out another browser. Raises NotFound, also for another user's."""
    read_form()
    if not close_sessions(runtime().database, now(), _user_id(), only=id_):
        raise NotFound("unknown_session", "there is no such session")
    _tell("session.ended")
    flash(gettext("That browser is logged out."))
    return redirect(url_for("account.index"), 303)


def _tell(deed: str) -> None:
    """What somebody did with their account is in the log of each of their merchants."""
    for merchant_id in asker().roles:
        with runtime().begin(merchant_id, now()) as session:
            audit.note(session, None, deed, asker().name)
