"""Numbers that nobody was to decide about while an order that may explain them could not be read: once all can be, they
are looked at again, and what is still not explained follows the channel's policy like anything else."""

from __future__ import annotations

from app.core.db import Session
from app.listings.unplaced import UNPLACED
from app.publishing import causes
from app.publishing.due import mark_due

_ASKING = f"""
select c.case_id, c.owner_id from case_file c
join stock_owner o on o.merchant_id = c.merchant_id and o.owner_id = c.owner_id and o.case_id = c.case_id
where c.merchant_id = %(merchant_id)s and c.channel_id = %(channel)s and c.kind = 'drift' and c.state = 'open'
  and c.cause = 'order_unread' and c.decision is null and o.held and o.observed_revision is null
  and not exists (select from inbox i where i.merchant_id = c.merchant_id and i.channel_id = c.channel_id
                  and i.state = 'parked' and i.resource = 'order'
                  and i.reason not in ('unknown_listing', 'unknown_location'))
  and not exists (select from {UNPLACED})
"""  # noqa: S608  a constant only
# Nothing that came before is parked any more: whether the number is as the orders say, only a new look can tell.
_LOOK = f"""
with k as materialized ({_ASKING} and not c.evidence ? 'readable_at' order by o.owner_id for update of o),
looked as (update stock_owner o set look_since = %(now)s from k
           where o.merchant_id = %(merchant_id)s and o.owner_id = k.owner_id)
update case_file c set evidence = c.evidence || jsonb_build_object('readable_at', %(now)s::timestamptz) from k
where c.merchant_id = %(merchant_id)s and c.case_id = k.case_id
"""  # noqa: S608  a constant only
_LOOKED = f"""
select k.case_id, k.owner_id, h.drift_policy, i.kind = 'kit' as kit from (
    {_ASKING} and (c.evidence ->> 'readable_at')::timestamptz < o.confirmed_at order by o.owner_id for update of o) k
join stock_owner o on o.merchant_id = %(merchant_id)s and o.owner_id = k.owner_id
join channel h on h.merchant_id = o.merchant_id and h.channel_id = o.channel_id
left join item i on i.merchant_id = o.merchant_id and i.item_id = o.item_id
"""  # noqa: S608  a constant only
_FOLLOW_POLICY = """
update case_file c set cause = %(cause)s, decision = d.decision, evidence = c.evidence
        || jsonb_build_object('asked_because', d.why),
    decided_at = case when d.decision is not null then %(now)s::timestamptz end,
    decided_by = case when d.decision is not null then 'policy' end
from unnest(%(ids)s::bigint[], %(decisions)s::text[], %(whys)s::text[]) d(case_id, decision, why)
where c.merchant_id = %(merchant_id)s and c.case_id = d.case_id and c.state = 'open'
"""
_WRITE_AGAIN = "update stock_owner set held = false where merchant_id = %(merchant_id)s and owner_id = any(%(owners)s)"
_POST_SOON = """
update stock_owner set look_since = %(now)s where merchant_id = %(merchant_id)s and owner_id = any(%(owners)s)
"""


def decide_what_can_be_read(session: Session, channel_id: int) -> int:
    """Cases of a channel that waited for an order to be readable: the number is looked at, then the policy decides; of
    how many it did. The adjustments that it decides for are posted by `adjust_decided`."""
    session.run(_LOOK, channel=channel_id, now=session.now)
    rows = session.rows(_LOOKED, channel=channel_id)
    if not rows:
        return 0
    decided = [causes.decide(row.drift_policy, causes.HAND_EDIT, kit=bool(row.kit), unclear=False) for row in rows]
    ours, theirs = ([row.owner_id for row, (decision, _) in zip(rows, decided, strict=True) if decision == right]
                    for right in ("ledger", "channel"))  # fmt: skip
    session.run(_WRITE_AGAIN, owners=ours)
    session.run(_POST_SOON, owners=theirs, now=session.now)
    mark_due(session, channel_id, ours)
    session.run(
        _FOLLOW_POLICY, cause=causes.HAND_EDIT, now=session.now, ids=[row.case_id for row in rows],
        decisions=[decision for decision, _ in decided], whys=[why or None for _, why in decided],
    )  # fmt: skip
    return len(rows)
