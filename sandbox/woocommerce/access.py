"""Who may call: Basic and query keys over TLS, OAuth 1.0a over both, each refusal in WooCommerce's own words."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

from sandbox.base import Request
from sandbox.woocommerce.problem import Problem
from sandbox.woocommerce.state import Key, State

READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
DIGESTS = {"HMAC-SHA1": hashlib.sha1, "HMAC-SHA256": hashlib.sha256}
_OAUTH_HEADER = re.compile(r'(oauth_[a-z_]+)="([^"]*)"')


class Access:
    """Checks one request; remembers nonces for as long as their time stamps count."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._nonces: dict[str, int] = {}

    def check(self, request: Request) -> None:
        """Raises `Problem` unless the request proves a key that may do this."""
        key = self._by_tls(request) or self._by_oauth(request)
        if key is None:
            raise _nobody(request)
        reads = request.method in READ_METHODS
        if (reads and key.permissions == "write") or (not reads and key.permissions == "read"):
            kind = "read" if reads else "write"
            raise _refused(f"The API key provided does not have {kind} permissions.")

    def _by_tls(self, request: Request) -> Key | None:
        if self._scheme(request) != "https":
            return None
        query = dict(request.query)
        pair = query.get("consumer_key", ""), query.get("consumer_secret", "")
        if not pair[0] and self._state.options.host != "strips_authorization":
            pair = _basic(request.headers)
        key = self._state.keys.get(pair[0])
        if key is not None and not hmac.compare_digest(key.consumer_secret.encode(), pair[1].encode()):
            raise _refused("Consumer secret is invalid.")
        return key

    def _scheme(self, request: Request) -> str:
        """What PHP believes it is called by."""
        if self._state.options.host == "hides_tls":
            return "http"
        return "https" if self._state.options.tls else urlsplit(request.url).scheme

    def _by_oauth(self, request: Request) -> Key | None:
        header = request.headers.get("authorization", "")
        given = {name: unquote(value) for name, value in _OAUTH_HEADER.findall(header)}
        oauth = given or {name: value for name, value in request.query if name.startswith("oauth_")}
        if "oauth_consumer_key" not in oauth:
            return None
        key = self._state.keys.get(oauth["oauth_consumer_key"])
        if key is None:
            raise _refused("Consumer key is invalid.")
        self._check_signature(request, key, oauth=oauth, given=given)
        self._check_once(oauth)
        return key

    def _check_signature(
        self, request: Request, key: Key, *, oauth: Mapping[str, str], given: Mapping[str, str]
    ) -> None:
        digest = DIGESTS.get(oauth.get("oauth_signature_method", ""))
        if digest is None:
            raise _refused("Invalid signature - signature method is invalid.")
        pairs = sorted(
            (_enc(name), _enc(value)) for name, value in [*request.query, *given.items()] if name != "oauth_signature"
        )
        url = f"{self._scheme(request)}://{urlsplit(request.url).netloc}{urlsplit(request.url).path}"
        query = "&".join(f"{name}={value}" for name, value in pairs)
        text = f"{request.method}&{_enc(url)}&{_enc(query)}"
        expected = base64.b64encode(hmac.new(f"{key.consumer_secret}&".encode(), text.encode(), digest).digest())
        if not hmac.compare_digest(expected, oauth.get("oauth_signature", "").encode()):
            raise _refused("Invalid signature - provided signature does not match.")

    def _check_once(self, oauth: Mapping[str, str]) -> None:
        stamp = int(oauth["oauth_timestamp"]) if oauth.get("oauth_timestamp", "").isdigit() else 0
        now, window = int(self._state.context.now().timestamp()), self._state.options.oauth_window_s
        if window is not None and abs(now - stamp) > window:
            raise _refused("Invalid timestamp.")
        nonce = oauth.get("oauth_nonce", "")
        if not nonce or nonce in self._nonces:
            raise _refused("Invalid nonce - nonce has already been used.")
        self._nonces[nonce] = now
        while window is not None and next(iter(self._nonces.values())) < now - 2 * window:
            del self._nonces[next(iter(self._nonces))]


def _basic(headers: Mapping[str, str]) -> tuple[str, str]:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, secret


def _nobody(request: Request) -> Problem:
    """No key was recognised: WordPress goes on as a visitor, who may do nothing."""
    if request.method not in READ_METHODS:
        verb = "create" if request.method == "POST" else "edit"
        return Problem(401, f"woocommerce_rest_cannot_{verb}", f"Sorry, you are not allowed to {verb} resources.")
    what = "view this resource" if request.path.rstrip("/").rsplit("/", 1)[-1].isdigit() else "list resources"
    return Problem(401, "woocommerce_rest_cannot_view", f"Sorry, you cannot {what}.")


def _refused(message: str) -> Problem:
    return Problem(401, "woocommerce_rest_authentication_error", message)


def _enc(text: str) -> str:
    return quote(text, safe="~")
