"""Pages inside a platform's admin: who opened them is said by a session token, never by a cookie or by the `shop` of
the address, and only that shop's admin may show them in a frame.

A page that is opened there carries `embedded=1` and a token in its address (or, fetched by a script, in its
Authorization header). Without one, or with one that has run out, a small page lets the admin's script get another and
load the address again. Every link of a page carries `shop`, `host` and `embedded` on, so all pages work there.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Flask, Response, current_app, g, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.accounts.merchants import list_merchants
from app.core.errors import BadRequest, Forbidden, NotFound, Unauthenticated
from app.core.runtime import Runtime
from app.listings.install import find_installed, find_visitors_role
from app.listings.tokens import our_keys
from app.web.asker import Asker
from connectors.apps import NotProved, Visitor

PLATFORM = "shopify"
CARRIED = ("shop", "host", "embedded", "locale")  # what a link inside the admin carries on
ELSEWHERE = ("/webhooks/", "/healthz", "/static/", "/api/")  # asked by machines, with proofs of their own
RUN_OUT = frozenset({"expired_token"})
RELOAD = "shopify-reload"  # where the admin's script goes once it has a token
HOST_MAX = 400

blueprint = Blueprint("embedding", __name__)


def install(app: Flask) -> None:
    """Judge session tokens before anything else does, and have links carry on where they are."""
    app.register_blueprint(blueprint)
    app.before_request(_open)
    app.after_request(_ask_to_retry)

    @app.url_defaults
    def carry(endpoint: str, values: MutableMapping[str, Any]) -> None:
        if endpoint != "static" and g.get("visitor") is not None:
            for name in CARRIED:
                if name in request.args:
                    values.setdefault(name, request.args[name])


def carried_on() -> dict[str, str]:
    """What a form that is sent by GET has to hold, since its action's query is dropped: all that links carry on."""
    names = ("merchant", *CARRIED) if visitor() is not None else ("merchant",)
    return {name: request.args[name] for name in names if name in request.args}


def visitor() -> Visitor | None:
    """Who opened this page inside the admin; None for any other request."""
    found: Visitor | None = g.get("visitor")
    return found


def find_asker() -> Asker | None:
    """Whoever opened this page inside the admin, as somebody of the shop's own merchant; None for any other request."""
    found = visitor()
    if found is None:
        return None
    who = f"user {found.user} in the admin of {found.shop}" if found.user else f"admin of {found.shop}"
    return Asker(who, roles={g.merchant.merchant_id: g.visitors_role} if "merchant" in g else {})


def is_signed_fetch() -> bool:
    """Whether a script of ours asked, signed by the admin's script: another site can't make a browser do that."""
    return visitor() is not None and bool(g.fetched)


def _open() -> AnyResponse | None:
    if not _runtime().settings.shopify.client_id or request.path.startswith(ELSEWHERE):
        return None
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    fetched = scheme.lower() == "bearer"
    token = bearer.strip() if fetched else request.args.get("id_token", "") if request.method == "GET" else ""
    if not token:
        return bounce() if _is_embedded() and request.endpoint != "embedding.session" else None
    try:
        g.visitor = _runtime().platforms[PLATFORM].verify_session(our_keys(_runtime()), token, _runtime().clock())
    except NotProved as error:
        if error.reason in RUN_OUT and not fetched:
            return bounce()
        raise Unauthenticated(error.reason, error.detail) from error
    g.fetched = fetched
    _allow_frame(g.visitor.shop)
    if request.args.get("shop", g.visitor.shop) != g.visitor.shop:
        raise Forbidden("another_shop", "the address names another shop than the session token")
    return _choose_merchant(g.visitor.shop) if request.blueprint != "shopify_app" else None


def _ask_to_retry(response: Response) -> Response:
    """A fetch whose token has run out is made once more with a fresh one by the admin's script."""
    if response.status_code == 401 and "Authorization" in request.headers and not request.path.startswith(ELSEWHERE):
        response.headers["X-Shopify-Retry-Invalid-Session-Request"] = "1"
    return response


def _is_embedded() -> bool:
    return request.args.get("embedded") == "1" and request.method == "GET"


def _choose_merchant(shop: str) -> AnyResponse | None:
    """The pages of the shop's merchant, and of no other. Of a shop that was disconnected there is only the one that
    says so."""
    known = find_installed(_runtime(), PLATFORM, shop)
    if known is not None and known.state == "disconnected" and request.method == "GET":
        return redirect(url_for("shopify_app.app_page"))
    if known is None or known.state == "disconnected":
        raise NotFound("not_installed", "this shop is not connected yet: open the app from the shop's admin")
    runtime = _runtime()
    for merchant in list_merchants(runtime.database, runtime.clock()):
        if merchant.merchant_id == known.merchant_id:
            g.merchant, g.merchants = merchant, [merchant]
            g.visitors_role = find_visitors_role(runtime, known)
    return None


def bounce() -> AnyResponse:
    """To the page that lets the admin's script get a session token and come back. Raises BadRequest without a shop."""
    shop = domain_of(request.args.get("shop", ""))
    kept = [(name, value) for name, value in request.args.items(multi=True) if name not in ("id_token", RELOAD)]
    back = f"{request.host_url.rstrip('/')}{request.path}?{urlencode(kept)}"
    more = {name: request.args[name][:HOST_MAX] for name in ("host", "locale") if name in request.args}
    return redirect(f"{url_for('embedding.session')}?{urlencode({'shop': shop, **more, RELOAD: back})}")


@blueprint.get("/shopify/session")
def session() -> Response:
    """Nothing but the admin's script. Raises BadRequest for an address to go to that is not ours: it would be sent the
    token."""
    shop = domain_of(request.args.get("shop", ""))
    back = urlsplit(request.args.get(RELOAD, ""))
    if (back.scheme, back.netloc) != (request.scheme, request.host) or back.path.startswith("//"):
        raise BadRequest("bad_reload", "this address is not one of ours", where=RELOAD)
    _allow_frame(shop)
    return make_response(render_template("session.html", back=back.geturl()))


def domain_of(text: str) -> str:
    """A shop's domain. Raises BadRequest for anything else."""
    domain = _runtime().platforms[PLATFORM].find_domain(text)
    if domain is None:
        raise BadRequest("bad_shop", "use a shop's own address, such as my-shop.myshopify.com", where="shop")
    return domain


def _allow_frame(shop: str) -> None:
    """This answer may be shown inside the shop's admin."""
    platform = _runtime().platforms[PLATFORM]
    base_url = platform.base_url(shop)
    g.frame_ancestors = platform.frame_ancestors(base_url, shop)
    g.admin_script = platform.script_url(base_url, shop)
    g.client_id = _runtime().settings.shopify.client_id


def _runtime() -> Runtime:
    runtime: Runtime = current_app.extensions["runtime"]
    return runtime
