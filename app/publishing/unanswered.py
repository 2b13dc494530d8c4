"""Writes to a number of which nobody knows what became, since no answer came: what each would have changed."""

from __future__ import annotations

UNANSWERED_MAX = 3  # of one number, at once: any of them may have been carried out, so what explains it grows twofold

# Of the number `o` (a row of stock_owner), oldest first; none once it was explained.
UNANSWERED = """array(select p.target - p.expected from push_row p
    where p.merchant_id = o.merchant_id and p.owner_id = o.owner_id and p.attempt_id >= o.unclear_attempt_id
      and p.outcome = 'unknown' order by p.attempt_id)"""
