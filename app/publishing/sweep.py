"""The slow full sweep behind the due marks: every number of a channel that is believed to be another than its plan, and
that nothing marks as due, becomes due. Marks are made with each change, so there should be none: one that is found is
logged, since something has lost its mark.
"""

from __future__ import annotations

from app.core.db import Session
from app.core.log import get_logger
from app.core.runtime import Runtime
from app.publishing.due import mark_due, read_plans

PAGE = 1_000
log = get_logger("sweep")

_UNMARKED = """
select o.owner_id, o.item_id, o.believed, o.buffer, o.buffer_percent, o.shown_min, o.shown_max, o.oversell_target
from stock_owner o
where o.merchant_id = %(merchant_id)s and o.channel_id = %(channel)s and o.owner_id > %(after)s
  and o.state = 'managed' and o.item_id is not null and o.believed is not null and not o.held
  and not exists (select from due_listing d where d.merchant_id = o.merchant_id and d.channel_id = o.channel_id
                  and d.owner_id = o.owner_id)
order by o.owner_id limit %(limit)s
"""


def sweep(runtime: Runtime, merchant_id: int, channel_id: int) -> int:
    """Mark what is not equal and not due; how many numbers. A page a transaction, each as of one moment."""
    after, marked = 0, 0
    while True:
        with runtime.begin(merchant_id, runtime.clock(), snapshot=True) as session:
            last, found = _sweep_page(session, channel_id, after)
        marked += found
        if last is None:
            break
        after = last
    if marked:
        log.warning("marks_lost", merchant_id=merchant_id, channel_id=channel_id, numbers=marked)
    return marked


def _sweep_page(session: Session, channel_id: int, after: int) -> tuple[int | None, int]:
    """The page's last owner, None behind the last page, and how many of it were not equal."""
    rows = session.rows(_UNMARKED, channel=channel_id, after=after, limit=PAGE)
    plans = read_plans(session, rows)
    unequal = [row.owner_id for row in rows if row.owner_id in plans and plans[row.owner_id].target != row.believed]
    mark_due(session, channel_id, unequal)
    return (rows[-1].owner_id if rows else None), len(unequal)
