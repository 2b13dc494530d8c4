"""Apps as Shopify keeps them: registered from their configuration file, installed into a shop, and given tokens.

Tokens expire and rotate as the documents say: an hour for an access token, 90 days for a refresh token, which is good
until its replacement is used (changelog "more resilient refreshes", 2026-08-28); from 2027 on one that never expires is
refused. Data and rules only; `admin.py` shows them over HTTP.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import jwt

ACCESS_LIFE = timedelta(hours=1)
REFRESH_LIFE = timedelta(days=90)
OWN_LIFE = timedelta(seconds=86_399)
SESSION_LIFE = timedelta(minutes=1)
EXPIRING_ONLY_FROM = datetime(2027, 1, 1, tzinfo=UTC)
USER = 42  # the member of staff who clicks


@dataclass
class App:
    """An app as its developer registered it. `secrets`: oldest first; the oldest signs. `managed`: Shopify installs it
    by itself; else the app asks with the code grant. `own`: it belongs to the shop's own organisation."""

    client_id: str
    secrets: list[str]
    name: str
    url: str
    redirect_urls: tuple[str, ...]
    scopes: tuple[str, ...]
    topics: tuple[tuple[str, str], ...] = ()  # (topic, address), topics as in the GraphQL enum
    privacy: tuple[tuple[str, str], ...] = ()  # (topic, address), topics as in the file
    managed: bool = True
    own: bool = False


@dataclass
class Token:
    """An access token: whose, and until when; None for ever."""

    client_id: str
    expires_at: datetime | None
    refresh_token: str | None = None


@dataclass
class Refresh:
    """A refresh token. `replaced_by`: the one that was given for it; once that is used this one is dead."""

    client_id: str
    expires_at: datetime
    replaced_by: str | None = None
    used: bool = False


@dataclass
class Grants:
    """What a shop has given to apps. `given` is a diary: one word for each grant that was answered."""

    rng: Random
    installed: dict[str, datetime] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    refreshes: dict[str, Refresh] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    given: list[str] = field(default_factory=list)

    def pair(self, app: App, now: datetime) -> dict[str, Any]:
        """A token that expires, with its refresh token."""
        access, refresh = f"shpat_{self.text()}", f"shprt_{self.text()}"
        self.tokens[access] = Token(app.client_id, now + ACCESS_LIFE, refresh)
        self.refreshes[refresh] = Refresh(app.client_id, now + REFRESH_LIFE)
        return {
            "access_token": access, "scope": ",".join(app.scopes), "expires_in": int(ACCESS_LIFE.total_seconds()),
            "refresh_token": refresh, "refresh_token_expires_in": int(REFRESH_LIFE.total_seconds()),
        }  # fmt: skip

    def for_ever(self, app: App) -> dict[str, Any]:
        """A token of the old kind."""
        access = f"shpat_{self.text()}"
        self.tokens[access] = Token(app.client_id, None)
        return {"access_token": access, "scope": ",".join(app.scopes)}

    def own(self, app: App, now: datetime) -> dict[str, Any]:
        """A day's token for the shop's own app."""
        access = f"shpat_{self.text()}"
        self.tokens[access] = Token(app.client_id, now + OWN_LIFE)
        return {
            "access_token": access,
            "scope": ",".join(app.scopes),
            "expires_in": int(OWN_LIFE.total_seconds()),
        }

    def refresh(self, app: App, refresh_token: str, now: datetime) -> dict[str, Any] | None:
        """Another pair, None for a token that is not good."""
        held = self.refreshes.get(refresh_token)
        if held is None or held.client_id != app.client_id or held.expires_at <= now or self._is_replaced(held):
            return None
        self._note_use(refresh_token)
        told = self.pair(app, now)
        held.replaced_by = told["refresh_token"]
        return told

    def allows(self, access_token: str, now: datetime) -> str | None:
        """Whose call it is: the app's client id; None for a token that is not good."""
        held = self.tokens.get(access_token)
        if held is None or held.client_id not in self.installed:
            return None
        ends = EXPIRING_ONLY_FROM if held.expires_at is None else held.expires_at
        if ends <= now:
            return None
        if held.refresh_token is not None:
            self._note_use(held.refresh_token)
        return held.client_id

    def forget(self, client_id: str) -> None:
        """The app is uninstalled: its tokens are dead at once."""
        del self.installed[client_id]
        self.tokens = {name: one for name, one in self.tokens.items() if one.client_id != client_id}
        self.refreshes = {name: one for name, one in self.refreshes.items() if one.client_id != client_id}

    def text(self) -> str:
        """Something that nobody guesses."""
        return f"{self.rng.getrandbits(128):032x}"

    def _is_replaced(self, held: Refresh) -> bool:
        return held.replaced_by is not None and self.refreshes[held.replaced_by].used

    def _note_use(self, refresh_token: str) -> None:
        self.refreshes[refresh_token].used = True


def read_app(toml: str, *, secrets: Sequence[str], origin: str, client_id: str, own: bool = False) -> App:
    """An app out of its `shopify.app.toml`, deployed at `origin`. Relative addresses follow the application's."""
    told: Mapping[str, Any] = tomllib.loads(toml)
    placed = str(told["application_url"]).split("/", 3)
    at = f"{placed[0]}//{placed[2]}"
    topics: list[tuple[str, str]] = []
    privacy: list[tuple[str, str]] = []
    for one in told["webhooks"]["subscriptions"]:
        uri = str(one["uri"]).replace(at, origin)
        uri = f"{origin}{uri}" if uri.startswith("/") else uri
        topics += [(topic.replace("/", "_").upper(), uri) for topic in one.get("topics", ())]
        privacy += [(topic, uri) for topic in one.get("compliance_topics", ())]
    return App(
        client_id=client_id, secrets=list(secrets), name=str(told["name"]),
        url=str(told["application_url"]).replace(at, origin),
        redirect_urls=tuple(url.replace(at, origin) for url in told["auth"]["redirect_urls"]),
        scopes=tuple(told["access_scopes"]["scopes"].split(",")), topics=tuple(topics), privacy=tuple(privacy),
        managed=not told["access_scopes"].get("use_legacy_install_flow", False), own=own,
    )  # fmt: skip


def session_token(app: App, domain: str, now: datetime, jti: str) -> str:
    """What App Bridge gets for a page of the app: a minute's token, signed with the app's oldest secret."""
    at = int(now.timestamp())
    claims = {
        "iss": f"https://{domain}/admin", "dest": f"https://{domain}", "aud": app.client_id, "sub": str(USER),
        "exp": at + int(SESSION_LIFE.total_seconds()), "nbf": at, "iat": at, "jti": jti, "sid": jti,
    }  # fmt: skip
    return jwt.encode(claims, app.secrets[0], algorithm="HS256")


def verified_shop(app: App, token: str, now: datetime) -> str | None:
    """The shop that a session token is of, None for one that is not good."""
    off: Any = {f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}
    for secret in app.secrets:
        try:
            claims = jwt.decode(token, secret, algorithms=["HS256"], options=off)
        except jwt.InvalidTokenError:
            continue
        good = claims["aud"] == app.client_id and claims["nbf"] - 10 <= now.timestamp() < claims["exp"] + 10
        return str(claims["dest"]).removeprefix("https://") if good else None
    return None
