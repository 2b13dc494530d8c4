"""Access tokens that expire: valid whenever a call is made, refreshed by one process at a time, stored before use.

A call asks for the token at the moment it is sent, outside every transaction, so a reading that takes hours goes on
with fresh ones. The refresh is made alone among all processes; whoever waited finds the new pair stored. A pair whose
answer was lost is asked for again with the former refresh token, which stays good until its replacement is used
(changelog "more resilient refreshes", 2026-08-28).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta

from app.core.errors import Unavailable
from app.core.log import get_logger
from app.core.runtime import Runtime
from app.listings.cases import close_cases, open_cases
from app.listings.credentials import read_credentials, write_credentials
from app.listings.states import get_standing
from connectors.apps import AppKeys, GrantKind, Tokens
from connectors.errors import AccessDenied, OutcomeUnknown, Transient

MARGIN = timedelta(minutes=5)  # a token that ends sooner is replaced first (Shopify's own margin)
KEPT_ALIVE = timedelta(days=1)  # a refresh token dies after 90 days without use; a day is plenty early
EXPIRING_ONLY_FROM = datetime.fromisoformat("2027-01-01T00:00:00+00:00")  # then tokens that never expire are refused
RECONNECT = "reconnect_shop"  # the kind of case that only the shop's owner can end
ACCESS, EXPIRES, REFRESH, REFRESHED = "access_token", "expires_at", "refresh_token", "refreshed_at"
GRANT, CLIENT_ID, CLIENT_SECRET = "grant", "client_id", "client_secret"
BUSY_RETRY_S = 5.0

log = get_logger("tokens")


class Fresh(Mapping[str, str]):
    """A channel's credentials whose access token is valid whenever it is read. Reading it may cross the network."""

    def __init__(self, runtime: Runtime, merchant_id: int, channel_id: int, known: Mapping[str, str]) -> None:
        self._runtime, self._of, self._known = runtime, (merchant_id, channel_id), dict(known)

    def __getitem__(self, name: str) -> str:
        if name == ACCESS and is_due(self._known, self._runtime.clock()):
            self._known |= refresh(self._runtime, *self._of)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def is_due(credentials: Mapping[str, str], now: datetime, *, kept_alive: bool = False) -> bool:
    """Whether the access token ends soon; `kept_alive`: or was not refreshed for long."""
    ends = credentials.get(EXPIRES)
    if ends is None:
        return False
    since = credentials.get(REFRESHED)
    idle = kept_alive and since is not None and now - datetime.fromisoformat(since) >= KEPT_ALIVE
    return idle or datetime.fromisoformat(ends) - now < MARGIN


def can_refresh(credentials: Mapping[str, str]) -> bool:
    """Whether it is a token that expires and there is something to get the next one with."""
    return EXPIRES in credentials and (REFRESH in credentials or credentials.get(GRANT) == GrantKind.OWN)


def refresh(runtime: Runtime, merchant_id: int, channel_id: int, *, kept_alive: bool = False) -> dict[str, str]:
    """The channel's credentials with a token that is good for some minutes at least; asked for once, whoever asks.
    Raises AccessDenied when the platform gives none (a case says so), Transient when it is worth trying again."""
    try:
        with alone_at(runtime, merchant_id, channel_id):
            return _refresh_alone(runtime, merchant_id, channel_id, kept_alive=kept_alive)
    except OutcomeUnknown as error:  # the former refresh token is still good
        raise Transient(error.reason, error.detail) from error


@contextmanager
def alone_at(runtime: Runtime, merchant_id: int, channel_id: int) -> Iterator[None]:
    """Nobody else, in any process, asks for another token of the channel meanwhile. Raises Transient when somebody else
    takes too long."""
    try:
        with runtime.database.alone(f"token {merchant_id} {channel_id}"):
            yield
    except Unavailable as error:
        raise Transient("token_busy", "the token is being refreshed elsewhere", retry_after_s=BUSY_RETRY_S) from error


def _refresh_alone(runtime: Runtime, merchant_id: int, channel_id: int, *, kept_alive: bool) -> dict[str, str]:
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        known = read_credentials(runtime.sealer, session, channel_id)
        row = session.row(
            "select platform, base_url from channel where merchant_id = %(merchant_id)s and channel_id = %(id)s",
            id=channel_id,
        )
    if not is_due(known, now, kept_alive=kept_alive) or row is None:
        return known
    if not can_refresh(known):
        raise AccessDenied("reconnect_needed", "the shop's access has ended: open the app in the shop's admin once")
    grant = (GrantKind.OWN, "") if known.get(GRANT) == GrantKind.OWN else (GrantKind.REFRESH, known[REFRESH])
    try:
        tokens = runtime.platforms[row.platform].write_grant(
            runtime.open_http(), keys_of(runtime, known), row.base_url, grant, now
        )
    except AccessDenied as error:
        note_refusal(runtime, merchant_id, channel_id, error)
        raise
    return store(runtime, merchant_id, channel_id, known, as_credentials(tokens, known.get(GRANT, ""), now))


def store(
    runtime: Runtime, merchant_id: int, channel_id: int, known: dict[str, str], tokens: Mapping[str, str]
) -> dict[str, str]:
    """Keep new tokens beside what else is `known`, and return them only then; what a person was asked to do about the
    old ones is done. Whoever disconnected the shop or connected it again meanwhile was later: theirs stay. Raises
    AccessDenied when there are none then."""
    credentials = {**known, **tokens}
    with runtime.begin(merchant_id, runtime.clock()) as session:
        get_standing(session, channel_id, lock=True)
        now_known = read_credentials(runtime.sealer, session, channel_id)
        if now_known != known:
            if ACCESS not in now_known:
                raise AccessDenied("channel_disconnected", "the shop was disconnected meanwhile")
            return now_known
        write_credentials(runtime.sealer, session, channel_id, credentials)
        close_cases(session, channel_id, [RECONNECT])
    return credentials


def note_refusal(runtime: Runtime, merchant_id: int, channel_id: int, error: AccessDenied) -> None:
    """Only the shop's owner can help: a case says what to do."""
    log.warning("token_refused", channel_id=channel_id, reason=error.reason)
    detail = "the shop no longer accepts our access: open the app in the shop's admin once, or connect it again"
    with runtime.begin(merchant_id, runtime.clock()) as session:
        open_cases(session, channel_id, [(RECONNECT, "access", detail, {"reason": error.reason})])


def keys_of(runtime: Runtime, credentials: Mapping[str, str]) -> AppKeys:
    """The app that a channel's tokens belong to: its owner's own, or ours. Raises AccessDenied without one."""
    if CLIENT_ID in credentials:
        return AppKeys(credentials[CLIENT_ID], (credentials[CLIENT_SECRET],))
    return our_keys(runtime)


def our_keys(runtime: Runtime) -> AppKeys:
    """Our app as the settings name it. Raises AccessDenied where there is none."""
    settings = runtime.settings
    if not settings.shopify.client_id:
        raise AccessDenied("no_app", "no app is set up: shopify.client_id and shopify.client_secret are empty")
    scopes = tuple(settings.shopify.scopes.split(","))
    return AppKeys(settings.shopify.client_id, settings.shopify.secrets(), scopes)


def as_credentials(tokens: Tokens, grant: str, now: datetime) -> dict[str, str]:
    """Tokens by the names they are stored under. What is not there is left out."""
    named = {
        ACCESS: tokens.access_token,
        EXPIRES: tokens.expires_at.isoformat() if tokens.expires_at else None,
        REFRESH: tokens.refresh_token,
        "refresh_expires_at": tokens.refresh_expires_at.isoformat() if tokens.refresh_expires_at else None,
        GRANT: grant or None,
        REFRESHED: now.isoformat(),
    }
    return {name: value for name, value in named.items() if value is not None}
