"""Orders of which a channel has not said from which of its places they go: which number they lowered is not known."""

from __future__ import annotations

PLACED_WITHIN_S = 3_600  # a shop assigns an order within seconds; what was read and has none after an hour gets none

# The unplaced orders `s` that may have lowered the number `o` (a row of stock_owner).
UNPLACED = """sales_order s join order_position n using (merchant_id, order_id)
    where s.merchant_id = o.merchant_id and s.channel_id = o.channel_id and not s.located and not s.frozen
      and n.item_id = o.item_id"""
# Whether one of them is waited for: nothing is written to the number, or decided about it. Takes `now`.
HOLDS = f"""exists (select from {UNPLACED}
    and (s.read_at is null or s.observed_at > %(now)s::timestamptz - interval '{PLACED_WITHIN_S} s'))"""
