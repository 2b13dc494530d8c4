"""Sessions of users: kept in the database, so that they can be listed and ended; bounded in their life.

The browser holds a random token, the database its hash.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.core.db import Database

SESSION_LIFE = timedelta(hours=12)
KEPT_AFTER = timedelta(days=30)  # an ended session's row
PREFIX = "perps_"  # logs hide what begins so
_TEXT_MAX = 200


@dataclass(frozen=True, slots=True)
class Login:
    """Whose session it is, and the user's role in each merchant, by its id."""

    session_id: int
    user_id: int
    email: str
    name: str
    roles: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class SessionRow:
    """An open session as listed."""

    session_id: int
    opened_at: datetime
    seen_at: datetime
    origin: str
    agent: str


def open_session(
    database: Database,
    now: datetime,
    user_id: int,
    *,
    origin: str,
    agent: str,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> str:
    """A new session; returns its token. `origin` is the address they come from, `agent` their browser."""
    token = PREFIX + random_bytes(32).hex()
    with database.across(now) as session:
        session.value(
            "select open_user_session(%(hash)s, %(user)s, %(now)s, %(expires)s, %(origin)s, %(agent)s)",
            hash=_hash(token), user=user_id, now=now, expires=now + SESSION_LIFE, origin=_short(origin),
            agent=_short(agent),
        )  # fmt: skip
    return token


def find_login(database: Database, now: datetime, token: str) -> Login | None:
    """Whose session a token opens; None when it ended or never was."""
    with database.across(now) as session:
        row = session.row("select * from find_user_session(%(hash)s, %(now)s)", hash=_hash(token), now=now)
    if row is None:
        return None
    roles = dict(zip(row.merchant_ids, row.roles, strict=True))
    return Login(row.session_id, row.user_id, row.email, row.name, roles)


def list_sessions(database: Database, now: datetime, user_id: int) -> Sequence[SessionRow]:
    """A user's open sessions, the newest first."""
    with database.across(now) as session:
        rows = session.rows(
            "select session_id, opened_at, seen_at, origin, agent from list_user_sessions(%(user)s, %(now)s)",
            user=user_id, now=now,
        )  # fmt: skip
    return [SessionRow(*row) for row in rows]


def close_sessions(
    database: Database, now: datetime, user_id: int, *, only: int | None = None, but: int | None = None
) -> int:
    """End a user's sessions: one of them, or all but one; how many ended."""
    with database.across(now) as session:
        closed: int = session.value(
            "select close_user_sessions(%(user)s, %(only)s, %(but)s, %(now)s)",
            user=user_id, only=only, but=but, now=now,
        )  # fmt: skip
    return closed


def drop_old_sessions(database: Database, now: datetime) -> None:
    """Forget sessions that ended long ago."""
    with database.across(now) as session:
        session.value("select drop_old_sessions(%(before)s)", before=now - KEPT_AFTER)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _short(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:_TEXT_MAX])
