"""The contract of a platform that installs our app into shops: who opened it, for which shop, and the tokens it gives.

Pure methods judge what a browser brought; `write_grant` and `is_installed` cross the network. Nothing here keeps a
token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from connectors.base import Shop
from connectors.errors import ChannelError
from connectors.http import Http


class NotProved(ChannelError):
    """What a browser brought does not prove what it claims; `reason` says which part."""


class GrantKind(StrEnum):
    """What tokens are asked for with."""

    SESSION = "session"  # the session token of a page inside the platform's admin
    CODE = "code"  # what the consent page sent the browser back with
    PERMANENT = "permanent"  # a token that never expires, for one that does
    REFRESH = "refresh"
    OWN = "own"  # the app's own keys alone, in a shop of the same owner


@dataclass(frozen=True, slots=True)
class AppKeys:
    """An app as it is registered. `secrets`: newest first; while one is changed, both are good."""

    client_id: str
    secrets: tuple[str, ...] = field(repr=False)
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a grant gave. No `expires_at`: it never expires; no `refresh_token`: the grant itself is repeated."""

    access_token: str = field(repr=False)
    expires_at: datetime | None
    refresh_token: str | None = field(repr=False)
    refresh_expires_at: datetime | None
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who opened the app, as the platform signed it."""

    shop: str
    user: str


class AppPlatform(Protocol):
    """A platform's side of installing. Shops are told by their canonical domain."""

    def find_domain(self, text: str) -> str | None:
        """The shop's domain as written by a person or a query, lower-case; None when it is none."""

    def base_url(self, domain: str) -> str:
        """Where the shop's API is."""

    def admin_url(self, base_url: str, client_id: str) -> str:
        """The page of the shop's admin that shows the app."""

    def script_url(self, base_url: str, domain: str) -> str:
        """The script that a page inside the admin loads first."""

    def frame_ancestors(self, base_url: str, domain: str) -> tuple[str, ...]:
        """The origins that may show our pages in a frame, for this shop alone."""

    def consent_origins(self) -> tuple[str, ...]:
        """Where `consent_url` may lead, whatever the shop."""

    def verify_session(self, keys: AppKeys, token: str, now: datetime) -> Visitor:
        """Whose session token it is. Raises NotProved."""

    def verify_query(self, keys: AppKeys, query: Mapping[str, str], now: datetime, *, fresh: bool) -> None:
        """That the platform signed this query; `fresh`: just now. Raises NotProved."""

    def consent_url(self, keys: AppKeys, base_url: str, redirect_url: str, state: str) -> str:
        """Where a person agrees to the app's scopes."""

    def write_grant(
        self, http: Http, keys: AppKeys, base_url: str, grant: tuple[GrantKind, str], now: datetime
    ) -> Tokens:
        """Ask for tokens with a grant: its kind and its secret part. Raises `AccessDenied` when the platform will not,
        `Transient` or `OutcomeUnknown` when it is worth asking again."""

    def is_installed(self, http: Http, shop: Shop) -> bool:
        """Whether the shop accepts its token: one cheap call. Raises ChannelError where its answer does not tell."""
