"""What a browser brings from Shopify's admin, judged: shop names, signed queries, session tokens. Everything is pure.

Sources: shopify-api's `hmac-validator`, the docs of session tokens and of the code grant (2026-11).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import jwt

from connectors.apps import AppKeys, NotProved, Visitor

SHOP_DOMAIN = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-]*\.myshopify\.com")
SHOP_DOMAIN_MAX = 255
TOKEN_MAX = 4_096
LEEWAY_S = 10  # App Bridge sends an nbf that lies a little ahead
QUERY_AGE_MAX_S = 90
_CHECKS: Any = {f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}


def find_domain(text: str) -> str | None:
    """A myshopify.com domain and nothing else, lower-case."""
    if len(text) > SHOP_DOMAIN_MAX or SHOP_DOMAIN.fullmatch(text) is None:
        return None
    return text.lower()


def verify_query(keys: AppKeys, query: Mapping[str, str], now: datetime, *, fresh: bool) -> None:
    """Hex HMAC-SHA256 over the sorted rest of the query under any of the app's secrets. `fresh` also wants a timestamp
    of the last 90 seconds: a bookmarked address would fail it."""
    claimed = query.get("hmac", "")
    if not claimed:
        raise NotProved("missing_signature", "the address carries no hmac")
    text = query_text(query).encode()
    good = [hmac.compare_digest(sign(secret, text).encode(), claimed.encode()) for secret in keys.secrets]
    if not any(good):
        raise NotProved("wrong_signature", "the address is not signed by Shopify for this app")
    if fresh and abs(_seconds(query.get("timestamp", "")) - now.timestamp()) > QUERY_AGE_MAX_S:
        raise NotProved("stale_signature", "the address was signed some time ago")


def query_text(query: Mapping[str, str]) -> str:
    """What is signed of a query."""
    pairs = sorted((name, value) for name, value in query.items() if name not in ("hmac", "signature"))
    return "&".join(f"{_escaped(name).replace('=', '%3D')}={_escaped(value)}" for name, value in pairs)


def sign(secret: str, text: bytes) -> str:
    """Its signature, in hex."""
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


def verify_session(keys: AppKeys, token: str, now: datetime) -> Visitor:
    """A session token: HS256 under any of the app's secrets, for this app, of now, of one shop."""
    claims = _signed_claims(keys, token)
    if claims.get("aud") != keys.client_id:
        raise NotProved("wrong_audience", "the session token is for another app")
    at = now.timestamp()
    if at >= _instant(claims, "exp") + LEEWAY_S:
        raise NotProved("expired_token", "the session token has expired")
    if at < max(_instant(claims, "nbf"), _instant(claims, "iat", absent=0)) - LEEWAY_S:
        raise NotProved("token_of_the_future", "the session token is not valid yet: check the server's clock")
    return Visitor(_shop_of(claims), str(claims.get("sub", "")))


def _signed_claims(keys: AppKeys, token: str) -> dict[str, Any]:
    """The claims under whichever secret signed them; the algorithm is ours to say, never the token's."""
    if not token or len(token) > TOKEN_MAX or not token.isascii():
        raise NotProved("malformed_token", "this is no session token")
    for secret in keys.secrets:
        try:
            return jwt.decode(token, secret, algorithms=["HS256"], options=_CHECKS)
        except jwt.InvalidSignatureError:
            continue
        except jwt.InvalidAlgorithmError:
            raise NotProved("wrong_algorithm", "a session token is signed with HS256") from None
        except jwt.InvalidTokenError:
            raise NotProved("malformed_token", "this is no session token") from None
    raise NotProved("wrong_signature", "the session token is not signed with this app's secret")


def _shop_of(claims: Mapping[str, Any]) -> str:
    dest, issuer = claims.get("dest"), claims.get("iss")
    if not isinstance(dest, str) or not dest:
        raise NotProved("missing_dest", "the session token names no shop")
    shop = find_domain(_host(dest))
    if shop is None:
        raise NotProved("wrong_shop", "the session token's shop is none")
    if not isinstance(issuer, str) or find_domain(_host(issuer)) != shop:
        raise NotProved("wrong_issuer", "the session token's issuer is not its shop")
    return shop


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return parts.netloc if parts.scheme == "https" else ""


def _instant(claims: Mapping[str, Any], name: str, *, absent: float | None = None) -> float:
    value = claims.get(name, absent)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        raise NotProved("malformed_token", f"the session token's {name} is no instant")
    return float(value)


def _seconds(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 13 else 0


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("&", "%26")
