"""API keys: a merchant's programs, each with the scopes it may use.

A key is shown once, when it is made. The database holds only its SHA-256 hash: a key is 256 random bits, so nothing
slower is needed against guessing. A revoked or expired key is answered like one that never was.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.accounts import audit
from app.core.db import Database, Session
from app.core.errors import InvalidInput, NotFound

SCOPES = (
    "items:read", "items:write", "stock:read", "stock:write", "orders:read", "channels:read", "channels:write",
    "webhooks:read", "webhooks:write", "reports:read", "audit:read",
)  # fmt: skip
ALL = "all"  # every scope, those of later versions too
NAME_MAX = 200
LISTED_MAX = 500
PREFIX = "perp_"  # leaked keys are found by it, and logs hide what begins so
_SECRET_BYTES = 32
_TOKEN = re.compile(rf"{PREFIX}[0-9a-f]{{{2 * _SECRET_BYTES}}}")


@dataclass(frozen=True, slots=True)
class Principal:
    """The program that a valid key stands for. `scopes` are spelled out: `all` is every one of `SCOPES`."""

    merchant_id: int
    key_id: int
    scopes: frozenset[str]
    name: str


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as listed: everything but the key."""

    key_id: int
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def state(self, now: datetime) -> str:
        """`active`, `revoked` or `expired`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


def create_key(
    session: Session,
    *,
    name: str,
    scopes: Sequence[str],
    expires_at: datetime | None,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> tuple[int, str]:
    """A new key of the session's merchant: (its id, the key, which nobody can read again). Raises InvalidInput."""
    _check(session, name, scopes, expires_at)
    token = PREFIX + random_bytes(_SECRET_BYTES).hex()
    key_id: int = session.value(
        """insert into api_key (merchant_id, key_id, name, scopes, created_at, expires_at)
           values (%(merchant_id)s, nextval('api_key_seq'), %(name)s, %(scopes)s::text[], %(now)s, %(expires)s)
           returning key_id""",
        name=name, scopes=sorted(set(scopes)), now=session.now, expires=expires_at,
    )  # fmt: skip
    session.value("select register_key(%(hash)s, %(merchant_id)s, %(key)s)", hash=_hash(token), key=key_id)
    told = {"name": name, "scopes": sorted(set(scopes)), "expires_at": expires_at}
    audit.note(session, None, "key.created", f"key {key_id}", after=told)
    return key_id, token


def find_key(database: Database, now: datetime, token: str) -> Principal | None:
    """Whose key this is; None when it is no key, unknown, revoked or expired. Notes that it was used."""
    if not _TOKEN.fullmatch(token):
        return None
    with database.across(now) as session:
        row = session.row(
            "select merchant_id, key_id, name, scopes from find_key(%(hash)s, %(now)s)", hash=_hash(token), now=now
        )
    if row is None:
        return None
    scopes = frozenset(SCOPES if ALL in row.scopes else row.scopes)
    return Principal(row.merchant_id, row.key_id, scopes, row.name)


def list_keys(session: Session) -> Sequence[KeyRow]:
    """The merchant's keys, the newest first."""
    rows = session.rows(
        """select key_id, name, scopes, created_at, expires_at, revoked_at, last_used_at from api_key
           where merchant_id = %(merchant_id)s order by key_id desc limit %(limit)s""",
        limit=LISTED_MAX,
    )
    return [KeyRow(row.key_id, row.name, tuple(row.scopes), *row[3:]) for row in rows]


def revoke_key(session: Session, key_id: int) -> None:
    """From now on the key opens nothing; nothing changes for one that is revoked. Raises NotFound."""
    known = session.run(
        """update api_key set revoked_at = coalesce(revoked_at, %(now)s)
           where merchant_id = %(merchant_id)s and key_id = %(key)s""",
        key=key_id,
        now=session.now,
    )
    if not known:
        raise NotFound("unknown_key", "there is no key of that number")
    audit.note(session, None, "key.revoked", f"key {key_id}")


def read_scopes(text: str) -> tuple[str, ...]:
    """`all`, or scopes separated by commas or spaces; raises InvalidInput naming what there is."""
    scopes = tuple(text.replace(",", " ").split())
    _check_scopes(scopes)
    return scopes


def _check(session: Session, name: str, scopes: Sequence[str], expires_at: datetime | None) -> None:
    if not 1 <= len(name) <= NAME_MAX or not name.isprintable():
        raise InvalidInput("bad_name", f"1 to {NAME_MAX} characters that can be printed", where="name")
    _check_scopes(scopes)
    if expires_at is not None and expires_at <= session.now:
        raise InvalidInput("bad_expiry", "a key expires in the future", where="expires_at")


def _check_scopes(scopes: Sequence[str]) -> None:
    if not scopes or not set(scopes) <= {*SCOPES, ALL}:
        raise InvalidInput("bad_scope", f"{ALL}, or some of: {', '.join(SCOPES)}", where="scopes")


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("ascii")).digest()
