"""Joining a WooCommerce shop: finding it by what a person typed, having its owner approve us, reading the keys.

`/wc-auth/v1/authorize` is the shop's own page. On approval the shop's server posts the keys to our callback, unsigned
and without saying which shop it is: the state says for whom they are, and only that they work at the address which was
given says that they are that shop's (seen on 10.2.4; the code of 10.9.0 is the same, 2026-11-23).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlencode, urljoin, urlsplit

import orjson
import requests

from connectors.addresses import check_public_url
from connectors.errors import AccessDenied, ChannelError, Malformed, NotFound, Refused, Transient
from connectors.http import Answer, Http
from connectors.join import Approval, Found, Grant
from connectors.woocommerce import fields
from connectors.woocommerce.api import HEADERS, decoded
from connectors.woocommerce.errors import refined

APP_NAME = "Perpetual"
SCOPE = "read_write"
NAMESPACE = "wc/v3"
ROOT_FIELDS = "name,url,home,namespaces"
GRANT_MAX = 4_096  # bytes
STATE_MAX = 200
_KEYS = {"consumer_key": re.compile(r"ck_[0-9a-f]{40}\Z"), "consumer_secret": re.compile(r"cs_[0-9a-f]{40}\Z")}
_NAMES = {"consumer_key": "consumer key", "consumer_secret": "consumer secret"}
# What stands behind the shop's own address when it is copied from a browser.
_INNER = re.compile(r"/(wp-admin|wp-json|wp-login\.php|wc-auth|index\.php)(/.*)?\Z")
_REST = "/wp-json"
_LOGIN = (b"wp-login.php", b"loginform", b"user_login")


def plain_address(text: str) -> str:
    """`shop.example.com/wp-admin/index.php` → `https://shop.example.com`."""
    text = text.strip()
    if text and "://" not in text and not re.match(r"(javascript|data|file|mailto):", text, re.IGNORECASE):
        text = f"https://{text}"
    bare = text.partition("#")[0].partition("?")[0].rstrip("/")
    return _INNER.sub("", bare).rstrip("/")


def find_shop(http: Http, base_url: str, *, allow_loopback: bool) -> Found:
    """The REST API's root, asked without keys and without following anything. Raises ChannelError."""
    try:
        answer = http.read("GET", f"{base_url}{_REST}/", params={"_fields": ROOT_FIELDS}, headers=HEADERS)
        root = fields.node(decoded(answer), "root")
    except Refused as error:
        if error.reason == "redirected":
            return _redirected(http, base_url, allow_loopback=allow_loopback)
        raise
    except (Malformed, NotFound) as error:
        raise _behind(http, base_url, error) from error
    except Transient as error:
        if b"maintenance" in error.answer.lower():
            raise Transient("maintenance", "the shop is down for maintenance") from error
        raise
    except ChannelError as error:
        raise refined(error) from error
    return _found(root, base_url, allow_loopback=allow_loopback)


def _found(root: fields.Node, base_url: str, *, allow_loopback: bool) -> Found:
    namespaces = root.get("namespaces")
    if not isinstance(namespaces, list):
        raise Refused("not_wordpress", "what answers there is no WordPress site")
    if NAMESPACE not in namespaces:
        raise Refused("no_woocommerce", "it is a WordPress site, and WooCommerce is not active on it")
    name = str(root.get("name") or "")[:200] or (urlsplit(base_url).hostname or "")
    home = str(root.get("home") or "").rstrip("/")
    moved = _elsewhere(home, base_url) if home else ""
    return Found(base_url, name, check_public_url(moved, allow_loopback=allow_loopback) if moved else "")


def _elsewhere(home: str, base_url: str) -> str:
    """The shop's own idea of its address where that differs. One that says http while it answers https is behind a
    proxy that does not tell it: that is no reason to do without encryption."""
    if home.startswith("http://") and base_url.startswith("https://"):
        home = "https://" + home.removeprefix("http://")
    return "" if home.lower() == base_url.lower() else home


def _redirected(http: Http, base_url: str, *, allow_loopback: bool) -> Found:
    """Where a redirect of the API leads: told, never followed on its own."""
    target = _location(http, f"{base_url}{_REST}/")
    if "wp-login.php" in target or "/login" in urlsplit(target).path:
        raise AccessDenied("login_page", "the API sends visitors to a login page")
    moved = plain_address(target)
    if moved.lower() == base_url.lower() or not urlsplit(target).path.rstrip("/").endswith(_REST):
        raise _behind(http, base_url, Refused("redirected", "the API leads to a page that is no API"))
    if base_url.startswith("https://") and not moved.startswith("https://"):
        raise Refused("redirect_downgrade", "the shop sends us from https to http, where keys could be read on the way")
    moved = check_public_url(moved, allow_loopback=allow_loopback)
    return Found(base_url, urlsplit(moved).hostname or "", moved)


def _location(http: Http, url: str) -> str:
    """The address that a redirect names. The body does not matter."""
    try:
        with http.session.get(url, timeout=(5.0, 10.0), allow_redirects=False, stream=True) as response:
            return urljoin(url, response.headers.get("Location", ""))
    except requests.RequestException:
        return url


def _behind(http: Http, base_url: str, error: ChannelError) -> ChannelError:
    """What is the matter when `/wp-json/` gives no API: plain permalinks, a login page, no WordPress."""
    try:
        answer = http.read("GET", f"{base_url}/", params={"rest_route": "/", "_fields": ROOT_FIELDS}, headers=HEADERS)
    except ChannelError:
        return error
    if _is_root(answer):
        return AccessDenied("plain_permalinks", "the shop's permalinks are set to plain")
    if any(mark in answer.body for mark in _LOGIN):
        return AccessDenied("login_page", "a login page stands before the shop")
    if isinstance(error, NotFound):
        return NotFound("not_wordpress", "what answers there is no WordPress site")
    return error


def _is_root(answer: Answer) -> bool:
    try:
        return isinstance(decoded(answer), dict)
    except Malformed:
        return False


def approval_url(base_url: str, approval: Approval) -> str:
    """All five parameters are mandatory there."""
    query = {
        "app_name": APP_NAME,
        "scope": SCOPE,
        "user_id": approval.state,
        "return_url": approval.return_url,
        "callback_url": approval.callback_url,
    }
    return f"{base_url}/wc-auth/v1/authorize?{urlencode(query)}"


def read_grant(body: bytes) -> Grant:
    """The body of the shop's call. Raises `Malformed` without repeating what came."""
    if len(body) > GRANT_MAX:
        raise Malformed("too_large", f"keys are not over {GRANT_MAX} bytes")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed("not_json", "the body is not JSON") from error
    if not isinstance(value, dict):
        raise Malformed("not_an_object", "the body is not an object")
    state = value.get("user_id")
    if not isinstance(state, str) or not state.isascii() or not 0 < len(state) <= STATE_MAX:
        raise Malformed("missing_field", "no state", field="user_id")
    if value.get("key_permissions") != SCOPE:
        raise Malformed("read_only_key", "the key may not read and write", field="key_permissions")
    return Grant(state, read_keys({name: value.get(name) for name in _KEYS}))


def read_keys(typed: Mapping[str, object]) -> Mapping[str, str]:
    """`consumer_key` and `consumer_secret` as WooCommerce makes them."""
    found = {}
    for name, pattern in _KEYS.items():
        value = typed.get(name)
        text = value.strip() if isinstance(value, str) else ""
        if not pattern.match(text):
            prefix = "ck_" if name == "consumer_key" else "cs_"
            detail = f"a {_NAMES[name]} is {prefix} and 40 letters a–f and digits: copy it whole"
            raise Malformed("not_a_key", detail, field=name)
        found[name] = text
    return found
