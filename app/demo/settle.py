"""When is it quiet: nothing due, nothing open, every shop read to the end, every shown number equal to its target."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from app.core.clock import monotonic_s
from app.core.db import Session
from app.core.errors import Unavailable
from app.core.runtime import Runtime
from app.demo.report import SETTLE_MAX_S
from app.demo.shops import Street, numbers_of
from app.publishing.due import read_plans
from connectors.base import StockKey

LOOK_EVERY_S = 0.2

_BUSY = """
select (select count(*) from inbox where merchant_id = %(merchant_id)s and state in ('open', 'reading'))
     + (select count(*) from due_listing where merchant_id = %(merchant_id)s)
     + (select count(*) from push_attempt where merchant_id = %(merchant_id)s and state <> 'done')
     + (select count(*) from stock_owner where merchant_id = %(merchant_id)s
        and (observed_revision is not null or look_since is not null or unclear_attempt_id is not null
             or awaiting_since is not null))
     + (select count(*) from channel_poll where merchant_id = %(merchant_id)s and kind = 'orders'
        and (completed_at is null or completed_at <= %(since)s))
"""


def wait_until_quiet(runtime: Runtime, merchant_id: int, street: Street) -> float | None:
    """Seconds it took until all was quiet and equal; None when it was not within `SETTLE_MAX_S`."""
    started, since, pause = monotonic_s(), runtime.clock(), threading.Event()
    while (took := monotonic_s() - started) < SETTLE_MAX_S:
        try:
            if is_quiet(runtime, merchant_id, since) and not mismatches(runtime, merchant_id, street):
                return took
        except Unavailable:
            runtime.database.close()
        pause.wait(LOOK_EVERY_S)
    return None


def is_quiet(runtime: Runtime, merchant_id: int, since: datetime) -> bool:
    """Nothing is due or open, and every channel's orders have been read to the end since then."""
    with runtime.begin(merchant_id, runtime.clock()) as session:
        busy: int = session.value(_BUSY, since=since)
    return busy == 0


def mismatches(runtime: Runtime, merchant_id: int, street: Street) -> list[str]:
    """Listings whose shop shows another number than it should, in a few words each."""
    found = []
    for name, channel_id in street.channels.items():
        shown = numbers_of(street.shops[name])
        with street.fronts[name].lock:
            found += channel_mismatches(runtime, merchant_id, channel_id, shown)
    return found


def channel_mismatches(
    runtime: Runtime, merchant_id: int, channel_id: int, shown: Callable[[StockKey], int | None]
) -> list[str]:
    """The same for one channel. Hold its shop's lock."""
    with runtime.begin(merchant_id, runtime.clock()) as session:
        targets = _targets(session, channel_id)
    return [
        f"{key.stock_key} {key.location_key}: shows {number}, should show {target}"
        for key, target in targets.items()
        if (number := shown(key)) != target
    ]


def _targets(session: Session, channel_id: int) -> dict[StockKey, int]:
    rows = session.rows(
        """select * from stock_owner
           where merchant_id = %(merchant_id)s and channel_id = %(channel)s and item_id is not null""",
        channel=channel_id,
    )
    plans = read_plans(session, rows)
    return {
        StockKey(row.stock_key, row.location_key): plans[row.owner_id].target for row in rows if row.owner_id in plans
    }
