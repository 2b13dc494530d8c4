"""Seals over the ledger's history: a chain of hashes, made some time after the postings, so that posting waits for
nobody. A row that is changed, taken out or put in behind the back of grants and triggers breaks it.

A seal covers the postings between two ids: movements, their journal, cost adjustments. What is younger than
`SEALED_AFTER` is left, since a transaction that is still open may hold an id among them; none lives nearly as long.
Whoever may rewrite the whole database could make a whole new chain: keep the head that `verify` prints elsewhere from
time to time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from app.core.db import Session

SEALED_AFTER = timedelta(hours=1)
SEAL_MAX = 20_000  # postings of one seal
SEALS_MAX = 50  # made in one call

_NEXT = """
with last as (
    select number, last_id, hash from history_seal where merchant_id = %(merchant_id)s order by number desc limit 1
), known as (
    select coalesce((select number from last), 0) as number, coalesce((select last_id from last), 0) as last_id,
           coalesce((select hash from last), '') as hash
), young as (
    select movement_id as id, recorded_at >= %(horizon)s as young from (
        select movement_id, recorded_at from movement, known
        where merchant_id = %(merchant_id)s and movement_id > known.last_id order by movement_id limit %(limit)s) m
    union all
    select posting_id, recorded_at >= %(horizon)s from (
        select posting_id, recorded_at from cost_adjustment, known
        where merchant_id = %(merchant_id)s and posting_id > known.last_id order by posting_id limit %(limit)s) a
), reach as (
    select max(id) as id from (
        select id, bool_or(young) over (order by id) as beyond
        from (select * from young order by id limit %(limit)s) y) b
    where not beyond
)
insert into history_seal (merchant_id, number, first_id, last_id, rows, previous_hash, hash, sealed_at)
select %(merchant_id)s, known.number + 1, known.last_id, reach.id, h.rows, known.hash, h.hash, %(now)s
from known, reach cross join lateral history_hash(%(merchant_id)s, known.last_id, reach.id, known.hash) h
where reach.id is not null
on conflict do nothing
"""

BROKEN = """
select 0 as item_id, 'seal ' || s.number || ', postings ' || s.first_id + 1 || ' to ' || s.last_id as place
from (select s.*, lag(hash, 1, ''::bytea) over w as hash_before, lag(last_id, 1, 0::bigint) over w as id_before,
             row_number() over w as rank
      from history_seal s where s.merchant_id = %(merchant_id)s window w as (order by s.number)) s
cross join lateral history_hash(s.merchant_id, s.first_id, s.last_id, s.previous_hash) h
where (s.number, s.previous_hash, s.first_id) is distinct from (s.rank, s.hash_before, s.id_before)
   or (h.rows, h.hash) is distinct from (s.rows, s.hash)
order by s.number
"""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest seal: how far history is sealed, and the hash that covers all of it."""

    number: int
    last_id: int
    hash: str


def seal_history(session: Session) -> int:
    """Seal what is old enough; how many seals were made. Two at once make each seal once."""
    made = 0
    while made < SEALS_MAX:
        horizon = session.now - SEALED_AFTER
        if not session.run(_NEXT, horizon=horizon, limit=SEAL_MAX, now=session.now):
            break
        made += 1
    return made


def find_head(session: Session) -> Head | None:
    """The newest seal, None while nothing is sealed."""
    row = session.row(
        """select number, last_id, encode(hash, 'hex') as hash from history_seal
           where merchant_id = %(merchant_id)s order by number desc limit 1"""
    )
    return None if row is None else Head(row.number, row.last_id, row.hash)
