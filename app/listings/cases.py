"""Cases: what a person should look at. One stays open per kind and subject; nothing waits for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from app.accounts import audit
from app.core.db import Session
from app.core.errors import Conflict, NotFound

Case = tuple[str, str, str, Mapping[str, Any]]  # kind, subject, detail, evidence

_OPEN = """
insert into case_file (merchant_id, case_id, kind, channel_id, subject, detail, evidence, opened_at)
select %(merchant_id)s, nextval('case_seq'), c.kind, %(channel)s::bigint, c.subject, c.detail, c.evidence, %(now)s
from unnest(%(kinds)s::text[], %(subjects)s::text[], %(details)s::text[], %(evidence)s::jsonb[]) c(kind, subject,
    detail, evidence)
on conflict do nothing
"""
# The owners' rows are locked before any case, as everywhere.
_CORRECTED = """
with k as materialized (
    select owner_id, case_id from stock_owner
    where merchant_id = %(merchant_id)s and owner_id = any(%(owners)s) and case_id is not null
    order by owner_id for update
), closed as (
    update case_file c set state = 'corrected', closed_at = %(now)s, evidence = c.evidence || %(by)s::jsonb
    from k where c.merchant_id = %(merchant_id)s and c.case_id = k.case_id and c.state = 'open'
      and c.decision = 'ledger' and c.decided_at <= %(since)s
    returning c.case_id, k.owner_id
)
update stock_owner o set case_id = null from closed
where o.merchant_id = %(merchant_id)s and o.owner_id = closed.owner_id
"""
_LIST = """
select f.case_id, f.kind, c.name as channel, f.subject, f.cause, f.detail, f.difference, f.decision, f.decided_by,
       f.state, f.opened_at, f.closed_at, f.evidence, i.sku,
       f.state = 'open' and o.case_id is not distinct from f.case_id as holds, f.state = 'open' and f.decision is null
           and o.case_id is not distinct from f.case_id and coalesce(o.held, false) as asks
from case_file f
left join channel c on c.merchant_id = f.merchant_id and c.channel_id = f.channel_id
left join stock_owner o on o.merchant_id = f.merchant_id and o.owner_id = f.owner_id
left join item i on i.merchant_id = o.merchant_id and i.item_id = o.item_id
where f.merchant_id = %(merchant_id)s and (%(state)s::text is null or f.state = %(state)s)
  and (%(before)s::bigint is null or f.case_id < %(before)s) and (%(id)s::bigint is null or f.case_id = %(id)s)
order by f.case_id desc limit %(limit)s
"""


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case as stored. `difference`: units that the channel shows more than its orders explain (drift); `decided_by`
    is a person or `policy`; `sku` where it is about one item's number; `holds`: the number is its until it is over, so
    it can't be dismissed; `asks`: nothing is written there until somebody says which number is right."""

    case_id: int
    kind: str
    channel: str | None
    subject: str
    cause: str | None
    detail: str
    difference: int | None
    decision: str | None
    decided_by: str | None
    state: str
    opened_at: datetime
    closed_at: datetime | None
    evidence: Mapping[str, Any]
    sku: str | None
    holds: bool
    asks: bool


def open_cases(session: Session, channel_id: int | None, cases: Sequence[Case]) -> int:
    """Open cases of (kind, subject, detail, evidence), of a channel or of none, that are not open yet; how many are
    new."""
    if not cases:
        return 0
    return session.run(
        _OPEN,
        channel=channel_id,
        now=session.now,
        kinds=[c[0] for c in cases],
        subjects=[c[1] for c in cases],
        details=[c[2] for c in cases],
        evidence=[orjson.dumps(c[3], default=str).decode() for c in cases],
    )


def list_cases(
    session: Session, state: str | None = "open", limit: int = 200, *, before: int | None = None
) -> list[CaseFile]:
    """Cases in a state (None: in any), the latest first; those opened before case `before` if it is given."""
    return [CaseFile(*row) for row in session.rows(_LIST, state=state, limit=limit, before=before, id=None)]


def get_case(session: Session, case_id: int) -> CaseFile:
    """Raises NotFound, also for another merchant's."""
    row = session.row(_LIST, state=None, limit=1, before=None, id=case_id)
    if row is None:
        raise NotFound("unknown_case", "no such case")
    return CaseFile(*row)


def close_corrected(
    session: Session, owners: Sequence[int], *, since: datetime, by: Mapping[str, Any] | None = None
) -> None:
    """Close the cases of drift of these owners for which our number was to be written again and now is, by a write
    begun at `since`: one that was decided only later is not corrected by it. `by`: evidence."""
    if owners:
        session.run(
            _CORRECTED, owners=list(owners), now=session.now, since=since, by=orjson.dumps(dict(by or {})).decode()
        )


def dismiss(session: Session, case_id: int, by: str) -> None:
    """A person has seen to it. Raises NotFound, and Conflict for one that is closed or holds a number back: that
    one has to be decided."""
    row = session.row(
        """select f.state, exists (select from stock_owner o where o.merchant_id = f.merchant_id
                                   and o.owner_id = f.owner_id and o.case_id = f.case_id) as holds
           from case_file f where f.merchant_id = %(merchant_id)s and f.case_id = %(id)s for update""",
        id=case_id,
    )
    if row is None:
        raise NotFound("unknown_case", "no such case")
    if row.state != "open" or row.holds:
        raise Conflict("case_not_open" if row.state != "open" else "case_undecided", "closed, or decide which is right")
    session.run(
        """update case_file set state = 'dismissed', closed_at = %(now)s, decided_at = %(now)s, decided_by = %(by)s
           where merchant_id = %(merchant_id)s and case_id = %(id)s""",
        id=case_id, now=session.now, by=by,
    )  # fmt: skip
    audit.note(session, by, "case.dismissed", f"case {case_id}")


def close_cases(session: Session, channel_id: int, kinds: Sequence[str]) -> None:
    """Close a channel's cases of these kinds: what they were about is over."""
    session.run(
        """update case_file set state = 'corrected', closed_at = %(now)s
           where merchant_id = %(merchant_id)s and channel_id = %(channel)s and state = 'open'
             and kind = any(%(kinds)s::text[])""",
        channel=channel_id, now=session.now, kinds=list(kinds),
    )  # fmt: skip


def close_managed(session: Session, channel_id: int) -> None:
    """Close the cases about numbers that the channel did not keep and keeps again."""
    session.run(
        """update case_file c set state = 'corrected', closed_at = %(now)s from stock_owner o
           where c.merchant_id = %(merchant_id)s and c.channel_id = %(channel)s and c.kind = 'unmanaged'
             and c.state = 'open' and o.merchant_id = %(merchant_id)s and o.owner_id = c.owner_id
             and o.state = 'managed'""",
        channel=channel_id, now=session.now,
    )  # fmt: skip
