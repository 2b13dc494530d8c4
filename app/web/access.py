"""Who may see pages, and do what: a user by their role in the merchant, or the operator.

While there is no user and no owner's password, pages answer only to a browser on this machine; a proxy in front, or an
address for the outside, means that others may be asking, so then a login is needed. Webhooks, health and static files
are open. What a page or form needs is said beside it (`needs`); one that says nothing is for owners.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from urllib.parse import urlsplit

from flask import Flask, Request, current_app, redirect, request, session, url_for
from flask_wtf.csrf import CSRFProtect
from werkzeug.wrappers import Response

from app.accounts.logins import SESSION_LIFE, find_login
from app.accounts.roles import EVERYTHING, Permission
from app.accounts.users import has_users
from app.core.config import Settings
from app.core.errors import Forbidden, Unauthenticated
from app.core.runtime import Runtime
from app.web import embedding
from app.web.asker import NEEDS, NOBODY, OPERATOR, THIS_MACHINE, Asker
from app.web.errors import wants_page
from app.web.merchant import chosen, now, set_asker

# Each asks for proofs of its own.
OPEN_BLUEPRINTS = frozenset({"webhooks", "health", "api", "callbacks", "shopify_app", "embedding"})
LOGIN_BLUEPRINT = "login"  # open to who is not logged in
TOKEN, OWNER = "token", "owner"  # what the cookie holds: a user's session, or the fingerprint of the owner's password
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")
_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_HAS_USERS = "has_users"


def guard(app: Flask) -> None:
    """Put the guard before every request of the application, and CSRF tokens on every form."""
    runtime: Runtime = app.extensions["runtime"]
    secret = runtime.settings.server.secret_key
    app.secret_key = secret.get_secret_value() if secret else None
    app.config.update(
        SESSION_COOKIE_NAME="perpetual",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=runtime.settings.server.public_url.startswith("https://"),
        PERMANENT_SESSION_LIFETIME=SESSION_LIFE,
        MAX_FORM_MEMORY_SIZE=2_000_000,  # a password of 1 MB is refused for its length, in words
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session
        WTF_CSRF_CHECK_DEFAULT=False,  # by `_check_forged`
    )
    app.before_request(_check)
    csrf = CSRFProtect(app)
    app.before_request(lambda: _check_forged(csrf))


def _check() -> Response | None:
    if request.blueprint in OPEN_BLUEPRINTS or request.endpoint == "static" or request.path.startswith("/api/"):
        return None
    if request.method in _UNSAFE and request.headers.get("Sec-Fetch-Site") == "cross-site":
        raise Forbidden("cross_site", "this came from another site: use the form on this one")
    found = embedding.find_asker() or find_browser_asker()
    set_asker(found)
    if request.blueprint == LOGIN_BLUEPRINT:
        return None
    if found is NOBODY:
        if wants_page() and request.method == "GET":
            return redirect(url_for("login.login", next=request.full_path.rstrip("?")))
        raise Unauthenticated("login_needed", "log in first")
    _check_permission(found)
    return None


def _check_forged(csrf: CSRFProtect) -> None:
    """A form needs the token of its page. Deliveries bring proofs of their own, and so does a fetch inside a shop's
    admin, where a browser keeps no cookie."""
    if request.endpoint and request.blueprint not in OPEN_BLUEPRINTS and not embedding.is_signed_fetch():
        csrf.protect()


def find_browser_asker() -> Asker:
    """By the browser's cookies. Raises Forbidden where nobody can log in and this is not a browser on this machine."""
    stored = owner_hash()
    if stored is not None and hmac.compare_digest(str(session.get(OWNER, "")), _fingerprint(stored)):
        return Asker(OPERATOR, is_operator=True)
    token = session.get(TOKEN)
    login = find_login(_runtime().database, now(), token) if isinstance(token, str) else None
    if login is not None:
        return Asker(login.email, user_id=login.user_id, session_id=login.session_id, roles=login.roles)
    if can_log_in():
        return NOBODY
    _check_local(_runtime().settings)
    return Asker(THIS_MACHINE, is_operator=True)


def can_log_in() -> bool:
    """Whether anybody could: the owner's password is set, or there is a user (asked until there is one)."""
    if owner_hash() is not None or current_app.extensions.get(_HAS_USERS):
        return True
    current_app.extensions[_HAS_USERS] = has_users(_runtime().database, now())
    return bool(current_app.extensions[_HAS_USERS])


def _check_permission(found: Asker) -> None:
    if found.is_operator or request.endpoint is None:
        return
    permission = _needed()
    if permission is None:
        return
    merchant = chosen()
    allowed = all(found.may(merchant.merchant_id, one) for one in permission)
    if not allowed:
        role = found.roles[merchant.merchant_id]
        raise Forbidden("not_allowed", f"Your role here is {role}, which does not allow this: ask an owner.")


def _needed() -> frozenset[Permission] | None:
    """The permissions that this request takes; None for what is about nobody but who asks."""
    view = current_app.view_functions[request.endpoint or ""]
    if not hasattr(view, NEEDS):
        return EVERYTHING if request.method in _UNSAFE else frozenset({"see"})
    permission: Permission | None = getattr(view, NEEDS)
    return None if permission is None else frozenset({permission})


def _check_local(settings: Settings) -> None:
    if not (is_local(request) and _is_private(settings)):
        raise Forbidden(
            "password_needed",
            "Pages are open to this machine only until somebody can log in. On the server, make a user with "
            "`python -m app user create --email EMAIL`, or set the operator's password with "
            "`python -m app owner set-password` and start again; then log in here.",
        )


def is_local(asked: Request) -> bool:
    """Whether the browser is on this machine: by its address, by the name it asked for, and nobody in between."""
    if any(name in asked.headers for name in _FORWARDED):
        return False
    return _is_loopback(asked.remote_addr or "") and _is_local_name(asked.host)


def _is_private(settings: Settings) -> bool:
    """Whether nobody outside was given an address: behind a proxy everybody looks local."""
    public = urlsplit(settings.server.public_url).hostname
    return settings.server.proxy_hops == 0 and (public is None or _is_local_name(public))


def _is_local_name(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    return name == "localhost" or name.endswith(".localhost") or _is_loopback(name)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _runtime() -> Runtime:
    runtime: Runtime = current_app.extensions["runtime"]
    return runtime


def owner_hash() -> str | None:
    """The hash of the owner's password, if there is one."""
    stored = _runtime().settings.security.owner_password_hash
    return stored.get_secret_value() if stored else None


def open_owner_session(stored: str) -> None:
    """Whoever knew the owner's password is the operator from now on."""
    _begin_session(OWNER, _fingerprint(stored))


def open_user_session(token: str) -> None:
    """The browser keeps the token of the user's session."""
    _begin_session(TOKEN, token)


def _begin_session(name: str, value: str) -> None:
    session.clear()
    session[name] = value
    session.permanent = True


def _fingerprint(stored: str) -> str:
    """Kept in the session: another password ends every session."""
    return hashlib.blake2b(stored.encode(), digest_size=16).hexdigest()


def is_logged_in() -> bool:
    """Whether there is a session to end; asks no database."""
    return OWNER in session or TOKEN in session
