"""What a key may still ask for: a token bucket per key that fills up evenly, shared by every web process."""

from __future__ import annotations

import math
from dataclasses import dataclass

from app.core.db import Session

# What there is now is what was left and what has run in since, at most a full bucket; who finds less than one waits.
_SPEND = """
insert into api_budget as b (merchant_id, key_id, tokens, refused, at)
values (%(merchant_id)s, %(key)s, %(full)s - 1, false, %(now)s)
on conflict (merchant_id, key_id) do update set (tokens, refused, at) = (
    select there - case when there >= 1 then 1 else 0 end, there < 1, greatest(b.at, %(now)s) from (
        select least(%(full)s::float, b.tokens + %(rate)s * greatest(0, extract(epoch from %(now)s - b.at))) there) t)
returning tokens, refused
"""


@dataclass(frozen=True, slots=True)
class Budget:
    """After a request: how many more may follow at once, in how many seconds the bucket is full again, and if this one
    was too many, after how many seconds the next may come."""

    limit: int
    remaining: int
    reset_s: int
    retry_after_s: int | None


def spend(session: Session, key_id: int, per_minute: int) -> Budget:
    """Take one request of the key's."""
    session.run("set local synchronous_commit = off")  # lost in a crash it is only a few requests more
    row = session.row(_SPEND, key=key_id, full=per_minute, rate=per_minute / 60, now=session.now)
    assert row is not None  # noqa: S101  an upsert always returns its row
    tokens = float(row.tokens)
    wait = max(1, math.ceil((1 - tokens) * 60 / per_minute)) if row.refused else None
    return Budget(per_minute, math.floor(tokens), math.ceil((per_minute - tokens) * 60 / per_minute), wait)
