"""Erasing: what may hold a customer, and everything that tells of a shop whose owner has left.

Nothing that is kept names a customer: deliveries are cut down to an allow-list before they are stored, and what could
not be read is sealed for some days. Of a shop that is erased, items and the units and dates of its orders stay, since
they are the merchant's books; who the shop was, its listings and what it told us goes.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.accounts import audit
from app.core.db import Session
from app.core.errors import Conflict
from app.core.runtime import Runtime
from app.listings.cases import open_cases
from app.listings.credentials import write_credentials
from app.listings.install import MERCHANT_NAME
from app.listings.states import get_standing

SHOWN_MAX = 50
_UNREADABLE = """
update inbox set body = null, state = 'done', done_at = %(now)s
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and topic = 'unreadable' and body is not null
"""
_ORDERS = """
select number from sales_order
where merchant_id = %(merchant_id)s and channel_id = %(channel)s
  and order_key = any(%(keys)s::text[])
order by 1 limit %(limit)s
"""
# What told of the shop, children before parents. All of it is found by the channel.
SHOP = (
    """delete from webhook_delivery d using webhook_event e where e.merchant_id = %(merchant_id)s
       and e.data ->> 'channel_id' = %(channel)s::text and d.merchant_id = e.merchant_id and d.event_id = e.event_id""",
    "delete from webhook_event where merchant_id = %(merchant_id)s and data ->> 'channel_id' = %(channel)s::text",
    """delete from push_row r using push_attempt a where a.merchant_id = %(merchant_id)s and a.channel_id = %(channel)s
       and r.merchant_id = a.merchant_id and r.attempt_id = a.attempt_id""",
    "delete from push_attempt where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
    "delete from shadow_write where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
    "delete from shadow_sale where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
    "delete from due_listing where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
    "delete from product_wanted where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
    "delete from channel_import where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
    "delete from channel_staleness where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
    """delete from match_batch_row r using match_batch b where b.merchant_id = %(merchant_id)s
       and b.channel_id = %(channel)s and r.merchant_id = b.merchant_id and r.batch_id = b.batch_id""",
    "delete from match_batch where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
    "delete from first_push_row where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
    "delete from first_push where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
    "delete from match_proposal where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
    "delete from channel_check where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
    "delete from shop_joining where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
    "delete from channel_poll where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
    "delete from delivery_refusal where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
    "delete from inbox where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind <> 'app'",
    "delete from case_file where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
    """delete from listing_demand b using stock_owner o where o.merchant_id = %(merchant_id)s
       and o.channel_id = %(channel)s and b.merchant_id = o.merchant_id and b.owner_id = o.owner_id""",
    "delete from listing where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
    "delete from stock_owner where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
    "delete from channel_location where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
    """update order_line l set sku = null, listing_key = null from sales_order o
       where o.merchant_id = %(merchant_id)s and o.channel_id = %(channel)s
         and l.merchant_id = o.merchant_id and l.order_id = o.order_id""",
    "update sales_order set number = '' where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
    """update channel set name = 'Removed shop ' || channel_id, address = 'removed:' || channel_id, base_url = '',
       facts = '{}' where merchant_id = %(merchant_id)s and channel_id = %(channel)s""",
    "select release_shop(%(channel)s)",
)
# What they read would come back.
_AT_WORK = """
select exists (select from channel_poll where merchant_id = %(merchant_id)s and channel_id = %(channel)s
               and deadline >= %(now)s)
    or exists (select from inbox where merchant_id = %(merchant_id)s and channel_id = %(channel)s
               and kind = 'doorbell' and state = 'reading' and owner is not null and deadline >= %(now)s)
    or exists (select from push_attempt where merchant_id = %(merchant_id)s and channel_id = %(channel)s
               and state = 'open' and deadline >= %(now)s)
"""
# A merchant that came with the shop and has no other is called by its name.
_RENAME = """
update merchant set name = 'Removed shop ' || merchant_id
where merchant_id = %(merchant_id)s and name = %(name)s
"""


def erase_unreadable(session: Session, channel_id: int) -> int:
    """Erase the sealed bodies of deliveries that could not be read; how many."""
    return session.run(_UNREADABLE, channel=channel_id, now=session.now)


def find_orders(session: Session, channel_id: int, keys: Sequence[str]) -> list[str]:
    """The numbers of those orders that are known here, up to a bound."""
    return [row.number for row in session.rows(_ORDERS, channel=channel_id, keys=list(keys), limit=SHOWN_MAX)]


def erase_left(runtime: Runtime, merchant_id: int, channel_id: int, by: str) -> int:
    """Erase a disconnected shop because one of its merchant's people says so; rows touched. Raises NotFound, and
    Conflict for a shop that is still connected, or that somebody is just reading."""
    with runtime.begin(merchant_id, runtime.clock()) as session:
        if get_standing(session, channel_id, lock=True).state != "disconnected":
            raise Conflict("still_connected", "disconnect the shop first: only then is what tells of it erased")
        if session.value(_AT_WORK, channel=channel_id, now=session.now):
            raise Conflict("still_read", "what was begun before is still being read: try again in some minutes")
        rows = erase_shop(runtime, session, channel_id)["rows"]
        audit.note(session, by, "channel.erased", f"channel {channel_id}")
    return rows


def erase_shop(runtime: Runtime, session: Session, channel_id: int) -> dict[str, int]:
    """Erase everything that tells of a shop; how many rows were touched. Its owner may install the app anew."""
    told = session.row(
        """select facts ->> %(merchant_name)s as merchant_name,
                  (select count(*) from channel where merchant_id = %(merchant_id)s) as channels
           from channel where merchant_id = %(merchant_id)s and channel_id = %(channel)s""",
        channel=channel_id,
        merchant_name=MERCHANT_NAME,
    )
    touched = sum(session.run(statement, channel=channel_id) for statement in SHOP)
    write_credentials(runtime.sealer, session, channel_id, {})
    if told is not None and told.channels == 1 and told.merchant_name:
        session.run(_RENAME, name=told.merchant_name)
    detail = "what told of the shop was erased, as was asked for; the books keep units, dates and cost"
    open_cases(session, channel_id, [("shop_erased", "shop", detail, {})])
    return {"rows": touched}
