"""The stock audit: every number a channel shows is read now and then and compared with the belief.

A difference is only noted here; `app.publishing.look` explains it once the channel's orders have been read.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.core.db import Session
from app.core.runtime import Runtime
from app.inbox.polls import Claim, Overtaken, claim_poll, end_poll, fail_poll, hold_poll
from app.listings.cases import close_managed
from app.listings.channels import get_channel
from app.listings.states import get_standing
from app.publishing.look import read_numbers
from app.publishing.unread import decide_what_can_be_read
from connectors.base import StockKey
from connectors.errors import ChannelError

# What the channel kept no number for, or refused one, is asked again as long as it is one of our items.
_PAGE = """
select owner_id, stock_key, location_key from stock_owner
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and owner_id > %(after)s
  and (state = 'managed' or state in ('untracked', 'gone', 'refused') and item_id is not null)
order by owner_id limit %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Audited:
    """Numbers read and how many contradicted the belief."""

    numbers: int = 0
    contradicted: int = 0
    error: str = ""


def audit(runtime: Runtime, merchant_id: int, channel_id: int) -> Audited:
    """Read all numbers of a channel, page by page, if its audit is due and nobody else is at it. One that a channel
    broke off, or whose process died, goes on where it was."""
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        claimed = claim_poll(runtime, session, channel_id, "stock")
        close_managed(session, channel_id)
        channel = get_channel(session, channel_id)
        # Before it becomes active a difference is explained at once, not looked at a second time later.
        patient = get_standing(session, channel_id).activating_since is None
    if claimed is None:
        return Audited()
    size = runtime.connectors[channel.platform].abilities.read_rows_max
    claim = Claim(merchant_id, channel_id, "stock", claimed.attempt)
    after, numbers, contradicted = claimed.resume_after or 0, 0, 0
    try:
        while True:
            with runtime.begin(merchant_id, runtime.clock()) as session:
                hold_poll(runtime, session, claim, after=after)
                after, keys = _page(session, channel_id, after, size)
            if not keys:
                break
            contradicted += read_numbers(runtime, merchant_id, channel, keys, patient=patient)
            numbers += len(keys)
    except ChannelError as error:
        fail_poll(runtime, claim, error)
        return Audited(numbers, contradicted, error.reason)
    except Overtaken:
        return Audited(numbers, contradicted)
    with runtime.begin(merchant_id, runtime.clock()) as session:
        decide_what_can_be_read(session, channel_id)
    end_poll(runtime, claim, through=now, every_s=runtime.settings.sync.audit_interval_s)
    return Audited(numbers, contradicted)


def _page(session: Session, channel_id: int, after: int, size: int) -> tuple[int, list[StockKey]]:
    rows = session.rows(_PAGE, channel=channel_id, after=after, limit=size)
    return (rows[-1].owner_id if rows else after), [StockKey(row.stock_key, row.location_key) for row in rows]
