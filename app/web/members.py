"""The members of a merchant: who they are, their roles, and invitations. For owners."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from app.accounts.members import (
    invite,
    list_invitations,
    list_members,
    log_out_member,
    remove_member,
    set_role,
    withdraw,
)
from app.accounts.roles import ROLES
from app.accounts.users import normal_email
from app.core.errors import Conflict, InvalidInput, PerpetualError
from app.web.asker import asker, needs
from app.web.forms import read_form
from app.web.hosts import origin
from app.web.merchant import carry_on, chosen, reading, writing
from app.web.pages import ID_MAX

_ID = f"<int(max={ID_MAX}):id_>"

blueprint = Blueprint("members", __name__)
carry_on(blueprint)
Page = tuple[str, int]


@blueprint.get("/members")
@needs("members.change")
def index() -> str:
    """Members, open invitations, and the form that invites."""
    return _render()


def _render(**more: Any) -> str:
    with reading() as session:
        members, invitations = list_members(session), list_invitations(session)
    told = {"typed": {}, "refused": None, "error": None, "link": None, **more}
    return render_template(
        "members.html", merchant=chosen(), members=members, invitations=invitations, all_roles=ROLES, **told
    )


@blueprint.post("/members/invitations")
@needs("members.change")
def invite_one() -> str | Page:
    """The link is shown on the page that answers, once."""
    form, base = read_form("email", "role"), origin()
    try:
        with writing() as session:
            token = invite(session, form["email"], form["role"], asker().name)
    except (InvalidInput, Conflict) as error:
        return _render(typed=form, error=error), error.status
    link = base + url_for("login.join", token=token)
    return _render(link=link, invited_email=normal_email(form["email"]))


@blueprint.post(f"/members/invitations/{_ID}/withdraw")
@needs("members.change")
def withdraw_one(id_: int) -> Response:
    """The link leads nowhere from now on."""
    read_form()
    with writing() as session:
        withdraw(session, id_)
    flash(gettext("The invitation is withdrawn."))
    return _back()


@blueprint.post(f"/members/{_ID}/role")
@needs("members.change")
def change_role(id_: int) -> Response | Page:
    """It holds from the member's next click."""
    role = read_form("role")["role"]
    try:
        with writing() as session:
            set_role(session, id_, role)
    except (InvalidInput, Conflict) as error:
        return _refused(id_, error)
    flash(gettext("The role is set."))
    return _back()


@blueprint.post(f"/members/{_ID}/remove")
@needs("members.change")
def remove(id_: int) -> Response | Page:
    """They see nothing of this merchant any more."""
    read_form()
    try:
        with writing() as session:
            remove_member(session, id_)
    except Conflict as error:
        return _refused(id_, error)
    flash(gettext("They are no member any more."))
    return _back()


@blueprint.post(f"/members/{_ID}/log-out")
@needs("members.change")
def log_out(id_: int) -> Response:
    """End all their sessions."""
    read_form()
    with writing() as session:
        log_out_member(session, id_)
    flash(gettext("They are logged out everywhere."))
    return _back()


def _refused(id_: int, error: PerpetualError) -> Page:
    return _render(refused=id_, error=error), error.status


def _back() -> Response:
    return redirect(url_for("members.index") if asker().is_operator or _is_member() else url_for("pages.home"), 303)


def _is_member() -> bool:
    """Whoever has just changed their own role or left may not see this page any more: home says so better."""
    with reading() as session:
        return any(m.user_id == asker().user_id and m.role == "owner" for m in list_members(session))
