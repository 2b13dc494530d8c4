"""What a channel in shadow sold beyond the number that it would have shown, or beyond what the ledger had just then.

Noted when the sale is booked: that is when we learn of it, and when a number would have followed. A sale that both
numbers allowed is not noted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from app.core.db import Session
from app.listings.available import read_available_by_owner
from app.listings.belief import Move

_NOTE = """
insert into shadow_sale (merchant_id, channel_id, shadow_id, owner_id, at, units, would_show, available)
select %(merchant_id)s, o.channel_id, nextval('shadow_seq'), o.owner_id, %(now)s, d.units,
       o.shadow_shown + d.units, d.available
from stock_owner o join unnest(%(owners)s::bigint[], %(units)s::bigint[], %(available)s::bigint[])
     d(owner_id, units, available) using (owner_id)
where o.merchant_id = %(merchant_id)s and o.shadow_shown is not null
  and d.units > least(o.shadow_shown + d.units, d.available)
order by o.owner_id
"""


def note_sales(session: Session, moves: Sequence[Move]) -> None:
    """Sales that were just booked and have just moved the beliefs."""
    deltas: Counter[int] = Counter()
    for move in moves:
        deltas[move.owner_id] += move.delta
    sold = {owner: -delta for owner, delta in deltas.items() if delta < 0}
    if not sold:
        return
    left = read_available_by_owner(session, list(sold))
    session.run(
        _NOTE,
        now=session.now,
        owners=list(sold),
        units=list(sold.values()),
        available=[sum(left[owner].values()) + units for owner, units in sold.items()],
    )
