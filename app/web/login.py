"""Logging in and out, and accepting an invitation: the pages that are open to who is nobody yet."""

from __future__ import annotations

from flask import Blueprint, Flask, current_app, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from app.accounts import audit
from app.accounts.logins import close_sessions, find_login, open_session
from app.accounts.members import Invited, accept, get_invited
from app.accounts.users import User, check_password, create_user, normal_email
from app.core.errors import InvalidInput, PerpetualError
from app.core.log import get_logger
from app.core.passwords import verify_password
from app.web.access import can_log_in, open_owner_session, open_user_session, owner_hash
from app.web.asker import asker
from app.web.failures import USER_FAILURES_MAX, Failures, network
from app.web.forms import read_form
from app.web.merchant import now, runtime

blueprint = Blueprint("login", __name__)
log = get_logger("login")
Page = tuple[str, int]


def install(app: Flask) -> None:
    """The pages, and the count of wrong passwords."""
    app.extensions["login_failures"] = Failures()
    app.register_blueprint(blueprint)


@blueprint.get("/login")
def login() -> str | Response:
    """The login form; straight home where nobody can log in."""
    if not can_log_in():
        return redirect(url_for("pages.home"))
    return _form("", wrong=False)


def _form(email: str, *, wrong: bool) -> str:
    return render_template("login.html", next=_next(), email=email, wrong=wrong, by_owner=owner_hash() is not None)


@blueprint.post("/login")
def log_in() -> Response | Page:
    """Check the password, of the user, or without an e-mail the owner's; 401 with the form again, 429 after too many
    tries from one address or for one user."""
    form = read_form("email", "password", "next")
    if not can_log_in():
        return redirect(url_for("pages.home"))
    email, password = form["email"].strip(), form["password"]
    address = begin_try(email)
    if not (_log_in_user(email, password) if email else _log_in_owner(password)):
        log.warning("login_refused", reason="wrong_password")
        return _form(email, wrong=True), 401
    take_back_try(address)
    return redirect(_next())


def begin_try(email: str) -> str:
    """Count a password that is tried, from this address and for this user; returns the address as it is counted.
    Raises RateLimited."""
    address = network(request.remote_addr or "")
    _failures().begin(address, now())
    if (user := _counted_user(email)) is not None:
        _failures().begin(user, now(), USER_FAILURES_MAX)
    return address


def take_back_try(address: str) -> None:
    """It was the right password, which is no guess."""
    _failures().take_back(address)


def forget_tries(email: str) -> None:
    """They knew the password."""
    if (user := _counted_user(email)) is not None:
        _failures().forget(user)


def _counted_user(email: str) -> str | None:
    """The user as they are looked up, however the address was written; None for what is nobody's address."""
    try:
        return f"user {normal_email(email)}"
    except InvalidInput:
        return None


def _failures() -> Failures:
    failures: Failures = current_app.extensions["login_failures"]
    return failures


def _log_in_owner(password: str) -> bool:
    stored = owner_hash()
    if not verify_password(stored, password) or stored is None:
        return False
    open_owner_session(stored)
    log.info("operator_logged_in")
    return True


def _log_in_user(email: str, password: str) -> bool:
    user = check_password(runtime().database, now(), email, password)
    if user is None:
        return False
    forget_tries(email)
    _open(user)
    return True


def _open(user: User) -> None:
    """Begin the user's session, and tell each of their merchants."""
    origin = request.remote_addr or ""
    token = open_session(runtime().database, now(), user.user_id, origin=origin, agent=request.user_agent.string)
    open_user_session(token)
    for merchant_id in _merchants_of(token):
        with runtime().begin(merchant_id, now()) as transaction:
            audit.note(transaction, user.email, "login.succeeded", user.email)


def _merchants_of(token: str) -> list[int]:
    found = find_login(runtime().database, now(), token)
    return [] if found is None else list(found.roles)


@blueprint.post("/logout")
def log_out() -> Response:
    """End the session, here and in the database."""
    read_form()
    who = asker()
    if who.user_id is not None:
        close_sessions(runtime().database, now(), who.user_id, only=who.session_id)
    session.clear()
    return redirect(url_for("login.login"))


@blueprint.get("/join/<token>")
def join(token: str) -> str:
    """What an invitation is for, and the form that accepts it. 404 when it is used up."""
    return _join_form(get_invited(runtime().database, now(), token))


def _join_form(invited: Invited, error: PerpetualError | None = None, name: str = "") -> str:
    return render_template("join.html", invited=invited, error=error, name=name)


@blueprint.post("/join/<token>")
def accept_invitation(token: str) -> Response | Page:
    """Become a member: somebody new sets a password, somebody known proves theirs. Then they are logged in."""
    form = read_form("name", "password")
    invited = get_invited(runtime().database, now(), token)
    try:
        user = _join_known(invited, form["password"]) if invited.is_known else _join_new(invited, form)
    except InvalidInput as error:
        return _join_form(invited, error, form["name"]), error.status
    _open(user)
    return redirect(url_for("pages.home", merchant=invited.merchant_id))


def _join_known(invited: Invited, password: str) -> User:
    address = begin_try(invited.email)
    user = check_password(runtime().database, now(), invited.email, password)
    if user is None:
        raise InvalidInput("wrong_password", "That is not the password.", "password")
    take_back_try(address)
    forget_tries(invited.email)
    with runtime().begin(invited.merchant_id, now()) as transaction:
        accept(transaction, invited, user)
    return user


def _join_new(invited: Invited, form: dict[str, str]) -> User:
    with runtime().begin(invited.merchant_id, now()) as transaction:
        user = create_user(transaction, invited.email, form["name"], form["password"])
        accept(transaction, invited, user)
    return user


def _next() -> str:
    """Where to go after the login: a path of ours, never another site."""
    wanted = request.values.get("next", "")
    plain = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if plain else url_for("pages.home")
