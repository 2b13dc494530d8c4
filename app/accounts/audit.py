"""The audit log: who did what to a merchant's account, when, from where; only ever added to, and checkable.

`note` is called in the transaction of what it tells of, so there is no deed without its entry and no entry without its
deed. Entries of one merchant form a chain of hashes; `find_break` names the first that does not fit. Whoever may
rewrite the whole database could forge a whole chain: keep the head that `audit verify` prints elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from app.core.db import Session
from app.core.log import hide_secrets

CHECKED_MAX = 20_000  # entries in one statement
LISTED_MAX = 201  # a page of 200, and whether there is another
_SUBJECT_MAX = 500

_CHECK = """
with chain as (
    select e.number, e.hash, audit_hash(e) as told, e.previous_hash, row_number() over w as rank,
           lag(e.hash) over w as hash_before
    from audit_log e where e.merchant_id = %(merchant_id)s and e.number >= %(from)s
    window w as (order by e.number) order by e.number limit %(limit)s
)
select number, hash,
       case when number > %(from)s + rank - 1 then %(from)s + rank - 1
            when previous_hash <> coalesce(hash_before, %(hash)s) then number - 1
            when hash <> told then number end as bad_number
from chain order by number
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is told of one deed."""

    number: int
    noted_at: datetime
    actor: str
    action: str
    subject: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    origin: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A chain as checked: how many entries fit, the last one's hash, and the first that was changed or is gone."""

    entries: int
    head: str
    bad_number: int | None = None


def note(
    session: Session,
    actor: str | None,
    action: str,
    subject: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> int:
    """Add an entry; its number. `actor` None: whoever the runtime acts for, else `system`. `action`
    reads `thing.done`. Secrets among the values are hidden. Call it last: it holds the merchant's chain until the end
    of the transaction."""
    number: int = session.value(
        "select append_audit(%(now)s, %(actor)s, %(action)s, %(subject)s, %(before)s::jsonb, %(after)s::jsonb)",
        now=session.now, actor=actor, action=action, subject=subject[:_SUBJECT_MAX], before=_json(before),
        after=_json(after),
    )  # fmt: skip
    return number


def list_entries(session: Session, before: int | None = None, *, limit: int = LISTED_MAX) -> Sequence[Entry]:
    """The newest first; `before` a number pages on."""
    rows = session.rows(
        """select number, noted_at, actor, action, subject, before, after, origin from audit_log
           where merchant_id = %(merchant_id)s and (%(before)s::bigint is null or number < %(before)s)
           order by number desc limit %(limit)s""",
        before=before, limit=min(limit, LISTED_MAX),
    )  # fmt: skip
    return [Entry(*row) for row in rows]


def find_break(session: Session) -> Checked:
    """Walk the whole chain, a bounded part at a time."""
    number, head = 0, b""
    while rows := session.rows(_CHECK, **{"from": number + 1, "hash": head, "limit": CHECKED_MAX}):
        for row in rows:
            if row.bad_number is not None:
                return Checked(row.bad_number - 1, head.hex(), row.bad_number)
            number, head = row.number, bytes(row.hash)
    end = session.row("select number, hash from audit_head where merchant_id = %(merchant_id)s")
    whole = (0, b"") if end is None else (end.number, bytes(end.hash))
    if whole[0] == number:
        return Checked(number, head.hex(), None if whole[1] == head else number)
    return Checked(number, head.hex(), min(whole[0], number) + 1)


def _json(values: Mapping[str, Any] | None) -> str | None:
    return None if values is None else orjson.dumps(hide_secrets(None, "", dict(values)), default=str).decode()
