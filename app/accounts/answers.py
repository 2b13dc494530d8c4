"""Answers to requests that carry an Idempotency-Key: the same request again gets the same answer and no second effect.

The key is claimed in the transaction that does the work, so of two at once the second waits for the first; a request
that was refused leaves nothing behind and may be tried again under its key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import orjson

from app.core.db import Session
from app.core.errors import Conflict
from app.core.reseal import Kept

KEPT = timedelta(hours=24)
PRUNED_MAX = 10_000
_CLAIM = """
insert into api_answer as a (merchant_id, key, digest, created_at)
values (%(merchant_id)s, %(key)s, %(digest)s, %(now)s)
on conflict (merchant_id, key) do update set digest = excluded.digest, created_at = excluded.created_at
where a.created_at < %(since)s
returning 1
"""
_PRUNE = """
delete from api_answer where merchant_id = %(merchant_id)s and key in (
    select key from api_answer where merchant_id = %(merchant_id)s and created_at < %(since)s
    order by created_at limit %(limit)s)
"""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as it went out."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def bound_to(merchant_id: int, key: str) -> str:
    """What an answer that holds a secret is sealed for."""
    return f"answer:{merchant_id}:{key}"


SEALED = (Kept("api_answer", "body", {"key": "text"}, lambda merchant, row: bound_to(merchant, row.key)),)


def claim(session: Session, key: str, digest: bytes) -> StoredAnswer | None:
    """Take the key for a request with that digest; the stored answer when it was answered before. Raises Conflict when
    the key came with another request."""
    if session.value(_CLAIM, key=key, digest=digest, now=session.now, since=session.now - KEPT):
        return None
    row = session.row(
        "select digest, status, headers, body from api_answer where merchant_id = %(merchant_id)s and key = %(key)s",
        key=key,
    )
    if row is None or row.status is None or bytes(row.digest) != digest:
        detail = "this key came with another request: use a new key for each thing to be done"
        raise Conflict("idempotency_key_reused", detail, "Idempotency-Key")
    return StoredAnswer(row.status, row.headers, bytes(row.body))


def store(session: Session, key: str, answer: StoredAnswer) -> None:
    """Keep the answer to a claimed request."""
    session.run(
        """update api_answer set status = %(status)s, headers = %(headers)s, body = %(body)s
           where merchant_id = %(merchant_id)s and key = %(key)s""",
        key=key, status=answer.status, headers=orjson.dumps(dict(answer.headers)).decode(), body=answer.body,
    )  # fmt: skip


def prune_answers(session: Session) -> int:
    """Forget what nobody will ask for again; how many."""
    return session.run(_PRUNE, since=session.now - KEPT, limit=PRUNED_MAX)
