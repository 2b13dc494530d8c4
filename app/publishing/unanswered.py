"""Writes to a number of which nobody knows what became, since no answer came: what each would have changed."""

from __future__ import annotations

from datetime import timedelta

from app.publishing.pauses import SENT_WITHIN_S
from connectors.http import READ_S

LATE = timedelta(seconds=20)  # how long a shop may go on with a write after the caller would have given it up
UNDER_WAY = timedelta(seconds=READ_S + SENT_WITHIN_S)  # when its sender would have given it up, had they not died
UNANSWERED_MAX = 3  # of one number, at once: any of them may have been carried out, so what explains it grows twofold

# Of the number `o` (a row of stock_owner), oldest first; none once it was explained.
UNANSWERED = """array(select p.target - p.expected from push_row p
    where p.merchant_id = o.merchant_id and p.owner_id = o.owner_id and p.attempt_id >= o.unclear_attempt_id
      and p.outcome = 'unknown' order by p.attempt_id)"""
# When the last of them was given up, by a sender who waited until then or, having died, would have. Takes `under_way`.
GIVEN_UP_AT = """(select max(case when right(a.owner, length(a.key)) = a.key then a.closed_at
                    else greatest(a.closed_at, a.opened_at + %(under_way)s) end)
    from push_row p join push_attempt a using (merchant_id, attempt_id)
    where p.merchant_id = o.merchant_id and p.owner_id = o.owner_id and p.attempt_id >= o.unclear_attempt_id
      and p.outcome = 'unknown')"""
