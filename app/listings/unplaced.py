"""Orders of which a channel has not said from which of its places they go: which number they lowered is not known."""

from __future__ import annotations

from app.listings.shop_clock import MARGIN

PLACED_WITHIN_S = 3_600  # a shop assigns an order within seconds; what was read and has none after an hour gets none

# The unplaced orders `s` that may have lowered the number `o` (a row of stock_owner).
UNPLACED = """sales_order s join order_position n using (merchant_id, order_id)
    where s.merchant_id = o.merchant_id and s.channel_id = o.channel_id and not s.located and not s.frozen
      and n.item_id = o.item_id"""
_WAITED_FOR = f"""(s.read_at is null
    or s.observed_at > %(now)s::timestamptz - interval '{PLACED_WITHIN_S} s')"""
# Whether one of them is waited for: the number is not raised, and nothing is decided about it. Takes `now`.
HOLDS = f"exists (select from {UNPLACED} and {_WAITED_FOR})"
# Units that they took from the number of the place where we have booked them for now. Where the channel takes them it
# will say, and the number there is believed to be less from then on: until then our own number is as if they were still
# there, else it would be lowered for them twice. What was taken before a number was first seen is in that already.
TAKEN = f"""(select coalesce(sum(n.taken - n.taken_before), 0)::bigint from {UNPLACED} and {_WAITED_FOR}
      and n.owner_id is null and n.location_id in (
          select p.location_id from channel_location p
          where p.merchant_id = o.merchant_id and p.channel_id = o.channel_id and p.location_key = o.location_key
            and (o.location_ids is null or p.location_id = any(o.location_ids)))
      and s.placed_at + interval '{MARGIN.total_seconds()} s' >= coalesce(o.counted_since, '-infinity')
        + make_interval(secs => (select clock_skew_s from channel c
                                 where c.merchant_id = o.merchant_id and c.channel_id = o.channel_id)))"""  # noqa: S608  constants only
