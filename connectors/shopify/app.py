"""Our app on Shopify: where a shop's admin is, who may frame us, and the token endpoint with its five grants.

`pretend` maps domains to origins, for pretend shops alone; every other shop is where its domain says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson

from connectors.apps import AppKeys, GrantKind, Tokens, Visitor
from connectors.base import Shop
from connectors.errors import AccessDenied, ChannelError, Malformed, NotFound, Refused
from connectors.http import Http
from connectors.shopify import graphql, proofs

APP_BRIDGE = "https://cdn.shopify.com/shopifycloud/app-bridge.js"
ADMIN = "https://admin.shopify.com"
OFFLINE = "urn:shopify:params:oauth:token-type:offline-access-token"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105  a kind, not a token
LIFE_MAX_S = 400 * 86_400
TOKEN_MAX = 4_096
# `error` of an answer with status 400 or 401 (RFC 6749, 5.2): what it is to us.
ERRORS: Mapping[str, tuple[type[ChannelError], str]] = {
    "invalid_subject_token": (Refused, "session_token_refused"),  # again with a fresh one
    "invalid_grant": (AccessDenied, "token_refused"),
    "invalid_request": (AccessDenied, "token_refused"),  # also a code used twice
    "invalid_client": (AccessDenied, "app_refused"),
    "unauthorized_client": (AccessDenied, "app_refused"),
    "application_cannot_be_found": (AccessDenied, "app_refused"),
    "shop_not_permitted": (AccessDenied, "app_refused"),  # an app of another organisation asked with its own keys
    "app_not_installed": (AccessDenied, "app_not_installed"),
}
# Refusals that tell of a shop that does not pay or is locked, or of our own keys: the app may well be in it.
UNTOLD = frozenset({"shop_frozen", "shop_locked", "shop_inactive", "app_refused", "no_app"})


@dataclass(frozen=True, slots=True)
class ShopifyApp:
    """See `connectors.apps.AppPlatform`."""

    pretend: Mapping[str, str] = field(default_factory=dict)

    def find_domain(self, text: str) -> str | None:
        """See `proofs.find_domain`."""
        return proofs.find_domain(text)

    def base_url(self, domain: str) -> str:
        """`https://{domain}`."""
        return self.pretend.get(domain, f"https://{domain}")

    def admin_url(self, base_url: str, client_id: str) -> str:
        """Shopify leads on from there to admin.shopify.com."""
        return f"{base_url}/admin/apps/{client_id}"

    def script_url(self, base_url: str, domain: str) -> str:
        """App Bridge, always the newest, from Shopify (App Store rule 2.2.3)."""
        return f"{base_url}/app-bridge.js" if domain in self.pretend else APP_BRIDGE

    def frame_ancestors(self, base_url: str, domain: str) -> tuple[str, ...]:
        """The shop and Shopify's admin, no wildcard."""
        return (base_url,) if domain in self.pretend else (base_url, ADMIN)

    def consent_origins(self) -> tuple[str, ...]:
        """Every shop's, and Shopify's admin."""
        return ("https://*.myshopify.com", ADMIN, *sorted(set(self.pretend.values())))

    def verify_session(self, keys: AppKeys, token: str, now: datetime) -> Visitor:
        """See `proofs.verify_session`."""
        return proofs.verify_session(keys, token, now)

    def verify_query(self, keys: AppKeys, query: Mapping[str, str], now: datetime, *, fresh: bool) -> None:
        """See `proofs.verify_query`."""
        proofs.verify_query(keys, query, now, fresh=fresh)

    def consent_url(self, keys: AppKeys, base_url: str, redirect_url: str, state: str) -> str:
        """The authorize page."""
        asked = {
            "client_id": keys.client_id,
            "scope": ",".join(keys.scopes),
            "redirect_uri": redirect_url,
            "state": state,
        }
        return f"{base_url}/admin/oauth/authorize?{urlencode(asked)}"

    def write_grant(
        self, http: Http, keys: AppKeys, base_url: str, grant: tuple[GrantKind, str], now: datetime
    ) -> Tokens:
        """Ask for an offline token that expires. With two secrets the former is tried when the app was not accepted:
        between changing it here and there."""
        for secret in keys.secrets[:-1]:
            try:
                return _ask(http, base_url, _body(keys.client_id, secret, grant), now)
            except AccessDenied as error:
                if error.reason != "app_refused":
                    raise
        return _ask(http, base_url, _body(keys.client_id, keys.secrets[-1], grant), now)

    def is_installed(self, http: Http, shop: Shop) -> bool:
        """An app that was taken out has lost its tokens at once: neither they nor what would renew them is good."""
        try:
            graphql.query(http, shop, "still_installed", {})
        except (AccessDenied, NotFound) as error:
            if error.reason in UNTOLD:
                raise
            return False
        return True


def _body(client_id: str, secret: str, grant: tuple[GrantKind, str]) -> bytes:
    kind, value = grant
    more: dict[GrantKind, dict[str, str]] = {
        GrantKind.SESSION: _exchange(value, ID_TOKEN),
        GrantKind.PERMANENT: _exchange(value, OFFLINE),
        GrantKind.CODE: {"code": value, "expiring": "1"},
        GrantKind.REFRESH: {"grant_type": "refresh_token", "refresh_token": value},
        GrantKind.OWN: {"grant_type": "client_credentials"},
    }
    return orjson.dumps({"client_id": client_id, "client_secret": secret, **more[kind]})


def _exchange(token: str, kind: str) -> dict[str, str]:
    return {
        "grant_type": EXCHANGE,
        "subject_token": token,
        "subject_token_type": kind,
        "requested_token_type": OFFLINE,
        "expiring": "1",
    }


def _ask(http: Http, base_url: str, body: bytes, now: datetime) -> Tokens:
    url = f"{base_url}/admin/oauth/access_token"
    try:
        answer = http.write("POST", url, data=body, headers={"Content-Type": "application/json"})
    except (Refused, AccessDenied) as error:
        raise _refusal(error) from None
    told = answer.json()
    if not isinstance(told, dict):
        raise Malformed("wrong_type", "a token answer is an object")
    scopes = str(told.get("scope", ""))
    return Tokens(
        access_token=_token(told, "access_token"),
        expires_at=_end(told, "expires_in", now),
        refresh_token=_token(told, "refresh_token") if "refresh_token" in told else None,
        refresh_expires_at=_end(told, "refresh_token_expires_in", now),
        scopes=tuple(sorted(scope for scope in scopes.split(",") if scope)),
    )


def _refusal(error: ChannelError) -> ChannelError:
    """Shopify's own word for it, where it has one; the body is never shown."""
    try:
        told: Any = orjson.loads(error.answer)
        code = str(told.get("error", "")) if isinstance(told, dict) else ""
    except orjson.JSONDecodeError:
        code = ""
    kind, reason = ERRORS.get(code, (type(error), error.reason))
    return kind(reason, f"Shopify gave no token ({error.detail})")


def _token(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= TOKEN_MAX or not value.isascii():
        raise Malformed("wrong_type", "expected a token", field=name)
    return value


def _end(told: Mapping[str, Any], name: str, now: datetime) -> datetime | None:
    seconds = told.get(name)
    if seconds is None:
        return None
    if type(seconds) is not int or not 0 <= seconds <= LIFE_MAX_S:
        raise Malformed("out_of_range", "expected a number of seconds", field=name)
    return now + timedelta(seconds=seconds)
