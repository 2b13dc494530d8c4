"""How a request to a WooCommerce shop proves who sends it.

Basic over https; the keys in the query over https where the host strips the Authorization header; OAuth 1.0a
(HMAC-SHA256, one-legged) over http, where WooCommerce refuses the other two. A nonce is used once, so signing happens
per request sent and not per call.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from requests import PreparedRequest
from requests.auth import AuthBase, HTTPBasicAuth

from connectors.base import Shop
from connectors.errors import AccessDenied

BASIC, QUERY, OAUTH = "basic", "query", "oauth"


def _nonce() -> str:
    return secrets.token_hex(16)


def _timestamp() -> int:
    return int(time.time())


@dataclass(frozen=True, slots=True)
class OneTime:
    """Where nonces and timestamps (unix seconds; the shop allows ±15 min) come from; replaced in tests."""

    nonce: Callable[[], str] = _nonce
    timestamp: Callable[[], int] = _timestamp


def method_for(shop: Shop) -> str:
    """What worked when the shop was connected (`facts["auth"]`), else Basic over https and OAuth over http."""
    return shop.facts.get("auth") or (BASIC if shop.base_url.startswith("https://") else OAUTH)


def authorization(shop: Shop, one_time: OneTime) -> AuthBase:
    """The `auth` of a request. Raises `AccessDenied` when the shop has no keys."""
    key, secret = shop.credentials.get("consumer_key", ""), shop.credentials.get("consumer_secret", "")
    if not key or not secret:
        raise AccessDenied("missing_credentials", "consumer_key or consumer_secret is not set")
    method = method_for(shop)
    if method == BASIC:
        return HTTPBasicAuth(key, secret)
    if method == QUERY:
        return QueryAuth(key, secret)
    return OAuth(key, secret, one_time, scheme=shop.facts.get("signed_scheme", ""))


class QueryAuth(AuthBase):
    """Keys in the query. They end in the shop's access log: only where the host strips the header."""

    def __init__(self, key: str, secret: str) -> None:
        self._pairs = [("consumer_key", key), ("consumer_secret", secret)]

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.url = _with_query(request.url or "", self._pairs)
        return request


class OAuth(AuthBase):
    """OAuth 1.0a in the query. `scheme` is what the shop believes it is called by: behind a TLS proxy that does not
    tell PHP, http must be signed although https is sent (observed 10.2.4 and 10.9.0, 2026-11-23)."""

    def __init__(self, key: str, secret: str, one_time: OneTime, *, scheme: str = "") -> None:
        self._key, self._secret, self._one_time, self._scheme = key, secret, one_time, scheme

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        url = request.url or ""
        oauth = [
            ("oauth_consumer_key", self._key),
            ("oauth_nonce", self._one_time.nonce()),
            ("oauth_signature_method", "HMAC-SHA256"),
            ("oauth_timestamp", str(self._one_time.timestamp())),
        ]
        signed_url = f"{self._scheme}://{url.split('://', 1)[1]}" if self._scheme else url
        signature = sign(request.method or "GET", signed_url, oauth, secret=self._secret)
        request.url = _with_query(url, [*oauth, ("oauth_signature", signature)])
        return request


def sign(method: str, url: str, oauth: Sequence[tuple[str, str]], *, secret: str) -> str:
    """The base64 signature over method, URL without query, and all query and oauth parameters; bodies are unsigned."""
    parts = urlsplit(url)
    pairs = sorted((_enc(k), _enc(v)) for k, v in [*parse_qsl(parts.query, keep_blank_values=True), *oauth])
    query = "&".join(f"{k}={v}" for k, v in pairs)
    bare = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    text = "&".join((method.upper(), _enc(bare), _enc(query)))
    digest = hmac.new(f"{secret}&".encode(), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def _enc(text: str) -> str:
    return quote(text, safe="~")


def _with_query(url: str, pairs: Sequence[tuple[str, str]]) -> str:
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, urlencode(pairs))))
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))
