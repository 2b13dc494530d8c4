"""Who may see pages until there are accounts: this machine itself, or whoever knows the one owner password.

Without a password, pages answer only to a browser on this machine; a proxy in front, or an address for the outside,
means that others may be asking, so then a password is needed. Webhooks, health and static files are open. Wrong
passwords are counted per address and process; after a few the address waits.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Request, current_app, redirect, render_template, request, session, url_for
from flask_wtf.csrf import CSRFProtect
from werkzeug.wrappers import Response

from app.core.config import Settings
from app.core.errors import Forbidden, RateLimited, Unauthenticated
from app.core.log import get_logger
from app.core.passwords import verify_password
from app.core.runtime import Runtime
from app.web import embedding
from app.web.errors import wants_page

FAILURES_MAX = 5
FAILURES_WINDOW = timedelta(minutes=15)
ADDRESSES_MAX = 10_000
SESSION_LIFE = timedelta(hours=12)
# Each asks for proofs of its own.
OPEN_BLUEPRINTS = frozenset({"webhooks", "health", "api", "callbacks", "shopify_app", "embedding"})
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")
_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})

blueprint = Blueprint("access", __name__)
log = get_logger("access")


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
    app.extensions["login_failures"] = Failures()
    app.before_request(_check)
    csrf = CSRFProtect(app)
    app.before_request(lambda: _check_forged(csrf))
    app.register_blueprint(blueprint)


def _check() -> Response | None:
    if request.blueprint in OPEN_BLUEPRINTS or request.endpoint == "static" or request.path.startswith("/api/"):
        return None
    if request.method in _UNSAFE and request.headers.get("Sec-Fetch-Site") == "cross-site":
        raise Forbidden("cross_site", "this came from another site: use the form on this one")
    if embedding.visitor() is not None:  # proved by the admin that the page is opened in
        return None
    settings = _runtime().settings
    stored = _stored_hash(settings)
    if stored is None:
        _check_local(settings)
    elif request.blueprint != blueprint.name and not _is_owner(stored):
        if wants_page() and request.method == "GET":
            return redirect(url_for("access.login", next=request.full_path.rstrip("?")))
        raise Unauthenticated("login_needed", "log in with the owner's password first")
    return None


def _check_forged(csrf: CSRFProtect) -> None:
    """A form needs the token of its page. Deliveries bring proofs of their own, and so does a fetch inside a shop's
    admin, where a browser keeps no cookie."""
    if request.endpoint and request.blueprint not in OPEN_BLUEPRINTS and not embedding.is_signed_fetch():
        csrf.protect()


def _check_local(settings: Settings) -> None:
    if not (is_local(request) and _is_private(settings)):
        raise Forbidden(
            "password_needed",
            "Pages are open to this machine only until there is a password. On the server, set one with "
            "`python -m app owner set-password`, start again, and log in here.",
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


def _stored_hash(settings: Settings) -> str | None:
    stored = settings.security.owner_password_hash
    return stored.get_secret_value() if stored else None


def _fingerprint(stored: str) -> str:
    """Kept in the session: another password ends every session."""
    return hashlib.blake2b(stored.encode(), digest_size=16).hexdigest()


def _is_owner(stored: str) -> bool:
    return hmac.compare_digest(str(session.get("owner", "")), _fingerprint(stored))


def is_logged_in() -> bool:
    """Whether there is a session to end."""
    return "owner" in session


@blueprint.get("/login")
def login() -> str | Response:
    """The login form; straight home where no password is set."""
    if _stored_hash(_runtime().settings) is None:
        return redirect(url_for("pages.home"))
    return render_template("login.html", next=_next(), wrong=False)


@blueprint.post("/login")
def log_in() -> Response | tuple[str, int]:
    """Check the password; 401 with the form again, 429 after too many tries from one address."""
    stored = _stored_hash(_runtime().settings)
    if stored is None:
        return redirect(url_for("pages.home"))
    failures: Failures = current_app.extensions["login_failures"]
    address = _network(request.remote_addr or "")
    failures.begin(address, _runtime().clock())
    if not verify_password(stored, request.form.get("password", "")):
        log.warning("login_refused", reason="wrong_password")
        return render_template("login.html", next=_next(), wrong=True), 401
    failures.forget(address)
    session.clear()
    session["owner"] = _fingerprint(stored)
    session.permanent = True
    return redirect(_next())


@blueprint.post("/logout")
def log_out() -> Response:
    """End the session."""
    session.clear()
    return redirect(url_for("access.login"))


def _next() -> str:
    """Where to go after the login: a path of ours, never another site."""
    wanted = request.values.get("next", "")
    plain = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if plain else url_for("pages.home")


def _network(address: str) -> str:
    """What counts as one address: an IPv6 client owns its whole /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address


@dataclass(slots=True)
class Failures:
    """Tries per address within a window; a good login forgets them. A try counts when it begins, so that tries at the
    same time count as well."""

    _tries: OrderedDict[str, tuple[int, datetime]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, address: str, now: datetime) -> None:
        """Count a try; raises RateLimited over the bound."""
        with self._lock:
            count, since = self._tries.pop(address, (0, now))
            if now - since >= FAILURES_WINDOW:
                count, since = 0, now
            self._tries[address] = (count + 1, since)
            while len(self._tries) > ADDRESSES_MAX:
                self._tries.popitem(last=False)
        if count >= FAILURES_MAX:
            wait = math.ceil((since + FAILURES_WINDOW - now).total_seconds())
            raise RateLimited("too_many_logins", "too many wrong passwords: wait a while", retry_after_s=wait)

    def forget(self, address: str) -> None:
        """A good login."""
        with self._lock:
            self._tries.pop(address, None)
