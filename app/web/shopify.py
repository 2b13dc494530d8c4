"""Installing on Shopify: the app's own page in the admin, the consent of the code grant, and a shop with its own keys.

`/shopify/app` is the app's address, `/shopify/callback` where the consent page sends the browser back; whoever comes
there is judged by what Shopify signed. `/shopify/connect` is for somebody who is logged in here.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from flask import Blueprint, current_app, g, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from app.accounts.merchants import list_merchants
from app.core.errors import BadRequest, Forbidden, InvalidInput, NotFound, PerpetualError, Unauthenticated, Unavailable
from app.core.log import get_logger
from app.core.runtime import Runtime
from app.insight.home import list_channel_views, read_home
from app.insight.words import failure
from app.listings.install import (
    Installed,
    find_installed,
    find_left,
    install,
    install_own,
    is_standing,
    open_state,
    take_state,
)
from app.listings.tokens import our_keys
from app.web.access import find_browser_asker
from app.web.asker import NOBODY, asker, needs
from app.web.embedding import PLATFORM, bounce, domain_of, find_asker, visitor
from app.web.hosts import origin
from app.web.merchant import carry_on, chosen, set_asker
from connectors.apps import AppKeys, GrantKind, NotProved
from connectors.errors import ChannelError

STATE = "shopify_state"
KEY_MAX = 200

open_blueprint = Blueprint("shopify_app", __name__, url_prefix="/shopify")  # judged by what Shopify signed
blueprint = Blueprint("shopify", __name__, url_prefix="/shopify")
carry_on(blueprint)
log = get_logger("shopify")


@open_blueprint.get("/app")
def app_page() -> str | Response:
    """The app as the admin opens it. A shop that is new, or comes back, is installed here; then it sees how its channel
    stands."""
    _require_app()
    seen = visitor()
    if seen is None:
        return _outside()
    found = find_installed(_runtime(), PLATFORM, seen.shop)
    left = find_left(_runtime(), found) if found is not None else None
    if found is not None and left is not None:
        return render_template("shopify_left.html", name=found.name, left=left)
    if found is not None and is_standing(_runtime(), found):
        return _shown(found, fresh=False)
    return _shown(_install(seen.shop, (GrantKind.SESSION, _token()), None), fresh=True)


@open_blueprint.post("/again")
def connect_again() -> Response:
    """A shop that somebody disconnected here, as a person in its admin wants it. Raises Unauthenticated for anybody who
    does not speak from there."""
    _require_app()
    seen = visitor()
    if seen is None:
        raise Unauthenticated("no_session", "open the app from the shop's admin")
    _install(seen.shop, (GrantKind.SESSION, _token()), None)
    return redirect(url_for("shopify_app.app_page"), 303)


def _outside() -> Response:
    """Opened outside the admin: a connected shop is shown inside, another is asked for its consent. Which it is nobody
    is told who only knows its name."""
    shop = domain_of(request.args.get("shop", ""))
    if request.args.get("embedded") == "1":
        return bounce()
    _verify_query(fresh=False)
    found = find_installed(_runtime(), PLATFORM, shop)
    return redirect(_admin_url(shop)) if found is not None and found.complete else _ask_consent(shop, None)


@open_blueprint.get("/install")
def begin_signed() -> Response:
    """Where Shopify's older way of installing begins."""
    _require_app()
    shop = domain_of(request.args.get("shop", ""))
    _verify_query(fresh=False)
    return _ask_consent(shop, None)


def _ask_consent(shop: str, merchant_id: int | None) -> Response:
    """To the consent page. The state is good once, for ten minutes, and in this browser."""
    runtime = _runtime()
    state = open_state(runtime, PLATFORM, shop, merchant_id)
    session[STATE] = state
    platform = runtime.platforms[PLATFORM]
    url = f"{_origin()}{url_for('shopify_app.come_back')}"
    return redirect(platform.consent_url(our_keys(runtime), platform.base_url(shop), url.partition("?")[0], state))


@open_blueprint.get("/callback")
def come_back() -> Response | tuple[str, int]:
    """The owner agreed: exchange the code, connect the shop."""
    _require_app()
    admin_url = ""
    try:
        shop = domain_of(request.args.get("shop", ""))
        _verify_query(fresh=True)
        admin_url = _admin_url(shop)  # of a shop that Shopify named; nobody else's is linked to
        merchant_id = _take_state(shop)
    except BadRequest as error:
        return render_template("shopify_again.html", error=error, admin_url=admin_url), 400
    if merchant_id is not None:
        set_asker(find_browser_asker())  # whoever began it here, for the log
    found = _install(shop, (GrantKind.CODE, request.args.get("code", "")), merchant_id)
    log.info("shop_connected", channel_id=found.channel_id)
    return redirect(_admin_url(shop) if merchant_id is None else _next_page(found))


def _take_state(shop: str) -> int | None:
    """Taken whether it fits or not. Raises BadRequest."""
    told, kept = request.args.get("state", ""), str(session.pop(STATE, ""))
    if not told or not kept or not hmac.compare_digest(told.encode(), kept.encode()):
        raise BadRequest(
            "unknown_state", "this consent did not begin in this browser, or was used already: start again"
        )
    return take_state(_runtime(), PLATFORM, shop, told)


@blueprint.get("/connect")
@needs("channels.change")
def connect_page() -> str:
    """The ways to connect a shop, as forms."""
    return _form({}, None)


@blueprint.post("/connect")
@needs("channels.change")
def connect_shop() -> Response | tuple[str, int]:
    """A shop's address: to its consent page."""
    _require_app()
    _require_addresses()
    try:
        return _ask_consent(_typed_shop(), chosen().merchant_id)
    except InvalidInput as error:
        return _form({"shop": request.form.get("shop", "")}, error), 422


@blueprint.post("/own")
@needs("channels.change")
def connect_own() -> Response | tuple[str, int]:
    """A shop with the keys of its owner's own app: connected at once."""
    _require_addresses()
    typed = {name: request.form.get(name, "") for name in ("own_shop", "client_id")}
    try:
        shop = _typed_shop("own_shop")
        keys = AppKeys(_typed("client_id"), (_typed("client_secret"),))
        with _said_plainly():
            found = install_own(_runtime(), PLATFORM, shop, keys, merchant_id=chosen().merchant_id, url=_hook_url())
    except PerpetualError as error:
        return _form(typed, error), error.status
    return redirect(_next_page(found))


def _install(shop: str, grant: tuple[GrantKind, str], merchant_id: int | None) -> Installed:
    with _said_plainly():
        return install(_runtime(), PLATFORM, shop, grant, merchant_id=merchant_id, url=_hook_url())


@contextmanager
def _said_plainly() -> Iterator[None]:
    """What Shopify refused, in words; nothing is half connected, and doing it again goes on."""
    try:
        yield
    except ChannelError as error:
        log.warning("install_failed", reason=error.reason)
        if error.permanent:
            raise Forbidden(error.reason, failure(error.reason)) from error
        raise Unavailable(error.reason, f"Shopify: {failure(error.reason)}") from error


def _shown(found: Installed, *, fresh: bool) -> str:
    """How the shop's channel stands, and the way on."""
    runtime = _runtime()
    with runtime.begin(found.merchant_id, runtime.clock()) as session_:
        views = [view for view in list_channel_views(session_) if view.channel_id == found.channel_id]
        cases = [case for case in read_home(session_).cases if case.channel == found.name]
    g.merchants = list_merchants(runtime.database, runtime.clock())
    g.merchant = next(one for one in g.merchants if one.merchant_id == found.merchant_id)
    return render_template("shopify.html", merchant=g.merchant, channel=views[0], cases=cases, fresh=fresh,
                           setup_url=_setup_url(found))  # fmt: skip


def _form(typed: Mapping[str, str], error: PerpetualError | None) -> str:
    told = _runtime().settings.shopify
    g.form_targets = " ".join(_runtime().platforms[PLATFORM].consent_origins())
    return render_template(
        "shopify_connect.html", merchant=chosen(), typed=typed, error=error, has_app=bool(told.client_id),
        from_store=not told.point_of_sale,
    )  # fmt: skip


def _typed(name: str) -> str:
    """A field that is needed. Raises InvalidInput."""
    value = request.form.get(name, "").strip()
    if not value or len(value) > KEY_MAX or not value.isascii() or not value.isprintable():
        raise InvalidInput("bad_key", "copy it from the app's page in Shopify's Dev Dashboard", where=name)
    return value


def _typed_shop(name: str = "shop") -> str:
    """A shop as people write it: its domain, with or without https:// before and a path behind. Raises InvalidInput."""
    text = request.form.get(name, "").strip().removeprefix("https://").rstrip("/")
    domain = _runtime().platforms[PLATFORM].find_domain(text)
    if domain is None:
        raise InvalidInput("bad_shop", "the shop's own address, such as my-shop.myshopify.com", where=name)
    return domain


def _verify_query(*, fresh: bool) -> None:
    """Raises BadRequest for an address that Shopify did not sign, or signed some time ago."""
    runtime = _runtime()
    told = {name: request.args[name] for name in request.args}
    try:
        runtime.platforms[PLATFORM].verify_query(our_keys(runtime), told, runtime.clock(), fresh=fresh)
    except NotProved as error:
        raise BadRequest(error.reason, f"{error.detail}: open the app from the shop's admin") from error


def _require_app() -> None:
    """Raises NotFound where no app is set up."""
    if not _runtime().settings.shopify.client_id:
        raise NotFound("no_app", "no app is set up here: docs/connect-shopify.md says how")


def _require_addresses() -> None:
    """Raises NotFound in the App Store's profile: its rules forbid to ask anybody for a shop's address."""
    if not _runtime().settings.shopify.point_of_sale:
        raise NotFound("from_store_only", "a Shopify shop installs the app from the Shopify App Store here")


def _token() -> str:
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    return bearer.strip() if scheme.lower() == "bearer" else request.args.get("id_token", "")


def _admin_url(shop: str) -> str:
    platform = _runtime().platforms[PLATFORM]
    return platform.admin_url(platform.base_url(shop), _runtime().settings.shopify.client_id)


def _setup_url(found: Installed) -> str:
    """Where products are matched and the first push is approved, once there is such a page; until then the listings."""
    if "setup.index" in current_app.view_functions:
        return url_for("setup.index", id_=found.channel_id)
    return url_for("listings.index", channel=found.channel_id)


def _next_page(found: Installed) -> str:
    return _setup_url(found)


def _hook_url() -> str:
    return f"{_origin()}/webhooks/{PLATFORM}"


def _origin() -> str:
    """Where shops and browsers reach this server, whatever name it was asked by. Raises Forbidden."""
    return origin()


def _runtime() -> Runtime:
    """For whoever asks: somebody in the shop's admin, or who is logged in here."""
    found: Runtime = current_app.extensions["runtime"]
    who = find_asker() or asker()
    return found if who is NOBODY else replace(found, acting=(who.name, request.remote_addr or ""))
