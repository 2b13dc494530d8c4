"""A pretend shop's admin over HTTP: its apps with "Install app", the frame that shows one, the consent page of the code
grant, the token endpoint, and the part of App Bridge that an app's page in the frame talks to.

No one logs in: whoever reaches the port is the shop's owner. Staff's deeds (`install`, `uninstall`, `ask_for_data` …)
are methods too, for tests without a browser.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson

from sandbox.base import Context, Request, Response
from sandbox.shopify.apps import App, Grants, session_token, verified_shop
from sandbox.shopify.state import Subscription
from sandbox.shopify.webhooks import BUYER, Webhooks

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105  a kind, not a token
OFFLINE = "urn:shopify:params:oauth:token-type:offline-access-token"
SHOP_KEY = 1
CUSTOMER = {"id": 1, "email": BUYER["email"], "phone": BUYER["phone"]}
_APP = re.compile(r"/admin/apps/([A-Za-z0-9_-]+)(/install|/uninstall|/privacy)?")
Answer = tuple[int, Mapping[str, Any]]


@dataclass
class Admin:
    """The admin of one shop. `origin` is where browsers reach it, as the last request said."""

    context: Context
    domain: str
    webhooks: Webhooks
    next_id: Callable[[], int]
    apps: dict[str, App] = field(default_factory=dict)
    origin: str = ""

    def __post_init__(self) -> None:
        self.grants = Grants(self.context.rng)

    # What developers and staff do.

    def register(self, app: App) -> None:
        """Make an app known; it may be installed from now on."""
        self.apps[app.client_id] = app

    def install(self, client_id: str) -> None:
        """The owner agrees. The subscriptions of the app's configuration are in force from now on."""
        app = self.apps[client_id]
        self.grants.installed[client_id] = self.context.now()
        self.webhooks.subscriptions[:] = [s for s in self.webhooks.subscriptions if s.client_id != client_id]
        for topic, uri in app.topics:
            made = Subscription(self.next_id(), topic, uri, of_app=True, client_id=client_id, secret=app.secrets[0])
            self.webhooks.subscriptions.append(made)

    def uninstall(self, client_id: str) -> None:
        """The owner removes the app: tokens die, `app/uninstalled` goes out, then nothing more."""
        self.grants.forget(client_id)
        self.webhooks.emit("app/uninstalled", {"id": SHOP_KEY, "domain": self.domain, "myshopify_domain": self.domain})
        self.webhooks.subscriptions[:] = [s for s in self.webhooks.subscriptions if s.client_id != client_id]

    def ask_privacy(self, client_id: str, topic: str, orders: tuple[int, ...] = ()) -> None:
        """`customers/data_request`, `customers/redact` or `shop/redact`, as Shopify sends them."""
        body: dict[str, Any] = {"shop_id": SHOP_KEY, "shop_domain": self.domain}
        if topic != "shop/redact":
            name = "orders_requested" if topic == "customers/data_request" else "orders_to_redact"
            body |= {"customer": CUSTOMER, name: list(orders)}
        if topic == "customers/data_request":
            body["data_request"] = {"id": self.next_id()}
        app = self.apps[client_id]
        uris = [uri for wanted, uri in app.privacy if wanted == topic]
        self.webhooks.send_to(uris, topic, body, secret=app.secrets[0])

    def session_token(self, client_id: str) -> str:
        """A session token for the app's page, as App Bridge gets it."""
        return session_token(self.apps[client_id], self.domain, self.context.now(), self.grants.text())

    def app_query(self, app: App, **more: str) -> dict[str, str]:
        """What the admin opens the app's address with, signed."""
        host = base64.urlsafe_b64encode(f"{self.origin.partition('://')[2]}/admin".encode()).decode().rstrip("=")
        query = {"shop": self.domain, "host": host, "timestamp": str(int(self.context.now().timestamp())), **more}
        return {**query, "hmac": signed(app.secrets[0], query)}

    # What a browser and an app ask.

    def handle(self, request: Request) -> Response | None:
        """The answer, None when it is no page or token of the admin's."""
        if "://" in request.url:
            self.origin = request.url.partition(request.path)[0] if request.path != "/" else self.origin
        if request.path == "/admin/oauth/access_token" and request.method == "POST":
            status, told = self._token(_json(request.body))
            return Response(status, {"Content-Type": "application/json"}, orjson.dumps(told))
        if request.path == "/app-bridge.js":
            return _file("app-bridge.js", "text/javascript")
        if request.path == "/admin/frame.js":
            return _file("frame.js", "text/javascript")
        if request.path == "/admin/session-token":
            return self._session_token(dict(request.query).get("client_id", ""))
        if request.path == "/admin/oauth/authorize":
            return self._authorize(request)
        if request.path in ("/admin", "/admin/", "/"):
            return _page(self.domain, "Apps", "".join(self._row(app) for app in self.apps.values()))
        found = _APP.fullmatch(request.path)
        return self._app_page(request, found[1], found[2] or "") if found else None

    def _app_page(self, request: Request, client_id: str, deed: str) -> Response:
        app = self.apps.get(client_id)
        if app is None:
            return _page(self.domain, "No such app", "", status=404)
        if request.method == "POST":
            return self._do(app, deed, dict(parse_qsl(request.body.decode())))
        if client_id in self.grants.installed:
            return self._frame(app)
        if not app.managed:  # it asks for itself, at the top of the window
            return _redirect(f"{app.url}?{urlencode(self.app_query(app))}")
        return self._consent(app, f"/admin/apps/{client_id}/install", {})

    def _do(self, app: App, deed: str, form: Mapping[str, str]) -> Response:
        if deed == "/install":
            self.install(app.client_id)
            return _redirect(f"/admin/apps/{app.client_id}")
        if deed == "/uninstall":
            self.uninstall(app.client_id)
        elif deed == "/privacy":
            self.ask_privacy(app.client_id, form.get("topic", ""))
        return _redirect("/admin")

    def _row(self, app: App) -> str:
        link, name = f"/admin/apps/{app.client_id}", html.escape(app.name)
        if app.client_id not in self.grants.installed:
            return f'<li><strong>{name}</strong> <a class="button" href="{link}">Install app</a></li>'
        return (
            f'<li><strong>{name}</strong> <a class="button" href="{link}">Open app</a>'
            f'<form method="post" action="{link}/uninstall"><button>Uninstall</button></form></li>'
        )

    def _frame(self, app: App) -> Response:
        query = self.app_query(app, embedded="1", locale="en", id_token=self.session_token(app.client_id))
        source = html.escape(f"{app.url}?{urlencode(query)}")
        body = (
            f'<iframe title="{html.escape(app.name)}" src="{source}" data-app="{app.client_id}"></iframe>'
            '<script src="/admin/frame.js"></script>'
        )
        return _page(self.domain, app.name, body)

    def _consent(self, app: App, action: str, fields: Mapping[str, str]) -> Response:
        scopes = "".join(f"<li>{html.escape(scope)}</li>" for scope in app.scopes)
        hidden = "".join(
            f'<input type="hidden" name="{name}" value="{html.escape(value)}">' for name, value in fields.items()
        )
        body = (
            f"<p>This app will be able to:</p><ul>{scopes}</ul>"
            f'<form method="post" action="{action}">{hidden}<button>Install</button></form>'
        )
        return _page(self.domain, f"Install {app.name}", body)

    def _authorize(self, request: Request) -> Response:
        told = dict(request.query) if request.method == "GET" else dict(parse_qsl(request.body.decode()))
        app = self.apps.get(told.get("client_id", ""))
        if app is None or told.get("redirect_uri") not in app.redirect_urls:
            return _page(self.domain, "Oauth error invalid_request", "The redirect_uri is not whitelisted", status=400)
        if request.method == "GET":
            asked = ("client_id", "redirect_uri", "state", "scope")
            return self._consent(app, "/admin/oauth/authorize", {name: told.get(name, "") for name in asked})
        self.install(app.client_id)
        return _redirect(f"{told['redirect_uri']}?{urlencode(self.callback_query(app, told.get('state', '')))}")

    def callback_query(self, app: App, state: str) -> dict[str, str]:
        """What the browser is sent back with once the owner has agreed."""
        code = self.grants.text()
        self.grants.codes[code] = app.client_id
        return self.app_query(app, code=code, state=state)

    def _session_token(self, client_id: str) -> Response:
        if client_id not in self.grants.installed:
            return Response(404, {}, b"")
        told = orjson.dumps({"token": self.session_token(client_id)})
        return Response(200, {"Content-Type": "application/json"}, told)

    # The token endpoint.

    def _token(self, asked: Mapping[str, Any]) -> Answer:
        app = self.apps.get(str(asked.get("client_id")))
        if app is None or asked.get("client_secret") not in app.secrets:
            return _error(400, "invalid_client")
        kind = asked.get("grant_type")
        if kind == "refresh_token":
            return self._refreshed(app, asked)
        if kind == "client_credentials":
            return self._own(app)
        if kind == EXCHANGE:
            return self._exchanged(app, asked)
        return self._coded(app, asked)

    def _refreshed(self, app: App, asked: Mapping[str, Any]) -> Answer:
        told = self.grants.refresh(app, str(asked.get("refresh_token")), self.context.now())
        return _error(400, "invalid_grant") if told is None else self._given("refresh", told)

    def _own(self, app: App) -> Answer:
        if not app.own:
            return _error(400, "shop_not_permitted")
        if app.client_id not in self.grants.installed:
            return _error(400, "app_not_installed")
        return self._given("own", self.grants.own(app, self.context.now()))

    def _exchanged(self, app: App, asked: Mapping[str, Any]) -> Answer:
        now, subject = self.context.now(), str(asked.get("subject_token"))
        if asked.get("requested_token_type") != OFFLINE or app.client_id not in self.grants.installed:
            return _error(400, "invalid_request")
        if asked.get("subject_token_type") == ID_TOKEN:
            if verified_shop(app, subject, now) != self.domain:
                return _error(400, "invalid_subject_token")
            return self._given("session", self._fitting(app, asked, now))
        held = self.grants.tokens.get(subject)
        if held is None or held.client_id != app.client_id or held.expires_at is not None:
            return _error(400, "invalid_subject_token")
        del self.grants.tokens[subject]
        return self._given("permanent", self._fitting(app, asked, now))

    def _coded(self, app: App, asked: Mapping[str, Any]) -> Answer:
        if self.grants.codes.pop(str(asked.get("code")), None) != app.client_id:
            return _error(400, "invalid_request")
        return self._given("code", self._fitting(app, asked, self.context.now()))

    def _fitting(self, app: App, asked: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        return self.grants.pair(app, now) if str(asked.get("expiring")) == "1" else self.grants.for_ever(app)

    def _given(self, kind: str, told: Mapping[str, Any]) -> Answer:
        self.grants.given.append(kind)
        return 200, told


def signed(secret: str, query: Mapping[str, str]) -> str:
    """A query's hmac, in hex: its pairs sorted and joined as they are written in an address, decoded."""
    text = "&".join(f"{name}={value.replace('%', '%25').replace('&', '%26')}" for name, value in sorted(query.items()))
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return dict(parse_qsl(body.decode(errors="replace")))
    return told if isinstance(told, dict) else {}


def _error(status: int, code: str) -> Answer:
    return status, {"error": code, "error_description": "no token is given for this"}


def _redirect(url: str) -> Response:
    return Response(303, {"Location": url}, b"")


def _file(name: str, kind: str) -> Response:
    return Response(200, {"Content-Type": kind}, files(__package__).joinpath("pages", name).read_bytes())


def _page(domain: str, title: str, body: str, *, status: int = 200) -> Response:
    text = files(__package__).joinpath("pages", "admin.html").read_text("utf-8")
    page = text.replace("{domain}", html.escape(domain)).replace("{title}", html.escape(title)).replace("{body}", body)
    return Response(status, {"Content-Type": "text/html; charset=utf-8"}, page.encode())
