"""The shop's own pages, as far as joining needs them: login, the page that asks to approve an app, keys by hand.

Addresses, parameters, answers and their order are WooCommerce's (10.2.4 and 10.9.0, 2026-11-23): five mandatory
parameters, a callback over https that has to answer exactly 200 before the browser is sent back, the key taken back
where it does not. The look is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import orjson

from sandbox.base import Request, Response
from sandbox.woocommerce.state import Key, State

COOKIE = "wordpress_logged_in_pretend"
USER, PASSWORD = "owner", "pretend-password"
SCOPES = ("read", "write", "read_write")
MANDATORY = ("app_name", "user_id", "return_url", "callback_url", "scope")
_STYLE = (
    "body{font:16px system-ui,sans-serif;background:#f0f0f1;color:#1d2327;margin:0;padding:3rem 1rem}"
    "main{max-width:32rem;margin:auto;background:#fff;border:1px solid #c3c4c7;padding:1.5rem 2rem}"
    "a.button,button{display:inline-block;background:#2271b1;color:#fff;border:0;padding:.6rem 1.2rem;font:inherit;"
    "text-decoration:none;border-radius:3px;margin-right:.6rem}code{word-break:break-all}label{display:block}"
    "input{font:inherit;padding:.3rem;margin-bottom:.8rem;width:100%;box-sizing:border-box}"
)


class Pages:
    """Answers what is a page of the site; None for anything else."""

    def __init__(self, state: State) -> None:
        self._state = state

    def answer(self, request: Request) -> Response | None:
        """One request of a browser."""
        path = request.path.rstrip("/")
        query = dict(request.query)
        if path in ("/wc-auth/v1/login", "/wp-login.php"):
            return self._login(request, query)
        if not path.startswith(("/wc-auth/v1/", "/wp-admin")):
            return None
        if path == "/wc-auth/v1/authorize" and (fault := self._fault(query)):
            return _page("Error", f"<p>Error: {escape(fault)}</p>", status=401)
        if f"{COOKIE}=1" not in request.headers.get("cookie", ""):
            return self._to_login(request)
        if path == "/wc-auth/v1/authorize":
            return self._authorize(query)
        if path == "/wc-auth/v1/access_granted":
            return self._grant(query)
        return self._admin(request, query)

    # -- logging in

    def _to_login(self, request: Request) -> Response:
        parts = urlsplit(request.url)
        back = f"{parts.path}?{parts.query}" if parts.query else parts.path
        login = "/wc-auth/v1/login/" if parts.path.startswith("/wc-auth") else "/wp-login.php"
        return _to(f"{login}?redirect_to={quote(back, safe='')}")

    def _login(self, request: Request, query: Mapping[str, str]) -> Response:
        back = query.get("redirect_to", "/wp-admin/")
        form = dict(parse_qsl(request.body.decode("utf-8", "replace")))
        if request.method == "POST" and (form.get("log"), form.get("pwd")) == (USER, PASSWORD):
            return _to(back, {"Set-Cookie": f"{COOKIE}=1; Path=/; HttpOnly"})
        action = f"/wp-login.php?redirect_to={quote(back, safe='')}"
        return _page(
            "Log in",
            f'<form id="loginform" method="post" action="{escape(action)}"><label for="user_login">Username</label>'
            '<input id="user_login" name="log"><label for="user_pass">Password</label>'
            '<input id="user_pass" name="pwd" type="password"><button>Log In</button></form>',
        )

    # -- approving an app

    def _fault(self, query: Mapping[str, str]) -> str:
        for name in MANDATORY:
            if not query.get(name):
                return f"Missing parameter {name}"
        if query["scope"] not in SCOPES:
            return f"Invalid scope {query['scope']}"
        for name in ("return_url", "callback_url"):
            if not urlsplit(query[name]).hostname:
                return f"The {name} is not a valid URL"
        if self._state.options.callback_over_tls and not query["callback_url"].startswith("https://"):
            return "The callback_url needs to be over SSL"
        return ""

    def _authorize(self, query: Mapping[str, str]) -> Response:
        app = escape(query["app_name"])
        nonce = self._state.make_nonce()
        granted = f"/wc-auth/v1/access_granted/?{urlencode({**query, 'wc_auth_nonce': nonce})}"
        denied = _with(query["return_url"], success="0", user_id=query["user_id"])
        return _page(
            f"{app} would like to connect to your store",
            f"<p>This will give &quot;{app}&quot; <strong>{escape(query['scope'])}</strong> access which will allow it "
            "to: create webhooks, view and manage coupons, customers, orders and sales reports, products.</p>"
            f'<p>Logged in as {USER}.</p><p><a class="button" href="{escape(granted)}">Approve</a>'
            f'<a href="{escape(denied)}">Deny</a></p>',
        )

    def _grant(self, query: Mapping[str, str]) -> Response:
        """The key is made, sent to the callback by the shop's server, and taken back unless that answers 200."""
        fault = self._fault(query)
        if fault or not self._state.use_nonce(query.get("wc_auth_nonce", "")):
            return _page("Access denied", f"<p>Error: {escape(fault or 'Invalid nonce verification')}</p>", status=401)
        key = self._state.make_key(query["scope"])
        body = {
            "key_id": len(self._state.keys),
            "user_id": query["user_id"],
            "consumer_key": key.consumer_key,
            "consumer_secret": key.consumer_secret,
            "key_permissions": key.permissions,
        }
        headers = {
            "Content-Type": "application/json;charset=UTF-8",
            "User-Agent": f"WordPress/{self._state.options.wp_version}; {self._state.options.base_url}",
        }
        if self._state.context.post(query["callback_url"], headers, orjson.dumps(body)) != 200:
            del self._state.keys[key.consumer_key]
            text = (
                "<p>Error: An error occurred in the request and at the time were unable to send the consumer data</p>"
            )
            return _page("Access denied", text, status=401)
        return _to(_with(query["return_url"], success="1", user_id=query["user_id"]))

    # -- keys by hand

    def _admin(self, request: Request, query: Mapping[str, str]) -> Response:
        """WooCommerce → Settings → Advanced → REST API, and the front of wp-admin."""
        if request.method == "POST":
            form = dict(parse_qsl(request.body.decode("utf-8", "replace")))
            permissions = form.get("permissions", "read")
            return self._made(self._state.make_key(permissions if permissions in SCOPES else "read"))
        if query.get("section") == "keys":
            rows = "".join(
                f"<li>…{key.consumer_key[-7:]} ({key.permissions})</li>" for key in self._state.keys.values()
            )
            options = "".join(f"<option>{scope}</option>" for scope in SCOPES)
            return _page(
                "REST API",
                f'<ul>{rows}</ul><form method="post" action="/wp-admin/admin.php"><label for="permissions">Permissions'
                f'</label><select id="permissions" name="permissions">{options}</select> <button>Generate API key'
                "</button></form>",
            )
        keys = "/wp-admin/admin.php?page=wc-settings&tab=advanced&section=keys"
        count = len(self._state.products)
        return _page(
            "Dashboard", f'<p>{count} products.</p><p><a class="button" href="{escape(keys)}">REST API keys</a></p>'
        )

    def _made(self, key: Key) -> Response:
        return _page(
            "Key details",
            "<p>API Key generated successfully. Make sure to copy your new keys now as the secret key will be hidden "
            f'once you leave this page.</p><p>Consumer key</p><code id="key_consumer_key">{key.consumer_key}</code>'
            f'<p>Consumer secret</p><code id="key_consumer_secret">{key.consumer_secret}</code>',
        )


def _with(url: str, **more: str) -> str:
    """`add_query_arg`: an existing query is kept."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(more)}"


def _to(location: str, more: Mapping[str, str] | None = None) -> Response:
    return Response(302, {"Location": location, "Content-Type": "text/html; charset=UTF-8", **(more or {})}, b"")


def _page(title: str, inner: str, *, status: int = 200) -> Response:
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><main><h1>{title}</h1>{inner}</main></body></html>"
    )
    return Response(status, {"Content-Type": "text/html; charset=UTF-8"}, text.encode())
